"""Convolutions and transposed ones over one, two and three axes against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import reference
from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from keydnn.reference.conv import conv_transpose
from keydnn.reference.windows import same_pads
from tests.properties import assert_any_thread_count
from tests.within import assert_within, sum_bound

FORWARD, TRANSPOSED = (Conv1d, Conv2d, Conv3d), (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check_conv(module, x):
    module = module.with_tensors({k: random(7 + i, *s) for i, (k, s) in enumerate(module.tensor_shapes().items())})
    axes = len(module.kernel_size)
    pads = module.padding
    if pads == "same":
        pads = same_pads(x.shape[2:], module.kernel_size, module.stride, module.dilation)
    bias = module.bias if module.use_bias else np.zeros(module.out_channels)
    options = (module.stride, pads, module.dilation, module.groups)
    wanted = reference.conv.conv(x, module.weight, bias, *options)
    magnitude = reference.conv.conv(abs(x), abs(module.weight), abs(bias), *options)
    found = module(x)
    assert found.dtype == np.float32
    assert module.output_shape((None, x.shape[1], *[None] * axes))[1:2] == (module.out_channels,)
    assert module.output_shape(x.shape) == found.shape
    assert_within(found, wanted, sum_bound(module.weight[0].size, magnitude))


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


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(Conv3d(3, 4, (2, 3, 1)), id="valid"),
        pytest.param(Conv3d(4, 6, 3, stride=(1, 2, 3), padding="same", groups=2), id="same-strides-groups"),
        pytest.param(
            Conv3d(2, 3, 2, dilation=(2, 1, 3), padding=((1, 0), (0, 2), (3, 1)), use_bias=False), id="dilation"
        ),
    ],
)
def test_conv3d_agrees_with_the_oracle(module):
    check_conv(module, random(2, 2, module.in_channels, 4, 5, 6))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_convolutions_agree_with_the_oracle_for_any_geometry(data):
    axes = data.draw(st.integers(1, 3))
    small, tiny = st.integers(1, 4), st.integers(1, 2)
    each = st.tuples(*[small] * axes)
    groups, per_in, per_out = data.draw(tiny), data.draw(tiny), data.draw(tiny)
    kernel_size, dilation, stride = data.draw(each), data.draw(st.tuples(*[tiny] * axes)), data.draw(each)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)]
    size = tuple(data.draw(st.integers(r, r + 4)) for r in reach)
    padding = data.draw(st.sampled_from(["same", "valid"]) | st.tuples(*[st.tuples(small, small)] * axes))
    make = FORWARD[axes - 1]
    module = make(groups * per_in, groups * per_out, kernel_size, stride, padding, dilation, groups)
    check_conv(module, random(3, data.draw(st.integers(0, 2)), groups * per_in, *size))


def check_transpose(module, x):
    module = module.with_tensors({k: random(7 + i, *s) for i, (k, s) in enumerate(module.tensor_shapes().items())})
    bias = module.bias if module.use_bias else np.zeros(module.out_channels)
    options = (module.stride, module.padding, module.output_padding, module.dilation, module.groups)
    wanted = conv_transpose(x, module.weight, bias, *options)
    magnitude = conv_transpose(abs(x), abs(module.weight), abs(bias), *options)
    found = module(x)
    assert module.output_shape(x.shape) == found.shape
    assert_within(found, wanted, sum_bound(module.weight[:, 0].size, magnitude))


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


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_transposed_convolutions_agree_with_the_oracle_for_any_geometry(data):
    axes = data.draw(st.integers(1, 3))
    small, tiny, few = st.integers(1, 4), st.integers(1, 2), st.integers(0, 2)
    each = st.tuples(*[small] * axes)
    groups, per_in, per_out = data.draw(tiny), data.draw(tiny), data.draw(tiny)
    kernel_size, stride, dilation = data.draw(each), data.draw(each), data.draw(st.tuples(*[tiny] * axes))
    extra = data.draw(st.tuples(*[few] * axes))
    full = [d * (k - 1) + 1 + p for d, k, p in zip(dilation, kernel_size, extra, strict=True)]  # of one cell
    pads = [
        (before, data.draw(st.integers(0, n - 1 - before)))
        for n in full
        for before in [data.draw(st.integers(0, n - 1))]
    ]
    make = TRANSPOSED[axes - 1]
    module = make(groups * per_in, groups * per_out, kernel_size, stride, tuple(pads), extra, dilation, groups)
    size = [data.draw(st.integers(1, 4)) for _ in range(axes)]
    check_transpose(module, random(5, data.draw(few), groups * per_in, *size))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_transposed_convolutions_undo_the_shape_of_convolutions(axes):
    forward, back = FORWARD[axes - 1](2, 3, 3, stride=2), TRANSPOSED[axes - 1](3, 2, 3, stride=2)
    shape = (1, 2, *(9, 11, 7)[:axes])
    assert back.output_shape(forward.output_shape(shape)) == shape


@pytest.mark.parametrize("make", [Conv3d, ConvTranspose3d])
def test_any_thread_count_gives_the_same_bits(make):
    module = make(6, 5, (2, 3, 2), stride=2)
    module = module.with_tensors({name: random(6, *shape) for name, shape in module.tensor_shapes().items()})
    assert_any_thread_count(module, random(7, 3, 6, 5, 6, 7))


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


def test_every_number_of_axes_names_its_own_layout():
    for make, shape, layout in (
        (Conv1d, (1, 3, 8, 8), r"\(N, 3, L\), got \(1, 3, 8, 8\)"),
        (Conv3d, (1, 3, 8, 8), r"\(N, 3, D, H, W\), got \(1, 3, 8, 8\)"),
        (ConvTranspose1d, (1, 2, 8), r"\(N, 3, L\), got \(1, 2, 8\)"),
        (ConvTranspose3d, (1, 3, 8), r"\(N, 3, D, H, W\), got \(1, 3, 8\)"),
    ):
        with pytest.raises(ShapeError, match=layout):
            make(3, 4, 1).output_shape(shape)


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
