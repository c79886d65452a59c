"""ConvLSTM1d/2d/3d against the oracle, step by step in float64."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import from_keras, reference
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import ConvLSTM1d, ConvLSTM2d, ConvLSTM3d
from keydnn.reference import exact
from tests.convert import files
from tests.plan.graphs import Maker, assert_plan_agrees
from tests.properties import assert_any_thread_count
from tests.within import assert_informative, assert_within

KINDS = {1: ConvLSTM1d, 2: ConvLSTM2d, 3: ConvLSTM3d}
SIZES = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 1)}


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def made(axes=2, channels=3, **options):
    module = KINDS[axes](channels, KERNELS[axes], **options)
    (shape,) = module.tensor_shapes().values()
    return module.with_tensors({"weight_hh": random(0, *shape) / 2})


def inputs_of(module, batch=2, steps=4):
    sizes = SIZES[module.axes]
    arrays = [random(1, batch, steps, 4 * module.hidden_channels, *sizes)]
    if module.has_mask:
        arrays.append(np.random.default_rng(2).integers(0, 2, (batch, steps)).astype(np.float32))
    if module.has_state:
        arrays += [random(seed, batch, module.hidden_channels, *sizes) for seed in (3, 4)]
    return arrays


def check(module, *arrays):
    found = module(*arrays)
    bounded = reference.RULES[type(module).__name__](module, *map(exact, arrays))
    assert found.shape == module.output_shape(*(array.shape for array in arrays)) == bounded.value.shape
    assert_informative(bounded, 1e-3)
    assert_within(found, bounded.value, bounded.error)


OPTIONS = {
    "last": {},
    "sequence": {"return_sequences": True},
    "states": {"return_state": True},
    "sequence-and-states": {"return_sequences": True, "return_state": True},
    "backwards": {"return_sequences": True, "go_backwards": True},
    "given-states": {"has_state": True},
    "masked": {"return_sequences": True, "has_mask": True},
    "masked-zeros": {"return_sequences": True, "has_mask": True, "zero_output_for_mask": True},
    "masked-last-backwards": {"has_mask": True, "go_backwards": True, "return_state": True},
    "masked-given-states": {"has_mask": True, "has_state": True, "return_sequences": True, "return_state": True},
    "functions": {"activation": "ReLU", "recurrent_activation": ("HardSigmoid", 0.2, 0.5, 1.0)},
    "no-function": {"activation": "Identity", "recurrent_activation": "Identity"},
}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_steps_agree_with_float64(axes, options):
    module = made(axes, **options)
    check(module, *inputs_of(module))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_window_keeps_the_size(data):
    axes = data.draw(st.integers(1, 3))
    kernel_size = tuple(data.draw(st.integers(1, 4)) for _ in range(axes))
    sizes = tuple(data.draw(st.integers(1, 4)) for _ in range(axes))
    module = KINDS[axes](2, kernel_size, return_sequences=data.draw(st.booleans()))
    module = module.with_tensors({"weight_hh": random(5, 8, 2, *kernel_size) / 4})
    check(module, random(6, data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), 8, *sizes))


def test_a_mask_keeps_the_state_and_the_output_as_they_are():
    module = made(1, has_mask=True, return_sequences=True, return_state=True)
    (x,) = inputs_of(made(1))
    mask = np.array([[0, 1, 0, 0], [0, 0, 0, 0]], np.float32)
    found = module(x, mask)
    assert not found[0, 0].any()
    assert found[0, 1].any()
    for place in (2, 3, 4):
        np.testing.assert_array_equal(found[0, place], found[0, 1])
    assert not found[1].any()


def test_what_is_free_stays_free():
    shape = (None, None, 12, None, 5)
    assert made().output_shape(shape) == (None, 3, None, 5)
    assert made(return_sequences=True, return_state=True).output_shape((2, 4, 12, 4, 5)) == (2, 6, 3, 4, 5)
    assert made(return_sequences=True).output_shape(shape) == (None, None, 3, None, 5)
    assert made(return_state=True).output_shape(shape) == (None, 3, 3, None, 5)


def test_an_empty_batch_gives_an_empty_batch():
    assert made()(np.zeros((0, 3, 12, 4, 5))).shape == (0, 3, 4, 5)


def test_any_thread_count_gives_the_same_bits():
    module = made(return_sequences=True, has_mask=True)
    assert_any_thread_count(module, *inputs_of(module, batch=3, steps=6))


def test_it_runs_in_a_plan_as_alone():
    make = Maker(x=(4, 12, 4, 5), h=(3, 4, 5), c=(3, 4, 5))
    make("y", made(return_sequences=True, return_state=True, has_state=True), "x", "h", "c")
    program = assert_plan_agrees(make.graph("y"))
    arrays = [random(9, 2, 4, 12, 4, 5), random(10, 2, 3, 4, 5), random(11, 2, 3, 4, 5)]
    np.testing.assert_array_equal(program.run(arrays)[0], program.run(arrays)[0])  # the state begins anew


@pytest.mark.parametrize(
    ("options", "word"),
    [
        pytest.param({"hidden_channels": 0}, "hidden_channels", id="no-channels"),
        pytest.param({"kernel_size": (3,)}, "kernel_size", id="an-axis-less"),
        pytest.param({"kernel_size": (3, 0)}, "kernel_size", id="window-0"),
        pytest.param({"activation": "Softmax"}, "activation", id="no-function-of-one-element"),
        pytest.param({"recurrent_activation": None}, "recurrent_activation", id="no-function"),
        pytest.param({"has_mask": 1}, "has_mask", id="int-for-bool"),
    ],
)
def test_bad_parameters_are_refused_by_name(options, word):
    with pytest.raises(ParameterError, match=word):
        ConvLSTM2d(**{"hidden_channels": 3, "kernel_size": (3, 2), **options})


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        pytest.param({}, [(2, 4, 12, 5)], id="an-axis-less"),
        pytest.param({}, [(2, 4, 3, 4, 5)], id="channels-of-the-state"),
        pytest.param({}, [(2, 0, 12, 4, 5)], id="no-steps"),
        pytest.param({"has_mask": True}, [(2, 4, 12, 4, 5), (2, 3)], id="mask-of-other-steps"),
        pytest.param({"has_mask": True}, [(2, 4, 12, 4, 5), (2, 4, 4, 5)], id="mask-of-cells"),
        pytest.param({"has_state": True}, [(2, 4, 12, 4, 5), (2, 3, 4, 5), (2, 3, 5, 4)], id="state-of-another-size"),
    ],
)
def test_wrong_shapes_are_refused(options, shapes):
    with pytest.raises(ShapeError, match="takes a"):
        made(**options)(*(np.zeros(shape) for shape in shapes))


# --- from files that no installed Keras writes ------------------------------------------------------------------------


def test_a_file_of_keras_1_has_twelve_arrays_in_another_order(tmp_path):
    kernel, recurrent, bias = random(7, 3, 2, 2, 12), random(8, 3, 2, 3, 12), random(9, 12)
    joined = {"kernel:0": kernel, "recurrent_kernel:0": recurrent, "bias:0": bias}
    new = {"name": "c", "filters": 3, "kernel_size": [3, 2], "padding": "same", "recurrent_activation": "hard_sigmoid"}
    old = {"name": "c", "nb_filter": 3, "nb_row": 3, "nb_col": 2, "border_mode": "same", "dim_ordering": "tf"}
    old |= {"inner_activation": "hard_sigmoid", "activation": "tanh", "subsample": [1, 1]}
    split = {
        f"c_{name}_{gate}:0": array[..., 3 * place : 3 * place + 3]
        for gate, place in (("i", 0), ("c", 2), ("f", 1), ("o", 3))
        for name, array in zip("WUb", joined.values(), strict=True)
    }
    x = random(10, 2, 4, 5, 4, 2)
    found = []
    for config, weights, version in ((new, joined, "2.2.4"), (old, split, "1.2.2")):
        model = files.sequential(("ConvLSTM2D", config), shape=(None, 4, 5, 4, 2))
        path = files.write_h5(tmp_path / f"{version}.h5", model, {"c": weights}, version)
        found.append(from_keras(path, strict=False)(x))
    assert found[0].shape == (2, 5, 4, 3)
    np.testing.assert_array_equal(*found)
