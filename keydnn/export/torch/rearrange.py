"""Axes added, dropped, repeated and split, and patches of images."""

from __future__ import annotations

import functools
from typing import Any

from keydnn.export.torch.expressions import call, literal, unless
from keydnn.export.torch.site import Site
from keydnn.modules.geometry import Pads, resolve_pads


def squeeze(module: Any, site: Site) -> str:
    """Drop an axis, or several."""
    return call(f"{site.inputs[0]}.squeeze", _one_or_more(module.dim))


def unsqueeze(module: Any, site: Site) -> str:
    """Add axes, one after the other."""
    return site.inputs[0] + "".join(f".unsqueeze({axis})" for axis in module.dim)


def expand(module: Any, site: Site) -> str:
    """Keep the batch axis."""
    return call(f"{site.inputs[0]}.expand", -1, *module.shape)


def tile(module: Any, site: Site) -> str:
    """Keep the batch axis."""
    return call(f"{site.inputs[0]}.repeat", 1, *module.dims)


def roll(module: Any, site: Site) -> str:
    """Write numbers for one axis, tuples for several."""
    return call(f"{site.inputs[0]}.roll", _one_or_more(module.shifts), _one_or_more(module.dims))


def _one_or_more(values: tuple[int, ...]) -> str:
    return literal(values[0] if len(values) == 1 else values)


def blocks(function: str, module: Any, site: Site) -> str:
    """Apply a function: ``F.pixel_shuffle`` takes the channels in another order."""
    return call(site.define(function), site.inputs[0], module.block_size)


def patches(module: Any, site: Site) -> str:
    """Pad, and apply a function: ``F.unfold`` gives the cells in another order."""
    x = site.inputs[0]
    ones = (1,) * len(module.kernel_size)
    dilation = unless(ones, module.dilation)
    pads = _pads(module, site.shapes[0][1:-1])
    if pads is None:
        first = f"{x}.movedim(-1, 1)"
        padded = call(site.define("same_pad"), first, module.kernel_size, module.stride, dilation=dilation)
        x = f"{padded}.movedim(1, -1)"
    elif any(map(any, pads)):
        x = call("F.pad", x, (0, 0, *(cell for pair in reversed(pads) for cell in pair)))
    return call(site.define("extract_patches"), x, module.kernel_size, module.stride, dilation=dilation)


def _pads(module: Any, sizes: tuple[int | None, ...]) -> Pads | None:
    """Give the padding, None where it follows from free sizes."""
    known = tuple(size for size in sizes if size is not None)
    if module.padding == "same" and len(known) < len(sizes):
        return None
    return resolve_pads(module.padding, known, module.kernel_size, module.stride, module.dilation)


RULES = {
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
    "Roll": roll,
    "DepthToSpace": functools.partial(blocks, "depth_to_space"),
    "SpaceToDepth": functools.partial(blocks, "space_to_depth"),
    "Patches": patches,
}
