"""Upsample1d, Upsample2d, Upsample3d against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Upsample1d, Upsample2d, Upsample3d
from keydnn.modules.sampling import SAMPLINGS, spans
from keydnn.reference.sampling import keys
from keydnn.reference.upsample import sampling_bound, upsample
from tests.properties import assert_any_thread_count
from tests.within import assert_within

MODES = ["nearest", "area", "bilinear", *SAMPLINGS]


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(module, x):
    wanted = upsample(x, module.scale_factor, module.mode)
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape)
    if module.mode in ("nearest", "area"):
        np.testing.assert_array_equal(found, wanted)
    elif module.mode in SAMPLINGS:
        assert_within(found, wanted, sampling_bound(x, module.scale_factor, module.mode))
    else:
        # a + (b - a) * share: the share and the difference (each of at most twice the largest) are rounded, then the
        # product and the sum; along one axis and then along the other, on what that gave
        assert_within(found, wanted, 2 * 8 * 2.0**-24 * abs(x).max(initial=0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("scale_factor", "size"),
    [
        pytest.param(2, (3, 4), id="twice"),
        pytest.param(3, (5, 4), id="odd-factor-hits-centres"),
        pytest.param((2, 5), (7, 3), id="pair"),
        pytest.param(1, (3, 3), id="as-it-is"),
        pytest.param(4, (1, 1), id="one-pixel"),
        pytest.param((3, 2), (1, 6), id="one-row"),
    ],
)
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_upsample_agrees_with_the_oracle(mode, scale_factor, size, batch):
    check(Upsample2d(scale_factor, mode=mode), random(1, batch, 3, *size))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MODES), st.tuples(*[st.integers(1, 7)] * 2), st.tuples(*[st.integers(1, 9)] * 2))
def test_upsample_agrees_with_the_oracle_for_any_size(mode, scale_factor, size):
    check(Upsample2d(scale_factor, mode=mode), random(2, 2, 2, *size))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.data())
def test_repeating_agrees_with_numpy_over_any_number_of_axes(axes, data):
    scale_factor, size = (data.draw(st.tuples(*[st.integers(1, 4)] * axes)) for _ in range(2))
    x = random(4, data.draw(st.integers(0, 2)), 2, *size)
    module = (Upsample1d, Upsample2d, Upsample3d)[axes - 1](scale_factor)
    np.testing.assert_array_equal(module(x), upsample(x, scale_factor))
    assert module.output_shape(x.shape) == module(x).shape


@pytest.mark.parametrize("mode", SAMPLINGS)
def test_weights_stay_within_the_cells_and_sum_to_one(mode):
    for size, outputs in ((1, 5), (2, 6), (9, 9), (100, 700), (7, 10)):
        first, counts, weights = spans(mode, size, outputs)
        assert first.min() >= 0
        assert (first + counts).max() <= size
        assert counts.min() >= 1
        assert weights.shape == (outputs, counts.max())
        np.testing.assert_allclose(weights.sum(1), 1, atol=len(weights[0]) * 2.0**-24)


@pytest.mark.parametrize("mode", [mode for mode in SAMPLINGS if mode not in ("gaussian", "mitchellcubic")])
def test_a_factor_of_one_changes_nothing_where_the_weights_interpolate(mode):
    x = random(5, 1, 2, 6, 7)
    np.testing.assert_allclose(Upsample2d(1, mode)(x), x, atol=1e-6)


def test_bicubic_takes_the_nearest_of_1024_places_as_tensorflow_does():
    x = np.zeros((1, 1, 1, 9))
    x[..., 4] = 1
    weight = Upsample2d((1, 3), "bicubic")(x)[0, 0, 0, 12]  # a third of a cell before the centre: 341 / 1024
    assert abs(weight - keys(341 / 1024)) < 1e-7
    assert abs(weight - keys(1 / 3)) > 1e-4


def test_bilinear_by_hand():
    found = Upsample2d((1, 2), mode="bilinear")(np.array([[[[0, 4, 8]]]]))
    np.testing.assert_array_equal(found, [[[[0, 1, 3, 5, 7, 8]]]])  # quarters between centres, flat beyond them


def test_bilinear_spreads_infinity_as_far_as_keras_does():
    x = np.zeros((1, 1, 1, 4))
    x[0, 0, 0, 1] = np.inf
    # within one cell's distance inf - inf arises, along W or (here everywhere) along H; beyond, and on the centres of
    # other cells, 0 * inf does not
    found = Upsample2d((1, 3), mode="bilinear")(x)
    np.testing.assert_array_equal(found, [[[[0, 0, *[np.nan] * 5, 0, 0, 0, 0, 0]]]])  # as Keras 3.15


@pytest.mark.parametrize("mode", MODES)
def test_any_thread_count_gives_the_same_bits(mode):
    assert_any_thread_count(Upsample2d((2, 3), mode=mode), random(3, 3, 5, 17, 19))


def test_free_sizes_stay_free():
    assert Upsample2d((2, 3)).output_shape((None, 3, None, 5)) == (None, 3, None, 15)
    assert Upsample3d((2, 3, 1)).output_shape((None, 3, None, 5, 2)) == (None, 3, None, 15, 2)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        pytest.param({"scale_factor": 0}, "scale_factor", id="factor-0"),
        pytest.param({"scale_factor": 1.5}, "scale_factor", id="fraction"),
        pytest.param({"scale_factor": (2, 2, 2)}, "scale_factor", id="three-axes"),
        pytest.param({"scale_factor": 2, "mode": "cubic"}, "mode", id="unknown-mode"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments, word):
    with pytest.raises(ParameterError, match=word):
        Upsample2d(**arguments)


def test_wrong_inputs_are_refused_before_any_kernel_runs():
    with pytest.raises(ShapeError, match=r"\(N, C, H, W\), got \(1, 3, 4\)"):
        Upsample2d(2)(np.zeros((1, 3, 4)))
    with pytest.raises(ShapeError, match="cells"):
        Upsample2d(2)(np.zeros((1, 3, 0, 4)))
    with pytest.raises(ShapeError, match=r"\(N, C, L\), got \(1, 3, 4, 4\)"):
        Upsample1d(2)(np.zeros((1, 3, 4, 4)))
    with pytest.raises(ShapeError, match=r"\(N, C, D, H, W\), got \(1, 3, 4, 4\)"):
        Upsample3d(2)(np.zeros((1, 3, 4, 4)))
