"""What goes into a model: seeded numbers that its layers take, or arrays from files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .graph import given_by, is_model, nodes_of, operation_of, read_by
from .lines import Problem, first_line

COUNTS = ("input_dim", "num_tokens", "num_classes")  # where layers that take ids say how many there are
FREE_SIZES = 32, 96, 224  # for sizes that the model leaves free; the first that the model takes


def make_input(model: Any, place: int, examples: int, seed: int, free_size: int = FREE_SIZES[0]) -> Any:
    """Give seeded values for an input."""
    tensor = model.inputs[place]
    name, dtype = getattr(tensor, "name", str(place)), dtype_of(tensor)
    if dtype == "string":
        raise Problem(f"the input {name!r} takes text, which cannot be made up: give it with --input x.npy")
    sizes = [free_size if size is None else int(size) for size in tensor.shape]
    if tensor.shape[0] is None:
        sizes[0] = examples
    random = np.random.default_rng([seed, place])
    values = min(filter(None, values_for(model, place)), key=len, default=None)
    if values is not None:
        return np.array(values)[random.integers(0, len(values), sizes)].astype(as_numpy(dtype))
    if dtype == "bool":
        return random.random(sizes) < 0.5
    if "int" in dtype:
        return random.integers(0, 256 if dtype == "uint8" else 2, sizes).astype(dtype)
    return (2 * random.random(sizes, dtype=np.float32) - 1).astype(as_numpy(dtype))


def read_input(path: str, model: Any, place: int) -> Any:
    """Read values for an input from a ``.npy`` file."""
    tensor = model.inputs[place]
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Problem(f"{path}: {first_line(error)}") from None
    wanted = tuple(tensor.shape)
    fits = array.ndim == len(wanted) and all(w in (None, have) for w, have in zip(wanted, array.shape))
    is_text = dtype_of(tensor) == "string"
    if not fits or is_text != (array.dtype.kind in "US"):
        shown = ", ".join("N" if size is None and not axis else str(size or "?") for axis, size in enumerate(wanted))
        raise Problem(f"{path}: the input {place} takes {dtype_of(tensor)} ({shown}), not {array.dtype} {array.shape}")
    if is_text:
        return array if array.dtype.kind == "U" else np.char.decode(array, "utf-8")
    return array.astype(as_numpy(dtype_of(tensor)))


def values_for(model: Any, place: int) -> Iterator[list[Any]]:
    """Give the values that readers of an input take, where they do not take any number."""
    tensors = {str(id(model.inputs[place]))}
    nodes = nodes_of(model)
    if not nodes:
        layers = getattr(model, "layers", None) or [None]
        yield from _taken(layers[0])
    for node in nodes:
        read, layer = read_by(node), operation_of(node)
        if tensors.isdisjoint(read):
            continue
        if is_model(layer):
            for position, name in enumerate(read):
                if name in tensors and position < len(layer.inputs or ()):
                    yield from values_for(layer, position)
            continue
        yield from _taken(layer)
        if not getattr(layer, "weights", None):
            tensors.update(given_by(node))


def _taken(layer: Any) -> Iterator[list[Any]]:
    while hasattr(layer, "layer"):  # TimeDistributed
        layer = layer.layer
    for count in (getattr(layer, key, None) for key in COUNTS):
        if isinstance(count, int):
            yield list(range(count))
    if hasattr(layer, "get_vocabulary"):
        tokens = [str(token) for token in layer.get_vocabulary()]
        yield [int(token) for token in tokens if token.lstrip("-").isdigit()]


def dtype_of(tensor: Any) -> str:
    """Name the type of a tensor of a model."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def as_numpy(dtype: str) -> str:
    """Give NumPy's type for a tensor's, for values that are fed: Keras casts what NumPy lacks itself."""
    return "float32" if dtype in ("bfloat16", "float16") else dtype
