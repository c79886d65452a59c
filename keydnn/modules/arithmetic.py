"""Arithmetic, comparisons and logic: of two inputs, and of an input and a number; one input where another is true.

Values are float32 throughout: truth is 1, falsehood 0, and every number but 0 counts as true.  Sums, differences,
products, maxima and minima of two inputs are the modules of ``merge.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from jit_kernels._jit import Kernel
from jit_kernels.arithmetic import OPERATIONS, pairs_f32, scalar_f32, where_f32
from keydnn.modules.activation import Elementwise
from keydnn.modules.base import Array, choice, flag, module, number
from keydnn.modules.merge import Merge


@module
class Binary(Merge):
    """``operation(x, y)`` element by element, of two inputs of equal rank, broadcast as in NumPy.

    Parameters
    ----------
    operation
        ``"divide"``, ``"divide_no_nan"`` (0 where ``y`` is 0), ``"floor_divide"``, ``"remainder"`` (with the sign of
        ``y``), ``"power"``, ``"atan2"`` (the angle of the point (y, x)), ``"squared_difference"``, ``"equal"``,
        ``"not_equal"``, ``"greater"``, ``"greater_equal"``, ``"less"``, ``"less_equal"``, ``"logical_and"``,
        ``"logical_or"``, ``"logical_xor"``; also ``"add"``, ``"subtract"``, ``"multiply"``, ``"maximum"`` and
        ``"minimum"``.

    Keras source: ``keras.ops.divide`` and so on.
    """

    arity: ClassVar[int | None] = 2
    operation: str

    def __post_init__(self) -> None:
        self.set(operation=choice("operation", self.operation, tuple(OPERATIONS)))
        super().__post_init__()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]  # it depends on a parameter
        return pairs_f32(self.operation)


@module
class Scalar(Elementwise):
    """``operation(x, value)``, or ``operation(value, x)`` with ``reverse``.

    Parameters
    ----------
    operation
        As of :class:`Binary`.
    value
        A finite number.
    reverse
        Whether the number comes first.

    Keras source: ``x + 1``, ``1 / x``, ``keras.ops.maximum(x, 0)`` and so on.
    """

    operation: str
    value: float
    reverse: bool = False

    def __post_init__(self) -> None:
        self.set(
            operation=choice("operation", self.operation, tuple(OPERATIONS)),
            value=number("value", self.value),
            reverse=flag("reverse", self.reverse),
        )
        super().__post_init__()

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]  # it depends on a parameter
        return scalar_f32(self.operation, self.reverse)

    def constants(self) -> tuple[float, ...]:
        return (self.value,)


@module
class Where(Merge):
    """Elements of the second input where the first is true (not 0), of the third elsewhere; broadcast as in NumPy.

    Keras source: ``keras.ops.where``.
    """

    arity: ClassVar[int | None] = 3

    def compute(self, *inputs: Array, out: Array) -> None:
        flat: list[Any] = [np.ascontiguousarray(np.broadcast_to(x, out.shape)).reshape(-1) for x in inputs]
        where_f32(*flat, out.reshape(-1))
