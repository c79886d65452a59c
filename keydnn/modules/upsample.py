"""Upsampling by integer factors: Upsample2d."""

from __future__ import annotations

from jit_kernels.upsample import upsample_bilinear2d_nchw_f32, upsample_nearest2d_nchw_f32
from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Shape, choice, module, shape_text, want_rank
from keydnn.modules.geometry import PerAxis, axis_tuple


@module
class Upsample2d(Module):
    """(N, C, H, W) made larger, as ``torch.nn.Upsample`` with ``align_corners=False``.

    Parameters
    ----------
    scale_factor
        Factor of H and W: an integer, or a pair.
    mode
        ``"nearest"``: cells are repeated.  ``"bilinear"``: linear between the centres of cells, constant beyond the
        outermost ones.  (Named, as PyTorch's second argument is another.)

    Keras source: ``keras.layers.UpSampling2D``.
    """

    scale_factor: PerAxis
    mode: str = "nearest"

    def __post_init__(self) -> None:
        self.set(
            scale_factor=axis_tuple("scale_factor", self.scale_factor, 2),
            mode=choice("mode", self.mode, ("nearest", "bilinear")),
        )
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        want_rank(self, x, 4, "(N, C, H, W)")
        if 0 in x[2:]:
            raise ShapeError(f"{self} takes an input with cells in it, got {shape_text(x)}")
        sizes = zip(x[2:], self.scale_factor, strict=True)
        return (*x[:2], *(None if size is None else size * factor for size, factor in sizes))

    def compute(self, *inputs: Array, out: Array) -> None:
        kernel = upsample_nearest2d_nchw_f32 if self.mode == "nearest" else upsample_bilinear2d_nchw_f32
        kernel(inputs[0], *self.scale_factor, out)
