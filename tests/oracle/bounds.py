"""A value with a bound on how far float32 may be from it, and the rules that many operations share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests import naive

U = 2.0**-24
TINY = float(np.finfo(np.float32).tiny)  # TensorFlow flushes denormal numbers to zero
# One call of exp, log, tanh or erf, in roundings: glibc's manual lists at most 2 ulps (4 roundings); Eigen's, which
# TensorFlow calls, are rational approximations tested to 4 ulps.
FUNCTION = 8


@dataclass
class Bounded:
    """A value in float64 and how far float32 may be from it."""

    value: np.ndarray
    error: np.ndarray

    def __post_init__(self):
        """Take an error that cannot be told (0 times infinity) for an infinite one; NaN itself has none."""
        if np.isnan(self.error).any():
            unknown = np.isnan(self.error) & ~np.isnan(self.value)
            self.error = np.where(unknown, np.inf, self.error)

    @property
    def largest(self):
        """Bound of the absolute value that float32 has."""
        return np.abs(self.value) + self.error


def gamma(n):
    """Bound of n roundings, relative."""
    return n * U / (1 - n * U)


def exact(value):
    """Give a value without error."""
    value = naive.f64(value)
    return Bounded(value, np.zeros_like(value))


def of_any_type(value):
    """Give text or integers, which are never off."""
    value = np.asarray(value)
    return Bounded(value, np.zeros(value.shape))


def assert_informative(bounded, relative):
    """Assert that a bound is so small, beside the largest value, that the comparison says something."""
    finite = np.isfinite(bounded.value)
    largest = np.abs(bounded.value[finite]).max(initial=0)
    worst = np.max(bounded.error[finite], initial=0)
    assert worst <= relative * largest + TINY, f"a bound of {worst:.3g} on values up to {largest:.3g} says nothing"


def linear_sum(operation, terms, x, weight, bias):
    """Sum products: the absolute operation on errors, and gamma on absolute values; section 3.1."""
    weight, bias = naive.f64(weight), naive.f64(bias)
    passed = operation(x.error, np.abs(weight), 0 * bias)
    rounded = gamma(terms + 2) * operation(x.largest, np.abs(weight), np.abs(bias))
    return Bounded(operation(x.value, weight, bias), passed + rounded + TINY)


def bias_of(module, count):
    return np.zeros(count) if module.bias is None else module.bias


def average(operation, terms):
    """Take a mean: a sum and a division."""

    def rule(module, x):
        error = operation(module, x.error) + gamma(terms(module, x) + 1) * operation(module, x.largest) + TINY
        return Bounded(operation(module, x.value), error)

    return rule


def selected(operation):
    """Pick or move elements: whatever happens to the values happens to their errors, and nothing is rounded.

    It holds for maxima too: the largest values of two sets differ by no more than their elements do.
    """

    def rule(module, *inputs):
        values, errors = ([getattr(x, name) for x in inputs] for name in ("value", "error"))
        return Bounded(operation(module, *values), operation(module, *errors))

    return rule
