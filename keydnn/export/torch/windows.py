"""Padding of windows, and cropping: what convolutions, pools and the modules of ``shape.py`` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keydnn.export.torch.expressions import call, per_axis, unless
from keydnn.export.torch.site import Site
from keydnn.modules.base import Shape
from keydnn.modules.geometry import Pads, resolve_pads

FILLINGS = {"zeros": 0.0, "lowest": float("-inf")}


def resolved(module: Any, shape: Shape) -> Pads | None:
    """Give the padding of a module's spatial axes for an input; None where it follows from free sizes.

    Windows that move by one cell, or see one only, have the same SAME padding whatever the size.
    """
    dilation = getattr(module, "dilation", (1,) * module.axes)
    sizes = [
        1 if size is None and 1 in (stride, kernel_size) else size
        for size, stride, kernel_size in zip(shape[2:], module.stride, module.kernel_size, strict=True)
    ]
    if module.padding == "same" and None in sizes:
        return None
    known = tuple(size or 0 for size in sizes)  # of no account for padding by numbers
    return resolve_pads(module.padding, known, module.kernel_size, module.stride, dilation)


def symmetric(pads: Pads | None) -> int | tuple[int, ...] | None:
    """Give padding as PyTorch's layers take it; None where the sides of an axis differ."""
    if pads is None or any(before != after for before, after in pads):
        return None
    return per_axis([before for before, _ in pads])


def around(module: Any, site: Site, pads: Pads | None, filling: str) -> str:
    """Write the input with padding around it: by numbers, or by a function where sizes are free."""
    value, x = unless(0.0, FILLINGS[filling]), site.inputs[0]
    if pads is not None:
        return pad(x, pads, filling)
    kernel_size, stride = (tuple(getattr(module, name)) for name in ("kernel_size", "stride"))
    dilation = tuple(getattr(module, "dilation", (1,) * module.axes))
    dilated = unless((1,) * module.axes, dilation)
    return call(site.define("same_pad"), x, kernel_size, stride, dilation=dilated, value=value)


def pad(x: str, pads: Pads, filling: str = "zeros") -> str:
    """Write an input with so many cells before and behind each axis; ``F.pad`` has the last axis first."""
    cells = tuple(cell for pair in reversed(pads) for cell in pair)
    return call("F.pad", x, cells, value=unless(0.0, FILLINGS[filling])) if any(cells) else x


def crop(x: str, cuts: Sequence[tuple[int, int]]) -> str:
    """Write an input without so many cells at both ends of each spatial axis."""
    if not any(map(any, cuts)):
        return x
    kept = [f"{before or ''}:{-after if after else ''}" for before, after in cuts]
    return f"{x}[:, :, {', '.join(kept)}]"
