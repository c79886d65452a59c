"""Rescaling, and the layers of ``keras.applications`` that scale."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import as_float32
from keydnn.modules.merge import Add
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


@builds("LayerScale")
def layer_scale(call: LayerCall) -> Value:
    """A factor for each channel of the last axis: a layer of ConvNeXt in ``keras.applications``."""
    call.ignore("init_values")
    channels = call.integer("projection_dim")
    x = call.input()
    shape = (*(1,) * (len(x.shape) - 2), channels)
    (gamma,) = call.weights(gamma=(channels,))
    return call.emit(Affine(shape, weight=gamma.reshape(shape), bias=np.zeros(shape, np.float32)), x)


@builds("CustomScaleLayer", "Custom>CustomScaleLayer")
def custom_scale_layer(call: LayerCall) -> Value:
    """The first input plus the second one scaled: a layer of InceptionResNetV2 in ``keras.applications``."""
    scale = call.number("scale", 1.0)
    x, branch = call.inputs()
    return call.emit(Add(), x, call.emit(Rescale(scale), branch, part="scaled"))
