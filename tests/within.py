"""Whether what was computed lies within a bound, and bounds of single operations.  keydnn.reference has the values."""

from __future__ import annotations

import numpy as np

from keydnn.reference import TINY, f64, gamma, walk


def outputs_of(graph, inputs):
    """Give the outputs of a graph as Bounded, in order; inputs may be Bounded, and states left out."""
    wanted = {output.value for output in graph.outputs}
    found = {name: bounded for name, bounded in walk(graph, inputs) if name in wanted}
    return [found[output.value] for output in graph.outputs]


def assert_within(found, wanted, bound):
    """Assert |found - wanted| <= bound element by element, and that NaN and infinities stand at the same places."""
    found, wanted = f64(found), f64(wanted)
    assert found.shape == wanted.shape, f"shape {found.shape}, wanted {wanted.shape}"
    special = ~np.isfinite(wanted)
    np.testing.assert_array_equal(found[special], wanted[special])
    error = np.abs(np.where(special, 0, found) - np.where(special, 0, wanted))
    worst = np.max(error - np.broadcast_to(bound, error.shape), initial=-1.0)
    assert worst <= 0, f"largest error {error.max():.3g}, beyond its bound by {worst:.3g}"


def assert_informative(bounded, relative):
    """Assert that a bound is so small, beside the largest value, that the comparison says something."""
    finite = np.isfinite(bounded.value)
    largest = np.abs(bounded.value[finite]).max(initial=0)
    worst = np.max(bounded.error[finite], initial=0)
    assert worst <= relative * largest + TINY, f"a bound of {worst:.3g} on values up to {largest:.3g} says nothing"


def sum_bound(terms, magnitude):
    """Bound on the error of a float32 sum of products in any order.

    Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1: |error| <= gamma_n * sum |a_i b_i| with
    gamma_n = n u / (1 - n u), u = 2**-24, n the number of roundings (a product, then each addition, and the bias).

    Parameters
    ----------
    terms
        Number of products summed.
    magnitude
        Sum of the absolute products (float64), element by element: the same operation on absolute values.
    """
    return gamma(terms + 2) * magnitude + TINY


def ulps(count, wanted):
    """Bound of so many units in the last place of float32 at each value wanted.

    A result within k roundings (each a relative 2**-24) is within k ulps: an ulp is 2**-24 to 2**-23 of its number.
    """
    finite = np.where(np.isfinite(wanted), np.abs(wanted), 0)
    return count * np.spacing(np.minimum(finite, np.finfo(np.float32).max).astype(np.float32)).astype(np.float64)


def overflow(wanted):
    """Give values beyond float32 as the infinities they become."""
    largest = f64(np.finfo(np.float32).max)
    return np.where(np.abs(wanted) > largest, np.copysign(np.inf, wanted), wanted)
