"""LocallyConnected1D and LocallyConnected2D of Keras 1 and 2, whose three implementations store other weights.

Sources: ``tf_keras/src/layers/locally_connected``, and ``local_conv`` and ``bias_add`` in ``tf_keras/src/backend.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import MAX_ELEMENTS, Array
from keydnn.modules.geometry import Ints, Pads
from keydnn.modules.locally_connected import LocallyConnected1d, LocallyConnected2d

MODULES: dict[str, Any] = {"LocallyConnected1D": LocallyConnected1d, "LocallyConnected2D": LocallyConnected2d}


@dataclass(frozen=True)
class Places:
    """Which cells each place of the output reads.

    Attributes
    ----------
    sizes, kernel_size, stride
        Of the input, the windows and their distances, one an axis.
    outputs
        Places, one number an axis.
    pads
        Cells of zeros before and after.
    """

    sizes: Ints
    kernel_size: Ints
    stride: Ints
    outputs: Ints
    pads: Pads

    @classmethod
    def of(cls, sizes: Ints, kernel_size: Ints, stride: Ints, padding: str) -> Places:
        """Give the places of Keras' windows: ``same`` has half a kernel in front, rounded down, whatever the stride."""
        outputs, pads = [], []
        for size, kernel, step in zip(sizes, kernel_size, stride, strict=True):
            before = kernel // 2 if padding == "same" else 0
            count = -(-size // step) if padding == "same" else (size - kernel) // step + 1
            after = max((count - 1) * step + kernel - before - size, 0) if padding == "same" else 0
            outputs.append(count)
            pads.append((before, after))
        return cls(sizes, kernel_size, stride, tuple(outputs), tuple(pads))

    def cells(self) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.bool_]]:
        """Give the cell that each place reads with each tap, axis by axis, and which of these exist.

        All have the shape (*outputs, *kernel_size) once broadcast.
        """
        axes = len(self.sizes)
        cells, exist = [], np.ones((1,) * 2 * axes, bool)
        for axis in range(axes):
            count, taps = self.outputs[axis], np.arange(self.kernel_size[axis])
            cell = np.arange(count)[:, np.newaxis] * self.stride[axis] - self.pads[axis][0] + taps
            shape = [1] * 2 * axes
            shape[axis], shape[axes + axis] = cell.shape
            exist = exist & ((cell >= 0) & (cell < self.sizes[axis])).reshape(shape)
            cells.append(np.clip(cell, 0, self.sizes[axis] - 1).reshape(shape))
        return cells, exist

    def connected(self) -> int:
        """Count the pairs of a place and a cell that it reads."""
        total = 1
        for size, kernel, step, count, (before, _) in zip(
            self.sizes, self.kernel_size, self.stride, self.outputs, self.pads, strict=True
        ):
            if count <= kernel:  # go through the shorter of the two
                first = np.arange(count) * step - before
                end = np.minimum(first + kernel, size)
            else:
                taps = np.arange(kernel) - before
                first, end = -(taps // step), np.minimum((size - 1 - taps) // step + 1, count)
            total *= int((end - np.maximum(first, 0)).clip(0).sum())
        return total


@builds(*MODULES, fused_activation=True)
def locally_connected(call: LayerCall) -> Value:
    """Every implementation's kernel -> weight (*outputs, out, in, *sizes)."""
    module_type = MODULES[call.class_name]
    axes = module_type.axes
    call.ignore("activation")
    filters, implementation = call.integer("filters"), call.integer("implementation", 1)
    kernel_size, stride = call.integers("kernel_size", axes), call.integers("strides", axes, 1)
    padding, use_bias = call.choice("padding", "valid", ("valid", "same")), call.boolean("use_bias", True)
    last = call.channels_last()
    if implementation not in (1, 2, 3):
        call.refuse("implementation", "1, 2 or 3 is expected")
    if implementation == 1 and padding != "valid":
        call.refuse("padding", "implementation 1 has none")
    x = call.to_channels_first(call.input(rank=2 + axes), last)
    channels, *sizes = (call.size(x, axis) for axis in range(1, 2 + axes))
    reach = 2 if padding == "same" else 1
    if any(kernel > size * reach for kernel, size in zip(kernel_size, sizes, strict=True)):
        call.refuse("kernel_size", "larger than the input")
        call.stop()
    places = Places.of(tuple(sizes), kernel_size, stride, padding)
    if math.prod((*places.outputs, *kernel_size, channels, filters)) > MAX_ELEMENTS:
        call.refuse("filters", "more weights than any memory holds")
        call.stop()
    shape = _kernel_shape(places, implementation, channels, filters, last)
    kernel, *bias = call.weights(kernel=shape, bias=(*places.outputs, filters) if use_bias else None)
    module = module_type(
        channels,
        filters,
        kernel_size,
        places.outputs,
        stride,
        places.pads,
        use_bias,
        weight=_weight(kernel, places, implementation, channels, filters, last),
        bias=_bias(bias[0], last) if bias else None,
    )
    return call.to_channels_last(call.emit(module, x), last)


def _kernel_shape(places: Places, implementation: int, channels: int, filters: int, last: bool) -> tuple[int, ...]:
    """Give the shape that Keras stores."""
    if implementation == 1:
        return (math.prod(places.outputs), math.prod(places.kernel_size) * channels, filters)
    if implementation == 3:
        return (places.connected() * channels * filters,)
    if last:
        return (*places.sizes, channels, *places.outputs, filters)
    return (channels, *places.sizes, filters, *places.outputs)


def _weight(kernel: Array, places: Places, implementation: int, channels: int, filters: int, last: bool) -> Array:
    """Give the weight of the module."""
    axes, outputs, size = len(places.sizes), places.outputs, places.kernel_size
    if implementation == 1 and not last:  # (*outputs, in, *size, out)
        kernel = kernel.reshape(*outputs, channels, *size, filters)
        return np.moveaxis(kernel, -1, axes)
    if implementation == 1:
        taps = kernel.reshape(*outputs, *size, channels, filters)
    elif implementation == 2:
        taps = _taps_of_dense(kernel, places, last)
    else:
        taps = _taps_of_sorted(kernel, places, channels, filters, last)
    return np.moveaxis(taps, (-1, -2), (axes, axes + 1))


def _taps_of_dense(kernel: Array, places: Places, last: bool) -> Array:
    """Pick (*outputs, *size, in, out) out of the matrix of all cells and places; zeros where there is no cell."""
    axes = len(places.sizes)
    cells, exist = places.cells()
    targets = [
        np.arange(count).reshape(*[1] * axis, count, *[1] * (2 * axes - 1 - axis))
        for axis, count in enumerate(places.outputs)
    ]
    every = [slice(None)]
    index: Any = (*cells, *every, *targets, *every) if last else (*every, *cells, *every, *targets)
    return np.where(exist[..., np.newaxis, np.newaxis], kernel[index], np.float32(0))


def _taps_of_sorted(kernel: Array, places: Places, channels: int, filters: int, last: bool) -> Array:
    """Put (*outputs, *size, in, out) together from a list that is sorted by place and filter, then by cell and channel.

    Both are counted as the elements of one example are: the channels last, or first.
    """
    axes, outputs = len(places.sizes), places.outputs
    cells, exist = places.cells()
    shape = (*outputs, *places.kernel_size, channels, filters)
    grid = np.meshgrid(*(np.arange(count) for count in outputs), indexing="ij")
    place = np.ravel_multi_index(tuple(grid), outputs).reshape(*outputs, *[1] * (axes + 2))
    cell = np.ravel_multi_index(tuple(np.broadcast_arrays(*cells)), places.sizes)[..., np.newaxis, np.newaxis]
    channel, filter_ = np.arange(channels)[:, np.newaxis], np.arange(filters)
    if last:
        target, source = place * filters + filter_, cell * channels + channel
    else:
        target, source = filter_ * math.prod(outputs) + place, channel * math.prod(places.sizes) + cell
    order = np.broadcast_to(target * (math.prod(places.sizes) * channels) + source, shape).reshape(-1)
    there = np.flatnonzero(np.broadcast_to(exist[..., np.newaxis, np.newaxis], shape))
    taps = np.zeros(math.prod(shape), np.float32)
    taps[there[np.argsort(order[there], kind="stable")]] = kernel
    return taps.reshape(shape)


def _bias(bias: Array, last: bool) -> Array:
    """(*outputs, out) -> (out, *outputs); with the channels first Keras takes the same numbers for (out, *outputs)."""
    return np.moveaxis(bias, -1, 0) if last else bias.reshape(bias.shape[-1], *bias.shape[:-1])
