"""The graph of a model as SVG: columns of stacked layers, each row a link to the layer's row in the table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

from keydnn.modules.base import shape_text
from keydnn.report.boxes import Box, Stack, stacks_of
from keydnn.report.data import Report
from keydnn.report.escape import fitted, visible
from keydnn.report.layered import Column, Item, Line, columns_of

ROW = 19.0
FOOT = 16.0
LETTER = 6.5  # the usual width of one
MOST_LETTERS = 30
TALLEST = 900.0
MARGIN = 6.0
# The colour of a layer is that of its family; families share some.
KINDS = {
    "conv": "conv", "conv_lstm": "rnn", "locally_connected": "conv", "dense": "dense", "einsum": "dense",
    "matmul": "dense", "embedding": "dense", "norm": "norm", "standardize": "norm", "rescale": "norm",
    "activation": "act", "softmax": "act", "unary": "act", "pool": "pool", "reduce": "pool", "merge": "merge",
    "arithmetic": "merge", "recurrent": "rnn", "attention": "attn", "input": "end", "output": "end",
}  # fmt: skip
LEGEND = {
    "conv": "convolution", "dense": "dense, embedding", "norm": "normalization", "act": "activation",
    "pool": "pooling, reduction", "merge": "merge, arithmetic", "rnn": "recurrent", "attn": "attention",
    "other": "shape and all else", "end": "input, output",
}  # fmt: skip


def graph_svgs(report: Report) -> tuple[list[str], list[str]]:
    """Draw the graph; give the columns, each an SVG, and the colours that occur, as keys of ``LEGEND``."""
    made = stacks_of(report.graph)
    numbers = {layer.name: number for number, layer in enumerate(report.layers)}
    classes = {layer.name: layer.class_name for layer in report.layers}
    wrong = {row.layer for row in report.verification.rows if not row.agrees} if report.verification else set()
    drawn = [_Drawn(stack, classes, wrong) for stack in made.stacks]
    columns = columns_of([(one.width, one.height) for one in drawn], made.edges, TALLEST)
    used = {_colour(box) for stack in made.stacks for box in stack.boxes}
    return [_svg(column, drawn, numbers) for column in columns], [kind for kind in LEGEND if kind in used]


def _colour(box: Box) -> str:
    return KINDS.get(box.kind, "other")


class _Drawn:
    """A stack with its texts and its size."""

    def __init__(self, stack: Stack, classes: Mapping[str, str], wrong: Collection[str]) -> None:
        self.stack = stack
        self.rows = [(fitted(_called(box), MOST_LETTERS), _class(box, classes)) for box in stack.boxes]
        self.wrong = [box.kind != "output" and _called(box) in wrong for box in stack.boxes]
        self.shape = fitted(shape_text(stack.boxes[-1].shape), MOST_LETTERS)
        letters = max(_letters(name) + 2 + _letters(text) * 0.9 for name, text in self.rows)
        self.width = round(max(letters, _letters(self.shape)) * LETTER + 24)
        self.height = len(self.rows) * ROW + FOOT


def _letters(text: str) -> float:
    """Count letters; wide ones, as those of Chinese, count twice."""
    return len(text) + sum(character > "\u1100" for character in text)


def _called(box: Box) -> str:
    return f"{box.layer}@{box.call}" if box.call else box.layer


def _class(box: Box, classes: Mapping[str, str]) -> str:
    return box.kind if box.kind in ("input", "output") else fitted(classes.get(box.layer, ""), 24)


def _svg(column: Column, drawn: Sequence[_Drawn], numbers: Mapping[str, int]) -> str:
    width, height = column.width + 2 * MARGIN, column.height + 2 * MARGIN
    parts = [
        f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
        f'viewBox="{_n(-MARGIN)} {_n(-MARGIN)} {_n(width)} {_n(height)}" role="img">',
        f"<title>{_title(column, drawn)}</title>",
        *(_path(line) for line in column.lines),
    ]
    for item in column.items:
        if item.key[0] == "box":
            parts += _box(item, drawn[item.key[1]], numbers)
        elif item.key[0] in ("from", "to"):
            parts += _label(item, drawn[item.key[1]], numbers)
        elif item.key[0] == "and":
            parts.append(_label_text(item, f"↓ from {item.key[1]} more"))
    return "".join([*parts, "</svg>"])


def _title(column: Column, drawn: Sequence[_Drawn]) -> str:
    names = [row[0] for item in column.items if item.key[0] == "box" for row in drawn[item.key[1]].rows]
    return escape(f"{names[0]} to {names[-1]}, {len(names)} boxes")


def _path(line: Line) -> str:
    """Draw a line, with its arrow head."""
    if len(line.points) == 2:
        (x, top), (_, bottom) = line.points
        return f'<path class="line" d="M{_n(x)} {_n(top)}V{_n(bottom)}"/>' if bottom > top else ""
    (x1, y1), (_, y2), (x2, y3), (_, y4) = line.points
    middle = (y2 + y3) / 2
    end = y4 - 5 if line.ends else y4
    curve = f"C{_n(x1)} {_n(middle)} {_n(x2)} {_n(middle)} {_n(x2)} {_n(min(y3, end))}" if x1 != x2 else ""
    head = f'<path class="head" d="M{_n(x2 - 3.5)} {_n(end)}h7l-3.5 5z"/>' if line.ends else ""
    return f'<path class="line" d="M{_n(x1)} {_n(y1)}V{_n(y2)}{curve}V{_n(end)}"/>{head}'


def _box(item: Item, drawn: _Drawn, numbers: Mapping[str, int]) -> Iterable[str]:
    left, top = item.x - item.width / 2, item.y
    yield (
        f'<rect class="box" x="{_n(left)}" y="{_n(top)}" width="{_n(item.width)}" height="{_n(item.height)}" rx="4"/>'
    )
    for place, (box, (shown, class_name)) in enumerate(zip(drawn.stack.boxes, drawn.rows, strict=True)):
        y = top + place * ROW
        modules = ", ".join(dict.fromkeys(type(node.module).__name__ for node in box.nodes))
        title = f"{visible(_called(box))}: {class_name}{f' → {modules}' if modules else ''}, {shape_text(box.shape)}"
        number = numbers.get(box.layer)
        off = ' class="off"' if drawn.wrong[place] else ""
        body = (
            f"<g{off}><title>{escape(title)}</title>"
            f'<rect class="k {_colour(box)}" x="{_n(left + 4)}" y="{_n(y + 4)}" width="5" height="{_n(ROW - 6)}"'
            f' rx="2"/><text class="name" x="{_n(left + 14)}" y="{_n(y + 14)}">{escape(shown)}</text>'
            f'<text class="class" x="{_n(left + item.width - 7)}" y="{_n(y + 14)}">{escape(class_name)}</text></g>'
        )
        yield body if number is None else f'<a href="#layer-{number}">{body}</a>'
    yield (
        f'<text class="shape" x="{_n(left + item.width - 7)}" y="{_n(top + item.height - 5)}">'
        f"{escape(drawn.shape)}</text>"
    )


def _label(item: Item, drawn: _Drawn, numbers: Mapping[str, int]) -> Iterable[str]:
    """Write where a line comes from, or which value goes on in the next column."""
    box = drawn.stack.boxes[-1]
    words = f"↓ from {fitted(_called(box), 20)}" if item.key[0] == "from" else f"{fitted(_called(box), 20)} goes on →"
    text = _label_text(item, words)
    number = numbers.get(box.layer)
    yield text if number is None else f'<a href="#layer-{number}">{text}</a>'


def _label_text(item: Item, words: str) -> str:
    return f'<text class="label" x="{_n(item.x)}" y="{_n(item.y + 12)}">{escape(words)}</text>'


def _n(value: float) -> str:
    """Write a number with one decimal, if it needs one."""
    return f"{value:.1f}".removesuffix(".0")
