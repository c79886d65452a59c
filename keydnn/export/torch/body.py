"""The lines of ``forward``: which values get variables, and which calls are written into one another."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from keydnn.export.torch.expressions import count, put
from keydnn.export.torch.formatting import fits, wrapped
from keydnn.export.torch.site import placeholder
from keydnn.graph import Graph, Node

LETTERS = "xyzuvwabcdghpqrst"  # variables, in the order in which they are taken
DEEPEST = 3  # calls within calls on one line
INDENT = 8


@dataclass(frozen=True)
class _Pending:
    """An expression that is not written yet, as the next may take it in; ``freed`` are variables read last by it."""

    value: str
    expression: str
    depth: int
    freed: frozenset[str]


class Body:
    """Writes the computation of a graph, one statement after the other.

    Parameters
    ----------
    graph
        What is computed.
    templates
        The expression of each node, with placeholders for its inputs.
    arguments
        The names of forward's arguments, by the graph's inputs.
    """

    def __init__(self, graph: Graph, templates: Mapping[str, str], arguments: Mapping[str, str]) -> None:
        self._templates = templates
        self._same = _aliases(graph, templates)
        self._outputs = [self._same.get(output.value, output.value) for output in graph.outputs]
        self._nodes = in_order(graph, self._outputs, lambda node: self._reads(node).values())
        self._left = self._count_uses()
        self._variables = dict(arguments)
        self._in_use = set(arguments.values())
        self._letters = list(LETTERS)
        self._pending: _Pending | None = None
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """Give the lines of the method's body."""
        for node in self._nodes:
            self._visit(node)
        if self._pending is not None and self._outputs == [self._pending.value]:
            return [*self._lines, *wrapped("return ", self._pending.expression, INDENT)]
        self._flush()
        names = [self._variables[value] for value in self._outputs]
        return [*self._lines, *wrapped("return ", ", ".join(names), INDENT)]

    def _reads(self, node: Node) -> dict[str, str]:
        """Give the values that a node's expression has, by their placeholders."""
        marks = {placeholder(place): self._same.get(name, name) for place, name in enumerate(node.inputs)}
        return {mark: value for mark, value in marks.items() if count(self._templates[node.name], mark)}

    def _count_uses(self) -> Counter[str]:
        """Count how often each value stands in an expression, or is an output."""
        uses = Counter(self._outputs)
        for node in self._nodes:
            for mark, value in self._reads(node).items():
                uses[value] += count(self._templates[node.name], mark)
        return uses

    def _visit(self, node: Node) -> None:
        template, read = self._templates[node.name], self._reads(node)
        if not read and template.startswith("self.") and template.count(".") == 1:
            self._variables[node.name] = template  # a buffer needs no variable
            return
        if not self._takes_in(node, read):
            self._flush()
            template, read = self._prepared(node, template, read)
        held = self._pending
        freed = set(held.freed) if held else set()
        expressions = {}
        for mark, value in read.items():
            expressions[mark] = held.expression if held else self._variables[value]
            self._left[value] -= count(template, mark)
            if not self._left[value] and not held:
                freed.add(self._variables[value])
        depth = held.depth + 1 if held else 1
        self._pending = _Pending(node.name, put(template, expressions), depth, frozenset(freed))

    def _prepared(self, node: Node, template: str, read: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Write what a layer with weights is given as a statement of its own, if it is a call with options: padding."""
        outer = ast.parse(template, mode="eval").body
        if not (_is_heavy(node) and isinstance(outer, ast.Call) and len(outer.args) == 1 and len(read) == 1):
            return template, read
        inner = outer.args[0]
        before = template[inner.col_offset : inner.end_col_offset]
        ((mark, value),) = read.items()
        if not (isinstance(inner, ast.Call) and len(inner.args) > 1) or count(before, mark) < count(template, mark):
            return template, read
        self._left[value] -= count(before, mark)
        freed = frozenset() if self._left[value] else frozenset([self._variables[value]])
        name = f"{node.name}\0"  # which no node is called
        self._pending = _Pending(name, put(before, {mark: self._variables[value]}), 1, freed)
        self._left[name] = 1
        self._flush()
        return template[: inner.col_offset] + mark + template[inner.end_col_offset :], {mark: name}

    def _takes_in(self, node: Node, read: Mapping[str, str]) -> bool:
        """Tell whether a node's expression may have the pending one within it.

        A line begins with what has many weights, and with what reads several values: so people write it.
        """
        held = self._pending
        if held is None or _is_heavy(node) or held.depth >= DEEPEST:
            return False
        if list(read.values()) != [held.value] or self._left[held.value] != 1:
            return False
        (mark,) = read
        return fits("x = " + put(self._templates[node.name], {mark: held.expression}), INDENT)

    def _flush(self) -> None:
        """Write the pending expression: into a variable that it is the last to read, if there is one, or a new one."""
        held, self._pending = self._pending, None
        if held is None:
            return
        self._in_use -= held.freed
        names = [name for name in self._letters if name in held.freed]
        names += [name for name in self._letters if name not in self._in_use]
        if not names:
            names = [f"{LETTERS[0]}{len(self._letters) - len(LETTERS) + 1}"]
            self._letters += names
        self._in_use.add(names[0])
        self._variables[held.value] = names[0]
        self._lines += wrapped(f"{names[0]} = ", held.expression, INDENT)


def _is_heavy(node: Node) -> bool:
    """Tell whether a module has weights that are more than a number a channel."""
    return any(tensor.ndim > 1 for tensor in node.module.tensors().values())


def in_order(graph: Graph, outputs: Iterable[str], reads: Callable[[Node], Iterable[str]]) -> list[Node]:
    """Give the nodes that outputs depend on, branch by branch: all that leads to a node's first input comes first."""
    nodes = {node.name: node for node in graph.nodes}
    found: dict[str, Node] = {}
    stack = [(value, False) for value in reversed(list(outputs))]
    while stack:
        name, follows = stack.pop()
        if name not in nodes or name in found:
            continue
        if follows:
            found[name] = nodes[name]
        else:
            stack.append((name, True))
            stack.extend((value, False) for value in reversed(list(reads(nodes[name]))))
    return list(found.values())


def _aliases(graph: Graph, templates: Mapping[str, str]) -> dict[str, str]:
    """Give the values that are the same as an earlier one, because nothing is done to it."""
    same: dict[str, str] = {}
    for node in graph.nodes:
        for place, name in enumerate(node.inputs):
            if templates.get(node.name) == placeholder(place):
                same[node.name] = same.get(name, name)
    return same
