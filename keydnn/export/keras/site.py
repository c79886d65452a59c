"""Where a node of the graph becomes layers and operations of Keras: what a rule is given to write with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from keydnn.export.keras.document import Layer, Ref, refs_of
from keydnn.graph import Origin
from keydnn.modules.base import Module, Shape

AnyArray: TypeAlias = npt.NDArray[Any]
Value: TypeAlias = Ref | AnyArray  # of a layer or an operation; a constant
Rule: TypeAlias = Callable[[Any, "Site"], Value]  # of a module and its site: what the module gives
Rules: TypeAlias = Mapping[str, Rule]  # by module type
Axes: TypeAlias = Sequence[int | None]  # the axis of the channels of each input, and of the output; None: stays
Finder: TypeAlias = Callable[[Any, Sequence[Shape], Shape], Axes]  # of a module, its inputs' shapes and its output's


class Refused(Exception):
    """What Keras, or the exporter, cannot express of a module; the writer gathers all of a graph in one ExportError."""


def kind_of(module: Module) -> str:
    """Give the module type whose rule writes a module: its own, or ``kind`` of one that stands for several."""
    return str(getattr(module, "kind", type(module).__name__))


def axis_one(module: Module, shapes: Sequence[Shape], shape: Shape) -> Axes:
    """Say that channels are axis 1 of everything that has rank 3 or more."""
    return [1 if len(value) > 2 else None for value in (*shapes, shape)]


@dataclass(frozen=True)
class LastRule:
    """A rule that sees its values with channels last; ``axes`` says where the module has them."""

    rule: Rule
    axes: Finder

    def __call__(self, module: Any, site: Site) -> Value:
        """Write a module."""
        return self.rule(module, site)


def channels_last(rule: Rule, axes: Finder = axis_one) -> LastRule:
    """Mark a rule of modules that have channels first.

    Parameters
    ----------
    rule
        Writes the module for values with channels last.
    axes
        Gives the axis of the channels of each input and, last, of the output, for the module, its inputs' shapes and
        its output's; None where a value stays as it is.
    """
    return LastRule(rule, axes)


class Site:
    """The place of one node of the graph.

    Attributes
    ----------
    inputs
        What the module reads, in order: Refs, or arrays (constants).
    shapes
        Their shapes, with None for free sizes.
    shape, dtype
        Those of the value that the module gives.
    origin
        The Keras layer that the node stands for, if it was imported.
    layers
        The layers and operations that have been called, in order.
    """

    def __init__(
        self,
        module: Module,
        inputs: Sequence[Value],
        shape: Shape,
        dtype: str,
        origin: Origin | None,
        made: dict[tuple[object, ...], Layer],
    ) -> None:
        self.inputs, self.shapes = tuple(inputs), tuple(value.shape for value in inputs)
        self.shape, self.dtype, self.origin = shape, dtype, origin
        self.layers: list[Layer] = []
        self._module, self._made = module, made

    def refuse(self, reason: str) -> NoReturn:
        """Say why the module cannot be exported; it is named with all others that cannot."""
        raise Refused(reason)

    def layer(
        self,
        class_name: str,
        config: Mapping[str, Any],
        weights: Mapping[str, AnyArray] | None = None,
        *,
        fixed: Collection[str] = (),
        inputs: Sequence[Value] | None = None,
        shape: Shape | None = None,
        dtype: str | None = None,
        kwargs: Mapping[str, Any] | None = None,
        listed: bool = False,
    ) -> Ref:
        """Call a layer and give its output.

        Parameters
        ----------
        class_name
            As in ``keras.layers``.
        config
            Its options as JSON knows them (tuples become lists), but for ``name`` and ``dtype``.
        weights
            Arrays by name, in the order in which the layer has them; a folder names a sub-layer.
        fixed
            Names of the weights that training does not change.
        inputs
            What it reads; those of the node if None.
        shape, dtype
            Of the output; those of the node if None.
        kwargs
            Other arguments of the call.
        listed
            Whether it takes its inputs as one list, as merging layers do.
        """
        read = self.inputs if inputs is None else tuple(inputs)
        if not all(isinstance(value, Ref) for value in read):
            self.refuse(f"reads a constant, which {class_name} of Keras does not take")
        args = [list(read)] if listed else list(read)
        layer = self._layer("keras.layers", class_name, config, weights or {}, fixed)
        return self._call(layer, args, kwargs, shape, dtype)

    def operation(
        self,
        kind: str,
        args: Sequence[Any],
        config: Mapping[str, Any] | None = None,
        *,
        kwargs: Mapping[str, Any] | None = None,
        shape: Shape | None = None,
        dtype: str | None = None,
    ) -> Ref:
        """Call an operation and give its output.

        Parameters
        ----------
        kind
            Its file in ``keras/src/ops`` and its class: ``"numpy.Einsum"``.
        args, kwargs
            Arguments of its call: values, numbers, text, None, ``slice``, lists and tuples of them.
        config
            Arguments of its class.
        shape, dtype
            Of the output; those of the node if None.
        """
        file, class_name = kind.split(".")
        if next(refs_of([args, kwargs]), None) is None:  # Keras would compute it at once, and have no node
            self.refuse(f"computes {class_name} of constants alone")
        layer = self._layer(f"keras.src.ops.{file}", class_name, config or {}, {}, ())
        return self._call(layer, list(args), kwargs, shape, dtype)

    def cast(self, value: Value, dtype: str) -> Value:
        """Convert a value to a dtype as NumPy names it."""
        if isinstance(value, np.ndarray):
            return value.astype(dtype)
        return self.operation("core.Cast", [value], {"dtype": dtype}, shape=value.shape, dtype=dtype)

    def number(self, value: float) -> AnyArray:
        """Give a float32 constant of rank 0, for arguments of operations."""
        return np.array(value, np.float32)

    def _layer(
        self,
        module: str,
        class_name: str,
        config: Mapping[str, Any],
        weights: Mapping[str, AnyArray],
        fixed: Collection[str],
    ) -> Layer:
        """Make a layer, or give the one that an earlier node of the same module has made at this place."""
        key = id(self._module), len(self.layers), class_name, repr(sorted(config.items()))
        if key not in self._made:
            arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
            self._made[key] = Layer(module, class_name, dict(config), arrays, frozenset(fixed), self.origin)
        self.layers.append(self._made[key])
        return self._made[key]

    def _call(
        self,
        layer: Layer,
        args: list[Any],
        kwargs: Mapping[str, Any] | None,
        shape: Shape | None,
        dtype: str | None,
    ) -> Ref:
        return layer.call(args, kwargs or {}, self.shape if shape is None else shape, dtype or self.dtype)
