"""What reading gives: a Keras model as plain data, in Keras' own words, its weights named but not yet read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.strict_json import Json, clip


@dataclass(frozen=True)
class TensorRef:
    """An output of a call of a layer: ``keras_history``."""

    layer: str
    call: int = 0  # which of the layer's calls, from 0
    tensor: int = 0  # which output of that call


@dataclass(frozen=True)
class Call:
    """One call of a layer: its arguments, in which every TensorRef is a tensor and everything else a constant."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A weight in the file.

    Attributes
    ----------
    name
        As the file has it, e.g. ``"conv2d/kernel:0"`` or ``"layers/conv2d/vars/0"``.
    role
        Its last part without decoration (``"kernel"``), or None where the file only counts.
    shape, dtype
        As declared; nothing has been read.
    read
        Reads and gives the array; raises KerasFileError if the file is damaged there.
    path
        What the file names between the layer and the weight: sub-layers (``("forward_layer", "cell")``), in ``.h5``
        files the layer itself too.
    """

    name: str
    role: str | None
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], npt.NDArray[np.generic]]
    path: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Layer:
    """A Keras layer.

    Attributes
    ----------
    name
        Its name; a path (``"encoder/conv2d"``) once nested models are inlined.
    class_name
        Keras' class, without package.
    package
        ``registered_name``'s package or the module for what is not Keras' own; empty for Keras' classes.
    config
        As in the file.
    calls
        In the order of ``inbound_nodes``.
    weights
        In the file's order.
    inner
        The model, if the layer is one.
    parts
        The layers that a wrapper's configuration holds, by its key (``"layer"``, ``"backward_layer"``, ``"cell"``,
        ``"cells/0"``), never called by themselves.  Their weights are among the wrapper's own.
    vocabulary
        Reads the vocabulary that the file has beside the configuration: every token as text, special ones included;
        None where there is none.
    part_of
        Name and class of the Keras layer that a pass has split this one off from, or put this one in place of; None for
        Keras' own layers.
    declared
        The shape without the batch that the file says its output has, where a pass found one that must be compared.
    """

    name: str
    class_name: str
    package: str
    config: Mapping[str, Json]
    calls: tuple[Call, ...]
    weights: tuple[StoredTensor, ...] = ()
    inner: KerasModel | None = None
    parts: Mapping[str, Layer] = field(default_factory=dict)
    vocabulary: Callable[[], tuple[str, ...]] | None = None
    part_of: tuple[str, str] | None = None
    declared: tuple[int | None, ...] | None = None


@dataclass(frozen=True, eq=False)
class KerasModel:
    """A Keras model, Sequential ones written out as functional ones.

    Attributes
    ----------
    source
        The file's name, for messages.
    version
        Keras' version, e.g. ``(2, 4)``; ``(1,)`` where the file does not say.
    inputs, outputs
        In the model's order.
    output_names
        The keys where the model gives a dict (paths of keys, ``"a/b"``, where it is nested), else the layers' names.
    input_keys
        The keys where the model takes a dict; ``inputs`` are in their order.
    backend
        What Keras ran on, where the file says it: Theano's kernels are mirrored.
    """

    name: str
    source: str
    version: tuple[int, ...]
    layers: tuple[Layer, ...]
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]
    output_names: tuple[str, ...]
    input_keys: tuple[str, ...] = ()
    backend: str = ""


def refs_in(value: Any) -> Iterator[TensorRef]:
    """Give the tensors in an argument, in Keras' order: a dict's by sorted keys."""
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from refs_in(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from refs_in(item)


def keyed_refs(value: Any, path: str = "") -> Iterator[tuple[str, TensorRef]]:
    """Give the tensors of a structure as ``refs_in`` does, each with its path of keys and places: ``"a/0"``."""
    if isinstance(value, TensorRef):
        yield path, value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from keyed_refs(value[key], f"{path}/{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from keyed_refs(item, f"{path}/{place}" if path else str(place))


def has_keys(value: Any) -> bool:
    """Tell whether a structure names some of its tensors: whether it is an object, or a list that holds one."""
    return isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and any(map(has_keys, value)))


def replace_refs(value: Any, replace: Callable[[TensorRef], Any]) -> Any:
    """Give an argument with every tensor replaced."""
    if isinstance(value, TensorRef):
        return replace(value)
    if isinstance(value, Mapping):
        return {key: replace_refs(item, replace) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(replace_refs(item, replace) for item in value)
    return value


def constants_in(call: Call) -> list[str]:
    """Name the keywords and constants of a call that say something: not None, not False, not lists of them."""
    said = [f"{key}={_shown(value)}" for key, value in call.kwargs.items() if not _says_nothing(value)]
    return [*said, *(f"the constant {clip(repr(value), 60)}" for value in _constants(call.args))]


def _shown(value: Any) -> str:
    refs = list(refs_in(value))
    return f"the output of {refs[0].layer!r}" if refs else clip(repr(value), 60)


def _says_nothing(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return all(_says_nothing(item) for item in value)
    return value is None or value is False


def _constants(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _constants(item)
    elif value is not None and not isinstance(value, TensorRef):
        yield value
