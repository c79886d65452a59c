"""Moves of memory."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site
from keydnn.export.torch.windows import crop, pad


def flatten(module: Any, site: Site) -> str:
    """Keep the batch axis."""
    (x,) = site.inputs
    return call(f"{x}.unsqueeze", 1) if len(site.shapes[0]) == 1 else call(f"{x}.flatten", 1)


def reshape(module: Any, site: Site) -> str:
    """Write all sizes but the batch's, or but the one that is free."""
    (x,) = site.inputs
    sizes = site.shape[1:]
    if any(size is None for size in site.shapes[0][1:]):
        free = [-1 if size is None else size for size in module.shape]
        return call(f"{x}.reshape", f"{x}.shape[0]", *free)
    return call(f"{x}.reshape", -1, *sizes)


def permute(module: Any, site: Site) -> str:
    """Write the order; where two axes change places, these."""
    (x,) = site.inputs
    moved = [axis for axis, source in enumerate(module.dims) if axis != source]
    if not moved:
        return x
    return call(f"{x}.transpose", *moved) if len(moved) == 2 else call(f"{x}.permute", *module.dims)


def repeat_interleave(module: Any, site: Site) -> str:
    """Repeat every element of an axis."""
    return call(f"{site.inputs[0]}.repeat_interleave", module.repeats, dim=module.dim)


def zero_pad(module: Any, site: Site) -> str:
    """Put zeros around."""
    return pad(site.inputs[0], module.padding)


def cropping(module: Any, site: Site) -> str:
    """Cut off the edges."""
    return crop(site.inputs[0], module.cropping)


RULES = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatInterleave": repeat_interleave,
    "ZeroPad1d": zero_pad,
    "ZeroPad2d": zero_pad,
    "ZeroPad3d": zero_pad,
    "Crop1d": cropping,
    "Crop2d": cropping,
    "Crop3d": cropping,
}
