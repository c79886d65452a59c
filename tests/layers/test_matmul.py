"""Contract against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import reference
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Contract
from keydnn.reference import exact
from tests.properties import assert_any_thread_count
from tests.within import assert_within

SIZES = {"n": 2, "i": 5, "j": 7, "k": 3, "h": 4}


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(module, x, y):
    wanted = reference.RULES["Contract"](module, exact(x), exact(y))
    found = module(x, y)
    assert found.shape == wanted.value.shape == module.output_shape(x.shape, y.shape)
    assert_within(found, wanted.value, wanted.error)


@pytest.mark.parametrize(
    "equation",
    [
        "nij,njk->nik", "nij,nkj->nik", "nji,njk->nik", "nhij,nhjk->nhik", "nij,nij->n", "nij,nj->ni", "nij,nij->nij",
        "ni,nj->nij", "nij,nik->nkj", "nhij,nhj->nhi", "nihj,njhk->nkhi", "n,nij->nji",
    ],
)  # fmt: skip
def test_products_agree_with_float64(equation):
    module = Contract(equation)
    x, y = (random(place, *(SIZES[label] for label in labels)) for place, labels in enumerate(module.labels[:2]))
    check(module, x, y)


@pytest.mark.parametrize("batch", [0, 1])
def test_batches(batch):
    check(Contract("nij,njk->nik"), random(1, batch, 4, 5), random(2, batch, 5, 6))


def test_larger_sums_than_a_block():
    check(Contract("nij,njk->nik"), random(3, 2, 33, 517), random(4, 2, 517, 65))


def test_sums_over_nothing_are_0():
    np.testing.assert_array_equal(Contract("nij,njk->nik")(np.ones((1, 2, 0)), np.ones((1, 0, 3))), np.zeros((1, 2, 3)))


def test_nan_is_passed_on():
    x = np.ones((1, 3, 2), np.float32)
    x[0, 1, 0] = np.nan
    found = Contract("nij,njk->nik")(x, np.ones((1, 2, 4)))
    np.testing.assert_array_equal(np.isnan(found[0, :, 0]), [False, True, False])


def test_free_sizes_come_from_either_input():
    module = Contract("nij,njk->nik")
    assert module.output_shape((None, None, 4), (None, 4, None)) == (None, None, None)
    assert module.output_shape((None, 3, None), (None, 4, 5)) == (None, 3, 5)
    assert module.macs((2, 3, 4), (2, 4, 5)) == 120


def test_any_thread_count_gives_the_same_bits():
    assert_any_thread_count(Contract("nij,njk->nik"), random(5, 3, 70, 80), random(6, 3, 80, 90))


@pytest.mark.parametrize(
    "equation", ["nij", "nij,njk", "nii,njk->nik", "nij,njk->kin", "nij,mjk->nik", "nij,njk->nikl", "nij,nk->nik", 3]
)
def test_bad_equations_are_refused(equation):
    with pytest.raises(ParameterError, match="equation"):
        Contract(equation)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        pytest.param([(2, 3, 4), (2, 5, 6)], "agree on 'j'", id="sum"),
        pytest.param([(2, 3, 4), (3, 4, 6)], "agree on 'n'", id="batch"),
        pytest.param([(2, 3, 4), (2, 4)], "inputs of rank 2|inputs of rank 3", id="rank"),
    ],
)
def test_inputs_of_other_sizes_are_refused(shapes, words):
    with pytest.raises(ShapeError, match=words):
        Contract("nij,njk->nik")(*map(np.zeros, shapes))
