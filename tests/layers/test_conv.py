"""Conv1d, Conv2d, ConvTranspose2d against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import Conv1d, Conv2d, ConvTranspose2d
from tests import naive


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_conv(module, x):
    module = module.with_tensors({k: random(7 + i, *s) for i, (k, s) in enumerate(module.tensor_shapes().items())})
    axes = len(module.kernel_size)
    pads = module.padding
    if pads == "same":
        pads = naive.same_pads(x.shape[2:], module.kernel_size, module.stride, module.dilation)
    bias = module.bias if module.use_bias else np.zeros(module.out_channels)
    options = (module.stride, pads, module.dilation, module.groups)
    wanted = naive.conv(x, module.weight, bias, *options)
    magnitude = naive.conv(abs(x), abs(module.weight), abs(bias), *options)
    found = module(x)
    assert found.dtype == np.float32
    assert module.output_shape((None, x.shape[1], *[None] * axes))[1:2] == (module.out_channels,)
    assert module.output_shape(x.shape) == found.shape
    naive.assert_within(found, wanted, naive.sum_bound(module.weight[0].size, magnitude))


@pytest.mark.parametrize(
    ("module", "size"),
    [
        pytest.param(Conv2d(3, 5, 3), (7, 8), id="valid"),
        pytest.param(Conv2d(3, 5, (2, 4), padding="same"), (7, 9), id="same-even-kernel"),
        pytest.param(Conv2d(3, 5, 3, stride=2, padding="same"), (8, 9), id="same-stride-2-odd-and-even-size"),
        pytest.param(Conv2d(3, 4, 1, stride=3), (7, 8), id="stride-larger-than-kernel"),
        pytest.param(Conv2d(3, 4, 3, padding=((2, 0), (1, 3))), (5, 5), id="asymmetric-padding"),
        pytest.param(Conv2d(3, 4, 3, dilation=(2, 3), padding="same"), (9, 8), id="dilation"),
        pytest.param(Conv2d(6, 4, 3, groups=2, use_bias=False), (5, 6), id="groups-no-bias"),
        pytest.param(Conv2d(4, 8, 3, groups=4, padding="same"), (5, 6), id="depthwise-multiplier-2"),
        pytest.param(Conv2d(2, 3, 1), (1, 1), id="one-pixel"),
        pytest.param(Conv2d(2, 3, 5, padding="same", stride=4), (2, 3), id="kernel-larger-than-input"),
    ],
)
def test_conv2d_agrees_with_the_oracle(module, size):
    check_conv(module, random(1, 2, module.in_channels, *size))


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Conv1d(3, 4, 3), id="valid"),
        pytest.param(Conv1d(4, 6, 4, stride=2, padding="same", groups=2), id="same-stride-2-groups"),
        pytest.param(Conv1d(3, 4, 3, dilation=2, padding=((4, 0),)), id="causal-dilation"),
    ],
)
def test_conv1d_agrees_with_the_oracle(module):
    check_conv(module, random(2, 2, module.in_channels, 11))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_conv2d_agrees_with_the_oracle_for_any_geometry(data):
    small = st.integers(1, 4)
    pair = st.tuples(small, small)
    groups, per_in, per_out = data.draw(small), data.draw(small), data.draw(small)
    kernel_size, dilation, stride = data.draw(pair), data.draw(pair), data.draw(pair)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)]
    size = tuple(data.draw(st.integers(r, r + 6)) for r in reach)
    padding = data.draw(st.sampled_from(["same", "valid"]) | st.tuples(*[st.tuples(small, small)] * 2))
    module = Conv2d(groups * per_in, groups * per_out, kernel_size, stride, padding, dilation, groups)
    check_conv(module, random(3, data.draw(st.integers(0, 2)), groups * per_in, *size))


def check_transpose(module, x):
    module = module.with_tensors({k: random(7 + i, *s) for i, (k, s) in enumerate(module.tensor_shapes().items())})
    bias = module.bias if module.use_bias else np.zeros(module.out_channels)
    options = (module.stride, module.padding, module.output_padding, module.dilation, module.groups)
    wanted = naive.conv_transpose(x, module.weight, bias, *options)
    magnitude = naive.conv_transpose(abs(x), abs(module.weight), abs(bias), *options)
    found = module(x)
    assert module.output_shape(x.shape) == found.shape
    naive.assert_within(found, wanted, naive.sum_bound(module.weight[:, 0].size, magnitude))


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(ConvTranspose2d(3, 4, 3), id="stride-1"),
        pytest.param(ConvTranspose2d(3, 4, 3, stride=2, padding=((0, 1), (0, 1))), id="stride-2-cropped-behind"),
        pytest.param(ConvTranspose2d(3, 4, 2, stride=3, output_padding=1), id="kernel-smaller-than-stride"),
        pytest.param(ConvTranspose2d(4, 6, (2, 3), stride=(2, 1), groups=2, use_bias=False), id="groups-no-bias"),
        pytest.param(ConvTranspose2d(3, 4, 3, dilation=2, padding=1), id="dilation"),
    ],
)
def test_conv_transpose2d_agrees_with_the_oracle(module):
    check_transpose(module, random(4, 2, module.in_channels, 4, 5))


def test_conv_transpose2d_undoes_the_shape_of_conv2d():
    forward, back = Conv2d(2, 3, 3, stride=2), ConvTranspose2d(3, 2, 3, stride=2)
    assert back.output_shape(forward.output_shape((1, 2, 9, 11))) == (1, 2, 9, 11)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        pytest.param({"groups": 2}, "groups", id="groups-do-not-divide"),
        pytest.param({"stride": 0}, "stride", id="stride-0"),
        pytest.param({"kernel_size": (3, 3, 3)}, "kernel_size", id="three-axes"),
        pytest.param({"dilation": True}, "dilation", id="bool-for-int"),
        pytest.param({"padding": "SAME"}, "padding", id="unknown-word"),
        pytest.param({"padding": -1}, "padding", id="negative-padding"),
        pytest.param({"out_channels": 1.5}, "out_channels", id="float-for-int"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments, word):
    with pytest.raises(ParameterError, match=word):
        Conv2d(**{"in_channels": 3, "out_channels": 4, "kernel_size": 3, **arguments})


def test_wrong_inputs_are_refused_before_any_kernel_runs():
    conv = Conv2d(3, 4, 3).with_tensors({"weight": np.zeros((4, 3, 3, 3)), "bias": np.zeros(4)})
    with pytest.raises(ShapeError, match=r"\(N, 3, H, W\), got \(1, 4, 8, 8\)"):
        conv(np.zeros((1, 4, 8, 8)))
    with pytest.raises(ShapeError, match="window of 3"):
        conv(np.zeros((1, 3, 2, 8)))
    with pytest.raises(ShapeError, match=r"weight of .* must have shape \(4, 3, 3, 3\)"):
        conv.with_tensors({"weight": np.zeros((3, 3, 3, 4))})
    with pytest.raises(MissingWeightsError, match="No weights found for module Conv2d"):
        Conv2d(3, 4, 3)(np.zeros((1, 3, 8, 8)))


def test_nan_and_infinity_stay_where_they_are():
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 0], x[0, 0, 2, 2] = np.nan, np.inf
    found = Conv2d(1, 1, 1, use_bias=False).with_tensors({"weight": np.ones((1, 1, 1, 1))})(x)
    np.testing.assert_array_equal(found, x)
