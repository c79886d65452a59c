"""A graph beside what Keras computed, layer by layer.

Every layer is judged by itself: it gets what Keras gave the layers before it, so an error in one layer is not blamed on
those behind.  What it should give is worked out in float64, and Keras must lie within the bound that roundings of
float32 explain (``keydnn.reference``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from keydnn.errors import RecordingError
from keydnn.graph import Graph, Landmark, Node
from keydnn.modules.base import inverse
from keydnn.modules.typed import AnyArray, as_dtype
from keydnn.plan.stages import Stages
from keydnn.reference import RULES, Bounded
from keydnn.reference.bounds import of_any_type
from keydnn.verify.causes import Stretch, guess
from keydnn.verify.fingerprints import changed_weights
from keydnn.verify.recording import Recording
from keydnn.verify.rows import OUTPUT_RTOL, LayerRow, Tolerance, judge, relative_error

Key = tuple[str, int, int]  # a layer's path, which of its calls, which output


@dataclass(frozen=True)
class Comparison:
    """What a comparison with Keras found.

    Attributes
    ----------
    rows
        One for each output of each call of a layer, in the order of the graph.
    cause
        What would explain the first layer that does not agree, found by trying; empty where nothing does.
    unmatched
        Layers that were recorded, and have no place in the graph.
    unrecorded
        Layers of the graph that were not recorded.
    outputs
        How far what ``predict`` gives is from Keras' outputs, relative to the largest number, by name.
    """

    rows: list[LayerRow]
    cause: str
    unmatched: list[str]
    unrecorded: list[str]
    outputs: Mapping[str, float]

    @property
    def problem(self) -> str:
        """What is wrong, on one line; empty if nothing is."""
        if self.first is not None:
            cause = f": {self.cause}" if self.cause else ""
            return f"layer {self.first.layer!r} ({self.first.class_name}) does not give what Keras gives{cause}"
        far = [(name, error) for name, error in self.outputs.items() if not error <= OUTPUT_RTOL]
        return f"output {far[0][0]!r} is {far[0][1]:.2g} of its largest number away from Keras'" if far else ""

    @property
    def agrees(self) -> bool:
        """Whether all layers agree, and the outputs of the whole model."""
        return self.first is None and all(error <= OUTPUT_RTOL for error in self.outputs.values())

    @property
    def first(self) -> LayerRow | None:
        """The first layer that does not agree."""
        return next((row for row in self.rows if not row.agrees), None)


def compare(graph: Graph, recording: Recording, tolerance: Tolerance) -> Comparison:
    """Judge the outputs of all layers that are recorded, and what the whole model gives.

    Parameters
    ----------
    graph
        With landmarks.
    recording
        One pass of Keras.
    tolerance
        What is allowed beyond roundings.

    Raises
    ------
    RecordingError
        The recording has other inputs or outputs than the graph, or none of its layers.
    ShapeError
        Inputs that do not fit the graph.
    """
    inputs = _inputs_of(graph, recording)
    recorded = {(one.layer, one.call, one.tensor): one.array for one in recording.activations}
    changed = frozenset(changed_weights(graph, recording.weights))
    marks: dict[str, list[Landmark]] = {}
    for mark in graph.landmarks:
        if (mark.layer, mark.call, mark.tensor) in recorded:
            marks.setdefault(mark.value, []).append(mark)
    if not marks:
        raise RecordingError(f"the recording of {recording.source} has none of the layers of the model")
    return _Walk(graph, inputs, recorded, marks, tolerance, changed).run(_output_errors(graph, inputs, recording))


def _inputs_of(graph: Graph, recording: Recording) -> list[AnyArray]:
    """Give the recorded inputs in the graph's order: by name, else by place."""
    given = [one.name for one in graph.given]
    if set(given) == set(recording.inputs):
        return [recording.inputs[name] for name in given]
    if len(given) != len(recording.inputs):
        found = ", ".join(recording.inputs)
        raise RecordingError(f"the recording has the inputs {found}; the model has {', '.join(given)}")
    return [*recording.inputs.values()]


def _output_errors(graph: Graph, inputs: Sequence[AnyArray], recording: Recording) -> dict[str, float]:
    """Compare what the plan of the graph gives with Keras' outputs: by name, else by place."""
    states = graph.zero_states() if graph.states else []
    arrays = [as_dtype(g.dtype, f"input {g.name!r}", x) for g, x in zip(graph.inputs, [*inputs, *states], strict=True)]
    found = dict(zip((output.name for output in graph.outputs), Stages(graph).run(arrays), strict=True))
    names = [output.name for output in graph.results]
    wanted = dict(recording.outputs)
    if set(names) != set(wanted):
        if len(names) != len(wanted):
            raise RecordingError(f"the recording has {len(wanted)} outputs; the model has {len(names)}")
        wanted = dict(zip(names, wanted.values(), strict=True))
    return {name: relative_error(found[name], wanted[name]) for name in names}


class _Walk:
    """Through the graph in float64, with Keras' numbers in place of the layers' as soon as they are judged."""

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[npt.ArrayLike],
        recorded: Mapping[Key, AnyArray],
        marks: Mapping[str, Sequence[Landmark]],
        tolerance: Tolerance,
        changed: frozenset[str],
    ) -> None:
        self._changed = changed
        self._graph, self._recorded, self._marks, self._tolerance = graph, recorded, marks, tolerance
        self._alone = _run_alone(graph, inputs, marks)
        self._modules = _modules_of(graph)
        self._values = {given.name: of_any_type(self._alone[given.name]) for given in graph.inputs}
        self._stretch: list[Node] = []  # what has been computed since a layer was judged
        self._rows: list[LayerRow] = []
        self._cause = ""

    def run(self, outputs: Mapping[str, float]) -> Comparison:
        last = {name: place for place, node in enumerate(self._graph.nodes) for name in node.inputs}
        for given in self._graph.inputs:
            self._judge(given.name)
        for place, node in enumerate(self._graph.nodes):
            with np.errstate(all="ignore"):  # infinities and NaN are values here
                rule = RULES[type(node.module).__name__]
                self._values[node.name] = rule(node.module, *(self._values[name] for name in node.inputs))
            self._stretch.append(node)
            if node.name in self._marks:
                self._judge(node.name)
                self._stretch.clear()
                for name in [name for name in self._values if last.get(name, -1) <= place]:
                    del self._values[name]
        found = {(mark.layer, mark.call, mark.tensor) for marks in self._marks.values() for mark in marks}
        calls = {key[:2] for key in self._recorded} - {key[:2] for key in found}  # outputs that nothing reads may lack
        missing = sorted(f"{layer}@{call}" if call else layer for layer, call in calls)
        known = {key[:2] for key in self._recorded}
        marks = [mark for mark in self._graph.landmarks if (mark.layer, mark.call) not in known]
        unrecorded = sorted({f"{mark.layer}@{mark.call}" if mark.call else mark.layer for mark in marks})
        return Comparison(self._rows, self._cause, missing, unrecorded, outputs)

    def _judge(self, name: str) -> None:
        for mark in self._marks.get(name, ()):
            wanted = self._recorded[mark.layer, mark.call, mark.tensor]
            found = in_keras_order(self._values[name], mark)
            alone = _transposed(self._alone[name], mark.order)
            modules = self._modules.get(mark.layer, ())
            row = judge(_called(mark), mark.class_name, modules, alone, wanted, self._tolerance, found)
            first = all(earlier.agrees for earlier in self._rows)
            if first and not row.agrees:
                others = {self._path(key): array for key, array in self._recorded.items()}
                self._cause = guess(Stretch(self._stretch, self._values, mark, others), wanted, self._tolerance)
            if mark.layer in self._changed:
                row = replace(row, agrees=False)
                self._cause = self._cause or "its weights are not the numbers that Keras has" * first
            self._rows.append(row)
            if found.value.shape == wanted.shape:
                order = inverse(mark.order) if mark.order else ()
                self._values[name] = of_any_type(_transposed(_as_before(wanted, found.value), order))

    @staticmethod
    def _path(key: Key) -> str:
        layer, call, _ = key
        return f"{layer}@{call}" if call else layer


def in_keras_order(value: Bounded, mark: Landmark) -> Bounded:
    """Give a value with the axes in Keras' order."""
    return Bounded(_transposed(value.value, mark.order), _transposed(value.error, mark.order))


def _as_before(array: AnyArray, before: AnyArray) -> AnyArray:
    """Give numbers in the type that the graph has them in: truth values and integers of Keras are numbers there."""
    numbers = array.dtype.kind in "fiub" and before.dtype.kind in "fiub"
    return array.astype(before.dtype) if numbers else array


def _transposed(array: AnyArray, order: tuple[int, ...]) -> AnyArray:
    return array.transpose(order) if order else array


def _called(mark: Landmark) -> str:
    """Name an output of a call of a layer."""
    return f"{mark.layer}{f'@{mark.call}' if mark.call else ''}{f' [{mark.tensor}]' if mark.tensor else ''}"


def _run_alone(graph: Graph, inputs: Sequence[npt.ArrayLike], wanted: Mapping[str, object]) -> dict[str, AnyArray]:
    """Give the float32 values that landmarks are at, and those of the inputs, of a run without Keras' help."""
    values: dict[str, AnyArray] = {}

    def keep(node: Node, given: tuple[AnyArray, ...], output: AnyArray) -> None:
        for name, array in zip(node.inputs, given, strict=True):
            if name in names:
                values[name] = array
        if node.name in wanted:
            values[node.name] = output

    names = {given.name for given in graph.inputs}
    graph.forward(inputs, keep)
    for given, array in zip(graph.inputs, graph.complete(inputs), strict=True):
        values.setdefault(given.name, np.asarray(array))
    return values


def _modules_of(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Give the types of the modules that each Keras layer became."""
    found: dict[str, dict[int, str]] = {}
    for node in graph.nodes:
        if node.origin is not None:
            found.setdefault(node.origin.layer, {})[id(node.module)] = type(node.module).__name__
    return {layer: tuple(names.values()) for layer, names in found.items()}
