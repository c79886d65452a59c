"""The module graph: which module reads which values, with every shape worked out beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, shape_text, sized
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


@dataclass(frozen=True)
class Landmark:
    """Where an output of a Keras layer is found in a graph.

    Attributes
    ----------
    layer, class_name
        As in :class:`Origin`.
    call
        Which of the layer's calls, from 0.
    tensor
        Which output of that call, from 0.
    value
        Name of the node, or input, that gives it.
    order
        The value transposed by this permutation has Keras' order of axes; empty where it has it already.
    """

    layer: str
    class_name: str
    call: int
    tensor: int
    value: str
    order: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name the output: the layer, with ``@1`` for its second call and ``[1]`` for the second output of a call."""
        return f"{self.layer}{f'@{self.call}' if self.call else ''}{f' [{self.tensor}]' if self.tensor else ''}"


Observer = Callable[[Node, tuple[Array, ...], Array], None]  # arrays of other dtypes where modules give them


class Graph:
    """Nodes in the order they are computed.

    Parameters
    ----------
    inputs, nodes, outputs
        As the classes above say; every node stands after the nodes it reads.
    states
        Names of the last inputs and the last outputs: what such an output gives is the input of its name at the next
        call, and zeros at the first.  Their shapes have no free sizes.
    landmarks
        Where the outputs of the Keras layers are that it was made from.  They change nothing that it computes.

    Attributes
    ----------
    shapes
        The shape of every value by name, with None for free sizes.
    dtypes
        The dtype of every value by name.
    by_example
        Whether a batch may be of any size, and be computed in parts.

    Raises
    ------
    ParameterError
        A name is used twice, a value is read before (or without) being computed, or a dtype is unknown.
    ShapeError
        A module does not take the shape or the dtype it is given.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        nodes: Sequence[Node],
        outputs: Sequence[Output],
        states: Sequence[str] = (),
        landmarks: Sequence[Landmark] = (),
    ) -> None:
        self.landmarks = tuple(landmarks)
        self.inputs, self.nodes, self.outputs, self.states = tuple(inputs), tuple(nodes), tuple(outputs), tuple(states)
        if not self.given or not self.results:
            raise ParameterError("a graph needs at least one input and one output")
        if not all(given.shape for given in self.given):
            raise ShapeError("every input of a graph needs an axis for the batch")
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
        self.by_example = self._is_by_example()
        self._check_states()
        self._check_landmarks()
        self._last_use = self._find_last_uses()

    def _is_by_example(self) -> bool:
        varied = {given.name for given in self.inputs}
        for node in self.nodes:
            if not node.module.by_example(*(self.shapes[name] for name in node.inputs)):
                return False
            if varied & set(node.inputs):
                varied.add(node.name)
        free = all(given.shape[0] is None for given in self.given)
        return free and all(output.value in varied for output in self.outputs)

    def _check_states(self) -> None:
        """Raise ParameterError unless the states are the last inputs and outputs, of the same fixed shapes."""
        if not self.states:
            return
        inputs, outputs = self.inputs[len(self.given) :], self.outputs[len(self.results) :]
        if [given.name for given in inputs] != [*self.states] or [output.name for output in outputs] != [*self.states]:
            names = ", ".join(self.states)
            raise ParameterError(f"the states {names} are not the names of the last inputs and outputs")
        for given, output in zip(inputs, outputs, strict=True):
            shapes = given.shape, self.shapes[output.value]
            if not given.shape or None in given.shape or shapes[0] != shapes[1]:
                found = " in and ".join(map(shape_text, shapes))
                raise ParameterError(f"the state {given.name!r} must have one fixed shape, not {found} out")
            if (given.dtype, self.dtypes[output.value]) != ("float32", "float32"):
                raise ParameterError(f"the state {given.name!r} must be float32")
        if len({given.shape[:1] for given in self.inputs}) != 1:
            raise ParameterError("inputs and states must be of the same fixed number of examples")

    def _check_landmarks(self) -> None:
        """Raise ParameterError unless each landmark is a value of the graph and an order of its axes."""
        for mark in self.landmarks:
            if mark.value not in self.shapes:
                raise ParameterError(f"the landmark {mark.layer!r} names {mark.value!r}, which no node computes")
            if mark.order and sorted(mark.order) != list(range(len(self.shapes[mark.value]))):
                raise ParameterError(f"the landmark {mark.layer!r} has no order of the axes of {mark.value!r}")

    @property
    def given(self) -> tuple[Input, ...]:
        """The inputs that a caller gives: all but the states."""
        return self.inputs[: max(0, len(self.inputs) - len(self.states))]

    @property
    def results(self) -> tuple[Output, ...]:
        """The outputs that a caller gets: all but the states."""
        return self.outputs[: max(0, len(self.outputs) - len(self.states))]

    def zero_states(self) -> list[Array]:
        """Give the states before the first call; ShapeError if there is no memory for them."""
        try:
            return [np.zeros(sized(self, given.shape), np.float32) for given in self.inputs[len(self.given) :]]
        except MemoryError:
            raise ShapeError(f"no memory for the states {', '.join(self.states)}") from None

    def __str__(self) -> str:
        """Say what it is, in messages."""
        return f"a graph of {len(self.nodes)} nodes"

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
        return Graph(self.inputs, nodes, self.outputs, self.states, self.landmarks)

    def check_count(self, count: int) -> None:
        """Raise ShapeError, naming the inputs, unless there are as many arrays as inputs that a caller gives."""
        if count != len(self.given):
            names = ", ".join(given.name for given in self.given)
            raise ShapeError(f"the model has {len(self.given)} input(s) ({names}), but {count} array(s) were given")

    def complete(self, arrays: Sequence[npt.ArrayLike]) -> list[npt.ArrayLike]:
        """Give one array an input; states that are not among the arrays are zeros."""
        if self.states and len(arrays) == len(self.inputs):
            return list(arrays)
        self.check_count(len(arrays))
        return [*arrays, *self.zero_states()]

    def check(self, name: str, array: npt.NDArray[np.generic], wanted: Shape) -> None:
        """Raise ShapeError, naming the input, unless an array fits the shape wanted."""
        if array.ndim == len(wanted) and array.shape[1:] == wanted[1:] and wanted[:1] in ((None,), array.shape[:1]):
            return  # the usual case
        fits = array.ndim == len(wanted)
        if not fits or any(w not in (None, size) for w, size in zip(wanted, array.shape, strict=True)):
            found = shape_text(array.shape)
            raise ShapeError(f"input {name!r} must have shape {shape_text(wanted)}, got {found}")

    def forward(self, arrays: Sequence[npt.ArrayLike], on_node: Observer | None = None) -> list[AnyArray]:
        """Compute the outputs, module by module.

        Parameters
        ----------
        arrays
            One array an input, in order, the states with them or not (then they are zeros); converted to the input's
            dtype and C order once, if they are not.
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
        values: dict[str, Any] = {}
        for given, array in zip(self.inputs, self.complete(arrays), strict=True):
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
