"""The windows of convolutions in a plan, in two axes: sequences are images of one row."""

from __future__ import annotations

from typing import Any, NamedTuple

from keydnn.modules.dense import Linear
from keydnn.modules.geometry import resolve_pads
from keydnn.plan.step import ImageSizes


class Window(NamedTuple):
    """Kernel size, stride, dilation (height, width each) and padding ((top, bottom), (left, right)).

    The padding of a transposed convolution is what it cuts off.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]

    @property
    def is_plain_3x3(self) -> bool:
        """Whether Winograd applies."""
        return self.size == (3, 3) and self.stride == self.dilation == (1, 1)

    @property
    def is_pixel(self) -> bool:
        """Whether each output pixel reads the input pixel at its place."""
        return self.size == self.stride == (1, 1) and not any(map(any, self.pads))

    @property
    def halo(self) -> tuple[int, int, int, int]:
        """Zeros at the top, bottom, left and right."""
        return (*self.pads[0], *self.pads[1])


def window_of(module: Any, sizes: ImageSizes) -> Window:
    """Give the window of a convolution for an input (N, C, H, W)."""
    if isinstance(module, Linear):
        return Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    pads = resolve_pads(module.padding, sizes[4 - module.axes :], module.kernel_size, module.stride, module.dilation)
    one = (1,) * (2 - module.axes)
    none = ((0, 0),) * (2 - module.axes)
    return Window(one + module.kernel_size, one + module.stride, one + module.dilation, none + pads)
