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
from keydnn.verify.recording import Activation, Recording
from keydnn.verify.rows import (
    OUTPUT_RTOL,
    LayerRow,
    Tolerance,
    judge,
    largest_of_any,
    limited,
    made_of,
    relative_error,
)

HALF = {"float16": 16 * 2.0**-11, "bfloat16": 16 * 2.0**-8}  # relative: a few roundings of what Keras computed in them
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
    output_rtol
        How far it may be.
    """

    rows: list[LayerRow]
    cause: str
    unmatched: list[str]
    unrecorded: list[str]
    outputs: Mapping[str, float]
    output_rtol: float = OUTPUT_RTOL

    @property
    def problem(self) -> str:
        """What is wrong, on one line; empty if nothing is."""
        if self.first is not None:
            cause = f": {self.cause}" if self.cause else ""
            return f"layer {self.first.layer!r} ({self.first.class_name}) does not give what Keras gives{cause}"
        far = [(name, error) for name, error in self.outputs.items() if not error <= self.output_rtol]
        return f"output {far[0][0]!r} is {far[0][1]:.2g} of its largest number away from Keras'" if far else ""

    @property
    def agrees(self) -> bool:
        """Whether all layers agree, and the outputs of the whole model."""
        return not self.problem

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
    recorded = {(one.layer, one.call, one.tensor): one for one in recording.activations}
    marks: dict[str, list[Landmark]] = {}
    for mark in graph.landmarks:
        if (mark.layer, mark.call, mark.tensor) in recorded:
            marks.setdefault(mark.value, []).append(mark)
    if not marks:
        raise RecordingError(f"the recording of {recording.source} has none of the layers of the model")
    walk = _Walk(graph, inputs, recorded, marks, tolerance)
    walk.run()
    walk.note_changed(changed_weights(graph, recording.weights))
    half = max((HALF.get(one.dtype, 0.0) for one in recording.activations), default=0.0)
    outputs = _output_errors(graph, inputs, recording, walk.scales, tolerance)
    missing, unrecorded = walk.unpaired()
    return Comparison(walk.rows, walk.cause, missing, unrecorded, outputs, max(OUTPUT_RTOL, tolerance.rtol, half))


def _inputs_of(graph: Graph, recording: Recording) -> list[AnyArray]:
    """Give the recorded inputs in the graph's order: by name, else by place."""
    given = [one.name for one in graph.given]
    if set(given) == set(recording.inputs):
        return [recording.inputs[name] for name in given]
    if len(given) != len(recording.inputs):
        found = ", ".join(recording.inputs)
        raise RecordingError(f"the recording has the inputs {found}; the model has {', '.join(given)}")
    return [*recording.inputs.values()]


def _output_errors(
    graph: Graph,
    inputs: Sequence[AnyArray],
    recording: Recording,
    scales: Mapping[str, float],
    tolerance: Tolerance,
) -> dict[str, float]:
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
    made = {output.name: scales.get(output.value, 0.0) for output in graph.results}
    return {name: relative_error(found[name], wanted[name], made[name], tolerance.atol) for name in names}


class _Walk:
    """Through the graph in float64, with Keras' numbers in place of the layers' as soon as they are judged."""

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[npt.ArrayLike],
        recorded: Mapping[Key, Activation],
        marks: Mapping[str, Sequence[Landmark]],
        tolerance: Tolerance,
    ) -> None:
        self.rows: list[LayerRow] = []
        self.cause = ""
        self.scales: dict[str, float] = {}  # the largest number that each value is made of
        self._graph, self._recorded, self._marks, self._tolerance = graph, recorded, marks, tolerance
        self._alone = _run_alone(graph, inputs, marks)
        self._modules = _modules_of(graph)
        self._classes = {node.origin.layer: node.origin.class_name for node in graph.nodes if node.origin}
        self._values = {given.name: of_any_type(self._alone[given.name]) for given in graph.inputs}
        self._open: list[Node] = []  # nodes of layers that have not been judged

    def run(self) -> None:
        """Judge all layers that are recorded."""
        last = {name: place for place, node in enumerate(self._graph.nodes) for name in node.inputs}
        for given in self._graph.inputs:
            self._judge(given.name)
        for place, node in enumerate(self._graph.nodes):
            inputs = [self._values[name] for name in node.inputs]
            with np.errstate(all="ignore"):  # infinities and NaN are values here
                self._values[node.name] = found = RULES[type(node.module).__name__](node.module, *inputs)
            scales = [self.scales.get(name, largest_of_any(self._values[name].value)) for name in node.inputs]
            self.scales[node.name] = made_of(node, found.value, [x.value for x in inputs], scales)
            self._open.append(node)
            if node.name in self._marks:
                self._judge(node.name)
                self._forget(node.name, last, place)

    def _forget(self, name: str, last: Mapping[str, int], place: int) -> None:
        """Forget what a judged layer was made of, unless another one reads it."""
        done = {name}
        for node in reversed(self._open):
            if node.name in done:
                done.update(node.inputs)
        self._open = [node for node in self._open if node.name not in done]
        kept = {read for node in self._open for read in (node.name, *node.inputs)}
        for one in [one for one in self._values if last.get(one, -1) <= place and one not in kept]:
            del self._values[one]

    def _judge(self, name: str) -> None:
        """Judge all layers whose output a value is, and put Keras' in its place."""
        before = self._values[name]
        for mark in self._marks.get(name, ()):
            given = self._recorded[mark.layer, mark.call, mark.tensor]
            wanted, tolerance = given.array, self._tolerance
            if given.dtype in HALF:
                tolerance = Tolerance(max(tolerance.rtol, HALF[given.dtype]), tolerance.atol)
            scale = max(self.scales.get(name, 0.0), largest_of_any(before.value), largest_of_any(wanted))
            found = in_keras_order(limited(before, scale), mark)
            alone = _transposed(self._alone[name], mark.order)
            modules = self._modules.get(mark.layer, ())
            row = judge(mark.name, mark.class_name, modules, alone, wanted, tolerance, found)
            if not row.agrees and all(earlier.agrees for earlier in self.rows):
                others = {_place(key): one.array for key, one in self._recorded.items()}
                self.cause = guess(Stretch(self._open, self._values, mark, others, scale), wanted, tolerance)
            self.rows.append(row)
            if found.value.shape == wanted.shape:
                order = inverse(mark.order) if mark.order else ()
                self._values[name] = of_any_type(_transposed(_as_before(wanted, found.value), order))

    def note_changed(self, layers: Sequence[str]) -> None:
        """Say of layers that their weights are not Keras', although their outputs may agree."""
        for layer in layers:
            places = [place for place, row in enumerate(self.rows) if row.layer == layer]
            if not places:  # none of its outputs could be judged
                places, modules = [len(self.rows)], self._modules.get(layer, ())
                self.rows.append(LayerRow(layer, self._classes[layer], modules, (), np.nan, np.nan, np.nan, None, True))
            if all(row.agrees for row in self.rows[: places[0]]):
                known = "" if self.rows[places[0]].agrees else self.cause  # else the cause is that of one behind
                self.cause = known or "its weights are not the numbers that Keras has"
            for place in places:
                self.rows[place] = replace(self.rows[place], agrees=False)

    def unpaired(self) -> tuple[list[str], list[str]]:
        """Give the layers that were recorded and are not in the graph, and the reverse."""
        found = {(mark.layer, mark.call) for marks in self._marks.values() for mark in marks}
        known = {key[:2] for key in self._recorded}  # of a call; outputs that nothing reads may lack
        marked = {(mark.layer, mark.call) for mark in self._graph.landmarks}
        missing, unrecorded = known - found, marked - known
        return sorted(_place((*key, 0)) for key in missing), sorted(_place((*key, 0)) for key in unrecorded)


def _place(key: Key) -> str:
    """Name a call of a layer."""
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
