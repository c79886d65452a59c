"""Layers that only Keras 1 had, against its formulas in NumPy: no Keras of today has them to compare with."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, from_keras
from keydnn.convert.build import BUILDERS
from tests.convert import files

RANDOM = np.random.default_rng(11)


def numbers(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def converted(tmp_path, class_name, stored, x, version="1.2.2", **options):
    """Give what a model of one layer makes of ``x``."""
    config = {"name": "layer", "batch_input_shape": [None, *x.shape[1:]], **options}
    entries = [{"class_name": class_name, "config": config}]
    path = files.write_keras1(tmp_path / "m.h5", entries, {"layer": stored}, version)
    return from_keras(path, strict=False).predict(x)


def assert_near(found, wanted):
    """Compare with float64: a dozen roundings of terms no larger than the largest of the results or 1."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=32 * 2.0**-24 * max(1, abs(wanted).max()))


def f64(*arrays):
    return [array.astype(np.float64) for array in arrays]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("bias", [True, False])
def test_maxout_dense_is_the_largest_of_several_dense_layers(tmp_path, bias):
    stored = {"W": numbers(3, 5, 4), "b": numbers(3, 4)}
    x, weight, shift = f64(numbers(2, 5), stored["W"], stored["b"])
    wanted = (np.einsum("ni,fio->nfo", x, weight) + bias * shift).max(1)
    if not bias:
        del stored["b"]
    found = converted(
        tmp_path, "MaxoutDense", stored, x.astype(np.float32), output_dim=4, nb_feature=3, bias=bias, init="uniform",
        input_dim=5, W_regularizer=None, b_constraint=None, activity_regularizer=None,
    )  # fmt: skip
    assert_near(found, wanted)


FUNCTIONS = {"linear": lambda x: x, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


@pytest.mark.parametrize(
    "order", ["W W_carry b b_carry", "W b W_carry b_carry", "W W_carry"], ids=["1.2", "1.0", "plain"]
)
@pytest.mark.parametrize("activation", FUNCTIONS)
def test_highway_lets_a_share_of_its_input_pass(tmp_path, activation, order):
    """Keras 1.0 wrote its weights in another order."""
    arrays = {"W": numbers(4, 4), "W_carry": numbers(4, 4), "b": numbers(4), "b_carry": numbers(4)}
    stored = {name: arrays[name] for name in order.split()}
    x, weight, carry, shift, shift_carry = f64(numbers(3, 4), *arrays.values())
    bias = "b" in stored
    gate = sigmoid(x @ carry + bias * shift_carry)
    wanted = FUNCTIONS[activation](x @ weight + bias * shift) * gate + (1 - gate) * x
    found = converted(
        tmp_path, "Highway", stored, x.astype(np.float32), activation=activation, bias=bias, transform_bias=-2,
        input_dim=4, init="glorot_uniform",
    )  # fmt: skip
    assert_near(found, wanted)


SHAPES = {
    "flat": ((4,), (4,), None),
    "every-cell": ((2, 3, 4), (2, 3, 4), None),
    "shared-axes": ((2, 3, 4), (1, 1, 4), [0, 1]),
    "axes-that-the-file-does-not-name": ((2, 3, 4), (1, 3, 1), None),
}


@pytest.mark.parametrize(("shape", "stored", "axes"), SHAPES.values(), ids=SHAPES)
def test_s_shaped_relu_has_a_slope_on_either_side(tmp_path, shape, stored, axes):
    arrays = {name: numbers(*stored) for name in ("t_left", "a_left", "t_right", "a_right")}
    given = 3 * numbers(5, *shape)
    x, t_left, a_left, t_right, a_right = f64(given, *arrays.values())
    top = t_left + abs(t_right)
    wanted = np.where(x < t_left, t_left + a_left * (x - t_left), np.where(x > top, top + a_right * (x - top), x))
    assert (x < t_left).any()
    assert (x > top).any()
    found = converted(
        tmp_path, "SReLU", arrays, given, shared_axes=axes, t_left_init="zero", a_left_init="glorot_uniform",
        t_right_init="glorot_uniform", a_right_init="one",
    )  # fmt: skip
    assert_near(found, wanted)


@pytest.mark.parametrize(("shape", "stored", "axes"), SHAPES.values(), ids=SHAPES)
def test_parametric_softplus(tmp_path, shape, stored, axes):
    arrays = {"alphas": numbers(*stored), "betas": numbers(*stored)}
    given = 3 * numbers(5, *shape)
    x, alpha, beta = f64(given, *arrays.values())
    found = converted(tmp_path, "ParametricSoftplus", arrays, given, shared_axes=axes, alpha_init=0.2, beta_init=5.0)
    assert_near(found, alpha * np.logaddexp(0, beta * x))


def test_weights_that_do_not_fit_the_input_are_an_error(tmp_path):
    arrays = {"alphas": numbers(3), "betas": numbers(3)}
    with pytest.raises(KerasFileError, match=r"weights of shape \(3,\) for an input \(N, 4\)"):
        converted(tmp_path, "ParametricSoftplus", arrays, numbers(2, 4))


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)], ids=str)
def test_batch_normalization_of_each_line_by_itself(tmp_path, shape):
    """Mode 1 adds epsilon to the variance, and to its root once more; the running statistics play no part."""
    stored = {"gamma": numbers(4), "beta": numbers(4), "running_mean": numbers(4), "running_std": abs(numbers(4))}
    given = numbers(5, *shape)
    x, gamma, beta = f64(given, stored["gamma"], stored["beta"])
    std = np.sqrt(x.var(-1, keepdims=True) + 0.25) + 0.25
    wanted = (x - x.mean(-1, keepdims=True)) / std * gamma + beta
    found = converted(tmp_path, "BatchNormalization", stored, given, mode=1, axis=-1, epsilon=0.25, momentum=0.99)
    assert_near(found, wanted)


@pytest.mark.parametrize(
    ("version", "options", "words"),
    [
        pytest.param("1.2.2", {"mode": 2}, "the statistics of the batch itself", id="by-the-batch"),
        pytest.param("1.2.2", {"mode": 3}, "0 and 1 are expected", id="unknown"),
        pytest.param("1.0.8", {"mode": 1}, "its formula changed in the versions before 1.1", id="old"),
        pytest.param(None, {"mode": 1}, "the file does not say a later one", id="no-version"),
        pytest.param("1.2.2", {"mode": 1, "axis": 1}, "with mode=1 only the last one", id="another-axis"),
    ],
)
def test_modes_of_batch_normalization_that_are_refused(tmp_path, version, options, words):
    stored = {"gamma": numbers(4), "beta": numbers(4), "running_mean": numbers(4), "running_std": abs(numbers(4))}
    with pytest.raises(KerasInteropError, match=words):
        converted(tmp_path, "BatchNormalization", stored, numbers(2, 4, 4), version, epsilon=0.01, **options)


@pytest.mark.parametrize("class_name", sorted(name for name, builder in BUILDERS.items() if builder.gone))
def test_later_files_have_classes_of_their_own_by_these_names(tmp_path, class_name):
    config = files.sequential((class_name, {"name": "layer"}))
    path = files.write_h5(tmp_path / "m.h5", config, {"layer": {}}, "2.2.4")
    with pytest.raises(KerasInteropError, match="a class that Keras 2 does not have any more"):
        from_keras(path, strict=False)
