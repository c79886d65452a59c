"""How Keras stores what a module takes: the shapes of its arrays, and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from keydnn.convert.build.registry import BUILDERS
from keydnn.convert.build.weights import ALIASES, FLOATS
from keydnn.convert.read.record import StoredTensor
from keydnn.strict_json import Json
from keydnn.transfer.sources import Unit

Floats = npt.NDArray[Any]  # of the type that the file has
Stored = Mapping[str, Floats]  # arrays by what they are: "kernel"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Piece:
    """One tensor of a module.

    Attributes
    ----------
    tensor
        Its name, as KeyDNN's modules and PyTorch have it.
    source
        The array that it comes from; empty where it is filled with a number.
    make
        Gives it, from all arrays of the layer.
    words
        What happens to the array, for people.
    """

    tensor: str
    source: str
    make: Callable[[Stored], Floats]
    words: str


@dataclass(frozen=True)
class Form:
    """One way in which Keras stores the weights of a module.

    Attributes
    ----------
    classes
        Keras classes that store them so.
    shapes
        Shape by what the array is, in the order in which Keras creates them.
    pieces
        One for every tensor of the module.
    options
        What the layer's options must say: value and Keras' default by name.
    doubt
        Why the form cannot be told where the file neither names the arrays nor has the layer's options.
    knowing
        Whether the class must be known: by shapes alone others store other things so.
    features
        For tensors that have an axis of the features of one example: which one.
    results
        The same, for the features that the module gives.
    """

    classes: Collection[str]
    shapes: Shapes
    pieces: tuple[Piece, ...]
    options: Mapping[str, tuple[Json, Json]] = field(default_factory=dict)
    doubt: str = ""
    knowing: bool = False
    features: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say the shapes: ``"kernel (3, 3, 3, 16), bias (16,)"``."""
        return ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())

    def arrays_in(self, unit: Unit) -> dict[str, StoredTensor] | None:
        """Give the unit's arrays by what they are; None if their names or number are others."""
        if len(unit.tensors) != len(self.shapes):
            return None
        if unit.counted:
            return dict(zip(self.shapes, unit.tensors, strict=True))
        found = {}
        for name in self.shapes:
            fitting = [tensor for tensor in unit.tensors if tensor.role in ALIASES.get(name, (name,))]
            if len(fitting) != 1:
                return None
            found[name] = fitting[0]
        return found

    def refuses(self, unit: Unit, *, trusting: bool) -> str:
        """Say why a unit has not this form; empty if it has.

        Parameters
        ----------
        unit
            The arrays.
        trusting
            Whether to go by a class that is only guessed from the layer's name.
        """
        class_name = unit.class_name or (unit.guessed if trusting else None)
        if class_name not in self.classes and (self.knowing or class_name in BUILDERS):
            return f"the nearest layer is {f'a {class_name}' if class_name else 'of an unknown kind'}"
        arrays = self.arrays_in(unit)
        if arrays is None:
            return "the nearest layer has other arrays"
        if {name: tensor.shape for name, tensor in arrays.items()} != dict(self.shapes):
            return "the nearest layer has other shapes"
        if any(tensor.dtype not in FLOATS for tensor in arrays.values()):
            return "the nearest layer holds no floating numbers"
        for key, (wanted, default) in self.options.items():
            if unit.config is not None and unit.config.get(key, default) != wanted:
                return f"{key}={unit.config.get(key, default)!r} in the file"
        if self.doubt and unit.counted and unit.config is None:
            return f"{self.doubt}; architecture= says it"
        return ""
