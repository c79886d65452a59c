"""The windows of convolutions in a plan: in two axes, and in the depth of volumes, whose planes are images."""

from __future__ import annotations

from typing import Any, NamedTuple

from keydnn.modules.dense import Linear
from keydnn.modules.geometry import in_volume, resolve_pads
from keydnn.plan.step import ImageSizes


class Depth(NamedTuple):
    """Kernel size, stride, dilation and padding in the depth; sequences and images have none."""

    size: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def is_flat(self) -> bool:
        """Whether each output plane reads the input plane at its place."""
        return self.size == self.stride == 1 and self.before == self.after == 0


class Window(NamedTuple):
    """Kernel size, stride, dilation (height, width each) and padding ((top, bottom), (left, right)); the same in depth.

    The padding of a transposed convolution is what it cuts off.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    depth: Depth = Depth()

    @property
    def is_plain_3x3(self) -> bool:
        """Whether Winograd applies."""
        return self.size == (3, 3) and self.stride == self.dilation == (1, 1) and self.depth.is_flat

    @property
    def halo(self) -> tuple[int, int, int, int]:
        """Zeros at the top, bottom, left and right."""
        return (*self.pads[0], *self.pads[1])


def window_of(module: Any, sizes: ImageSizes, examples: int) -> Window:
    """Give the window of a convolution for an input (N, C, H, W); an example that is a volume has several images."""
    if isinstance(module, Linear):
        return Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    spatial = (sizes[0] // examples, *sizes[2:])[3 - module.axes :]
    found = resolve_pads(module.padding, spatial, module.kernel_size, module.stride, module.dilation)
    front, rows, columns = ((0, 0),) * (3 - module.axes) + found
    (planes, *size), (apart, *stride), (wide, *dilation) = (
        in_volume(values) for values in (module.kernel_size, module.stride, module.dilation)
    )
    depth = Depth(planes, apart, wide, *front)
    return Window((size[0], size[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), (rows, columns), depth)
