"""Normalisation: BatchNorm1d/2d/3d with running statistics, GroupNorm, LayerNorm, RMSNorm, UnitNorm."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np

from jit_kernels.norm import batch_norm_f32, group_norm_f32, layer_norm_f32, rms_norm_f32, unit_norm_f32
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import (
    Array,
    Module,
    Shape,
    flag,
    integer,
    module,
    number,
    shape_text,
    tensor,
    want_size,
)
from keydnn.modules.geometry import PerAxis


class _Norm(Module):
    """Parameters that all normalisations share."""

    eps: float
    use_weight: bool
    use_bias: bool
    weight: Array | None
    bias: Array | None

    def __post_init__(self) -> None:
        self.set(
            eps=number("eps", self.eps),
            use_weight=flag("use_weight", self.use_weight),
            use_bias=flag("use_bias", self.use_bias),
        )
        if self.eps < 0:
            raise ParameterError(f"eps must not be negative, got {self.eps!r}")
        super().__post_init__()

    def affine_shapes(self, *shape: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weight and the bias that there are."""
        used = {"weight": self.use_weight, "bias": self.use_bias}
        return {name: shape for name, present in used.items() if present}

    def output_shape(self, *shapes: Shape) -> Shape:
        self.check_input(shapes[0])
        return shapes[0]

    def check_input(self, shape: Shape) -> None:
        """Raise ShapeError unless an input has the rank and the sizes."""
        raise NotImplementedError


class _BatchNorm(_Norm):
    """What BatchNorm1d, BatchNorm2d and BatchNorm3d share; ``layouts`` has the layout for each rank taken."""

    layouts: ClassVar[dict[int, str]]
    num_features: int
    running_mean: Array | None
    running_var: Array | None

    def __post_init__(self) -> None:
        self.set(num_features=integer("num_features", self.num_features))
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        statistics = {"running_mean": (self.num_features,), "running_var": (self.num_features,)}
        return self.affine_shapes(self.num_features) | statistics

    def check_input(self, shape: Shape) -> None:
        layouts = {rank: layout.format(self.num_features) for rank, layout in self.layouts.items()}
        if len(shape) not in layouts:
            raise ShapeError(f"{self} takes an input {' or '.join(layouts.values())}, got {shape_text(shape)}")
        want_size(self, shape, 1, self.num_features, layouts[len(shape)])

    @functools.cached_property
    def factor(self) -> Array:
        """``weight / sqrt(running_var + eps)``, worked out in float64 and rounded once; (num_features,)."""
        assert self.running_var is not None  # forward has checked
        weight = np.float64(1) if self.weight is None else self.weight.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a bad variance shows in the result
            return (weight / np.sqrt(self.running_var.astype(np.float64) + self.eps)).astype(np.float32)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        planes = (*x.shape[:2], math.prod(x.shape[2:]))
        bias = np.zeros(self.num_features, np.float32) if self.bias is None else self.bias
        batch_norm_f32(x.reshape(planes), self.running_mean, self.factor, bias, out.reshape(planes))


@module
class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); parameters and weights as of :class:`BatchNorm2d`.

    Keras source: ``keras.layers.BatchNormalization``.
    """

    layouts = {2: "(N, {})", 3: "(N, {}, L)"}  # noqa: RUF012  # a constant
    num_features: int
    eps: float = 1e-5
    use_weight: bool = True
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()
    running_mean: Array | None = tensor()
    running_var: Array | None = tensor()


@module
class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W) by running statistics, as ``torch.nn.BatchNorm2d`` in ``eval`` mode.

    ``(x - running_mean) * (weight / sqrt(running_var + eps)) + bias``; the factor is worked out in float64.

    Parameters
    ----------
    num_features
        Channels C.
    eps
        Added to the variance, >= 0.
    use_weight, use_bias
        Whether there is a weight (Keras' ``scale``) and a bias (Keras' ``center``).
    weight, bias, running_mean, running_var
        (num_features,).

    Keras source: ``keras.layers.BatchNormalization`` (``epsilon`` is 1e-3 there by default).
    """

    layouts = {4: "(N, {}, H, W)"}  # noqa: RUF012  # a constant
    num_features: int
    eps: float = 1e-5
    use_weight: bool = True
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()
    running_mean: Array | None = tensor()
    running_var: Array | None = tensor()


@module
class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W); parameters and weights as of :class:`BatchNorm2d`.

    Keras source: ``keras.layers.BatchNormalization``.
    """

    layouts = {5: "(N, {}, D, H, W)"}  # noqa: RUF012  # a constant
    num_features: int
    eps: float = 1e-5
    use_weight: bool = True
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()
    running_mean: Array | None = tensor()
    running_var: Array | None = tensor()


@module
class GroupNorm(_Norm):
    """Normalisation of the channels of (N, C, ...) in groups, as ``torch.nn.GroupNorm``.

    ``(x - mean) / sqrt(variance + eps) * weight + bias``, mean and variance (divided by the count) of all cells of a
    group of neighbouring channels.

    Parameters
    ----------
    num_groups
        Groups: a divisor of ``num_channels``.  As many as channels is instance normalisation.
    num_channels
        Channels C.
    eps
        Added to the variance, >= 0.
    use_weight, use_bias
        Whether there is a weight (Keras' ``scale``) and a bias (Keras' ``center``).
    weight, bias
        (num_channels,).

    Keras source: ``keras.layers.GroupNormalization`` (``epsilon`` is 1e-3 there by default).
    """

    num_groups: int
    num_channels: int
    eps: float = 1e-5
    use_weight: bool = True
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()

    def __post_init__(self) -> None:
        self.set(num_groups=integer("num_groups", self.num_groups))
        self.set(num_channels=integer("num_channels", self.num_channels))
        if self.num_channels % self.num_groups:
            raise ParameterError(f"num_groups={self.num_groups} must divide num_channels={self.num_channels}")
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return self.affine_shapes(self.num_channels)

    def check_input(self, shape: Shape) -> None:
        wanted = f"(N, {self.num_channels}, ...)"
        if len(shape) < 2 or 0 in shape[2:]:
            raise ShapeError(f"{self} takes an input {wanted} with cells in it, got {shape_text(shape)}")
        want_size(self, shape, 1, self.num_channels, wanted)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        cells = math.prod(x.shape[2:])
        rows = (len(x) * self.num_groups, self.num_channels // self.num_groups * cells)
        weight = np.ones(self.num_channels, np.float32) if self.weight is None else self.weight
        bias = np.zeros(self.num_channels, np.float32) if self.bias is None else self.bias
        group_norm_f32(x.reshape(rows), cells, weight, bias, self.eps, out.reshape(rows))


class _LastAxes(_Norm):
    """What LayerNorm and RMSNorm share: rows of the last axes are normalised, each by itself."""

    normalized_shape: PerAxis

    def __post_init__(self) -> None:
        given = self.normalized_shape
        sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        if not sizes:
            raise ParameterError("normalized_shape must have at least one size, got ()")
        self.set(normalized_shape=tuple(integer("normalized_shape", size) for size in sizes))
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return self.affine_shapes(*self.normalized_shape)

    def check_input(self, shape: Shape) -> None:
        axes = len(self.normalized_shape)
        wanted = f"(N, ..., {', '.join(map(str, self.normalized_shape))})"
        if len(shape) <= axes:  # the batch axis is never normalised
            raise ShapeError(f"{self} takes an input {wanted}, got {shape_text(shape)}")
        for axis in range(-axes, 0):
            want_size(self, shape, axis, self.normalized_shape[axis], wanted)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def rows(self, x: Array) -> tuple[Array, int]:
        """Give an array as (rows, size), and the size."""
        size = math.prod(self.normalized_shape)
        return x.reshape(x.size // size, size), size


@module
class LayerNorm(_LastAxes):
    """Normalisation over the last axes, as ``torch.nn.LayerNorm``.

    ``(x - mean) / sqrt(variance + eps) * weight + bias``, mean and variance (divided by the count) of each row.

    Parameters
    ----------
    normalized_shape
        Sizes of the last axes: an integer or a tuple.
    eps
        Added to the variance, >= 0.
    use_weight, use_bias
        Whether there is a weight (Keras' ``scale``) and a bias (Keras' ``center``).
    weight, bias
        Of shape ``normalized_shape``.

    Keras source: ``keras.layers.LayerNormalization`` (``epsilon`` is 1e-3 there by default) over the last axes,
    without ``rms_scaling``.
    """

    normalized_shape: PerAxis
    eps: float = 1e-5
    use_weight: bool = True
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()

    def compute(self, *inputs: Array, out: Array) -> None:
        (x, size), (results, _) = self.rows(inputs[0]), self.rows(out)
        weight = np.ones(size, np.float32) if self.weight is None else self.weight.reshape(-1)
        bias = np.zeros(size, np.float32) if self.bias is None else self.bias.reshape(-1)
        layer_norm_f32(x, weight, bias, self.eps, results)


@module
class RMSNorm(_LastAxes):
    """Division by the root mean square over the last axes, as ``torch.nn.RMSNorm``.

    ``x / sqrt(mean(x**2) + eps) * weight``, the mean of each row.

    Parameters
    ----------
    normalized_shape
        Sizes of the last axes: an integer or a tuple.
    eps
        Added to the mean square, >= 0.
    use_weight
        Whether there is a weight.
    centered
        Whether the variance of the row takes the place of its mean square; from ``x`` nothing is subtracted all the
        same.  By keyword only.
    weight
        Of shape ``normalized_shape``.

    Keras source: ``keras.layers.RMSNormalization`` (``epsilon`` is 1e-6 there by default) over the last axes, and
    ``LayerNormalization`` with ``rms_scaling`` (``centered=True``).
    """

    use_bias = False
    normalized_shape: PerAxis
    eps: float = 1e-5
    use_weight: bool = True
    centered: bool = dataclasses.field(default=False, kw_only=True)
    weight: Array | None = tensor()

    def __post_init__(self) -> None:
        self.set(centered=flag("centered", self.centered))
        super().__post_init__()

    def compute(self, *inputs: Array, out: Array) -> None:
        (x, size), (results, _) = self.rows(inputs[0]), self.rows(out)
        weight = np.ones(size, np.float32) if self.weight is None else self.weight.reshape(-1)
        rms_norm_f32(x, weight, self.centered, self.eps, results)


@module
class UnitNorm(Module):
    """Rows of length 1: ``x / max(sqrt(sum(x**2)), eps)``, as ``torch.nn.functional.normalize``.

    Parameters
    ----------
    start_dim
        Rows go from this axis to the last one; the batch axis counts as 0, and a negative number from the end.
    eps
        Least length to divide by, > 0.

    Keras source: ``keras.layers.UnitNormalization``; ``eps`` is 1e-12 in Keras 3, 1e-6 in Keras 2.
    """

    start_dim: int = -1
    eps: float = 1e-12

    def __post_init__(self) -> None:
        self.set(start_dim=integer("start_dim", self.start_dim, least=-64), eps=number("eps", self.eps))
        if self.eps <= 0:
            raise ParameterError(f"eps must be positive, got {self.eps!r}")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not (-len(x) < self.start_dim < 0 or 0 < self.start_dim < len(x)):
            raise ShapeError(
                f"{self} takes an input that has an axis {self.start_dim} behind the batch, got {shape_text(x)}"
            )
        return x

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        size = max(math.prod(out.shape[self.start_dim :]), 1)
        rows = (out.size // size, size)
        unit_norm_f32(inputs[0].reshape(rows), self.eps, out.reshape(rows))
