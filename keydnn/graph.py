"""The module graph: which module reads which values, with every shape worked out beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, shape_text
from keydnn.modules.typed import DTYPES, AnyArray, as_dtype


@dataclass(frozen=True)
class Input:
    """An input of the graph.

    Attributes
    ----------
    name
        Unique among the graph's values.
    shape
        With None for free sizes, the batch among them.
    dtype
        ``"float32"``; or ``"int64"`` or ``"string"``, which lookups read.
    """

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Origin:
    """The Keras layer that a node stands for: its path in the model and its class."""

    layer: str
    class_name: str


@dataclass(frozen=True, eq=False)
class Node:
    """One call of a module.

    Attributes
    ----------
    name
        Unique name, also the name of the value that the node gives.
    module
        The module; several nodes may hold the same object (shared weights).
    inputs
        Names of the values it reads: graph inputs or earlier nodes.
    origin
        Where it came from, if it was imported.
    """

    name: str
    module: Module
    inputs: tuple[str, ...]
    origin: Origin | None = None


@dataclass(frozen=True)
class Output:
    """An output of the graph: the name users see, and the value it gives."""

    name: str
    value: str


Observer = Callable[[Node, tuple[Array, ...], Array], None]  # arrays of other dtypes where modules give them


class Graph:
    """Nodes in the order they are computed.

    Parameters
    ----------
    inputs, nodes, outputs
        As the classes above say; every node stands after the nodes it reads.

    Attributes
    ----------
    shapes
        The shape of every value by name, with None for free sizes.
    dtypes
        The dtype of every value by name.

    Raises
    ------
    ParameterError
        A name is used twice, a value is read before (or without) being computed, or a dtype is unknown.
    ShapeError
        A module does not take the shape or the dtype it is given.
    """

    def __init__(self, inputs: Sequence[Input], nodes: Sequence[Node], outputs: Sequence[Output]) -> None:
        self.inputs, self.nodes, self.outputs = tuple(inputs), tuple(nodes), tuple(outputs)
        if not self.inputs or not self.outputs:
            raise ParameterError("a graph needs at least one input and one output")
        if len({output.name for output in self.outputs}) != len(self.outputs):
            raise ParameterError("two outputs have the same name")
        self.shapes: dict[str, Shape] = {}
        self.dtypes: dict[str, str] = {}
        for given in self.inputs:
            if given.dtype not in DTYPES:
                raise ParameterError(f"dtype of input {given.name!r} must be one of {', '.join(DTYPES)}")
            self._add(given.name, given.shape, given.dtype)
        for node in self.nodes:
            unknown = [name for name in node.inputs if name not in self.shapes]
            if unknown:
                raise ParameterError(f"node {node.name!r} reads {unknown[0]!r}, which no earlier node gives")
            arity = node.module.arity
            if len(node.inputs) != arity if arity is not None else len(node.inputs) < 2:
                wanted = "two or more" if arity is None else arity
                raise ParameterError(
                    f"node {node.name!r} ({node.module}) takes {wanted} inputs, got {len(node.inputs)}"
                )
            try:
                shape = node.module.output_shape(*(self.shapes[name] for name in node.inputs))
                self._add(node.name, shape, node.module.output_dtype(*(self.dtypes[name] for name in node.inputs)))
            except ShapeError as error:
                raise ShapeError(f"node {node.name!r}: {error}") from None
        for output in self.outputs:
            if output.value not in self.shapes:
                raise ParameterError(f"output {output.name!r} gives {output.value!r}, which no node computes")
        self._last_use = self._find_last_uses()

    def _add(self, name: str, shape: Shape, dtype: str) -> None:
        if name in self.shapes:
            raise ParameterError(f"two values of the graph are named {name!r}")
        self.shapes[name], self.dtypes[name] = shape, dtype

    def _find_last_uses(self) -> list[tuple[str, ...]]:
        """For each node, the values that nobody reads after it."""
        alive = {output.value for output in self.outputs}
        uses: list[tuple[str, ...]] = []
        for node in reversed(self.nodes):
            uses.append(tuple(name for name in {*node.inputs, node.name} if name not in alive))
            alive.update(node.inputs)
        return uses[::-1]

    def modules(self) -> Iterator[tuple[str, Module]]:
        """Give each module once, with the name of the first node that holds it."""
        seen: set[int] = set()
        for node in self.nodes:
            if id(node.module) not in seen:
                seen.add(id(node.module))
                yield node.name, node.module

    def with_modules(self, replacements: Mapping[str, Module]) -> Graph:
        """Give a graph in which modules, named as ``modules`` names them, are replaced wherever they are used."""
        by_id = {id(module): replacements.get(name, module) for name, module in self.modules()}
        nodes = [Node(n.name, by_id[id(n.module)], n.inputs, n.origin) for n in self.nodes]
        return Graph(self.inputs, nodes, self.outputs)

    def check_count(self, count: int) -> None:
        """Raise ShapeError, naming the inputs, unless there are as many arrays as inputs."""
        if count != len(self.inputs):
            names = ", ".join(given.name for given in self.inputs)
            raise ShapeError(f"the model has {len(self.inputs)} input(s) ({names}), but {count} array(s) were given")

    def check(self, name: str, array: npt.NDArray[np.generic], wanted: Shape) -> None:
        """Raise ShapeError, naming the input, unless an array fits the shape wanted."""
        fits = array.ndim == len(wanted)
        if not fits or any(w not in (None, size) for w, size in zip(wanted, array.shape, strict=True)):
            found = shape_text(array.shape)
            raise ShapeError(f"input {name!r} must have shape {shape_text(wanted)}, got {found}")

    def forward(self, arrays: Sequence[npt.ArrayLike], on_node: Observer | None = None) -> list[AnyArray]:
        """Compute the outputs, module by module.

        Parameters
        ----------
        arrays
            One array an input, in order; converted to the input's dtype and C order once, if they are not.
        on_node
            Called after each node with the node, its inputs and its output; it must not write into them.

        Returns
        -------
        list of arrays of the outputs' dtypes, in order; text is an array of ``str`` objects.

        Raises
        ------
        ShapeError
            An array of the wrong rank or size, or with values of another type, named by its input.
        """
        self.check_count(len(arrays))
        values: dict[str, Any] = {}
        for given, array in zip(self.inputs, arrays, strict=True):
            values[given.name] = as_dtype(given.dtype, f"input {given.name!r}", array)
            self.check(given.name, values[given.name], given.shape)
        for node, finished in zip(self.nodes, self._last_use, strict=True):
            inputs = tuple(values[name] for name in node.inputs)
            try:
                values[node.name] = node.module.forward(*inputs)
            except ShapeError as error:
                raise ShapeError(f"node {node.name!r}: {error}") from None
            if on_node is not None:
                on_node(node, inputs, values[node.name])
            for name in finished:
                values.pop(name, None)
        given_names = {given.name for given in self.inputs}
        return [values[o.value].copy() if o.value in given_names else values[o.value] for o in self.outputs]
