"""Einsum against float64."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import reference
from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import Einsum
from keydnn.reference import exact
from tests.properties import assert_any_thread_count
from tests.within import assert_informative, assert_within

SIZES = dict(zip("abcdefg", (3, 4, 5, 6, 2, 7, 3), strict=True))


def made(equation):
    """Give a module with random weights, and an input."""
    x, weight = equation.partition("->")[0].split(",")
    random = np.random.default_rng(0)
    arrays = [random.standard_normal([SIZES[label] for label in labels]).astype(np.float32) for labels in (weight, x)]
    return Einsum(equation, arrays[0].shape, weight=arrays[0]), arrays[1]


@pytest.mark.parametrize(
    "equation",
    [
        "ab,bc->ac",
        "abc,bcd->abd",  # a matrix for each b
        "abc,bdc->abd",
        "abcd,cde->aecb",  # moved
        "abc,cd->abd",
        "abcd,ce->abde",  # a sum in the middle
        "abc,bc->abc",  # products alone
        "abc,b->a",
        "ab,cd->acbd",  # no sum at all
        "abc,bd->ad",  # summed over an axis that the weight has not
        "abcde,ebf->adfc",
    ],
)
def test_einsum_agrees_with_float64(equation):
    module, x = made(equation)
    bounded = reference.RULES["Einsum"](module, exact(x))
    assert_informative(bounded, 1e-5)
    found = module(x)
    assert found.shape == module.output_shape(x.shape)
    assert_within(found, bounded.value, bounded.error)
    assert_any_thread_count(module, x)


def test_sizes_may_be_free_where_the_weight_does_not_say_them():
    module, x = made("abcd,ce->abde")
    assert module.output_shape((None, None, 5, None)) == (None, None, None, 2)
    assert module.macs(x.shape) == 3 * 4 * 5 * 6 * 2
    assert module(x[:0]).shape == (0, 4, 6, 2)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 6), (3, 3, 5)])
def test_inputs_of_other_sizes_are_refused(shape):
    module, _ = made("abc,bcd->abd")
    with pytest.raises(ShapeError, match=r"takes an input \(a, 4, 5\)"):
        module(np.zeros(shape))


@pytest.mark.parametrize(
    ("equation", "shape", "message"),
    [
        ("ab->ab", (3,), "equation must be like"),
        ("...b,bc->...c", (3, 4), "equation must be like"),
        ("aab,bc->ac", (3, 4), "equation must be like"),
        ("ab,bc->ca", (3, 4), "keep the batch"),
        ("ab,ab->ab", (3, 4), "keep the batch"),
        ("ab,bc->ad", (3, 4), "keep the batch"),
        ("ab,bcd->ac", (3, 4, 2), "keep the batch"),
        ("ab,bc->ac", (3,), "weight_shape must have 2 sizes"),
        ("ab,bc->ac", 3, "weight_shape must have 2 sizes"),
        ("ab,bc->ac", (3, 0), "weight_shape must be an integer"),
    ],
)
def test_bad_parameters_are_refused_by_name(equation, shape, message):
    with pytest.raises(ParameterError, match=message):
        Einsum(equation, shape)


def test_einsum_needs_its_weight():
    with pytest.raises(MissingWeightsError, match="weight"):
        Einsum("ab,bc->ac", (2, 3))(np.zeros((1, 2)))
