"""Cells picked, or set beside others."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.torch.expressions import call, literal, unless
from keydnn.export.torch.site import Site

MOST_PLACES = 16  # that stand in a line; more are a buffer


def slices(module: Any, site: Site) -> str:
    """Write what Python has; a step back, which tensors have not, as a step forth along the flipped axis."""
    (x,) = site.inputs
    flipped = [axis for axis, (_, _, step) in enumerate(module.slices, 1) if step is not None and step < 0]
    if flipped:
        x = call(f"{x}.flip", literal(flipped[0] if len(flipped) == 1 else tuple(flipped)))
    return indexed(x, [":", *map(_written, module.slices)])


def _written(ends: tuple[int | None, int | None, int | None]) -> str:
    """Write a slice; the place p is -1 - p of a flipped axis."""
    start, stop, step = ends
    if step is not None and step < 0:
        start, stop, step = None if start is None else -1 - start, None if stop is None else -1 - stop, -step
    written = ":".join("" if end is None else str(end) for end in (start, stop))
    return written if step in (None, 1) else f"{written}:{step}"


def indexed(x: str, cells: list[str]) -> str:
    """Write an index, without the axes at the end that are taken as they are."""
    while cells and cells[-1] == ":":
        cells = cells[:-1]
    return f"{x}[{', '.join(cells)}]" if cells else x


def index_select(module: Any, site: Site) -> str:
    """Write the places, or make a buffer of them if they are many."""
    few = len(module.index) <= MOST_PLACES
    places = literal(list(module.index)) if few else site.buffer(np.array(module.index, np.int64), "places")
    return indexed(site.inputs[0], [*[":"] * module.dim, places])


def gather(module: Any, site: Site) -> str:
    """Count from the end where places are negative, which PyTorch does not."""
    return call(site.define("take_along"), *site.inputs, module.dim)


def top_k(module: Any, site: Site) -> str:
    """Sort, as equal cells, and NaN, have another order in ``torch.topk``."""
    order = call("torch.argsort", f"-{site.inputs[0]}", dim=module.dim, stable=True)
    return f"{indexed(order, [*[':'] * module.dim, f':{module.k}'])}.float()"


def sort(module: Any, site: Site) -> str:
    """Sort what is negated where the largest is wanted first: NaN, which PyTorch takes as the largest, is behind."""
    (x,) = site.inputs
    if not module.descending:
        return f"{call(f'{x}.sort', dim=module.dim)}.values"
    return f"-{call(f'(-{x}).sort', dim=module.dim)}.values"


def pad(module: Any, site: Site) -> str:
    """Mirror images are PyTorch's own for the last axes only, and without the edge only."""
    (x,) = site.inputs
    if module.mode != "constant":
        return call(site.define("mirror_pad"), x, module.padding, edge=unless(False, module.mode == "symmetric"))
    cells = [cell for pair in reversed(module.padding) for cell in pair]
    while len(cells) > 2 and cells[-2:] == [0, 0]:
        cells = cells[:-2]
    return call("F.pad", x, tuple(cells), value=unless(0.0, module.value)) if cells else x


RULES = {
    "Slice": slices,
    "IndexSelect": index_select,
    "Gather": gather,
    "TopK": top_k,
    "Sort": sort,
    "Pad": pad,
}
