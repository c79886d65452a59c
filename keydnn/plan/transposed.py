"""Transposed convolutions in a plan: the output pixels of each phase of the stride are a convolution of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keydnn.plan.direct import DirectJob, Phase, rows_of
from keydnn.plan.planes import Planes
from keydnn.plan.step import ImageSizes, Job
from keydnn.plan.window import Window

if TYPE_CHECKING:
    from keydnn.plan.conv import Convolution

Taps = tuple[tuple[int, int], ...]


def job(
    owner: Convolution, window: Window, planes: Sequence[Planes], x: ImageSizes, out: ImageSizes, threads: int
) -> Job | None:
    """Give the job; None for groups, and where some pixels read no input at all."""
    strides = window.stride
    per_axis = [[taps_of(window, axis, phase) for phase in range(min(strides[axis], out[2 + axis]))] for axis in (0, 1)]
    if owner.groups > 1 or not all(taps for axis in per_axis for taps in axis):
        return None
    phases = [
        Phase(
            rows_of(group, rows, window), columns, (1, 1), (first_row, first_column), strides,
            (-(-(out[2] - first_row) // strides[0]), -(-(out[3] - first_column) // strides[1])), group,
        )
        for group in planes
        for first_row, rows in enumerate(per_axis[0]) for first_column, columns in enumerate(per_axis[1])
    ]  # fmt: skip
    top, bottom, left, right = 0, 0, 0, 0
    for phase in phases:
        (above, below), (before, behind) = (
            (-min(tap[-1] for tap in taps), size - 1 + max(tap[-1] for tap in taps) - (whole - 1))
            for taps, size, whole in zip((phase.rows, phase.columns), phase.size, x[2:], strict=True)
        )
        top, bottom, left, right = max(top, above), max(bottom, below), max(left, before), max(right, behind)
    return DirectJob(owner, phases, x, out, threads, "transposed").job((top, bottom, left, right))


def taps_of(window: Window, axis: int, phase: int) -> Taps:
    """Give the taps of an axis that reach the outputs ``phase + q * stride``: index, and input pixel relative to q.

    Input pixel i adds to output ``i * stride + index * dilation - crop``; ordered by the input pixel.
    """
    stride, dilation, crop = window.stride[axis], window.dilation[axis], window.pads[axis][0]
    reached = [(phase + crop - index * dilation, index) for index in range(window.size[axis])]
    return tuple(
        sorted(((index, shift // stride) for shift, index in reached if shift % stride == 0), key=lambda tap: tap[1])
    )
