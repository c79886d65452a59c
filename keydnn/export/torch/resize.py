"""Images in another size: ``F.interpolate``, or weighted sums where its weights are not Keras'."""

from __future__ import annotations

from typing import Any

from keydnn.errors import ExportError
from keydnn.export.torch.expressions import call, per_axis, quoted
from keydnn.export.torch.indexing import indexed
from keydnn.export.torch.site import Site
from keydnn.export.torch.upsample import resampled
from keydnn.modules.resize import aspect_sizes

MODES = {"nearest": "nearest-exact", "bilinear": "bilinear"}  # of which PyTorch has the same


def resize(module: Any, site: Site) -> str:
    """Cut or pad to the new aspect ratio, and give the new size."""
    return _resized(module, site, module.fit, module.mode, module.mode != "nearest" and module.antialias)


def _resized(module: Any, site: Site, fit: str, mode: str, antialias: bool) -> str:
    x, shape = site.inputs[0], site.shapes[0]
    sizes = tuple(shape[axis] for axis in module.dims)
    if fit != "stretch":
        x, sizes = _fitted(module, x, fit, sizes, len(shape))
    if mode in MODES and not antialias and len(shape) == 4 and module.dims in ((2, 3), (1, 2)):
        return x if sizes == module.size else _interpolated(module, x, mode)
    for axis, size, new, name in zip(module.dims, sizes, module.size, ("height", "width"), strict=True):
        x = resampled(mode, site, x, axis, size, new, name, antialias)
    return x


def _interpolated(module: Any, x: str, mode: str) -> str:
    """Write PyTorch's own, with the channels moved where they are last."""
    align = False if mode == "bilinear" else None
    first = module.dims == (2, 3)
    moved = x if first else f"{x}.permute(0, 3, 1, 2)"
    found = call("F.interpolate", moved, per_axis(module.size), mode=quoted(MODES[mode]), align_corners=align)
    return found if first else f"{found}.permute(0, 2, 3, 1)"


def _known(sizes: tuple[int | None, ...], what: str) -> tuple[int, int]:
    """Give sizes; ExportError if one is free."""
    height, width = sizes
    if height is None or width is None:
        raise ExportError(f"{what} of images of free size")
    return height, width


def _fitted(module: Any, x: str, fit: str, sizes: tuple[int | None, ...], rank: int) -> tuple[str, tuple[int, ...]]:
    """Write the image cut or padded to the new aspect ratio, and give its sizes."""
    known = _known(sizes, f"fit={fit!r}")
    wanted = aspect_sizes(known, module.size, min if fit == "crop" else max)
    if fit == "crop":
        return _middle(x, module.dims, known, wanted), wanted
    pads = [0] * (2 * rank)
    grown = list(known)
    for place, (axis, size, new) in enumerate(zip(module.dims, known, wanted, strict=True)):
        half = (new - size) // 2
        pads[2 * (rank - 1 - axis) : 2 * (rank - axis)] = [half, half]
        grown[place] += 2 * half
    while pads and pads[-2:] == [0, 0]:
        pads = pads[:-2]
    padded = call("F.pad", x, tuple(pads), value=module.fill or None) if pads else x
    return padded, tuple(grown)


def _middle(x: str, dims: tuple[int, ...], sizes: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Write the middle along some axes; of an odd rest the smaller half is before it."""
    cells = [":"] * (max(dims) + 1)
    for axis, size, new in zip(dims, sizes, wanted, strict=True):
        start = (size - new) // 2
        if new < size:
            cells[axis] = f"{start or ''}:{start + new}"
    return indexed(x, cells)


def center_crop(module: Any, site: Site) -> str:
    """Take the middle, or make a smaller image larger."""
    sizes = _known(tuple(site.shapes[0][axis] for axis in module.dims), "the middle")
    if all(size >= new for size, new in zip(sizes, module.size, strict=True)):
        return _middle(site.inputs[0], module.dims, sizes, module.size)
    return _resized(module, site, "crop", "bilinear", False)


RULES = {"Resize": resize, "CenterCrop": center_crop}
