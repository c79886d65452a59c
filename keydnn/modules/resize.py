"""Images in another size: Resize by interpolation, CenterCrop.  The kernel is in ``jit_kernels/upsample.py``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from jit_kernels.upsample import resample_f32
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Permutation, Shape, choice, flag, integer, module, number, shape_text
from keydnn.modules.geometry import PerAxis, axis_tuple
from keydnn.modules.sampling import MODES, spans


class _Resizing(Module):
    """What Resize and CenterCrop share: an output size for two axes."""

    size: PerAxis
    dims: Any

    def __post_init__(self) -> None:
        self.set(size=axis_tuple("size", self.size, 2))
        if not isinstance(self.dims, (tuple, list)) or len(self.dims) != 2:
            raise ParameterError(f"dims must be two axes, got {self.dims!r}")
        self.set(dims=tuple(integer("dims", axis) for axis in self.dims))
        if self.dims[0] == self.dims[1]:
            raise ParameterError(f"dims must be two axes, got {self.dims!r}")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) <= max(self.dims) or any(x[axis] == 0 for axis in self.dims):
            raise ShapeError(f"{self} takes an input with cells along the axes {self.dims}, got {shape_text(x)}")
        sizes = dict(zip(self.dims, self.size, strict=True))
        return tuple(sizes.get(axis, size) for axis, size in enumerate(x))

    def permuted(self, permutation: Permutation) -> Self:
        dims = tuple(permutation.index(axis) for axis in self.dims)
        return dataclasses.replace(self, dims=dims)  # type: ignore[type-var]  # subclasses are dataclasses


@module
class Resize(_Resizing):
    """Two axes of an image in another size, as TensorFlow's ``tf.image.resize``.

    Centres of cells are at 0.5, 1.5, ...; beyond the outermost cells there is nothing, and weights are scaled so that
    their sum is 1.

    Parameters
    ----------
    size
        New height and width: an integer, or a pair.
    mode
        ``"nearest"``, ``"bilinear"``, ``"bicubic"`` (Keys, a = -0.5, in 1024 steps), ``"area"``, ``"lanczos3"``,
        ``"lanczos5"``, ``"gaussian"`` or ``"mitchellcubic"``.
    antialias
        Whether the kernel of the mode grows with the step when an axis shrinks; without effect on nearest and area.
    fit
        ``"stretch"``; ``"crop"``: only the largest part of the new aspect ratio, from the middle; ``"pad"``: the
        smallest image of it around the old one.
    fill
        The value around the old image.
    dims
        The axes of height and width, the batch axis counted.

    Keras source: ``keras.layers.Resizing``, ``RandomCrop`` at inference.
    """

    size: PerAxis
    mode: str = "bilinear"
    antialias: bool = dataclasses.field(default=False, kw_only=True)
    fit: str = dataclasses.field(default="stretch", kw_only=True)
    fill: float = dataclasses.field(default=0.0, kw_only=True)
    dims: Any = dataclasses.field(default=(2, 3), kw_only=True)

    def __post_init__(self) -> None:
        self.set(
            mode=choice("mode", self.mode, MODES),
            antialias=flag("antialias", self.antialias),
            fit=choice("fit", self.fit, ("stretch", "crop", "pad")),
            fill=number("fill", self.fill),
        )
        super().__post_init__()

    def launches_only(self, *shapes: Shape) -> bool:
        return self.fit == "stretch"

    def compute(self, *inputs: Array, out: Array) -> None:
        x = self._fitted(inputs[0])
        (first, second), (height, width) = self.dims, self.size
        middle = np.empty((*x.shape[:first], height, *x.shape[first + 1 :]), np.float32)
        resample_f32(_lines(x, first), *spans(self.mode, x.shape[first], height, self.antialias), _lines(middle, first))
        resample_f32(
            _lines(middle, second), *spans(self.mode, x.shape[second], width, self.antialias), _lines(out, second)
        )

    def _fitted(self, x: Array) -> Array:
        """Cut or pad an image to the new aspect ratio."""
        sizes = tuple(x.shape[axis] for axis in self.dims)
        if self.fit == "stretch":
            return x
        wanted = aspect_sizes(sizes, self.size, min if self.fit == "crop" else max)
        if self.fit == "crop":
            return np.ascontiguousarray(_middle(x, self.dims, wanted))
        pads = [(0, 0)] * x.ndim
        for axis, size, new in zip(self.dims, sizes, wanted, strict=True):
            pads[axis] = ((new - size) // 2,) * 2
        return np.pad(x, pads, constant_values=np.float32(self.fill))


@module
class CenterCrop(_Resizing):
    """The middle of two axes of an image; a smaller image is resized as :class:`Resize` does with ``fit="crop"``.

    Parameters
    ----------
    size
        Height and width: an integer, or a pair.
    dims
        The axes of height and width, the batch axis counted.

    Keras source: ``keras.layers.CenterCrop``.
    """

    size: PerAxis
    dims: Any = dataclasses.field(default=(2, 3), kw_only=True)

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        if all(x.shape[axis] >= size for axis, size in zip(self.dims, self.size, strict=True)):
            np.copyto(out, _middle(x, self.dims, self.size))
        else:
            Resize(self.size, fit="crop", dims=self.dims).compute(x, out=out)


def aspect_sizes(sizes: tuple[int, ...], size: tuple[int, ...], bound: Callable[[int, int], int]) -> tuple[int, int]:
    """Give the sizes of the aspect ratio of ``size`` within (``min``) or around (``max``) an image, as Keras rounds."""
    (height, width), (new_height, new_width) = sizes, size
    fitted = bound(height, width * new_height // new_width), bound(width, height * new_width // new_height)
    return max(fitted[0], 1), max(fitted[1], 1)


def _middle(x: Array, dims: tuple[int, ...], sizes: tuple[int, ...]) -> Array:
    """Give the middle of an array along some axes; of an odd rest the smaller half is before it."""
    cut = [slice(None)] * x.ndim
    for axis, size in zip(dims, sizes, strict=True):
        start = (x.shape[axis] - size) // 2
        cut[axis] = slice(start, start + size)
    return x[tuple(cut)]


def _lines(x: Array, axis: int) -> Array:
    """Give an array as (outer, axis, inner)."""
    return x.reshape(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))
