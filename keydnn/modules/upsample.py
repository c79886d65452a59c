"""Upsampling by integer factors: Upsample1d, Upsample2d, Upsample3d."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from jit_kernels.upsample import resample_f32, upsample_bilinear2d_nchw_f32, upsample_nearest_f32
from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Shape, choice, module, shape_text, want_rank
from keydnn.modules.geometry import LAYOUTS, PerAxis, as_volume, axis_tuple, in_volume
from keydnn.modules.sampling import SAMPLINGS, spans

REPEATING = ("nearest", "area")  # by integer factors they are the same


class _Upsample(Module):
    """What upsampling over any number of axes shares: cells are repeated."""

    axes: ClassVar[int] = 2
    scale_factor: PerAxis

    def __post_init__(self) -> None:
        self.set(scale_factor=axis_tuple("scale_factor", self.scale_factor, self.axes))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 2 + self.axes, LAYOUTS[self.axes])
        if 0 in x[2:]:
            raise ShapeError(f"{self} takes an input with cells in it, got {shape_text(x)}")
        sizes = zip(x[2:], self.scale_factor, strict=True)
        return (*x[:2], *(None if size is None else size * factor for size, factor in sizes))

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        upsample_nearest_f32(as_volume(inputs[0]), *in_volume(self.scale_factor), as_volume(out))


@module
class Upsample1d(_Upsample):
    """(N, C, L) made longer: cells are repeated, as ``torch.nn.Upsample`` of sequences does.

    Parameters
    ----------
    scale_factor
        Factor of L: an integer.

    Keras source: ``keras.layers.UpSampling1D``.
    """

    axes = 1
    scale_factor: PerAxis


@module
class Upsample2d(_Upsample):
    """(N, C, H, W) made larger, as ``torch.nn.Upsample`` with ``align_corners=False``.

    Parameters
    ----------
    scale_factor
        Factor of H and W: an integer, or a pair.
    mode
        ``"nearest"``: cells are repeated.  ``"area"``: the same, for integer factors.  ``"bilinear"``: linear between
        the centres of cells, constant beyond the outermost ones.  ``"bicubic"``, ``"mitchellcubic"``, ``"lanczos3"``,
        ``"lanczos5"``, ``"gaussian"``: weighted sums of more cells, as TensorFlow has them
        (``keydnn/modules/sampling.py``); along W, then along H.  (Named, as PyTorch's second argument is another.)

    Keras source: ``keras.layers.UpSampling2D``.
    """

    scale_factor: PerAxis
    mode: str = "nearest"

    def __post_init__(self) -> None:
        self.set(mode=choice("mode", self.mode, (*REPEATING, "bilinear", *SAMPLINGS)))
        super().__post_init__()

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        if self.mode in REPEATING:
            super().compute(x, out=out)
        elif self.mode == "bilinear":
            upsample_bilinear2d_nchw_f32(x, *self.scale_factor, out)
        else:
            batch, channels, height, width = x.shape
            _, _, out_height, out_width = out.shape
            wide = np.empty((batch * channels, height, out_width), np.float32)
            resample_f32(x.reshape(-1, width, 1), *spans(self.mode, width, out_width), wide.reshape(-1, out_width, 1))
            resample_f32(wide, *spans(self.mode, height, out_height), out.reshape(-1, out_height, out_width))


@module
class Upsample3d(_Upsample):
    """(N, C, D, H, W) made larger: cells are repeated, as ``torch.nn.Upsample`` of volumes does.

    Parameters
    ----------
    scale_factor
        Factor of D, H and W: an integer, or three.

    Keras source: ``keras.layers.UpSampling3D``.
    """

    axes = 3
    scale_factor: PerAxis
