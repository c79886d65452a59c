"""Inputs of the graph: shape and dtype of an InputLayer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType

from keydnn.convert.build.registry import BUILDERS
from keydnn.convert.read.record import KerasModel, Layer, refs_in
from keydnn.errors import KerasFileError
from keydnn.modules.base import Shape
from keydnn.strict_json import Json, clip

MAX_RANK = 8
INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
Readers = Mapping[str, list[Layer]]  # layers by the name of a layer that they read


def readers_of(model: KerasModel) -> Readers:
    """Give the layers that read each layer's outputs."""
    readers: dict[str, list[Layer]] = {}
    for layer in model.layers:
        for call in layer.calls:
            for name in {ref.layer for ref in refs_in((call.args, call.kwargs))}:
                readers.setdefault(name, []).append(layer)
    return readers


def input_shape(layer: Layer, source: str, fixed: bool) -> Shape:
    """Give the shape of an InputLayer; its batch is free unless stateful layers fix it."""
    config = layer.config
    shape: Json = config.get("batch_shape") or config.get("batch_input_shape")
    fits = isinstance(shape, list) and 1 <= len(shape) <= MAX_RANK
    if not fits or not all(size is None or (type(size) is int and size > 0) for size in shape):
        raise KerasFileError(f"{source}: the input {layer.name!r} has no usable shape: {shape!r}")
    if not isinstance(config.get("dtype"), (str, NoneType)):
        raise KerasFileError(
            f"{source}: the input {layer.name!r} has no usable dtype: {clip(repr(config['dtype']), 60)}"
        )
    return (shape[0] if fixed else None, *shape[1:])


def input_dtype(layer: Layer, readers: Readers) -> str:
    """Give the dtype of an InputLayer: text, integers where a lookup behind it reads them, else float32.

    Integers that no lookup reads are ids, pixels and the like, which float32 holds.
    """
    dtype = layer.config.get("dtype")
    if dtype is None:  # a Sequential model of Keras 2 that begins with a lookup
        dtype = next((_reads(reader)[0] for reader in readers.get(layer.name, ())), None)
    if dtype == "string":
        return "string"
    if dtype in INTEGERS and any("int64" in _reads(reader) for reader in _behind(layer, readers)):
        return "int64"
    return "float32"


def _reads(layer: Layer) -> tuple[str, ...]:
    builder = BUILDERS.get(layer.class_name) if not layer.package else None
    return builder.reads if builder else ("float32",)


def _behind(layer: Layer, readers: Readers) -> Iterator[Layer]:
    """Give every layer that depends on one."""
    seen, waiting = {layer.name}, [layer.name]
    while waiting:
        for reader in readers.get(waiting.pop(), ()):
            if reader.name not in seen:
                seen.add(reader.name)
                waiting.append(reader.name)
                yield reader
