"""Normalisation: BatchNorm1d/2d with running statistics, LayerNorm."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import numpy as np

from jit_kernels.norm import batch_norm_f32, layer_norm_f32
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
    """What BatchNorm1d and BatchNorm2d share; ``layouts`` has the layout for each rank taken."""

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
class LayerNorm(_Norm):
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

    def compute(self, *inputs: Array, out: Array) -> None:
        size = math.prod(self.normalized_shape)
        weight = np.ones(size, np.float32) if self.weight is None else self.weight.reshape(-1)
        bias = np.zeros(size, np.float32) if self.bias is None else self.bias.reshape(-1)
        rows = (out.size // size, size)
        layer_norm_f32(inputs[0].reshape(rows), weight, bias, self.eps, out.reshape(rows))
