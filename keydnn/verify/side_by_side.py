"""Two graphs on the same input, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from keydnn.errors import ShapeError
from keydnn.graph import Graph, Node
from keydnn.modules.base import shape_text
from keydnn.modules.typed import AnyArray
from keydnn.verify.changes import changes
from keydnn.verify.rows import LayerRow, Tolerance, judge
from keydnn.verify.sites import Site, matched, read_by, sites_of

CLOSE = Tolerance(rtol=1e-5, atol=1e-8)
INFINITE = float("inf")
OUTPUT = "(output)"  # where the class of a layer stands


@dataclass(frozen=True)
class Pair:
    """A layer of both graphs.

    Attributes
    ----------
    row
        How far the second is from the first.  Errors are those of whole runs, so that one in a layer is seen in those
        behind it, too.
    other
        The layer's name in the second graph.
    changes
        In what its modules differ.
    before
        Layers that only one of the graphs has, since the pair before this.
    """

    row: LayerRow
    other: str
    changes: tuple[str, ...]
    before: tuple[str, ...]


@dataclass(frozen=True)
class SideBySide:
    """Two graphs beside each other: the layers of both, in order, then the outputs; and what only one of them has."""

    pairs: list[Pair]
    only_first: list[str]
    only_second: list[str]

    @property
    def divergent(self) -> Pair | None:
        """The first layer, or output, beyond the tolerance."""
        return next((pair for pair in self.pairs if not pair.row.agrees), None)


def side_by_side(
    first: Graph, second: Graph, inputs: Sequence[npt.ArrayLike], tolerance: Tolerance = CLOSE
) -> SideBySide:
    """Run two graphs on the same inputs, module by module, and compare the output of each layer that both have.

    Parameters
    ----------
    first, second
        The graphs.
    inputs
        One array an input, in order, for both.
    tolerance
        What is allowed, relative to the numbers of the first.

    Raises
    ------
    ShapeError
        Inputs that one of them does not take.
    """
    keras_order = bool(first.landmarks and second.landmarks)
    pairs = matched(sites_of(first, keras_order), sites_of(second, keras_order))
    kept = {here.value for here, there in pairs if here and there}
    wanted: dict[str, AnyArray] = {}
    rows: dict[str, LayerRow] = {}
    notes = _rewired(first, second, pairs)

    def keep(name: str, value: AnyArray) -> None:
        if name in kept:
            wanted[name] = value

    def compare(name: str, value: AnyArray) -> None:
        for here, there in pairs:
            if here and there and there.value == name:
                a, b = _ordered(wanted[here.value], here), _ordered(value, there)
                modules = tuple(type(module).__name__ for module in here.modules)
                rows[here.name] = judge(here.name, here.class_name, modules, b, a, tolerance)
                if a.shape != b.shape:
                    notes[here.name].append(f"output of shape {shape_text(a.shape)} and {shape_text(b.shape)}")

    results = _run(first, "first", inputs, keep)
    others = _run(second, "second", inputs, compare)
    return SideBySide(
        [*_pairs(pairs, rows, notes), *_outputs(first, second, results, others, tolerance)],
        [f"{here.name} ({here.class_name})" for here, there in pairs if here and not there],
        [f"{there.name} ({there.class_name})" for here, there in pairs if there and not here],
    )


def _rewired(first: Graph, second: Graph, pairs: Sequence[tuple[Site | None, Site | None]]) -> dict[str, list[str]]:
    """Say, by the name in the first, of which layers' outputs a layer is computed, where that is not the same."""
    sites = [[pair[place] for pair in pairs] for place in (0, 1)]
    here, there = ([site for site in found if site] for found in sites)
    reads, others = read_by(first, here), read_by(second, there)
    names = {a.name: b.name for a, b in zip(first.given, second.given, strict=False)}
    names |= {a.name: b.name for a, b in pairs if a and b}
    notes: dict[str, list[str]] = {site.name: [] for site in here}
    for a, b in pairs:
        if a and b and tuple(names.get(name, name) for name in reads[a.name]) != others[b.name]:
            notes[a.name].append(f"reads {', '.join(reads[a.name])}; in the second {', '.join(others[b.name])}")
    return notes


def _pairs(
    pairs: Sequence[tuple[Site | None, Site | None]], rows: dict[str, LayerRow], notes: dict[str, list[str]]
) -> list[Pair]:
    """Put together what was found, in the order of the first graph."""
    found: list[Pair] = []
    before: list[str] = []
    for here, there in pairs:
        if here and there:
            what = changes(here.modules, there.modules) if here.modules and there.modules else []
            found.append(Pair(rows[here.name], there.name, (*what, *notes[here.name]), tuple(before)))
            before = []
        elif site := here or there:
            before.append(f"{site.name} ({site.class_name}) only in the {'first' if here else 'second'}")
    return found


def _outputs(
    first: Graph, second: Graph, results: Sequence[AnyArray], others: Sequence[AnyArray], tolerance: Tolerance
) -> list[Pair]:
    """Compare the outputs; if one has more, what is missing does not agree."""
    found = []
    for place in range(max(len(first.results), len(second.results))):
        names = [graph.results[place].name if place < len(graph.results) else "" for graph in (first, second)]
        if all(names):
            row = judge(names[0], OUTPUT, (), others[place], results[place], tolerance)
        else:
            row = LayerRow(names[0] or names[1], OUTPUT, (), (), INFINITE, INFINITE, float("nan"), None, False)
        missing = () if all(names) else (f"only in the {'first' if names[0] else 'second'}",)
        found.append(Pair(row, names[1], missing, ()))
    return found


def _run(
    graph: Graph, which: str, inputs: Sequence[npt.ArrayLike], seen: Callable[[str, AnyArray], None]
) -> list[AnyArray]:
    """Run a graph, show every value that it computes, and give the outputs."""

    def observe(node: Node, given: tuple[Any, ...], output: Any) -> None:
        seen(node.name, output)

    try:
        return graph.forward(inputs, observe)
    except ShapeError as error:
        raise ShapeError(f"the {which} model: {error}") from None


def _ordered(value: AnyArray, site: Site) -> AnyArray:
    return value.transpose(site.order) if site.order else value
