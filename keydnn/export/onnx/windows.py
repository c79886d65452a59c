"""Padding of sliding windows, as convolutions and pools have it in ONNX.

SAME is explicit where the cells are known: where the sizes are, and for free sizes where their number is the same for
any, as with a stride of 1.  Otherwise it is ``SAME_UPPER``, which is Keras' rule: as many outputs as the size divided
by the stride, rounded up, and the odd cell behind; onnxruntime takes it for strides up to the window and no dilation.
What is left is padded by an operator of its own, by cells that are worked out from the size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keydnn.export.onnx.site import END, AnyArray, Site, ints
from keydnn.modules.geometry import Ints, Pads, same_pads


def onnx_pads(pads: Pads) -> list[int]:
    """Give the cells before every axis, then those behind."""
    return [before for before, _ in pads] + [after for _, after in pads]


def cropped(site: Site, x: str, crops: Pads) -> str:
    """Cut cells off the ends of the spatial axes."""
    starts, ends = ([cut[side] for cut in crops] for side in (0, 1))
    axes = ints(*range(2, 2 + len(crops)))
    return site.op("Slice", x, ints(*starts), ints(*(-cut if cut else END for cut in ends)), axes)


def windows(module: Any, site: Site, dilation: Ints, fill: AnyArray | None) -> tuple[str, dict[str, Any]]:
    """Give the input of a window operator, padded if it must be, and the attributes for its windows.

    Parameters
    ----------
    module
        With ``kernel_size``, ``stride`` and ``padding``.
    site
        Of the module.
    dilation
        Of the windows.
    fill
        What absent cells hold, or None if an operator of its own cannot pad: then such windows are refused.
    """
    (x,) = site.inputs
    attributes: dict[str, Any] = {"kernel_shape": module.kernel_size, "strides": module.stride}
    known = list(_known_pads(module, site.shapes[0][2:], dilation))
    pads = tuple(pair for pair in known if pair is not None)
    if len(pads) == len(known):
        return x, attributes | {"pads": onnx_pads(pads)}
    steps = zip(module.kernel_size, module.stride, dilation, strict=True)
    if all(stride <= window and apart == 1 for window, stride, apart in steps):
        return x, attributes | {"auto_pad": "SAME_UPPER"}
    if fill is None:
        site.refuse("SAME padding of a free size by a stride beyond the window, left out of means, has no operator")
    return _padded(module, site, dilation, fill), attributes


def _known_pads(module: Any, sizes: tuple[int | None, ...], dilation: Ints) -> Iterator[tuple[int, int] | None]:
    """Give the padding of each axis, or None if it depends on a free size."""
    if module.padding != "same":
        yield from module.padding
        return
    for size, window, stride, apart in zip(sizes, module.kernel_size, module.stride, dilation, strict=True):
        same_for_all = stride == 1 or window == 1
        yield None if size is None and not same_for_all else same_pads(size or stride, window, stride, apart)


def _padded(module: Any, site: Site, dilation: Ints, fill: AnyArray) -> str:
    """Pad by ``max((ceil(size / stride) - 1) * stride + reach - size, 0)``, the odd cell behind."""
    (x,) = site.inputs
    strides = ints(*module.stride)
    reach = ints(*(apart * (window - 1) + 1 for window, apart in zip(module.kernel_size, dilation, strict=True)))
    sizes = site.op("Shape", x, start=2)
    before_last = site.op("Div", site.op("Sub", sizes, ints(1)), strides)  # ceil(size / stride) - 1
    covered = site.op("Add", site.op("Mul", before_last, strides), reach)
    total = site.op("Max", site.op("Sub", covered, sizes), ints(0))
    before = site.op("Div", total, ints(2))
    pads = site.op("Concat", before, site.op("Sub", total, before), axis=0)
    return site.op("Pad", x, pads, fill, ints(*range(2, len(site.shape))))
