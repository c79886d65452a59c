"""Binary, Scalar and Where against NumPy, and in a plan."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from jit_kernels.arithmetic import OPERATIONS
from keydnn.errors import ParameterError, ShapeError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Binary, Conv2d, Scalar, Where
from keydnn.plan import Program
from tests.properties import assert_any_thread_count, assert_permuted

F32 = np.float32
VALUES = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 2.5, -2.5, 3e38, 7.0, -7.0, 0.3, 1e-20]
PAIRS = np.array([(x, y) for x in VALUES for y in VALUES], F32).T
# Each rounds once in the order written, as NumPy does, or not at all: equal bit by bit.  Only ``power`` and ``atan2``
# are C's own.
REFERENCES = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "divide_no_nan": lambda x, y: np.where(y == 0, F32(0), np.divide(x, y)),
    "floor_divide": lambda x, y: np.floor(np.divide(x, y)),
    "remainder": np.remainder,
    "squared_difference": lambda x, y: np.square(np.subtract(x, y)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


def wanted(operation, x, y):
    with np.errstate(all="ignore"):
        return REFERENCES[operation](x, y).astype(F32)


def test_every_operation_has_a_reference():
    assert {*REFERENCES, "power", "atan2"} == set(OPERATIONS)


@pytest.mark.parametrize("operation", REFERENCES)
def test_two_inputs_of_all_kinds_agree_with_numpy(operation):
    x, y = PAIRS
    np.testing.assert_array_equal(Binary(operation)(x, y), wanted(operation, x, y))


@pytest.mark.parametrize("value", [2.5, -3.0, 0.0])
@pytest.mark.parametrize("operation", REFERENCES)
def test_an_input_and_a_number_agree_with_numpy(operation, value):
    x = np.array(VALUES, F32)
    np.testing.assert_array_equal(Scalar(operation, value)(x), wanted(operation, x, F32(value)))


@pytest.mark.parametrize("value", [2.5, -3.0, 0.0])
@pytest.mark.parametrize("operation", ["subtract", "divide", "remainder", "greater"])
def test_a_number_before_an_input_agrees_with_numpy(operation, value):
    x = np.array(VALUES, F32)
    np.testing.assert_array_equal(Scalar(operation, value, reverse=True)(x), wanted(operation, F32(value), x))


def test_powers_are_within_two_ulps_and_have_the_special_values_of_c():
    x, y = np.abs(random(1, 1000)) + F32(0.1), 3 * random(2, 1000)
    exact = x.astype(np.float64) ** y.astype(np.float64)
    assert (abs(Binary("power")(x, y) - exact) <= 2 * np.spacing(exact.astype(F32))).all()
    special = [(-8.0, 3.0), (-8.0, 1 / 3), (0.0, 0.0), (np.nan, 0.0), (1.0, np.nan), (-np.inf, 3.0), (2.0, -np.inf)]
    x, y = np.array(special, F32).T
    np.testing.assert_array_equal(Binary("power")(x, y), [-512, np.nan, 1, 1, 1, -np.inf, 0])


def test_angles_are_within_two_ulps_and_have_the_special_values_of_c():
    y, x = random(1, 1000), random(2, 1000)
    exact = np.arctan2(y.astype(np.float64), x.astype(np.float64))
    assert (abs(Binary("atan2")(y, x) - exact) <= 2 * np.spacing(abs(exact).astype(F32))).all()
    found, exact = Binary("atan2")(*PAIRS), np.arctan2(*PAIRS.astype(np.float64))
    np.testing.assert_allclose(found, exact, rtol=2.0**-22, atol=1e-45)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(exact.astype(F32)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_shapes_that_numpy_broadcasts(data):
    full = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    shapes = [tuple(data.draw(st.sampled_from([size, 1])) for size in full) for _ in range(3)]
    c, x, y = (random(i, *shape) for i, shape in enumerate(shapes))
    np.testing.assert_array_equal(Binary("divide")(x, y), x / y)
    np.testing.assert_array_equal(Where()(c > 0, x, y), np.where(c > 0, x, y))


def test_where_takes_nan_as_true_and_leaves_what_it_does_not_take():
    found = Where()([np.nan, 0.0, 1.0], [1.0, np.nan, 2.0], [np.nan, 3.0, np.inf])
    np.testing.assert_array_equal(found, [1, 3, 2])


def test_permuted_operations_are_themselves():
    assert_permuted(Binary("greater"), (0, 2, 1), random(1, 2, 3, 4), random(2, 2, 1, 4))
    assert_permuted(Scalar("remainder", 0.3), (0, 2, 1), random(1, 2, 3, 4))
    assert_permuted(Where(), (0, 2, 1), random(1, 2, 3, 4), random(2, 2, 1, 4), random(3, 2, 3, 1))


@pytest.mark.parametrize("module", [Binary("power"), Binary("atan2"), Binary("remainder"), Where()], ids=str)
def test_any_thread_count_gives_the_same_bits(module):
    assert_any_thread_count(module, *(abs(random(i, 10007)) for i in range(module.arity)))


def test_bad_parameters_and_shapes_are_refused_by_name():
    with pytest.raises(ParameterError, match="operation"):
        Binary("modulo")
    with pytest.raises(ParameterError, match="value"):
        Scalar("add", np.inf)
    with pytest.raises(ParameterError, match="reverse"):
        Scalar("add", 1.0, 2)
    with pytest.raises(ShapeError, match="equal rank"):
        Binary("divide")(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ShapeError, match="3 inputs, got 2"):
        Where()(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("channels", [3, 16, 21])
def test_a_plan_takes_them_into_convolutions_and_what_fills_its_vectors_does_not_leak(channels):
    """1 / x of the zeros that fill a block of channels is infinite: the next convolution must not read it."""
    first = Conv2d(2, channels, 3, weight=random(1, channels, 2, 3, 3), bias=20 + random(2, channels))
    second = Conv2d(channels, 5, 3, weight=random(3, 5, channels, 3, 3), bias=random(4, 5))
    nodes = [
        Node("first", first, ("x",)),
        Node("one_over", Scalar("divide", 1.0, reverse=True), ("first",)),
        Node("log", Scalar("power", -0.5), ("one_over",)),
        Node("second", second, ("log",)),
    ]
    graph = Graph([Input("x", (None, 2, 12, 13))], nodes, [Output("y", "second")])
    x = random(5, 2, 2, 12, 13)
    (plain,), (planned,) = graph.forward([x]), Program(graph).run([x])
    assert np.isfinite(plain).all()
    np.testing.assert_allclose(planned, plain, rtol=0, atol=1e-4 * abs(plain).max())
