"""Rescaling."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import as_float32
from keydnn.modules.rescale import Affine, Rescale


@builds("Rescaling", passes_mask=3)
def rescaling(call: LayerCall) -> Value:
    """By two numbers, or by lists that are broadcast along the last axes, as NumPy does."""
    scale, offset = call.numbers("scale", 1.0), call.numbers("offset", 0.0)
    x = call.input()
    if scale.ndim == offset.ndim == 0:
        return call.emit(Rescale(float(scale), float(offset)), x)
    if scale.ndim and offset.ndim and scale.shape != offset.shape:
        call.refuse("offset", f"as many numbers as scale has are expected: {scale.shape}")
        call.stop()
    sizes = scale.shape or offset.shape
    shape = (1,) * (len(x.shape) - 1 - len(sizes)) + sizes
    weight, bias = (as_float32(np.broadcast_to(array, sizes).reshape(shape)) for array in (scale, offset))
    return call.emit(Affine(shape, weight=weight, bias=bias), x)
