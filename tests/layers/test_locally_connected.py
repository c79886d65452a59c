"""LocallyConnected1d, LocallyConnected2d against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import reference
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Conv2d, LocallyConnected1d, LocallyConnected2d
from keydnn.reference.locally_connected import locally_connected
from tests.properties import assert_any_thread_count
from tests.within import assert_within, sum_bound


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def filled(module):
    return module.with_tensors({name: random(7 + i, *s) for i, (name, s) in enumerate(module.tensor_shapes().items())})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_locally_connected_layers_agree_with_the_oracle(data):
    axes = data.draw(st.integers(1, 2))
    small, few = st.integers(1, 3), st.integers(0, 2)
    kernel_size, stride = (data.draw(st.tuples(*[small] * axes)) for _ in range(2))
    pads = data.draw(st.tuples(*[st.tuples(few, few)] * axes))
    size = [data.draw(st.integers(k, k + 4)) for k in kernel_size]
    outputs = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(size, pads, kernel_size, stride, strict=True)]
    make = (LocallyConnected1d, LocallyConnected2d)[axes - 1]
    module = make(data.draw(small), data.draw(small), kernel_size, outputs, stride, pads, data.draw(st.booleans()))
    module = filled(module)
    x = random(1, data.draw(few), module.in_channels, *size)
    bias = module.bias if module.use_bias else np.zeros((module.out_channels, *outputs))
    wanted = locally_connected(x, module.weight, bias, stride, pads)
    magnitude = locally_connected(abs(x), abs(module.weight), abs(bias), stride, pads)
    found = module(x)
    assert found.shape == module.output_shape(x.shape) == wanted.shape
    assert_within(found, wanted, sum_bound(module.in_channels * np.prod(kernel_size), magnitude))


def test_equal_weights_everywhere_are_a_convolution():
    conv = filled(Conv2d(3, 4, 2, use_bias=False))
    weight = np.broadcast_to(conv.weight, (5, 6, *conv.weight.shape))
    module = LocallyConnected2d(3, 4, 2, (5, 6), use_bias=False, weight=weight)
    x = random(2, 2, 3, 6, 7)
    magnitude = reference.conv.conv(abs(x), abs(conv.weight), np.zeros(4), (1, 1), [(0, 0)] * 2, (1, 1), 1)
    assert_within(module(x), conv(x), 2 * sum_bound(12, magnitude))


def test_free_sizes_are_those_of_the_weights():
    module = LocallyConnected2d(3, 4, 2, (5, 6))
    assert module.output_shape((None, 3, None, 7)) == (None, 4, 5, 6)


def test_any_thread_count_gives_the_same_bits():
    assert_any_thread_count(filled(LocallyConnected2d(3, 4, 3, (7, 9))), random(3, 3, 3, 9, 11))


def test_wrong_inputs_and_parameters_are_refused_by_name():
    module = filled(LocallyConnected2d(3, 4, 2, (5, 6)))
    with pytest.raises(ShapeError, match=r"no weights for the \(6, 6\) places"):
        module(np.zeros((1, 3, 7, 7)))
    with pytest.raises(ShapeError, match=r"\(N, 3, H, W\), got \(1, 2, 6, 7\)"):
        module(np.zeros((1, 2, 6, 7)))
    with pytest.raises(ShapeError, match=r"\(N, 3, L\), got"):
        LocallyConnected1d(3, 4, 2, 5).output_shape((1, 3, 6, 6))
    with pytest.raises(ShapeError, match="weight of"):
        module.with_tensors({"weight": np.zeros((5, 6, 3, 4, 2, 2))})
    with pytest.raises(ParameterError, match="output_size"):
        LocallyConnected2d(3, 4, 2, (5, 0))
    with pytest.raises(ParameterError, match="padding"):
        LocallyConnected1d(3, 4, 2, 5, padding="same")
