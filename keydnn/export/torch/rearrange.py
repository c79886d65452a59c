"""Axes added, dropped, repeated and split, and patches of images."""

from __future__ import annotations

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


def depth_to_space(module: Any, site: Site) -> str:
    """Split the channels into rows, columns and channels: ``F.pixel_shuffle`` has these first."""
    size = module.block_size
    split = call(f"{site.inputs[0]}.unflatten", 3, (size, size, -1))
    return f"{split}.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)"


def space_to_depth(module: Any, site: Site) -> str:
    """Undo ``depth_to_space``."""
    size = module.block_size
    split = f"{call(f'{site.inputs[0]}.unflatten', 2, (-1, size))}.unflatten(1, {(-1, size)})"
    return f"{split}.permute(0, 1, 3, 2, 4, 5).flatten(3)"


def patches(module: Any, site: Site) -> str:
    """Unfold axis by axis, and put the channels behind the cells."""
    x, shape = site.inputs[0], site.shapes[0]
    axes = len(module.kernel_size)
    pads = _pads(module, shape[1:-1])
    if pads is None:
        first = call(f"{x}.movedim", -1, 1)
        dilation = unless((1,) * axes, module.dilation)
        x = call(site.define("same_pad"), first, module.kernel_size, module.stride, dilation)
        x = f"{x}.movedim(1, -1)"
    elif any(map(any, pads)):
        x = call("F.pad", x, (0, 0, *(cell for pair in reversed(pads) for cell in pair)))
    windows = zip(module.kernel_size, module.stride, module.dilation, strict=True)
    for axis, (size, stride, dilation) in enumerate(windows, 1):
        x = call(f"{x}.unfold", axis, (size - 1) * dilation + 1, stride)
    if set(module.dilation) != {1}:
        x += f"[..., {', '.join(f'::{step}' for step in module.dilation)}]"
    return f"{call(f'{x}.movedim', 1 + axes, -1)}.flatten({1 + axes})"


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
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Patches": patches,
}
