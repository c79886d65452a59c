"""Pooling: ``F.max_pool*``, ``F.avg_pool*``, adaptive ones, and reductions for those of all cells.

A window of MaxPool that holds NaN gives NaN in PyTorch; Keras passes over it.  A window of nothing but -inf gives -inf
in PyTorch, the lowest finite number in Keras.  For all other values they are the same.
"""

from __future__ import annotations

import functools
from typing import Any

from keydnn.export.torch.expressions import call, per_axis, unless
from keydnn.export.torch.site import Site
from keydnn.export.torch.windows import around, resolved, symmetric
from keydnn.modules.geometry import Pads


def _inside(module: Any, pads: Pads | None) -> int | tuple[int, ...] | None:
    """Give padding that PyTorch's pools take: the same on both sides, and at most half of the window."""
    if pads is None or any(2 * before > size for (before, _), size in zip(pads, module.kernel_size, strict=True)):
        return None
    return symmetric(pads)


def _window(module: Any) -> tuple[int | tuple[int, ...], int | tuple[int, ...] | None]:
    """Give the window, and its stride if that is not the window's size."""
    size, stride = per_axis(module.kernel_size), per_axis(module.stride)
    return size, None if size == stride else stride


def max_pool(module: Any, site: Site) -> str:
    """Pad with -inf where PyTorch itself cannot pad so."""
    pads = resolved(module, site.shapes[0])
    inside = _inside(module, pads)
    x = site.inputs[0] if inside is not None else around(module, site, pads, "lowest")
    size, stride = _window(module)
    return call(f"F.max_pool{module.axes}d", x, size, stride=stride, padding=unless(0, inside))


def avg_pool(module: Any, site: Site) -> str:
    """Pad with zeros where PyTorch itself cannot pad so; where padding does not count, by a function that counts."""
    pads = resolved(module, site.shapes[0])
    inside = _inside(module, pads)
    size, stride = _window(module)
    if inside is None and not module.count_include_pad:
        cells = None if pads is None else tuple(cell for pair in reversed(pads) for cell in pair)
        return call(site.define("average_pool"), site.inputs[0], module.kernel_size, module.stride, cells)
    x = site.inputs[0] if inside is not None else around(module, site, pads, "zeros")
    counted = None if module.count_include_pad or not inside else False
    return call(
        f"F.avg_pool{module.axes}d", x, size, stride=stride, padding=unless(0, inside), count_include_pad=counted
    )


def global_pool(operation: str, module: Any, site: Site) -> str:
    """Reduce all spatial axes."""
    axes = tuple(range(2, 2 + module.axes))
    dim = axes if len(axes) > 1 else axes[0]
    return call(f"{site.inputs[0]}.{operation}", dim, keepdim=unless(False, module.keepdims))


def masked(module: Any, site: Site) -> str:
    """Leave what the mask hides out of the sum, and of the count."""
    x, mask = site.inputs
    return call(site.define("masked_mean"), x, mask, keepdim=unless(False, module.keepdims))


def adaptive(operation: str, module: Any, site: Site) -> str:
    """Write an adaptive pool."""
    return call(f"F.adaptive_{operation}_pool{module.axes}d", site.inputs[0], per_axis(module.output_size))


RULES = {
    f"{kind}{axes}d": rule
    for axes in (1, 2, 3)
    for kind, rule in (
        ("MaxPool", max_pool),
        ("AvgPool", avg_pool),
        ("GlobalMaxPool", functools.partial(global_pool, "amax")),
        ("GlobalAvgPool", functools.partial(global_pool, "mean")),
        ("AdaptiveMaxPool", functools.partial(adaptive, "max")),
        ("AdaptiveAvgPool", functools.partial(adaptive, "avg")),
    )
} | {"MaskedGlobalAvgPool1d": masked}
