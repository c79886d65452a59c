"""From stored tensors to the arrays a builder asks for: by name, in order, of the shape the configuration says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Layer, StoredTensor
from keydnn.errors import KerasFileError, MissingWeightsError
from keydnn.modules.base import Array

FLOATS = {"bfloat16", "float16", "float32", "float64"}
# Names that a weight has had; the first is the one builders ask for.
ALIASES = {
    "depthwise_kernel": ("depthwise_kernel", "kernel"),
    "idf_weights": ("idf_weights", "Variable"),
    "moving_variance": ("moving_variance", "moving_var"),
}


UNNAMED = re.compile(r"(variable(_\d+)?)?")  # how Keras 3 calls a weight that has got no name


class WeightReader:
    """The weights of one layer; each is read once, however often the layer is called."""

    def __init__(self, layer: Layer, notes: Notes) -> None:
        self._layer, self._notes = layer, notes
        self._arrays: dict[tuple[str, str], Array] = {}
        self._used: set[int] = set()
        self.read: dict[int, Array] = {}  # what has been read, by the identity of the stored tensor

    def take(self, shapes: Mapping[str, tuple[int, ...]], part: Sequence[str] = ()) -> list[Array]:
        """Give float32 arrays of the shapes named, which are compared with the file's before anything is read.

        Parameters
        ----------
        shapes
            Shape by name, in the order in which Keras creates them.
        part
            Names that the sub-layer which holds them has had; empty: the layer itself.

        Raises
        ------
        MissingWeightsError
            The file has no such weight.
        KerasFileError
            It has one of another shape or of no floating type.
        """
        owner = part[0] if part else ""
        if not {(owner, name) for name in shapes} <= set(self._arrays):
            found = self._find(shapes, part)
            for name, tensor in found.items():
                self._check(name, tensor, shapes[name])
            for name, tensor in found.items():
                self._arrays[owner, name] = self._read(tensor)
        return [self._arrays[owner, name] for name in shapes]

    def ignore(self, names: Sequence[str]) -> None:
        """Leave weights unread that play no part at inference, if the file has them; those that do are read before."""
        left = self.unused()
        by_place = all(tensor.role is None for tensor in left)
        ignored = left[: len(names)] if by_place else [tensor for tensor in left if tensor.role in names]
        self._used.update(map(id, ignored))

    def unused(self) -> list[StoredTensor]:
        """Give the stored tensors that no builder has asked for."""
        return [tensor for tensor in self._layer.weights if id(tensor) not in self._used]

    def _find(self, shapes: Mapping[str, tuple[int, ...]], part: Sequence[str]) -> dict[str, StoredTensor]:
        """Find each weight by its role, or, in files that only count, by its place."""
        stored = [tensor for tensor in self._layer.weights if not part or set(part) & set(tensor.path)]
        # A layer may itself be named as its part is: then the weight's own owner decides.
        stored = [tensor for tensor in stored if tensor.path and tensor.path[-1] in part] or stored
        found: dict[str, StoredTensor] = {}
        by_place = all(UNNAMED.fullmatch(tensor.role or "") for tensor in stored)
        for place, name in enumerate(shapes):
            if by_place:
                matches = list(stored[place : place + 1])
            else:
                matches = [tensor for tensor in stored if tensor.role in ALIASES.get(name, (name,))]
            if len(matches) != 1:
                have = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in self._layer.weights) or "nothing"
                what = f"{part[0]}/{name}" if part else name
                what = f"{what} of shape {shapes[name]}"
                raise MissingWeightsError(
                    f"No weights found for module {self._layer.class_name} (layer {self._layer.name!r}): {what}; "
                    f"the file has {have}"
                )
            found[name] = matches[0]
        self._used.update(id(tensor) for tensor in found.values())
        return found

    def _check(self, name: str, tensor: StoredTensor, shape: tuple[int, ...]) -> None:
        where = f"layer {self._layer.name!r} ({self._layer.class_name}): {name} ({tensor.name})"
        if tensor.shape != shape:
            raise KerasFileError(f"{where} has shape {tensor.shape} in the file, but its configuration says {shape}")
        if tensor.dtype not in FLOATS:
            raise KerasFileError(f"{where} is {tensor.dtype}; only floating weights are supported")
        if tensor.dtype == "float64":
            self._notes.rewrite(self._layer.name, self._layer.class_name, f"{name} rounded from float64 to float32")

    def _read(self, tensor: StoredTensor) -> Array:
        array = np.ascontiguousarray(tensor.read(), dtype=np.float32).reshape(tensor.shape)
        array.flags.writeable = False
        self.read[id(tensor)] = array
        return array
