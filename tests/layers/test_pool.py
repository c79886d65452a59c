"""Pooling against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalAvgPool3d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    GlobalMaxPool3d,
    MaskedGlobalAvgPool1d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from keydnn.reference import f64
from keydnn.reference.pool import adaptive_pool, avg_pool, largest, max_pool
from keydnn.reference.windows import same_pads
from tests.properties import assert_any_thread_count
from tests.within import assert_within, sum_bound, ulps

LOWEST = np.finfo(np.float32).min
MAXIMA, MEANS = (MaxPool1d, MaxPool2d, MaxPool3d), (AvgPool1d, AvgPool2d, AvgPool3d)
ADAPTIVE_MAXIMA = (AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d)
ADAPTIVE_MEANS = (AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d)


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_pool(module, x):
    pads = module.padding
    if pads == "same":
        pads = same_pads(x.shape[2:], module.kernel_size, module.stride, [1] * module.axes)
    options = (module.kernel_size, module.stride, pads)
    found = module(x)
    assert found.dtype == np.float32
    assert module.output_shape(x.shape) == found.shape
    assert module.output_shape((None,) * x.ndim) == (None,) * x.ndim
    if isinstance(module, MEANS):
        wanted = avg_pool(x, *options, module.count_include_pad)
        magnitude = avg_pool(abs(x), *options, module.count_include_pad)
        # products by 1, and a division (or a product by the reciprocal: one more) in place of the bias
        bound = sum_bound(np.prod(module.kernel_size) + 1, magnitude)
        assert_within(found, wanted, bound)
    else:
        np.testing.assert_array_equal(found, max_pool(x, *options))


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
    axes = data.draw(st.integers(1, 3))
    kernel_size = tuple(data.draw(st.integers(1, 4)) for _ in range(axes))
    stride = data.draw(st.none() | st.tuples(*[st.integers(1, 4)] * axes))
    sides = st.tuples(*[st.tuples(*[st.integers(0, k - 1)] * 2) for k in kernel_size])
    padding = data.draw(st.sampled_from(["same", "valid"]) | sides)
    least = kernel_size if padding == "valid" else [1] * axes
    size = [data.draw(st.integers(n, n + 7 - axes)) for n in least]
    if padding not in ("same", "valid"):
        size = [max(n, k - sum(p)) for n, k, p in zip(size, kernel_size, padding, strict=True)]
    x = random(2, data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), *size)
    check_pool(MAXIMA[axes - 1](kernel_size, stride, padding), x)
    check_pool(MEANS[axes - 1](kernel_size, stride, padding, count_include_pad=data.draw(st.booleans())), x)


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
    for make, shape in ((MaxPool1d, (1, 1, 2)), (MaxPool2d, (1, 1, 2, 1)), (MaxPool3d, (1, 1, 2, 1, 1))):
        found = make((2, *[1] * (len(shape) - 3)))(np.reshape(window, shape))
        # as Keras 3.15 and tf-keras 2.21, TensorFlow 2.21, CPU: call and predict
        np.testing.assert_array_equal(found.ravel(), np.array([wanted], np.float32))


def test_average_pool_passes_nan_and_infinity_on():
    found = AvgPool1d(2)(np.array([[[np.nan, 1, np.inf, 1, np.inf, -np.inf]]]))
    np.testing.assert_array_equal(found, [[[np.nan, np.inf, np.nan]]])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_adaptive_pools_agree_with_the_oracle(data):
    axes = data.draw(st.integers(1, 3))
    size, output_size = (data.draw(st.tuples(*[st.integers(1, 9)] * axes)) for _ in range(2))
    x = random(5, data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), *size)
    maxima, means = ADAPTIVE_MAXIMA[axes - 1](output_size), ADAPTIVE_MEANS[axes - 1](output_size)
    np.testing.assert_array_equal(maxima(x), adaptive_pool(x, output_size, largest))
    magnitude = adaptive_pool(abs(x), output_size, lambda window: window.mean(-1))
    wanted = adaptive_pool(x, output_size, lambda window: window.mean(-1))
    assert_within(means(x), wanted, sum_bound(np.prod(size) + 1, magnitude))
    assert means.output_shape((None, 3, *[None] * axes)) == (None, 3, *output_size)
    assert means(x[:0]).shape == (0, *means(x).shape[1:])


def test_adaptive_windows_share_cells_where_they_must():
    x = np.arange(10.0).reshape(1, 1, 10)
    np.testing.assert_array_equal(AdaptiveMaxPool1d(4)(x), [[[2, 4, 7, 9]]])  # cells 0-2, 2-4, 5-7, 7-9
    np.testing.assert_array_equal(AdaptiveAvgPool1d(4)(x), [[[1, 3, 6, 8]]])
    np.testing.assert_array_equal(AdaptiveAvgPool1d(1)(x), [[[4.5]]])
    np.testing.assert_array_equal(AdaptiveMaxPool1d(4)(x[..., :3]), [[[0, 1, 2, 2]]])  # more windows than cells


GLOBAL = [
    pytest.param(GlobalAvgPool1d, 1, id="avg-1d"),
    pytest.param(GlobalAvgPool2d, 2, id="avg-2d"),
    pytest.param(GlobalAvgPool3d, 3, id="avg-3d"),
    pytest.param(GlobalMaxPool1d, 1, id="max-1d"),
    pytest.param(GlobalMaxPool2d, 2, id="max-2d"),
    pytest.param(GlobalMaxPool3d, 3, id="max-3d"),
]


@pytest.mark.parametrize(("make", "axes"), GLOBAL)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_global_pools_agree_with_the_oracle(make, axes, keepdims, batch):
    x = random(3, batch, 5, *(7, 9, 2)[:axes]) + 10
    module, spatial = make(keepdims), tuple(range(2, 2 + axes))
    reduce = np.mean if make in (GlobalAvgPool1d, GlobalAvgPool2d, GlobalAvgPool3d) else np.max
    found = module(x)
    assert found.shape == module.output_shape(x.shape) == (batch, 5, *(1,) * axes * keepdims)
    assert module.output_shape((None, 5, *(None,) * axes)) == (None, *found.shape[1:])
    wanted = reduce(f64(x), axis=spatial, keepdims=keepdims)
    assert_within(found, wanted, ulps(1, wanted))  # a float64 sum, rounded once


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_the_masked_mean_agrees_with_numpy(keepdims, batch):
    x, mask = random(6, batch, 5, 7) + 10, np.random.default_rng(7).integers(0, 2, (batch, 7)).astype(np.float32)
    mask[:, 2] = 1
    module = MaskedGlobalAvgPool1d(keepdims)
    found = module(x, mask)
    assert found.shape == module.output_shape(x.shape, mask.shape) == (batch, 5, *(1,) * keepdims)
    wanted = (f64(x) * mask[:, np.newaxis]).sum(2) / mask.sum(1)[:, np.newaxis]
    assert_within(found.reshape(batch, 5), wanted, ulps(1, wanted))
    assert_any_thread_count(module, x, mask)


def test_the_masked_mean_of_nothing_is_nan_and_masked_cells_play_no_part():
    x = np.array([[[1, np.nan, 3]], [[1, 2, 3]]])
    found = MaskedGlobalAvgPool1d()(x, np.array([[1, 0, 1], [0, 0, 0]]))
    np.testing.assert_array_equal(found, [[2], [np.nan]])
    assert MaskedGlobalAvgPool1d().output_shape((None, 3, None), (None, 7)) == (None, 3)


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
        pytest.param(AdaptiveAvgPool2d(5), id="adaptive-avg"),
        pytest.param(AdaptiveMaxPool2d((4, 7)), id="adaptive-max"),
        pytest.param(MaxPool3d(2), id="max-3d"),
        pytest.param(AvgPool3d(2), id="avg-3d"),
    ],
)
def test_any_thread_count_gives_the_same_bits(module):
    assert_any_thread_count(module, random(4, 3, 17, *(23, 21, 5)[: module.axes]))


def test_an_empty_batch_gives_an_empty_batch():
    assert MaxPool2d(2)(np.zeros((0, 3, 4, 4))).shape == (0, 3, 2, 2)
    assert AvgPool1d(2)(np.zeros((0, 3, 4))).shape == (0, 3, 2)
    assert MaxPool3d(2)(np.zeros((0, 3, 4, 4, 2))).shape == (0, 3, 2, 2, 1)


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
        pytest.param(lambda: AdaptiveAvgPool2d(None), "output_size", id="adaptive-none"),
        pytest.param(lambda: AdaptiveMaxPool3d((2, 0, 1)), "output_size", id="adaptive-0"),
        pytest.param(lambda: MaxPool3d((2, 2)), "kernel_size", id="two-axes-for-three"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


def test_an_option_of_pytorch_at_another_place_is_not_taken_for_ours():
    with pytest.raises(TypeError):
        AvgPool2d(2, 2, 0, False)  # ceil_mode in PyTorch


def test_a_mask_of_another_shape_is_refused():
    for mask in ((2, 4), (3, 5), (2, 5, 1)):
        with pytest.raises(ShapeError, match=r"a mask \(N, L\), got"):
            MaskedGlobalAvgPool1d()(np.zeros((2, 3, 5)), np.zeros(mask))


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        pytest.param(MaxPool2d(2), (1, 3, 4), r"\(N, C, H, W\), got \(1, 3, 4\)", id="rank-3-for-images"),
        pytest.param(MaxPool1d(2), (1, 3, 4, 4), r"\(N, C, L\), got", id="rank-4-for-sequences"),
        pytest.param(AvgPool2d(3), (1, 3, 2, 4), "window of 3", id="window-larger-than-input"),
        pytest.param(GlobalMaxPool2d(), (1, 3, 0, 4), "cells", id="nothing-to-pool"),
        pytest.param(MaxPool3d(2), (1, 3, 4, 4), r"\(N, C, D, H, W\), got", id="rank-4-for-volumes"),
        pytest.param(AdaptiveMaxPool2d(2), (1, 3, 4), r"\(N, C, H, W\), got", id="adaptive-rank-3"),
        pytest.param(AdaptiveAvgPool1d(2), (1, 3, 0), "cells", id="adaptive-nothing"),
        pytest.param(GlobalAvgPool1d(), (1, 3, 4, 4), r"\(N, C, L\), got", id="global-rank-4-for-sequences"),
    ],
)
def test_wrong_inputs_are_refused_before_any_kernel_runs(module, shape, words):
    with pytest.raises(ShapeError, match=words):
        module(np.zeros(shape))
