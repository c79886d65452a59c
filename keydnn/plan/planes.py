"""The depth of volumes in a plan: which planes of the input each plane of the output is a sum of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from keydnn.plan.window import Depth

Taps = tuple[tuple[int, int], ...]  # place in the kernel's depth, and input plane


class Planes(NamedTuple):
    """Output planes of an example at equal distances, which read the same taps.

    Attributes
    ----------
    taps
        Place in the kernel's depth, and the input plane it reads, counted from the first one's.
    source, target
        First plane, and distance to the next: of the input and of the output.
    outputs
        How many output planes there are.
    examples
        How often this is to be done: once for every volume.
    """

    taps: Taps = ((0, 0),)
    source: tuple[int, int] = (0, 1)
    target: tuple[int, int] = (0, 1)
    outputs: int = 1
    examples: int = 1


def planes_of(depth: Depth, size: int, outputs: int, examples: int, transposed: bool) -> list[Planes]:
    """Give the groups of output planes; none where some planes read no input at all.

    ``size`` and ``outputs`` are the planes of an input and an output example.
    """
    if depth.is_flat and size == outputs:
        return [Planes(outputs=size * examples)]
    step = depth.stride if transposed else 1  # output planes so far apart read the same taps
    groups: list[Planes] = []
    for first in range(min(step, outputs)):
        places = range(first, outputs, step)
        groups += _grouped([(place, _taps(depth, size, place, transposed)) for place in places], step, examples)
    return groups if all(group.taps for group in groups) else []


def _taps(depth: Depth, size: int, place: int, transposed: bool) -> Taps:
    """Give the taps of an output plane that fall on the input."""
    taps = []
    for index in range(depth.size):
        if transposed:
            plane, rest = divmod(place + depth.before - index * depth.dilation, depth.stride)
        else:
            plane, rest = place * depth.stride - depth.before + index * depth.dilation, 0
        if rest == 0 and 0 <= plane < size:
            taps.append((index, plane))
    return tuple(taps)


def _grouped(planes: Sequence[tuple[int, Taps]], step: int, examples: int) -> list[Planes]:
    """Put neighbours together that differ by a shift."""
    groups: list[list[tuple[int, Taps]]] = []
    for place, taps in planes:
        if groups and taps and [index for index, _ in taps] == [index for index, _ in groups[-1][0][1]]:
            groups[-1].append((place, taps))
        else:
            groups.append([(place, taps)])
    made = []
    for group in groups:
        place, taps = group[0]
        first = taps[0][1] if taps else 0
        apart = group[1][1][0][1] - first if len(group) > 1 else 1
        relative = tuple((index, plane - first) for index, plane in taps)
        made.append(Planes(relative, (first, apart), (place, step), len(group), examples))
    return made
