"""The check that a checkpoint carries: a seeded example, and what a float64 reference computed of it at every node.

It is made when a model is converted, and replayed anywhere later: without Keras and without the original file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keydnn.checkpoint.check import MOST_PLACES, Digest, SelfCheck
from keydnn.errors import CheckpointError, DivergenceError, ShapeError
from keydnn.examples import random_inputs
from keydnn.graph import Graph, Node
from keydnn.modules.base import Module
from keydnn.modules.typed import AnyArray
from keydnn.plan.stages import Stages
from keydnn.reference import RULES, Bounded, walk_values
from keydnn.reference.bounds import of_any_type
from keydnn.verify.rows import (
    OUTPUT_RTOL,
    LayerRow,
    Tolerance,
    judge,
    largest_of,
    largest_of_any,
    limited,
    made_of,
    relative_error,
)

PLACES = 8  # numbers of a node's output that are kept; of what the model gives, as many as can be
DIGITS = 6  # kept behind the first one of the largest number, so that what float64 rounds on one machine does not show
CLOSE = 2e-6  # relative to the largest number of the node: half a unit of the last digit, and float64's roundings
CANCELLED = 1e-9  # of the largest number that a node reads: what is smaller is not told from roundings
FREE_SIZES = (16, 32, 64, 128, 256, 8, 4, 2, 1)  # tried where a size other than the batch is free, until one fits
MOST_SIZES = 30  # of weights and constants, tried after these


def make(graph: Graph) -> SelfCheck:
    """Work out the check of a graph: one pass in float64.

    Raises
    ------
    ShapeError
        The model takes no input of any of the sizes that are tried where it leaves them free.
    """
    own = {size for _, module in graph.modules() for shape in module.tensor_shapes().values() for size in shape}
    sizes = [*FREE_SIZES, *sorted(own - set(FREE_SIZES))[:MOST_SIZES]]
    failed: ShapeError | None = None
    for free_size in sizes if any(None in given.shape[1:] for given in graph.given) else sizes[:1]:
        arrays = random_inputs(graph, free_size=free_size)
        try:
            return _worked_out(graph, arrays)
        except ShapeError as error:
            failed = failed or error
    raise ShapeError(f"no example could be made for the check: {failed}")


def _worked_out(graph: Graph, arrays: list[AnyArray]) -> SelfCheck:
    results, modules = {output.value for output in graph.outputs}, _Modules()
    digests = {
        step.node.name: _summary(
            modules.of(step.node), step.value, MOST_PLACES if step.node.name in results else PLACES, step.scale
        )
        for step in _steps(graph, arrays)
    }
    return SelfCheck({given.name: array for given, array in zip(graph.given, arrays, strict=True)}, digests)


@dataclass(frozen=True)
class _Step:
    """A node with what it reads and gives in float64, and the largest number of these."""

    node: Node
    inputs: list[AnyArray]
    value: AnyArray
    scale: float


def _steps(graph: Graph, arrays: Sequence[AnyArray]) -> Iterator[_Step]:
    """Go through the reference, node by node; values are forgotten once nothing reads them."""
    last = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    values: dict[str, AnyArray] = {}
    scales: dict[str, float] = {}
    walk = walk_values(graph, arrays)
    for given in graph.inputs:
        name, values[given.name] = next(walk)
        scales[name] = largest_of_any(values[name])
    for place, (node, (name, value)) in enumerate(zip(graph.nodes, walk, strict=True)):
        inputs = [values[one] for one in node.inputs]
        scales[name] = made_of(node, value, inputs, [scales[one] for one in node.inputs])
        values[name] = value
        yield _Step(node, inputs, value, scales[name])
        for one in {*node.inputs, name}:
            if last.get(one, -1) <= place:
                del values[one]


class _Modules:
    """Digests of modules, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def of(self, node: Node) -> str:
        """Give the SHA-256 of a module and of what it reads."""
        module = node.module
        if id(module) not in self._known:
            self._known[id(module)] = _digest_of(module)
        text = json.dumps([self._known[id(module)], *node.inputs], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _digest_of(module: Module) -> str:
    said = json.dumps([type(module).__name__, module.parameters()], ensure_ascii=True, sort_keys=True, default=repr)
    found = hashlib.sha256(said.encode())
    for name, array in module.tensors().items():
        found.update(f"{name}{array.shape}".encode())
        found.update(np.ascontiguousarray(array, "<f4").tobytes())
    return found.hexdigest()


def _summary(module: str, value: AnyArray, places: int, scale: float) -> Digest:
    flat = value.ravel()
    chosen = flat[np.linspace(0, flat.size - 1, min(places, flat.size)).astype(np.int64)] if flat.size else flat
    if value.dtype.kind not in "fiub":
        return Digest(module, value.shape, None, None, tuple(map(str, chosen)))
    finite, largest = flat[np.isfinite(flat)].astype(np.float64), largest_of(value)
    unit = _unit(largest, scale)
    digits = DIGITS - math.floor(math.log10(unit)) if unit else 0
    numbers = [float(finite.mean()) if finite.size else 0.0, largest]
    mean, most = (round(number, digits) + 0.0 for number in numbers)  # never -0.0
    at = tuple(round(float(number), digits) + 0.0 if np.isfinite(number) else None for number in chosen)
    return Digest(module, value.shape, mean, most, at)


def _unit(largest: float, scale: float) -> float:
    """Give what numbers are rounded by: where large ones cancel, all that is left may be float64's roundings."""
    return max(largest, CANCELLED * scale)


@dataclass(frozen=True)
class Replay:
    """What replaying a check found.

    Attributes
    ----------
    rows
        One for each node, in the order of the graph: its kernel beside the float64 reference, both given the same
        float32 inputs.
    findings
        By node: what is not as it was when the model was converted.
    outputs
        How far the plan that ``predict`` runs is from the reference, relative to the largest number, by output.
    output_rtol
        How far it may be.
    """

    rows: list[LayerRow]
    findings: Mapping[str, str]
    outputs: Mapping[str, float]
    output_rtol: float = OUTPUT_RTOL

    @property
    def first(self) -> str | None:
        """Name of the first node that something is wrong with."""
        wrong = [row.layer for row in self.rows if not row.agrees or row.layer in self.findings]
        missing = [name for name in self.findings if name not in wrong]
        return next(iter([*missing, *wrong]), None)

    @property
    def problem(self) -> str:
        """What is wrong, on one line; empty if nothing is."""
        if self.first is not None:
            beyond = "its kernel gives numbers beyond what roundings explain"
            return f"node {self.first!r}: {self.findings.get(self.first, beyond)}"
        far = [(name, error) for name, error in self.outputs.items() if not error <= self.output_rtol]
        return f"output {far[0][0]!r} is {far[0][1]:.2g} of its largest number away from the reference" if far else ""


def replay(graph: Graph, check: SelfCheck, tolerance: Tolerance) -> Replay:
    """Run the example through the reference, the kernels and the plan.

    Raises
    ------
    ShapeError
        The check's inputs do not fit the graph.
    """
    missing = [given.name for given in graph.given if given.name not in check.inputs]
    if missing:
        raise ShapeError(f"the check has no input {missing[0]!r}")
    inputs = [check.inputs[given.name] for given in graph.given]
    rows: list[LayerRow] = []
    findings = {name: "not in the graph any more" for name in check.digests if name not in graph.shapes}
    modules, results = _Modules(), {output.value for output in graph.outputs}
    wanted: dict[str, tuple[AnyArray, float]] = {
        given.name: (array, 0.0) for given, array in zip(graph.given, inputs, strict=True)
    }
    for step in _steps(graph, inputs):
        node, kept = step.node, check.digests.get(step.node.name)
        if kept is None:
            findings[node.name] = "not in the graph that was converted"
        elif kept.module != modules.of(node):
            findings[node.name] = "its parameters, weights or inputs are not those that were converted"
        elif problem := _differs(kept, _summary(kept.module, step.value, len(kept.at), step.scale), step.scale):
            findings[node.name] = problem
        row = _kernel_row(step, tolerance)
        rows.append(replace(row, agrees=False) if node.name in findings else row)
        if node.name in results:
            wanted[node.name] = step.value, step.scale
    return Replay(rows, findings, _plan_errors(graph, inputs, wanted, tolerance), max(OUTPUT_RTOL, tolerance.rtol))


def by_layer(graph: Graph, rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Put the rows of nodes together: one a Keras layer, with the worst of its nodes; other nodes stay as they are."""
    origins = {node.name: node.origin.layer if node.origin else node.name for node in graph.nodes}
    groups: dict[str, list[LayerRow]] = {}
    for row in rows:
        groups.setdefault(origins[row.layer], []).append(row)
    return [_worst(layer, group) for layer, group in groups.items()]


def _worst(layer: str, rows: Sequence[LayerRow]) -> LayerRow:
    cosines = [row.cosine for row in rows]
    bounds = [row.bounds for row in rows if row.bounds is not None]
    return LayerRow(
        layer=layer,
        class_name=rows[-1].class_name,
        modules=tuple(dict.fromkeys(name for row in rows for name in row.modules)),
        shape=rows[-1].shape,
        max_abs_error=max(row.max_abs_error for row in rows),
        max_rel_error=max(row.max_rel_error for row in rows),
        cosine=float("nan") if any(np.isnan(cosines)) else min(cosines),
        bounds=max(bounds) if bounds else None,
        agrees=all(row.agrees for row in rows),
    )


def require(name: str, graph: Graph, check: SelfCheck | None) -> None:
    """Replay a check; DivergenceError, naming the first node, unless all is well."""
    if check is None:
        raise CheckpointError(f"{name}: carries no check; convert the Keras file again, or save with check=True")
    found = replay(graph, check, Tolerance())
    if problem := found.problem:
        raise DivergenceError(f"{name}: {problem}; convert the Keras file again")


def _differs(kept: Digest, found: Digest, scale: float) -> str:
    """Say what the reference computes now that it did not when the check was made; empty if nothing."""
    if kept.shape != found.shape:
        return f"gives the shape {found.shape}, not {kept.shape}"
    if kept.largest is None or kept.mean is None or found.largest is None or found.mean is None:
        return "" if kept.at == found.at else f"gives {found.at}, not {kept.at}"
    allowed = CLOSE * _unit(max(kept.largest, found.largest), scale)
    pairs = [("mean", kept.mean, found.mean), ("largest", kept.largest, found.largest)]
    pairs += [("number", a, b) for a, b in zip(kept.at, found.at, strict=True)]  # type: ignore[misc]  # numbers here
    for what, before, now in pairs:
        if (before is None) != (now is None) or (before is not None and abs(before - now) > allowed):
            return f"gives a {what} of {now}, not {before}"
    return ""


def _kernel_row(step: _Step, tolerance: Tolerance) -> LayerRow:
    """Compare a module's kernel with the reference on inputs of float32."""
    node = step.node
    with np.errstate(all="ignore"):  # infinities and NaN are values here
        inputs = [array.astype(np.float32) if array.dtype.kind == "f" else array for array in step.inputs]
        found: Bounded = RULES[type(node.module).__name__](node.module, *map(of_any_type, inputs))
    given = node.module.forward(*inputs)
    found = limited(found, step.scale)
    class_name = node.origin.class_name if node.origin else type(node.module).__name__
    return judge(node.name, class_name, (type(node.module).__name__,), found.value, given, tolerance, found)


def _plan_errors(
    graph: Graph, inputs: list[AnyArray], wanted: Mapping[str, tuple[AnyArray, float]], tolerance: Tolerance
) -> dict[str, float]:
    """Give the relative error of the outputs that ``predict`` computes."""
    found = Stages(graph).run([*inputs, *(graph.zero_states() if graph.states else ())])
    errors = {}
    for output, array in zip(graph.outputs, found, strict=True):
        reference, scale = wanted[output.value]
        bounded = limited(of_any_type(reference), scale)
        errors[output.name] = relative_error(array, bounded.value, scale, tolerance.atol)
    return errors
