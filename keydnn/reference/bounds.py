"""A value with a bound on how far float32 may be from it, and the rules that many operations share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]  # float64; int64 or text where modules take or give them

U = 2.0**-24
TINY = float(np.finfo(np.float32).tiny)  # TensorFlow flushes denormal numbers to zero
# One call of exp, log, tanh or erf, in roundings: glibc's manual lists at most 2 ulps (4 roundings); Eigen's, which
# TensorFlow calls, are rational approximations tested to 4 ulps.
FUNCTION = 8


@dataclass
class Bounded:
    """A value in float64 and how far float32 may be from it.

    Attributes
    ----------
    value
        Of any shape; int64 numbers or text where the module gives those.
    error
        Bound of the absolute error, not negative, of the same shape: infinite where nothing can be told.
    """

    value: AnyArray
    error: F64

    def __post_init__(self) -> None:
        """Take an error that cannot be told (0 times infinity) for an infinite one; NaN itself has none."""
        if np.isnan(self.error).any():
            unknown = np.isnan(self.error) & ~np.isnan(self.value)
            self.error = np.where(unknown, np.inf, self.error)

    @property
    def largest(self) -> F64:
        """Bound of the absolute value that float32 has."""
        return np.abs(self.value) + self.error


BoundedRule = Callable[..., Bounded]  # of a module and a Bounded an input
ValueRule = Callable[..., AnyArray]  # of a module and an array an input


@dataclass(frozen=True)
class Rule:
    """What a type of module does, in float64.

    Parameters
    ----------
    bounded
        Of the module and a Bounded for each input: the output.
    plain
        Of the module and an array for each input: the output's value alone; worked out with its bound unless given.
    """

    bounded: BoundedRule
    plain: ValueRule | None = None

    def __call__(self, module: Any, *inputs: Bounded) -> Bounded:
        """Give the output's value and bound."""
        return self.bounded(module, *inputs)

    def value(self, module: Any, *inputs: AnyArray) -> AnyArray:
        """Give the output's value."""
        if self.plain is not None:
            return self.plain(module, *inputs)
        return self.bounded(module, *map(of_any_type, inputs)).value


Rules = Mapping[str, Rule | BoundedRule]


def f64(x: npt.ArrayLike) -> F64:
    """Give an array as float64."""
    return np.asarray(x, dtype=np.float64)


def gamma(n: float) -> float:
    """Bound of n roundings, relative."""
    return n * U / (1 - n * U)


def exact(value: npt.ArrayLike) -> Bounded:
    """Give a number without error."""
    value = f64(value)
    return Bounded(value, np.zeros_like(value))


def of_any_type(value: npt.ArrayLike) -> Bounded:
    """Give numbers as they are, integers or text, without error."""
    value = np.asarray(value)
    return Bounded(value, np.zeros(value.shape))


def known(wanted: npt.ArrayLike, certain: npt.ArrayLike) -> Bounded:
    """Give numbers that follow from others without rounding; nothing can be told where those were not certain."""
    wanted = f64(wanted)
    return Bounded(wanted, np.where(np.broadcast_to(certain, wanted.shape), 0.0, np.inf))


def whole(x: Bounded) -> npt.NDArray[np.bool_]:
    """Tell where the error of a number leaves no doubt which integer it is cut to."""
    found: npt.NDArray[np.bool_] = np.trunc(x.value - x.error) == np.trunc(x.value + x.error)
    return found


Product = Callable[[F64, F64, F64], F64]  # of x, weight and bias; linear in x and the bias, and in x and the weight


def linear_sum(operation: Product, terms: int, x: Bounded, weight: npt.ArrayLike, bias: npt.ArrayLike) -> Bounded:
    """Sum products: the absolute operation on errors, and gamma on absolute values; section 3.1.

    Both are one call: the operation is linear.
    """
    weight, bias = f64(weight), f64(bias)
    rounded = gamma(terms + 2)
    error = operation(x.error + rounded * x.largest, np.abs(weight), rounded * np.abs(bias)) + TINY
    return Bounded(operation(x.value, weight, bias), error)


def weighted(
    operation: Callable[[Any, F64, F64, F64], F64],
    terms: Callable[[Any, tuple[int, ...]], int],
    bias_of: Callable[[Any], AnyArray],
) -> Rule:
    """Make the rule of a module that sums products of its input and its weight.

    Parameters
    ----------
    operation
        Of the module, x, weight and bias.
    terms
        Number of products in a sum, of the module and the input's shape.
    bias_of
        Of the module: its bias, or zeros.
    """

    def rule(module: Any, x: Bounded) -> Bounded:
        def applied(x: F64, weight: F64, bias: F64) -> F64:
            return operation(module, x, weight, bias)

        return linear_sum(applied, terms(module, x.value.shape), x, module.weight, bias_of(module))

    return Rule(rule, lambda module, x: operation(module, f64(x), f64(module.weight), f64(bias_of(module))))


def or_zeros(bias: AnyArray | None, *shape: int) -> AnyArray:
    """Give a bias, or zeros where there is none."""
    return np.zeros(shape) if bias is None else bias


def average(operation: Callable[[Any, F64], F64], terms: Callable[[Any, tuple[int, ...]], int]) -> Rule:
    """Take a mean, a sum and a division: a linear operation of the module and x, over so many terms."""

    def rule(module: Any, x: Bounded) -> Bounded:
        rounded = gamma(terms(module, x.value.shape) + 1)
        return Bounded(operation(module, x.value), operation(module, x.error + rounded * x.largest) + TINY)

    return Rule(rule, operation)


def selected(operation: ValueRule) -> Rule:
    """Pick or move elements: whatever happens to the values happens to their errors, and nothing is rounded.

    It holds for maxima too: the largest values of two sets differ by no more than their elements do.
    """

    def rule(module: Any, *inputs: Bounded) -> Bounded:
        values, errors = [x.value for x in inputs], [x.error for x in inputs]
        return Bounded(operation(module, *values), operation(module, *errors))

    return Rule(rule, operation)
