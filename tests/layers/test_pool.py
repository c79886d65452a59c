"""Pooling against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import (
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    MaxPool1d,
    MaxPool2d,
)
from tests import naive
from tests.properties import assert_any_thread_count

LOWEST = np.finfo(np.float32).min


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_pool(module, x):
    pads = module.padding
    if pads == "same":
        pads = naive.same_pads(x.shape[2:], module.kernel_size, module.stride, [1] * module.axes)
    options = (module.kernel_size, module.stride, pads)
    found = module(x)
    assert found.dtype == np.float32
    assert module.output_shape(x.shape) == found.shape
    assert module.output_shape((None,) * x.ndim) == (None,) * x.ndim
    if isinstance(module, (AvgPool1d, AvgPool2d)):
        wanted = naive.avg_pool(x, *options, module.count_include_pad)
        magnitude = naive.avg_pool(abs(x), *options, module.count_include_pad)
        # products by 1, and a division (or a product by the reciprocal: one more) in place of the bias
        bound = naive.sum_bound(np.prod(module.kernel_size) + 1, magnitude)
        naive.assert_within(found, wanted, bound)
    else:
        np.testing.assert_array_equal(found, naive.max_pool(x, *options))


GEOMETRIES = [
    pytest.param({"kernel_size": 2}, (6, 7), id="valid-stride-of-the-window"),
    pytest.param({"kernel_size": (3, 2), "stride": 1}, (5, 6), id="overlapping"),
    pytest.param({"kernel_size": 3, "stride": 2, "padding": "same"}, (6, 7), id="same-odd-and-even-size"),
    pytest.param({"kernel_size": 2, "stride": 2, "padding": "same"}, (5, 5), id="same-even-window-odd-size"),
    pytest.param({"kernel_size": 2, "stride": 3}, (8, 7), id="stride-larger-than-window"),
    pytest.param({"kernel_size": 2, "stride": 3, "padding": "same"}, (8, 7), id="same-stride-larger-than-window"),
    pytest.param({"kernel_size": 3, "stride": 2, "padding": ((0, 1), (2, 0))}, (5, 6), id="asymmetric-padding"),
    pytest.param({"kernel_size": 5, "padding": "same"}, (2, 3), id="window-larger-than-input"),
    pytest.param({"kernel_size": 1}, (1, 1), id="one-pixel"),
    pytest.param({"kernel_size": 3, "padding": "same"}, (1, 1), id="one-pixel-same"),
]


@pytest.mark.parametrize(("options", "size"), GEOMETRIES)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(MaxPool2d, id="max"),
        pytest.param(AvgPool2d, id="avg"),
        pytest.param(lambda **options: AvgPool2d(**options, count_include_pad=False), id="avg-real-cells"),
    ],
)
def test_pools_of_images_agree_with_the_oracle(make, options, size):
    check_pool(make(**options), random(1, 2, 3, *size))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_pools_agree_with_the_oracle_for_any_geometry(data):
    axes = data.draw(st.sampled_from([1, 2]))
    kernel_size = tuple(data.draw(st.integers(1, 4)) for _ in range(axes))
    stride = data.draw(st.none() | st.tuples(*[st.integers(1, 4)] * axes))
    sides = st.tuples(*[st.tuples(*[st.integers(0, k - 1)] * 2) for k in kernel_size])
    padding = data.draw(st.sampled_from(["same", "valid"]) | sides)
    least = kernel_size if padding == "valid" else [1] * axes
    size = [data.draw(st.integers(n, n + 6)) for n in least]
    if padding not in ("same", "valid"):
        size = [max(n, k - sum(p)) for n, k, p in zip(size, kernel_size, padding, strict=True)]
    x = random(2, data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), *size)
    max_pool, avg_pool = ((MaxPool1d, AvgPool1d), (MaxPool2d, AvgPool2d))[axes - 1]
    check_pool(max_pool(kernel_size, stride, padding), x)
    check_pool(avg_pool(kernel_size, stride, padding, count_include_pad=data.draw(st.booleans())), x)


def test_average_of_same_padding_divides_by_the_cells_that_exist():
    x = np.ones((1, 1, 3, 3))
    np.testing.assert_array_equal(AvgPool2d(2, 2, "same", count_include_pad=False)(x), np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(AvgPool2d(2, 2, "same")(x), [[[[1, 0.5], [0.5, 0.25]]]])


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        pytest.param([np.nan, 1.0], 1.0, id="nan-before"),
        pytest.param([1.0, np.nan], 1.0, id="nan-behind"),
        pytest.param([np.nan, np.inf], np.inf, id="inf-beside-nan"),
        pytest.param([np.nan, np.nan], LOWEST, id="nothing-but-nan"),
        pytest.param([-np.inf, -np.inf], LOWEST, id="nothing-but-minus-inf"),
        pytest.param([-np.inf, -3.4e38], -3.4e38, id="minus-inf-beside-a-number"),
    ],
)
def test_max_pool_treats_nan_and_infinity_as_keras_does(window, wanted):
    found = MaxPool1d(2)(np.array([[window]]))  # Keras 3.15 and tf-keras 2.21, TensorFlow 2.21, CPU: call and predict
    np.testing.assert_array_equal(found, np.full((1, 1, 1), wanted, np.float32))


def test_average_pool_passes_nan_and_infinity_on():
    found = AvgPool1d(2)(np.array([[[np.nan, 1, np.inf, 1, np.inf, -np.inf]]]))
    np.testing.assert_array_equal(found, [[[np.nan, np.inf, np.nan]]])


GLOBAL = [
    pytest.param(GlobalAvgPool1d, 1, id="avg-1d"),
    pytest.param(GlobalAvgPool2d, 2, id="avg-2d"),
    pytest.param(GlobalMaxPool1d, 1, id="max-1d"),
    pytest.param(GlobalMaxPool2d, 2, id="max-2d"),
]


@pytest.mark.parametrize(("make", "axes"), GLOBAL)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_global_pools_agree_with_the_oracle(make, axes, keepdims, batch):
    x = random(3, batch, 5, *(7, 9)[:axes]) + 10
    module, spatial = make(keepdims), tuple(range(2, 2 + axes))
    reduce = np.mean if make in (GlobalAvgPool1d, GlobalAvgPool2d) else np.max
    found = module(x)
    assert found.shape == module.output_shape(x.shape) == (batch, 5, *(1,) * axes * keepdims)
    assert module.output_shape((None, 5, *(None,) * axes)) == (None, *found.shape[1:])
    wanted = reduce(naive.f64(x), axis=spatial, keepdims=keepdims)
    naive.assert_within(found, wanted, naive.ulps(1, wanted))  # a float64 sum, rounded once


def test_global_pools_pass_nan_and_infinity_on():
    x = np.array([[[1, np.nan], [np.nan, 1], [-np.inf, -np.inf], [np.inf, 1]]])
    np.testing.assert_array_equal(GlobalMaxPool1d()(x), [[np.nan, np.nan, -np.inf, np.inf]])
    np.testing.assert_array_equal(GlobalAvgPool1d()(x), [[np.nan, np.nan, -np.inf, np.inf]])


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(MaxPool2d(3, 2, "same"), id="max"),
        pytest.param(AvgPool2d(3, 2, "same"), id="avg"),
        pytest.param(GlobalAvgPool2d(), id="global-avg"),
        pytest.param(GlobalMaxPool2d(), id="global-max"),
    ],
)
def test_any_thread_count_gives_the_same_bits(module):
    assert_any_thread_count(module, random(4, 3, 17, 23, 21))


def test_an_empty_batch_gives_an_empty_batch():
    assert MaxPool2d(2)(np.zeros((0, 3, 4, 4))).shape == (0, 3, 2, 2)
    assert AvgPool1d(2)(np.zeros((0, 3, 4))).shape == (0, 3, 2)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: MaxPool2d(0), "kernel_size", id="window-0"),
        pytest.param(lambda: MaxPool2d((2, 2, 2)), "kernel_size", id="three-axes"),
        pytest.param(lambda: MaxPool2d(2, 0), "stride", id="stride-0"),
        pytest.param(lambda: MaxPool2d(2, padding="full"), "padding", id="unknown-word"),
        pytest.param(lambda: MaxPool2d(2, padding=2), "padding", id="padding-of-the-window"),
        pytest.param(lambda: AvgPool2d((3, 2), padding=((0, 0), (0, 2))), "padding", id="padding-on-one-side"),
        pytest.param(lambda: AvgPool2d(2, count_include_pad=1), "count_include_pad", id="int-for-bool"),
        pytest.param(lambda: GlobalAvgPool2d(None), "keepdims", id="none-for-bool"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


def test_an_option_of_pytorch_at_another_place_is_not_taken_for_ours():
    with pytest.raises(TypeError):
        AvgPool2d(2, 2, 0, False)  # ceil_mode in PyTorch


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        pytest.param(MaxPool2d(2), (1, 3, 4), r"\(N, C, H, W\), got \(1, 3, 4\)", id="rank-3-for-images"),
        pytest.param(MaxPool1d(2), (1, 3, 4, 4), r"\(N, C, L\), got", id="rank-4-for-sequences"),
        pytest.param(AvgPool2d(3), (1, 3, 2, 4), "window of 3", id="window-larger-than-input"),
        pytest.param(GlobalMaxPool2d(), (1, 3, 0, 4), "cells", id="nothing-to-pool"),
        pytest.param(GlobalAvgPool1d(), (1, 3, 4, 4), r"\(N, C, L\), got", id="global-rank-4-for-sequences"),
    ],
)
def test_wrong_inputs_are_refused_before_any_kernel_runs(module, shape, words):
    with pytest.raises(ShapeError, match=words):
        module(np.zeros(shape))
