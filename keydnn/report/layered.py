"""A layered drawing of a graph without circles: rows from top to bottom, cut into columns where one value alone passes.

The steps are Sugiyama's: every item gets a row below those it reads; lines over several rows pass through places of
their own; the order in each row is improved by the mean of the neighbours' places; then positions are pulled towards
those of the neighbours, as far as the neighbours in the row allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

GAP = 30.0  # between rows
SPACE = 18.0  # between items of a row
LANE = 10.0  # what a passing line takes
PORT = (150.0, 18.0)
MOST_ROWS = 40  # that a line may cross; longer ones begin at a label that names where they come from
MOST_LABELS = 6  # of such lines to one box
ORDERINGS = 6
PULLS = 24
SLIVER = 0.4  # of the wanted height: lower columns are put together with the one beside
STRAIGHT, PASSING, AWAY = 8.0, 3.0, 0.002  # how strongly lines pull: box to box, along a lane, into a lane

Point = tuple[float, float]
# "box"; "lane", "from", "to": by where the line comes from, the latter two as labels; "and": so many more labels
Key = tuple[str, int]


@dataclass
class Item:
    """Something in a row: a box, a lane, or a label at which a line begins or ends."""

    key: Key
    width: float
    height: float
    x: float = 0.0  # of the middle
    y: float = 0.0  # of the top
    row: Point = (0.0, 0.0)  # top and bottom of its row
    above: list[tuple[Item, float]] = field(default_factory=list)
    below: list[tuple[Item, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """A line between two rows, or along a lane.

    Attributes
    ----------
    source
        The box whose value it carries.
    points
        Where it begins, leaves its row, enters the next one, ends.
    ends
        Whether it arrives at a box or label.
    """

    source: int
    points: tuple[Point, ...]
    ends: bool


@dataclass(frozen=True)
class Column:
    """A part of the drawing: sizes, the items in it, the lines between them."""

    width: float
    height: float
    items: tuple[Item, ...]
    lines: tuple[Line, ...]


def columns_of(sizes: Sequence[Point], edges: Iterable[tuple[int, int]], tallest: float) -> list[Column]:
    """Lay a graph out.

    Parameters
    ----------
    sizes
        Width and height of every box; boxes stand behind those they read.
    edges
        Pairs of places in ``sizes``.
    tallest
        The height that a column should not exceed, where the graph can be cut.
    """
    edges = sorted(set(edges))
    rows = _rows(len(sizes), edges)
    long = [(source, target) for source, target in edges if rows[target] - rows[source] > MOST_ROWS]
    short = sorted({*edges} - {*long})
    count = max(rows, default=0) + 1
    heights = [0.0] * count
    for size, row in zip(sizes, rows, strict=True):
        heights[row] = max(heights[row], size[1])
    passing: list[set[int]] = [set() for _ in range(count)]  # whose lines go from a row to the next
    for source, target in short:
        for row in range(rows[source], rows[target]):
            passing[row].add(source)
    return [
        _Column(first, last, sizes, rows, short, long, passing).made()
        for first, last in _cuts(heights, passing, tallest)
    ]


def _rows(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Give every box its row: below all that it reads; what reads nothing stands right above its first reader."""
    rows = [0] * count
    reads: set[int] = set()
    readers: dict[int, list[int]] = {}
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        rows[target] = max(rows[target], rows[source] + 1)
        reads.add(target)
        readers.setdefault(source, []).append(target)
    for box in range(count):
        if box not in reads and box in readers:
            rows[box] = max(0, min(rows[reader] for reader in readers[box]) - 1)
    return rows


def _cuts(heights: Sequence[float], passing: Sequence[set[int]], tallest: float) -> list[tuple[int, int]]:
    """Choose the first and last row of every column."""
    total = sum(heights) + GAP * len(heights)
    wanted = total / max(1, -(-total // tallest))
    cuts: list[tuple[int, int]] = []
    first, possible, height, since = 0, -1, 0.0, 0.0
    for row, size in enumerate(heights):
        height, since = height + size + GAP, since + size + GAP
        if height > wanted and possible >= first:
            cuts.append((first, possible))
            first, height, possible = possible + 1, since, -1
        if row + 1 < len(heights) and len(passing[row]) <= 1:
            possible, since = row, 0.0
    parts = [*cuts, (first, len(heights) - 1)]

    def tall(part: tuple[int, int]) -> float:
        return sum(heights[row] + GAP for row in range(part[0], part[1] + 1))

    while len(parts) > 1 and tall(least := min(parts, key=tall)) < SLIVER * wanted:
        place = parts.index(least)
        beside = min(
            (other for other in (place - 1, place + 1) if 0 <= other < len(parts)), key=lambda n: tall(parts[n])
        )
        low, high = sorted((place, beside))
        parts[low : high + 1] = [(parts[low][0], parts[high][1])]
    return parts


class _Column:
    """One column under construction."""

    def __init__(
        self,
        first: int,
        last: int,
        sizes: Sequence[Point],
        rows: Sequence[int],
        short: Sequence[tuple[int, int]],
        long: Sequence[tuple[int, int]],
        passing: Sequence[set[int]],
    ) -> None:
        self.rows: list[list[Item]] = [[] for _ in range(last - first + 3)]  # with one of labels above and below
        self.by_key: dict[tuple[int, Key], Item] = {}
        self.first = first - 1
        self.links: list[tuple[Item, Item, int]] = []
        self._linked: set[tuple[int, int]] = set()
        for box, row in enumerate(rows):
            if first <= row <= last:
                self._item(row, ("box", box), *sizes[box])
        if first:
            for source in sorted(passing[first - 1]):
                self._item(first - 1, ("from", source), *PORT)
        if last + 1 < len(passing):
            for source in sorted(passing[last]):
                self._item(last + 1, ("to", source), *PORT)
        for source, target in short:
            if rows[target] >= first and rows[source] <= last:
                self._connect(source, target, rows, first, last)
        from_far: dict[int, list[int]] = {}
        for source, target in long:
            if first <= rows[target] <= last:
                from_far.setdefault(target, []).append(source)
        for target, sources in from_far.items():
            labels: list[Key] = [("from", source) for source in sources[:MOST_LABELS]]
            if len(sources) > MOST_LABELS:
                labels.append(("and", len(sources) - MOST_LABELS))
            for key in labels:
                label = self._item(rows[target] - 1, key, *PORT)
                self._link(label, self.by_key[rows[target], ("box", target)], sources[0])

    def _item(self, row: int, key: Key, width: float, height: float) -> Item:
        if (row, key) not in self.by_key:
            self.by_key[row, key] = Item(key, width, height)
            self.rows[row - self.first].append(self.by_key[row, key])
        return self.by_key[row, key]

    def _connect(self, source: int, target: int, rows: Sequence[int], first: int, last: int) -> None:
        """Add the lanes of a line and its links from row to row."""
        at = max(rows[source], first - 1)
        item = self.by_key[at, ("box" if rows[source] >= first else "from", source)]
        for row in range(at + 1, min(rows[target], last + 1) + 1):
            if row > last:
                following = self.by_key[row, ("to", source)]
            elif row == rows[target]:
                following = self.by_key[row, ("box", target)]
            else:
                following = self._item(row, ("lane", source), LANE, 0.0)
            self._link(item, following, source)
            item = following

    def _link(self, upper: Item, lower: Item, source: int) -> None:
        if (id(upper), id(lower)) in self._linked:
            return
        self._linked.add((id(upper), id(lower)))
        lanes = (upper.key[0] == "lane") + (lower.key[0] == "lane")
        weight = (STRAIGHT, AWAY, PASSING)[lanes]
        upper.below.append((lower, weight))
        lower.above.append((upper, weight))
        self.links.append((upper, lower, source))

    def made(self) -> Column:
        self.rows = [row for row in self.rows if row]
        self._order()
        self._pull()
        y = 0.0
        for row in self.rows:
            height = max(item.height for item in row)
            for item in row:
                item.row = (y, y + height)
                is_lane = item.key[0] == "lane"
                item.y = y if is_lane else y + (height - item.height) / 2
                item.height = height if is_lane else item.height
            y += height + GAP
        everything = [item for row in self.rows for item in row]
        left = min(item.x - item.width / 2 for item in everything)
        for item in everything:
            item.x -= left
        width = max(item.x + item.width / 2 for item in everything)
        lines = [_line(upper, lower, source) for upper, lower, source in self.links]
        lanes = [
            Line(item.key[1], ((item.x, item.y), (item.x, item.y + item.height)), False)
            for item in everything
            if item.key[0] == "lane"
        ]
        return Column(width, y - GAP, tuple(everything), (*lines, *lanes))

    def _order(self) -> None:
        """Sort every row by the mean place of the neighbours, downwards and upwards in turn."""
        for turn in range(ORDERINGS):
            down = turn % 2 == 0
            rows = self.rows if down else self.rows[::-1]
            for before, row in pairwise(rows):
                place = {id(item): number / len(before) for number, item in enumerate(before)}
                here = {id(item): number / len(row) for number, item in enumerate(row)}

                def mean(
                    item: Item, place: Mapping[int, float] = place, here: Mapping[int, float] = here, down: bool = down
                ) -> float:
                    found = [place[id(other)] for other, _ in (item.above if down else item.below)]
                    lane = 0.001 * (item.key[0] == "lane")  # beside a box that is as near
                    return (sum(found) / len(found) if found else here[id(item)]) + lane

                row.sort(key=mean)

    def _pull(self) -> None:
        """Move items towards their neighbours."""
        for row in self.rows:
            _spread(row, [0.0] * len(row), [1.0] * len(row))
        for turn in range(PULLS):
            down = turn % 2 == 0
            for row in self.rows if down else self.rows[::-1]:
                wanted, weights = [], []
                for item in row:
                    pulls = item.above if down else item.below
                    if turn == PULLS - 1:
                        pulls = [*item.above, *item.below]
                    total = sum(weight for _, weight in pulls)
                    wanted.append(sum(other.x * weight for other, weight in pulls) / total if pulls else item.x)
                    weights.append(total or 0.01)
                _spread(row, wanted, weights)


def _line(upper: Item, lower: Item, source: int) -> Line:
    """Give the line of a link: straight down beside what stands in both rows, curved only between them."""
    start, end = upper.x + _port(upper, lower), lower.x + _port(lower, upper)
    points = (start, upper.y + upper.height), (start, upper.row[1]), (end, lower.row[0]), (end, lower.y)
    return Line(source, points, lower.key[0] != "lane")


def _port(item: Item, other: Item) -> float:
    """Say how far from the middle of an item a line to another one leaves it."""
    if item.key[0] == "lane":
        return 0.0
    most = max(0.0, item.width / 2 - 14)
    away = (other.x - item.x) * (1.0 if other.key[0] == "lane" else 0.2)
    return max(-most, min(most, away))


def _spread(row: Sequence[Item], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Place items as near to where they are wanted as their order and widths allow (least squares)."""
    offset = 0.0
    offsets: list[float] = []
    for place, item in enumerate(row):
        if place:
            before = row[place - 1]
            offset += (before.width + item.width) / 2 + SPACE
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of items
    for value, weight, offset in zip(wanted, weights, offsets, strict=True):
        block = (value - offset, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, count = blocks.pop()
            both = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / both, both, count + block[2])
        blocks.append(block)
    places = [mean for mean, _, count in blocks for _ in range(count)]
    for item, place_x, offset in zip(row, places, offsets, strict=True):
        item.x = place_x + offset
