"""Values with spatial axes, and windows over these: sizes, strides, padding.  The only place that knows SAME padding.

Kernels know volumes only: a sequence is a volume of one row, an image one of one plane.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Shape, integer, shape_text

LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}  # by the number of spatial axes

Bounds = npt.NDArray[np.int64]  # (outputs, 2): where the window of each output begins and ends
Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]  # (before, after) for each spatial axis
Padding = Pads | Literal["same"]
PerAxis: TypeAlias = Any  # given as an int or as one int an axis; held as a tuple of ints, one an axis
AnyPadding: TypeAlias = Any  # given as an int, ints, pairs, "same" or "valid"; held as Padding


def as_volume(x: Array) -> Array:
    """Give a view (N, C, D, H, W) of (N, C, L), (N, C, H, W) or (N, C, D, H, W)."""
    return x.reshape(*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:])


def in_volume(values: Ints, neutral: int = 1) -> Ints:
    """Give one value for each of D, H and W: a neutral one for axes that are not there."""
    return (neutral,) * (3 - len(values)) + values


def axis_tuple(name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """Give a per-axis parameter as a tuple: 3 -> (3, 3)."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(values) != axes:
        raise ParameterError(f"{name} must be one integer or {axes}, got {value!r}")
    return tuple(integer(name, v, least) for v in values)


def canonical_pads(name: str, value: Any, axes: int) -> Pads:
    """Give padding as ((before, after), ...): an int, one int an axis, or one pair an axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(values) != axes:
        raise ParameterError(f"{name} must be an integer, {axes} integers or {axes} pairs, got {value!r}")
    pairs = [tuple(v) if isinstance(v, (tuple, list)) else (v, v) for v in values]
    if any(len(pair) != 2 for pair in pairs):
        raise ParameterError(f"{name} must be an integer, {axes} integers or {axes} pairs, got {value!r}")
    return tuple((integer(name, before, 0), integer(name, after, 0)) for before, after in pairs)


def canonical_padding(value: Any, axes: int) -> Padding:
    """Give padding as ``"same"`` or ((before, after), ...)."""
    if isinstance(value, str):
        if value == "same":
            return "same"
        if value == "valid":
            return ((0, 0),) * axes
        raise ParameterError(f"padding must be 'same', 'valid', integers or pairs of them, got {value!r}")
    return canonical_pads("padding", value, axes)


def same_pads(size: int, kernel_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Work out Keras' SAME padding of one axis: output = ceil(size / stride), the odd cell goes behind.

    Source: TensorFlow's ``GetWindowedOutputSizeVerbose``; for stride 1 it is also PyTorch's ``padding="same"``.
    """
    reach = dilation * (kernel_size - 1) + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def resolve_pads(padding: Padding, sizes: Ints, kernel_size: Ints, stride: Ints, dilation: Ints) -> Pads:
    """Give explicit padding for known spatial sizes."""
    if padding != "same":
        return padding
    return tuple(same_pads(*axis) for axis in zip(sizes, kernel_size, stride, dilation, strict=True))


def window_sizes(
    owner: object, shape: Shape, kernel_size: Ints, stride: Ints, padding: Padding, dilation: Ints
) -> Shape:
    """Give the spatial sizes after a sliding window over the axes from 2 on; free sizes stay free.

    Raises
    ------
    ShapeError
        The window is larger than the padded input.
    """
    sizes: list[int | None] = []
    for axis, size in enumerate(shape[2:]):
        if size is None:
            sizes.append(None)
            continue
        reach = dilation[axis] * (kernel_size[axis] - 1) + 1
        pads = same_pads(size, kernel_size[axis], stride[axis], dilation[axis]) if padding == "same" else padding[axis]
        room = size + sum(pads) - reach
        if room < 0 or size < 1:
            found = shape_text(shape)
            raise ShapeError(f"{owner} has a window of {reach} on spatial axis {axis}, larger than its input {found}")
        sizes.append(room // stride[axis] + 1)
    return tuple(sizes)


def window_bounds(size: int, kernel_size: int, stride: int, before: int, outputs: int) -> Bounds:
    """Give the cells of each window that exist, on an axis with ``before`` cells of padding in front."""
    first = np.arange(outputs, dtype=np.int64) * stride - before
    return np.stack([np.maximum(first, 0), np.minimum(first + kernel_size, size)], axis=1)


def adaptive_bounds(size: int, outputs: int) -> Bounds:
    """Give windows that cover an axis: window i from ``i * size / outputs``, down, to ``(i + 1) * size / outputs``, up.

    Source: ``_compute_static_gather_indices`` in ``keras/src/backend/tensorflow/nn.py``; PyTorch has the same windows.
    """
    places = np.arange(outputs, dtype=np.int64)
    return np.stack([places * size // outputs, -(-(places + 1) * size // outputs)], axis=1)
