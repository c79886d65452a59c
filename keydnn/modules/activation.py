"""Activations that act on each element alone, on inputs of any shape (PReLU: of the shape of its slopes).

Special values are Keras' (TensorFlow, CPU): NaN gives NaN unless a class says otherwise, and -inf gives NaN where the
definition is -inf * 0 (SiLU, GELU, Mish, HardSiLU).  Keras flushes denormal numbers to zero; these keep them.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from jit_kernels import activation as kernels
from jit_kernels._jit import Kernel
from keydnn.errors import ParameterError
from keydnn.modules.base import Array, Module, Permutation, Shape, choice, module, number, tensor
from keydnn.modules.broadcast import Broadcast


class Elementwise(Module):
    """An activation of one element; its parameters, in order, are those of ``kernel``."""

    kernel: ClassVar[Kernel]

    def constants(self) -> tuple[float, ...]:
        """Give the kernel's parameters, three at most."""
        return tuple(self.parameters().values())

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        constants = [np.float32(value) for value in (*self.constants(), 0.0, 0.0, 0.0)[:3]]
        self.kernel(inputs[0].reshape(-1), *constants, out.reshape(-1))

    def permuted(self, permutation: Permutation) -> Module:
        return self


def not_negative(name: str, value: object) -> float:
    """Give a parameter as a finite float; ParameterError if it is not one, or negative."""
    if (found := number(name, value)) < 0:
        raise ParameterError(f"{name} must not be negative, got {value!r}")
    return found


@module
class Identity(Elementwise):
    """The input, unchanged.  Keras source: ``keras.activations.linear``, ``keras.layers.Identity``."""

    moves = True

    def launches_only(self, *shapes: Shape) -> bool:
        return False

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0])


@module
class ReLU(Elementwise):
    """Rectified linear unit with Keras' options.

    ``y = x if x > threshold else 0``, cut off at ``max_value``, less ``negative_slope * max(threshold - x, 0)``.

    Parameters
    ----------
    max_value
        Largest value, >= 0, or None.
    negative_slope, threshold
        >= 0.  With a threshold other than 0 and no slope, Keras 3 turns NaN into 0 (Keras 2 leaves it): so does this.

    Keras source: ``keras.layers.ReLU``, ``keras.activations.relu``, ``relu6``.
    """

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0
    kernel = kernels.relu_f32

    def __post_init__(self) -> None:
        self.set(
            max_value=None if self.max_value is None else not_negative("max_value", self.max_value),
            negative_slope=not_negative("negative_slope", self.negative_slope),
            threshold=not_negative("threshold", self.threshold),
        )
        super().__post_init__()

    def constants(self) -> tuple[float, ...]:
        return (math.inf if self.max_value is None else self.max_value, self.negative_slope, self.threshold)


@module
class LeakyReLU(Elementwise):
    """``x`` above 0, ``negative_slope * x`` otherwise, as ``torch.nn.LeakyReLU``.

    Keras source: ``keras.layers.LeakyReLU`` (whose default slope is 0.3), ``keras.activations.leaky_relu`` (0.2).
    """

    negative_slope: float = 0.01
    kernel = kernels.leaky_relu_f32

    def __post_init__(self) -> None:
        self.set(negative_slope=number("negative_slope", self.negative_slope))
        super().__post_init__()


@module
class PReLU(Broadcast):
    """``x`` above 0, ``weight * x`` otherwise, with a learned slope for each cell of an example.

    Parameters
    ----------
    shape
        Sizes behind the batch axis; 1 where one slope serves the whole axis.  ``torch.nn.PReLU(num_parameters=C)`` is
        ``PReLU((C, 1, 1))`` for images.
    weight
        (*shape).

    Keras source: ``keras.layers.PReLU``.
    """

    shape: Any
    weight: Array | None = tensor()
    kernel = kernels.prelu_f32


@module
class ELU(Elementwise):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` otherwise, as ``torch.nn.ELU``.  Keras source: ``keras.layers.ELU``."""

    alpha: float = 1.0
    kernel = kernels.elu_f32

    def __post_init__(self) -> None:
        self.set(alpha=number("alpha", self.alpha))
        super().__post_init__()


@module
class CELU(Elementwise):
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``, as ``torch.nn.CELU``; ``alpha`` is not 0.

    Keras source: ``keras.activations.celu``.
    """

    alpha: float = 1.0
    kernel = kernels.celu_f32

    def __post_init__(self) -> None:
        self.set(alpha=number("alpha", self.alpha))
        if np.float32(self.alpha) == 0:
            raise ParameterError(f"alpha must not be 0 (as float32), got {self.alpha!r}")
        super().__post_init__()


@module
class SELU(Elementwise):
    """``1.0507 * ELU(alpha=1.6733)``, Klambauer et al. 2017.  Keras source: ``keras.activations.selu``."""

    kernel = kernels.selu_f32


@module
class GELU(Elementwise):
    """Gaussian error linear unit, as ``torch.nn.GELU``.

    Parameters
    ----------
    approximate
        ``"none"``: ``x / 2 * (1 + erf(x / sqrt(2)))``; ``"tanh"``: Hendrycks' approximation.

    Keras source: ``keras.activations.gelu`` (``approximate=False`` unless said otherwise).
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        self.set(approximate=choice("approximate", self.approximate, ("none", "tanh")))
        super().__post_init__()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]  # the one activation whose kernel depends on a parameter
        """The kernel of the formula chosen."""
        return kernels.gelu_f32 if self.approximate == "none" else kernels.gelu_tanh_f32

    def constants(self) -> tuple[float, ...]:
        return ()


@module
class Sigmoid(Elementwise):
    """``1 / (1 + exp(-x))``.  Keras source: ``keras.activations.sigmoid``."""

    kernel = kernels.sigmoid_f32


@module
class HardSigmoid(Elementwise):
    """``clip(slope * x + offset, 0, top) / top``.

    The defaults are PyTorch's and Keras 3's ``relu6(x + 3) / 6``; ``HardSigmoid(0.2, 0.5, 1.0)`` is Keras 2's
    ``clip(0.2 * x + 0.5, 0, 1)``.  Both round as Keras does.

    Parameters
    ----------
    slope, offset
        Finite numbers.
    top
        > 0.

    Keras source: ``keras.activations.hard_sigmoid``.
    """

    slope: float = 1.0
    offset: float = 3.0
    top: float = 6.0
    kernel = kernels.hard_sigmoid_f32

    def __post_init__(self) -> None:
        self.set(slope=number("slope", self.slope), offset=number("offset", self.offset), top=number("top", self.top))
        if self.top <= 0:
            raise ParameterError(f"top must be positive, got {self.top!r}")
        super().__post_init__()


@module
class HardSiLU(Elementwise):
    """``x * relu6(x + 3) / 6``, PyTorch's Hardswish.  Keras source: ``keras.activations.hard_silu`` (hard_swish)."""

    kernel = kernels.hard_silu_f32


@module
class HardTanh(Elementwise):
    """``x`` within [min_val, max_val], as ``torch.nn.Hardtanh``.  Keras source: ``keras.activations.hard_tanh``."""

    min_val: float = -1.0
    max_val: float = 1.0
    kernel = kernels.clip_f32

    def __post_init__(self) -> None:
        self.set(min_val=number("min_val", self.min_val), max_val=number("max_val", self.max_val))
        if self.min_val > self.max_val:
            raise ParameterError(f"min_val={self.min_val} must not exceed max_val={self.max_val}")
        super().__post_init__()


@module
class Tanh(Elementwise):
    """Hyperbolic tangent.  Keras source: ``keras.activations.tanh``."""

    kernel = kernels.tanh_f32


@module
class Softplus(Elementwise):
    """``log(1 + exp(x))``.  Keras source: ``keras.activations.softplus``."""

    kernel = kernels.softplus_f32


@module
class Softsign(Elementwise):
    """``x / (1 + |x|)``; NaN for infinities, as in Keras.  Keras source: ``keras.activations.softsign``."""

    kernel = kernels.softsign_f32


@module
class SiLU(Elementwise):
    """``x * sigmoid(x)``.  Keras source: ``keras.activations.silu`` (swish)."""

    kernel = kernels.silu_f32


@module
class Exponential(Elementwise):
    """``exp(x)``.  Keras source: ``keras.activations.exponential``."""

    kernel = kernels.exponential_f32


@module
class LogSigmoid(Elementwise):
    """``log(sigmoid(x))``.  Keras source: ``keras.activations.log_sigmoid``."""

    kernel = kernels.log_sigmoid_f32


@module
class Mish(Elementwise):
    """``x * tanh(softplus(x))``.  Keras source: ``keras.activations.mish``."""

    kernel = kernels.mish_f32


@module
class HardShrink(Elementwise):
    """``x`` where |x| is above ``lambd`` (>= 0), 0 elsewhere, also for NaN.

    Keras source: ``keras.activations.hard_shrink``.
    """

    lambd: float = 0.5
    kernel = kernels.hard_shrink_f32

    def __post_init__(self) -> None:
        self.set(lambd=not_negative("lambd", self.lambd))
        super().__post_init__()


@module
class SoftShrink(Elementwise):
    """``x`` moved towards 0 by ``lambd`` (>= 0), 0 where |x| is not above it, also for NaN.

    Keras source: ``keras.activations.soft_shrink``.
    """

    lambd: float = 0.5
    kernel = kernels.soft_shrink_f32

    def __post_init__(self) -> None:
        self.set(lambd=not_negative("lambd", self.lambd))
        super().__post_init__()


@module
class TanhShrink(Elementwise):
    """``x - tanh(x)``.  Keras source: ``keras.activations.tanh_shrink``."""

    kernel = kernels.tanh_shrink_f32


@module
class Threshold(Elementwise):
    """``x`` above ``threshold``, else ``value``, also for NaN, as ``torch.nn.Threshold``.

    Keras source: ``keras.activations.threshold``.
    """

    threshold: float
    value: float
    kernel = kernels.threshold_f32

    def __post_init__(self) -> None:
        self.set(threshold=number("threshold", self.threshold), value=number("value", self.value))
        super().__post_init__()


@module
class Squareplus(Elementwise):
    """``(x + sqrt(x**2 + b)) / 2`` with ``b`` >= 0, summed as Keras does: the digits lost for large -x are Keras' too.

    Keras source: ``keras.activations.squareplus``.
    """

    b: float = 4.0
    kernel = kernels.squareplus_f32

    def __post_init__(self) -> None:
        self.set(b=not_negative("b", self.b))
        super().__post_init__()


@module
class SparsePlus(Elementwise):
    """0 up to -1, ``x`` from 1 on, ``(x + 1)**2 / 4`` between.  Keras source: ``keras.activations.sparse_plus``."""

    kernel = kernels.sparse_plus_f32


@module
class SparseSigmoid(Elementwise):
    """0 up to -1, 1 from 1 on, ``(x + 1) / 2`` between.  Keras source: ``keras.activations.sparse_sigmoid``."""

    kernel = kernels.sparse_sigmoid_f32
