"""Where a node of the graph becomes nodes of ONNX: what a rule is given to write with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from keydnn.modules.base import Module, Shape

if TYPE_CHECKING:
    from keydnn.export.onnx.writer import Writer

AnyArray = npt.NDArray[Any]
Argument: TypeAlias = str | AnyArray | None  # of an operator: a value's name, a constant, or nothing
Rule: TypeAlias = Callable[[Any, "Site"], str]  # of a module and its site: the name of the value
Rules: TypeAlias = Mapping[str, Rule]  # by module type

END = 2**63 - 1  # Slice: to the end of the axis


class Refused(Exception):
    """What ONNX, or the exporter, cannot express of a module; the writer gathers all of a graph in one ExportError."""


def ints(*values: int) -> AnyArray:
    """Give an int64 constant of rank 1: axes, shapes, repeats, starts."""
    return np.array(values, np.int64)


def integer(value: int) -> AnyArray:
    """Give an int64 constant of rank 0."""
    return np.array(value, np.int64)


def number(value: float) -> AnyArray:
    """Give a float32 constant of rank 0."""
    return np.array(value, np.float32)


class Site:
    """The place of one node of the graph.

    Attributes
    ----------
    inputs
        Names of the values that the module reads, in order.
    shapes, dtypes
        Their shapes, with None for free sizes, and their dtypes.
    shape, dtype
        Those of the value that the module gives.
    nodes
        The nodes of ONNX that have been added.
    """

    def __init__(
        self,
        writer: Writer,
        name: str,
        module: Module,
        inputs: Sequence[tuple[str, Shape, str]],
        shape: Shape,
        dtype: str,
    ) -> None:
        self._writer, self._name, self._module = writer, name, module
        self.inputs = tuple(name for name, _, _ in inputs)
        self.shapes = tuple(shape for _, shape, _ in inputs)
        self.dtypes = tuple(dtype for _, _, dtype in inputs)
        self.shape, self.dtype = shape, dtype
        self.nodes: list[Any] = []

    def refuse(self, reason: str) -> NoReturn:
        """Say why the module cannot be exported; it is named with all others that cannot."""
        raise Refused(reason)

    def op(self, kind: str, *arguments: Argument, **attributes: Any) -> str:
        """Add an operator of one output and give that output's name.

        Parameters
        ----------
        kind
            Name of the operator in ONNX.
        arguments
            Names of values; arrays, which become constants; None for an optional input that is left out.
        attributes
            As the operator's; those that are None are left out.  ``domain="ai.onnx.ml"`` for operators from there.
        """
        return self.ops(kind, 1, *arguments, **attributes)[0]

    def ops(self, kind: str, outputs: int, *arguments: Argument, **attributes: Any) -> tuple[str, ...]:
        """Add an operator of several outputs and give their names (see :meth:`op`)."""
        read = [self.constant(given) if isinstance(given, np.ndarray) else given or "" for given in arguments]
        while read and not read[-1]:
            read.pop()
        names = tuple(self._writer.names.new(f"{self._name}/{kind}") for _ in range(outputs))
        self.nodes.append(self._writer.node(kind, read, names, attributes))
        return names

    def cast(self, value: Argument, dtype: str) -> str:
        """Convert a value to a dtype as NumPy names it, or ``"string"``; ``"bool"`` is whether a number is not 0."""
        return self.op("Cast", value, to=self._writer.type_number(dtype))

    def weight(self, name: str, array: AnyArray | None = None) -> str:
        """Give the initializer of a weight of the module, ``<node>.<weight>``; shared modules have it once.

        Parameters
        ----------
        name
            The weight's name in the module.
        array
            What is written, where it is not the module's array itself: the same for every node of the module.
        """
        return self._writer.weight(self._module, name, getattr(self._module, name) if array is None else array)

    def optional(self, name: str) -> str | None:
        """Give the initializer of a weight, or None if the module has none of the name."""
        return None if getattr(self._module, name) is None else self.weight(name)

    def constant(self, array: AnyArray) -> str:
        """Give the initializer of a constant; equal ones are written once in a model.  Text is of dtype object."""
        return self._writer.constant(array)

    def part(self, module: Module, inputs: Sequence[tuple[str, Shape, str]], shape: Shape) -> Site:
        """Give the site of a module that is a part of this one, such as an activation: its nodes are added here.

        Parameters
        ----------
        module
            The part, without weights.
        inputs
            Name, shape and dtype of each value that it reads.
        shape
            That of its output, which is float32.
        """
        found = Site(self._writer, self._name, module, inputs, shape, "float32")
        found.nodes = self.nodes
        return found

    def body(
        self,
        inputs: Sequence[tuple[str, Shape]],
        outputs: Sequence[tuple[str, Shape]],
        build: Callable[[Site], Sequence[str]],
    ) -> Any:
        """Give a graph for an attribute, as Scan, Loop and If have them.

        Parameters
        ----------
        inputs, outputs
            The dtype and shape of each (``"int64"``, ``"bool"`` and others as NumPy names them).
        build
            Adds the body's nodes to the site that it is given, whose ``inputs`` are the body's, and gives the names of
            its outputs, which are values of the body itself.  Values, weights and constants from outside may be read.
        """
        given = [(self._writer.names.new(f"{self._name}/body"), shape, dtype) for dtype, shape in inputs]
        inner = Site(self._writer, self._name, self._module, given, self.shape, self.dtype)
        names = build(inner)
        results = [(name, shape, dtype) for name, (dtype, shape) in zip(names, outputs, strict=True)]
        return self._writer.graph(f"{self._name}/body", inner.nodes, given, results)
