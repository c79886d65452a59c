"""Normalization, the preprocessing layer."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Array, as_float32
from keydnn.modules.rescale import Affine
from keydnn.modules.standardize import Standardize

LEAST = np.float32(1e-7)  # keras.backend.epsilon()


@builds("Normalization", passes_mask=3)
def normalization(call: LayerCall) -> Value:
    """Mean and variance from the configuration, or from the weights that ``adapt`` has left; ``invert`` undoes it."""
    axes = call.axes("axis", -1) if call.option("axis", -1) not in (None, []) else []
    given: list[Array] = []
    if call.option("mean") is not None:
        given = [as_float32(call.numbers("mean", 0.0)), as_float32(call.numbers("variance", 1.0))]
    invert = call.boolean("invert", False)
    x = call.input()
    kept = call.positions(x, axes) if axes else []
    sizes = tuple(call.size(x, axis) for axis in kept)
    shape = tuple(call.size(x, axis) if axis in kept else 1 for axis in range(1, len(x.shape)))
    if not given:
        given = call.weights(mean=sizes, variance=sizes)
        call.ignore_weights("count")
    if any(array.shape != sizes[len(sizes) - array.ndim :] for array in given):
        call.refuse("mean", f"mean and variance of shape {sizes} are expected")
        call.stop()
    mean, variance = (np.broadcast_to(array, sizes).reshape(shape) for array in given)
    std = np.maximum(np.sqrt(variance), LEAST)
    return call.emit(Affine(shape, weight=std, bias=mean) if invert else Standardize(shape, mean=mean, std=std), x)
