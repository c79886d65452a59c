"""What became of each module in a plan: which are computed together, by which algorithm, and which cost nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keydnn.graph import Graph, Node
from keydnn.modules.activation import Identity
from keydnn.modules.base import shape_text
from keydnn.modules.dropout import Dropout
from keydnn.plan import Part, Plan, Program
from keydnn.plan.fuse import PADS, Unit
from keydnn.plan.memory import home_of
from keydnn.plan.route import Operation, all_sizes
from keydnn.plan.step import Launch
from keydnn.plan.values import Blocked, Sizes
from keydnn.report.tables import Align, table_text
from keydnn.threads import get_num_threads

# Labels of jobs that say little to who has not read the kernels.
LABELS = {
    "pixels convolution": "direct convolution, few channels",
    "diagonal convolution": "grouped convolution, small groups",
    "add": "sum",
    "subtract": "difference",
    "multiply": "product",
}
TILE = re.compile(r"_(\d+)x(\d+)(_|$)")  # in the name of a kernel: pixels, blocks of channels


@dataclass(frozen=True)
class Row:
    """An operation of a plan, or a module that needs none.

    Attributes
    ----------
    layers
        The Keras layers, or modules, taken together.
    noted
        The same, with what became of those that are not computed by themselves.
    nodes
        Their nodes; empty for a mere change of layout.
    computed
        The algorithm, or why nothing is computed.
    sizes
        Of the result.
    macs
        Multiply-accumulate operations as the modules count them; 0 where that means little.
    place
        Place in ``plan.parts``; None where nothing is computed.
    threads
        Number of threads; 0 where nothing is computed.
    packed
        Bytes of packed weights.
    """

    layers: str
    noted: str
    nodes: tuple[Node, ...]
    computed: str
    sizes: Sizes
    macs: int = 0
    place: int | None = None
    threads: int = 0
    packed: int = 0


def plan_rows(program: Program, plan: Plan) -> list[Row]:
    """Give the rows of a plan, in the order of its operations; every node of the graph is in one of them."""
    return list(_Reader(program, plan).rows())


class _Reader:
    """Reads a plan beside the units it was made of."""

    def __init__(self, program: Program, plan: Plan) -> None:
        self.graph, self.parts = program.graph, plan.parts
        inputs = [value.sizes for value in plan.route.inputs]
        self.sizes = all_sizes(program.graph, inputs)
        self.threads = get_num_threads()
        self.names = LayerNames(program.graph)
        self.units = program.units
        self.by_value = {unit.value: unit for unit in self.units}
        outputs = [output.value for output in program.graph.outputs]
        self.read_as = _reading(plan, outputs)
        self.known = {given.name for given in program.graph.inputs}
        self.computed = {id(part.operation.unit) for part in self.parts if part.operation.unit is not None}
        self.needed = {name for unit in self.units for name in (*unit.inputs, unit.residual)} | set(outputs)
        self.done: set[int] = set()  # units that are in a row

    def rows(self) -> Iterator[Row]:
        """Give all rows."""
        for place, part in enumerate(self.parts):
            unit = part.operation.unit
            if unit is not None:
                yield from self._free_until(unit)
                self.done.add(id(unit))
                yield self._unit_row(unit, place, part)
                continue
            permutations = self._permutations(part.operation)
            if permutations:
                yield from self._free_until(permutations[0])
            self.done.update(map(id, permutations))
            if permutations or part.launches:
                yield self._layout_row(permutations, place, part)
        yield from self._free_until(None)

    def _unit_row(self, unit: Unit, place: int, part: Part) -> Row:
        return self._row([unit], _algorithm(part), self.sizes[unit.value], place, part)

    def _layout_row(self, permutations: list[Unit], place: int, part: Part) -> Row:
        """Give the row of a change of layout, with the permutations that are done by it."""
        operation = part.operation
        into = isinstance(operation.out, Blocked)
        computed = "into blocks of channels" if into else "out of blocks of channels"
        if not part.launches:
            computed += ", the same memory"
        if permutations:
            return self._row(permutations, computed, self.sizes[permutations[-1].value], place, part)
        name = self.read_as.get(id(operation.out), "")
        row = self._row([], computed, self.sizes.get(name, operation.out.sizes), place, part)
        layers = f"({self._value_name(name)})" if name else ""
        return replace(row, layers=layers, noted=layers)

    def _row(self, units: Sequence[Unit], computed: str, sizes: Sizes, place: int, part: Part) -> Row:
        nodes = tuple(node for unit in units for node in unit.nodes)
        macs = sum(node.module.macs(*(self.sizes[name] for name in node.inputs)) for node in nodes)
        threads = self.threads if any(launch.parallel for launch in part.launches) else int(bool(part.calls))
        packed = sum(_packed(part).values())
        layers, noted = (" + ".join(self.names.joined(unit, notes) for unit in units) for notes in (False, True))
        return Row(layers, noted, nodes, computed, sizes, macs, place if part.calls else None, threads, packed)

    def _free_until(self, last: Unit | None) -> Iterator[Row]:
        """Give the rows of units that have no operation, up to a unit."""
        for unit in self.units:
            if unit is last:
                return
            if id(unit) not in self.done and id(unit) not in self.computed:
                self.done.add(id(unit))
                layers = self.names.joined(unit)
                yield Row(layers, layers, unit.nodes, self._free(unit), self.sizes[unit.value])

    def _free(self, unit: Unit) -> str:
        """Say why a unit costs nothing."""
        if isinstance(unit.module, (Dropout, Identity)):
            return "dropped"
        if unit.is_view:
            return "view, no copy"
        if isinstance(unit.module, PADS):
            return "padding kept in a halo"
        return "permuted where it is read" if unit.value in self.needed else "dropped, nobody reads it"

    def _permutations(self, operation: Operation) -> list[Unit]:
        """Give the permutations that a change of layout does on its way, which are in no row yet."""
        found: list[Unit] = []
        name = self.read_as.get(id(operation.out), "")
        while name in self.by_value and id(self.by_value[name]) not in self.computed:
            unit = self.by_value[name]
            if not unit.is_view and not isinstance(unit.module, PADS) and id(unit) not in self.done:
                found.insert(0, unit)
            name = unit.inputs[0]
        return found

    def _value_name(self, name: str) -> str:
        """Name a value as people know it."""
        while name in self.by_value and id(self.by_value[name]) not in self.computed:
            name = self.by_value[name].inputs[0]
        return self.names.last(self.by_value[name]) if name in self.by_value else name


def _reading(plan: Plan, outputs: Sequence[str]) -> dict[int, str]:
    """Give, by the identity of what a change of layout writes, the name under which it is read first."""
    names: dict[int, str] = {}

    def note(value: Any, name: str) -> None:
        names[id(value)] = names[id(home_of(value))] = name

    for output, name in zip(plan.route.outputs, outputs, strict=True):
        note(output, name)
    for operation in reversed(plan.route.operations):
        unit = operation.unit
        if unit is None:
            name = names.get(id(operation.out)) or names.get(id(home_of(operation.out)), "")
            names[id(operation.out)] = name
            values, read = operation.inputs, [name]
        else:
            values = [*operation.inputs, *([operation.added] if operation.added else [])]
            read = [*unit.inputs, *([unit.residual] if unit.residual else [])]
        for value, name in zip(values, read, strict=True):
            if name:
                note(value, name)
    return names


class LayerNames:
    """Names nodes by their Keras layers, with the module where that alone would not tell."""

    def __init__(self, graph: Graph) -> None:
        self._counts = Counter(node.origin.layer for node in graph.nodes if node.origin)

    def joined(self, unit: Unit, notes: bool = False) -> str:
        """Name what a unit takes together; with notes on what became of the parts."""
        return " + ".join(self._named(node, self._note(unit, node) if notes else "") for node in unit.nodes)

    def last(self, unit: Unit) -> str:
        """Name the last node of a unit."""
        return self._named(unit.nodes[-1], "")

    def _named(self, node: Node, note: str) -> str:
        alone = node.origin is not None and self._counts[node.origin.layer] == 1
        words = [*([] if alone else [type(node.module).__name__]), *([note] if note else [])]
        name = node.origin.layer if node.origin else node.name
        return f"{name} ({', '.join(words)})" if words else name

    def _note(self, unit: Unit, node: Node) -> str:
        """Say where a node went that is not computed by itself."""
        if len(unit.nodes) == 1:
            return ""
        if any(node.module is norm for norm in unit.norms):
            return "folded"
        if isinstance(node.module, PADS):
            return "in the halo"
        return "dropped" if isinstance(node.module, (Dropout, Identity)) else ""


def _algorithm(part: Part) -> str:
    """Name the algorithm of a unit's operation."""
    operation = part.operation
    if operation.job is None:
        kernels = dict.fromkeys(launch.kernel.name.removesuffix("_f32") for launch in part.launches)
        return f"the module's own: {', '.join(kernels) or 'NumPy'}"
    label = operation.job.label
    if label == "concatenation":
        copied, count = len(part.launches), len(operation.inputs)
        return f"concatenation, {copied} of {count} copied" if copied else "concatenation without a copy"
    text = LABELS.get(label, label)
    tiles = dict.fromkeys(tile for launch in part.launches if (tile := _tile(launch, operation)))
    return ", ".join([text, *tiles])


def _tile(launch: Launch, operation: Operation) -> str:
    """Give the tile of a kernel, pixels by channels."""
    found = TILE.search(launch.kernel.name)
    if not found or not isinstance(operation.out, Blocked):
        return ""
    return f"{found[1]}×{int(found[2]) * operation.out.storage.lanes}"


def _packed(part: Part) -> dict[int, int]:
    """Give the sizes, in bytes, of the weights that a plan packed for a part, by their identity."""
    if part.operation.job is None:
        return {}
    arrays = (argument for launch in part.launches for argument in launch.arguments)
    return {id(array): array.nbytes for array in arrays if getattr(array, "dtype", None) == "float32" and array.ndim}


def bytes_text(count: int) -> str:
    """Write a size in kB or MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def plan_table(title: str, program: Program, plan: Plan) -> str:
    """Give a plan as a table: Keras layers, what is computed, output shape, threads, packed weights."""
    rows = plan_rows(program, plan)
    columns: list[tuple[str, Align]] = [
        ("layers", "left"), ("computed as", "left"), ("output shape", "left"), ("threads", "right"),
        ("packed", "right"),
    ]  # fmt: skip
    return table_text(title, columns, map(_cells, rows), _footer(program, plan, rows))


def _cells(row: Row) -> tuple[str, ...]:
    packed = bytes_text(row.packed) if row.packed else ""
    return row.noted, row.computed, shape_text(row.sizes), str(row.threads or ""), packed


def _footer(program: Program, plan: Plan, rows: Iterable[Row]) -> str:
    packed = {key: size for part in plan.parts for key, size in _packed(part).items()}
    count = sum(row.place is not None for row in rows)
    return (
        f"{len(program.graph.nodes)} modules in {count} operations; values {bytes_text(plan.arena.nbytes)}, "
        f"packed weights {bytes_text(sum(packed.values()))}, threads {get_num_threads()}"
    )
