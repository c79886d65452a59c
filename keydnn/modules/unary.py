"""Functions of one element that are no activations, on inputs of any shape."""

from __future__ import annotations

from jit_kernels._jit import Kernel
from jit_kernels.unary import KERNELS, full_f32
from keydnn.modules.activation import Elementwise
from keydnn.modules.base import choice, module, number


@module
class Unary(Elementwise):
    """A function of each element.

    Parameters
    ----------
    function
        ``"abs"``, ``"neg"``, ``"sign"``, ``"square"``, ``"sqrt"``, ``"rsqrt"``, ``"reciprocal"``, ``"expm1"``,
        ``"log"``, ``"log1p"``, ``"sin"``, ``"cos"``, ``"tan"``, ``"asin"``, ``"acos"``, ``"atan"``, ``"sinh"``,
        ``"cosh"``, ``"asinh"``, ``"acosh"``, ``"atanh"``, ``"erf"``; ``"floor"``, ``"ceil"``, ``"trunc"`` (towards
        0), ``"round"`` (halves to even numbers); ``"isnan"``, ``"isinf"``, ``"isfinite"``, ``"logical_not"``, which
        give 1 where it is so and 0 elsewhere.

    Keras source: ``keras.ops.absolute`` and so on.
    """

    function: str

    def __post_init__(self) -> None:
        self.set(function=choice("function", self.function, tuple(KERNELS)))
        super().__post_init__()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]  # it depends on a parameter
        return KERNELS[self.function]

    def constants(self) -> tuple[float, ...]:
        return ()


@module
class FullLike(Elementwise):
    """``value`` in the shape of the input, whatever that holds.

    Keras source: ``keras.ops.zeros_like``, ``ones_like``, ``full_like``.
    """

    value: float
    kernel = full_f32

    def __post_init__(self) -> None:
        self.set(value=number("value", self.value))
        super().__post_init__()
