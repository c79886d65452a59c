"""Padding of sliding windows, as convolutions and pools have it in ONNX."""

from __future__ import annotations

from typing import Any

from keydnn.modules.base import Shape
from keydnn.modules.geometry import Ints, Pads, resolve_pads


def onnx_pads(pads: Pads) -> list[int]:
    """Give the cells before every axis, then those behind."""
    return [before for before, _ in pads] + [after for _, after in pads]


def padding(module: Any, shape: Shape, dilation: Ints) -> dict[str, Any]:
    """Give the attributes for the padding of windows over a shape.

    For free sizes SAME is ``SAME_UPPER``, which is Keras' rule, too: as many outputs as the size divided by the stride,
    rounded up, and the odd cell behind.
    """
    sizes = [size for size in shape[2:] if size is not None]
    if module.padding == "same" and len(sizes) < len(shape) - 2:
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": onnx_pads(resolve_pads(module.padding, tuple(sizes), module.kernel_size, module.stride, dilation))}
