"""The check that a checkpoint carries: a seeded example, and what a float64 reference computed of it at every node.

It is made when a model is converted, and replayed anywhere later: without Keras and without the original file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from keydnn.verify.rows import OUTPUT_RTOL, LayerRow, Tolerance, judge, largest_of, relative_error

PLACES = 8  # numbers of a node's output that are kept; of what the model gives, as many as can be
DIGITS = 6  # kept behind the first one of the largest number, so that what float64 rounds on one machine does not show
CLOSE = 2e-6  # relative to the largest number of the node: half a unit of the last digit, and float64's roundings
FREE_SIZES = (16, 32, 64, 128, 256)  # tried where a size other than the batch is free, until one fits


def make(graph: Graph) -> SelfCheck:
    """Work out the check of a graph: one pass in float64.

    Raises
    ------
    ShapeError
        The model takes no input of any of the sizes that are tried where it leaves them free.
    """
    for free_size in FREE_SIZES:
        arrays = random_inputs(graph, free_size=free_size)
        try:
            return _worked_out(graph, arrays)
        except ShapeError:
            if free_size == FREE_SIZES[-1] or not any(None in given.shape[1:] for given in graph.given):
                raise
    raise AssertionError("the last size has been tried")


def _worked_out(graph: Graph, arrays: list[AnyArray]) -> SelfCheck:
    nodes = {node.name: node for node in graph.nodes}
    results, modules = {output.value for output in graph.outputs}, _Modules()
    digests = {
        name: _summary(modules.of(nodes[name]), value, MOST_PLACES if name in results else PLACES)
        for name, value in walk_values(graph, arrays)
        if name in nodes
    }
    return SelfCheck({given.name: array for given, array in zip(graph.given, arrays, strict=True)}, digests)


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


def _summary(module: str, value: AnyArray, places: int) -> Digest:
    flat = value.ravel()
    chosen = flat[np.linspace(0, flat.size - 1, min(places, flat.size)).astype(np.int64)] if flat.size else flat
    if value.dtype.kind not in "fiub":
        return Digest(module, value.shape, None, None, tuple(map(str, chosen)))
    finite, largest = flat[np.isfinite(flat)].astype(np.float64), largest_of(value)
    digits = DIGITS - math.floor(math.log10(largest)) if largest else 0
    numbers = [float(finite.mean()) if finite.size else 0.0, largest]
    mean, most = (round(number, digits) + 0.0 for number in numbers)  # never -0.0
    at = tuple(round(float(number), digits) + 0.0 if np.isfinite(number) else None for number in chosen)
    return Digest(module, value.shape, mean, most, at)


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
    """

    rows: list[LayerRow]
    findings: Mapping[str, str]
    outputs: Mapping[str, float]

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
        far = [(name, error) for name, error in self.outputs.items() if not error <= OUTPUT_RTOL]
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
    modules, wanted = _Modules(), dict(walk_values(graph, inputs))
    for node in graph.nodes:
        kept = check.digests.get(node.name)
        if kept is None:
            findings[node.name] = "not in the graph that was converted"
        elif kept.module != modules.of(node):
            findings[node.name] = "its parameters, weights or inputs are not those that were converted"
        elif problem := _differs(kept, _summary(kept.module, wanted[node.name], len(kept.at))):
            findings[node.name] = problem
        rows.append(_kernel_row(node, wanted, tolerance))
    return Replay(rows, findings, _plan_errors(graph, inputs, wanted))


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


def _differs(kept: Digest, found: Digest) -> str:
    """Say what the reference computes now that it did not when the check was made; empty if nothing."""
    if kept.shape != found.shape:
        return f"gives the shape {found.shape}, not {kept.shape}"
    if kept.largest is None or kept.mean is None or found.largest is None or found.mean is None:
        return "" if kept.at == found.at else f"gives {found.at}, not {kept.at}"
    allowed = CLOSE * max(kept.largest, found.largest)
    pairs = [("mean", kept.mean, found.mean), ("largest", kept.largest, found.largest)]
    pairs += [("number", a, b) for a, b in zip(kept.at, found.at, strict=True)]  # type: ignore[misc]  # numbers here
    for what, before, now in pairs:
        if (before is None) != (now is None) or (before is not None and abs(before - now) > allowed):
            return f"gives a {what} of {now}, not {before}"
    return ""


def _kernel_row(node: Node, values: Mapping[str, AnyArray], tolerance: Tolerance) -> LayerRow:
    """Compare a module's kernel with the reference on inputs of float32."""
    inputs = [_as_given(values[name]) for name in node.inputs]
    with np.errstate(all="ignore"):  # infinities and NaN are values here
        found: Bounded = RULES[type(node.module).__name__](node.module, *map(of_any_type, inputs))
    given = node.module.forward(*inputs)
    class_name = node.origin.class_name if node.origin else type(node.module).__name__
    return judge(node.name, class_name, (type(node.module).__name__,), found.value, given, tolerance, found)


def _as_given(value: AnyArray) -> AnyArray:
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def _plan_errors(graph: Graph, inputs: list[AnyArray], wanted: Mapping[str, AnyArray]) -> dict[str, float]:
    """Give the relative error of the outputs that ``predict`` computes."""
    found = Stages(graph).run([*inputs, *(graph.zero_states() if graph.states else ())])
    return {
        output.name: relative_error(array, wanted[output.value])
        for output, array in zip(graph.outputs, found, strict=True)
    }
