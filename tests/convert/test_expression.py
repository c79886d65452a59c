"""The language in which a user states what a Lambda stands for: beside NumPy, at random, and what is no part of it."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keydnn import KerasInteropError, ParameterError
from keydnn.convert.normalize.expression import MOST_CHARACTERS, parse
from keydnn.convert.normalize.language import FUNCTIONS
from tests.convert.statements import graph_of, numbers, value_of
from tests.within import assert_within

X = numbers(2, 4, 6, 8)
P = numbers(2, 4, 6, 8, seed=1, low=0.2)
Y = numbers(2, 4, 6, 8, seed=2)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def selu(x):
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * np.where(x > 0, x, alpha * np.expm1(x))


def blocks(x, size):
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, size, size, c // size**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * size, w * size, c // size**2)


def unblocks(x, size):
    n, h, w, c = x.shape
    x = x.reshape(n, h // size, size, w // size, size, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // size, w // size, c * size**2)


# --- the language, beside NumPy ---------------------------------------------------------------------------------------

ONE = {
    "x / 255": lambda x: x / 255,
    "2 - x": lambda x: 2 - x,
    "x * (1 / 3)": lambda x: x * (1 / 3),
    "-x ** 2": lambda x: -(x**2),
    "+x": lambda x: x,
    "x // 1": lambda x: x // 1,
    "x % 1": lambda x: x % 1,
    "x > 0.5": lambda x: x > 0.5,
    "(x >= 0) * x": lambda x: (x >= 0) * x,
    "0 < x": lambda x: x > 0,
    "x <= -1": lambda x: x <= -1,
    "x == x": lambda x: x == x,
    "x != 0": lambda x: x != 0,
    "x[:, 0]": lambda x: x[:, 0],
    "x[:, -1, ..., 1:3]": lambda x: x[:, -1, ..., 1:3],
    "x[..., ::-1]": lambda x: x[..., ::-1],
    "x[:, None]": lambda x: x[:, None],
    "x[:, 1:][:, :-1, 2]": lambda x: x[:, 1:][:, :-1, 2],
    "x0": lambda x: x,
    "x - [1, 2, 3, 4, 5, 6, 7, 8.5]": lambda x: x - np.array([1, 2, 3, 4, 5, 6, 7, 8.5]),
    "abs(x)": np.abs,
    "argmax(x, axis=-1)": lambda x: x.argmax(-1),
    "argmin(x, 1)": lambda x: x.argmin(1),
    "cast(x, int32)": np.trunc,
    "cast(x, 'float32') + 0": lambda x: x,
    'cast(x, "bool")': lambda x: x != 0,
    "ceil(x)": np.ceil,
    "clip(x, -1, 0.5)": lambda x: x.clip(-1, 0.5),
    "concatenate([x, x * 2], axis=-1)": lambda x: np.concatenate([x, x * 2], -1),
    "concatenate((x,), 1) + 1": lambda x: x + 1,
    "cos(x)": np.cos,
    "cumsum(x, axis=1)": lambda x: x.cumsum(1),
    "depth_to_space(x, 2)": lambda x: blocks(x, 2),
    "elu(x)": lambda x: np.where(x > 0, x, np.expm1(x)),
    "erf(x)": None,
    "exp(x)": np.exp,
    "expand_dims(x, 1)": lambda x: x[:, None],
    "flip(x, axis=[1, 2])": lambda x: x[:, ::-1, ::-1],
    "floor(x)": np.floor,
    "l2_normalize(x, axis=-1)": lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True)),
    "leaky_relu(x, slope=0.3)": lambda x: np.where(x > 0, x, 0.3 * x),
    "log_softmax(x)": lambda x: np.log(softmax(x)),
    "logsumexp(x, axis=(1, 2))": lambda x: np.log(np.exp(x).sum((1, 2))),
    "max(x, axis=1)": lambda x: x.max(1),
    "maximum(x, 0)": lambda x: np.maximum(x, 0),
    "mean(x, axis=(1, 2), keepdims=True)": lambda x: x.mean((1, 2), keepdims=True),
    "mean(x, (1, 2))": lambda x: x.mean((1, 2)),
    "min(x, axis=-1)": lambda x: x.min(-1),
    "minimum(1, x)": lambda x: np.minimum(1, x),
    "one_hot(x[:, 0, 0, 0] * 0 + 1, 3)": lambda x: np.eye(3)[np.ones(len(x), int)],
    "pad(x, ((0, 0), (1, 2), (0, 0), (0, 0)), value=3)": lambda x: np.pad(
        x, ((0, 0), (1, 2), (0, 0), (0, 0)), constant_values=3
    ),
    "pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]], reflect)": lambda x: np.pad(
        x, ((0, 0), (1, 1), (2, 2), (0, 0)), mode="reflect"
    ),
    "prod(x, axis=3)": lambda x: x.prod(3),
    "relu(x)": lambda x: np.maximum(x, 0),
    "relu6(x * 9)": lambda x: (x * 9).clip(0, 6),
    "repeat(x, 2, axis=1)": lambda x: x.repeat(2, 1),
    "reshape(x, (-1, 24, 8))": lambda x: x.reshape(-1, 24, 8),
    "reshape(x, (None, -1))": lambda x: x.reshape(len(x), -1),
    "resize(x, (8, 12), nearest)": lambda x: x.repeat(2, 1).repeat(2, 2),
    "round(x)": np.round,
    "selu(x)": selu,
    "sigmoid(x)": sigmoid,
    "sign(x)": np.sign,
    "silu(x)": lambda x: x * sigmoid(x),
    "sin(x)": np.sin,
    "softmax(x, axis=1)": lambda x: softmax(x, 1),
    "softplus(x)": lambda x: np.log1p(np.exp(x)),
    "softsign(x)": lambda x: x / (1 + abs(x)),
    "space_to_depth(x, size=2)": lambda x: unblocks(x, 2),
    "square(x)": np.square,
    "squeeze(x[:, :1], axis=1)": lambda x: x[:, 0],
    "stack([x, x], axis=2)": lambda x: np.stack([x, x], 2),
    "std(x, axis=1)": lambda x: x.std(1),
    "sum(x, axis=-1)": lambda x: x.sum(-1),
    "take(x, [2, 0], axis=1)": lambda x: x[:, [2, 0]],
    "tanh(x)": np.tanh,
    "tile(x, (1, 1, 1, 2))": lambda x: np.tile(x, (1, 1, 1, 2)),
    "transpose(x, (0, 3, 1, 2))": lambda x: x.transpose(0, 3, 1, 2),
    "var(x, axis=(1, 2))": lambda x: x.var((1, 2)),
    "where(x > 0, x, 0.25)": lambda x: np.where(x > 0, x, 0.25),
}
POSITIVE = {
    "log(x)": np.log,
    "log1p(x)": np.log1p,
    "rsqrt(x)": lambda x: 1 / np.sqrt(x),
    "sqrt(x)": np.sqrt,
    "x ** 0.5": np.sqrt,
    "2 ** x": lambda x: 2**x,
}


def test_every_function_is_tried():
    assert {text.partition("(")[0] for text in (*ONE, *POSITIVE) if text[0].isalpha()} >= set(FUNCTIONS)


def test_every_function_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "lambda.md").read_text()
    assert not [name for name in FUNCTIONS if not re.search(rf"`{name}[`(]", page)]


def agree(text, wanted, *arrays):
    found = value_of(text, *arrays)
    wanted = np.asarray(wanted, np.float64)
    assert found.value.shape == wanted.shape
    assert_within(found.value, wanted, found.error + 1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize("text", [text for text in ONE if ONE[text]])
def test_an_expression_is_what_numpy_computes(text):
    agree(text, ONE[text](X.astype(np.float64)), X)


@pytest.mark.parametrize("text", POSITIVE)
def test_an_expression_of_positive_numbers_is_what_numpy_computes(text):
    agree(text, POSITIVE[text](P.astype(np.float64)), P)


def test_erf_is_the_mathematical_one():
    agree("erf(x)", np.vectorize(math.erf)(X.astype(np.float64)), X)


def test_several_inputs_are_numbered():
    agree("x0 * x1[:, ::-1] + sum(x0, axis=(1, 2, 3), keepdims=True)", _mixed(*map(np.float64, (X, Y))), X, Y)
    agree("x1 @ transpose(x0, (0, 1, 3, 2))", np.float64(Y) @ np.float64(X).transpose(0, 1, 3, 2), X, Y)


def _mixed(x, y):
    return x * y[:, ::-1] + x.sum((1, 2, 3), keepdims=True)


# --- random expressions -----------------------------------------------------------------------------------------------

SIMPLE = {"abs": np.abs, "tanh": np.tanh, "sigmoid": sigmoid, "square": np.square, "floor": np.floor, "sin": np.sin}
SIGNS = {"+": np.add, "-": np.subtract, "*": np.multiply}
PAIRS = {"maximum": np.maximum, "minimum": np.minimum}
PARTS = {"[:, 0:1]": (slice(None), slice(0, 1)), "[..., ::-1]": (..., slice(None, None, -1)), "[:]": (slice(None),)}


def joined(parts):
    """Give the text of an operation on two, and what NumPy makes of it."""
    (left, one), sign, (right, two) = parts
    return f"({left} {sign} {right})", lambda x, y: SIGNS[sign](one(x, y), two(x, y))


def paired(parts):
    (left, one), name, (right, two) = parts
    return f"{name}({left}, {right})", lambda x, y: PAIRS[name](one(x, y), two(x, y))


def applied(parts):
    name, (inner, one) = parts
    return f"{name}({inner})", lambda x, y: SIMPLE[name](one(x, y))


def reduced(parts):
    name, (inner, one) = parts
    return f"{name}({inner}, axis=-1, keepdims=True)", lambda x, y: getattr(np, name)(one(x, y), -1, keepdims=True)


def indexed(parts):
    (inner, one), key = parts
    return f"({inner}){key}", lambda x, y: one(x, y)[PARTS[key]]


def plus_number(parts):
    (inner, one), sign, number = parts
    return f"({inner} {sign} {number!r})", lambda x, y: SIGNS[sign](one(x, y), number)


def larger(inner):
    return st.one_of(
        st.tuples(inner, st.sampled_from(sorted(SIGNS)), inner).map(joined),
        st.tuples(inner, st.sampled_from(sorted(PAIRS)), inner).map(paired),
        st.tuples(st.sampled_from(sorted(SIMPLE)), inner).map(applied),
        st.tuples(st.sampled_from(["sum", "mean", "max"]), inner).map(reduced),
        st.tuples(inner, st.sampled_from(sorted(PARTS))).map(indexed),
        st.tuples(inner, st.sampled_from(sorted(SIGNS)), st.integers(-3, 3) | st.floats(-2, 2, width=32)).map(
            plus_number
        ),
    )


LEAVES = st.sampled_from([("x0", lambda x, y: x), ("x1", lambda x, y: y)])


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, larger, max_leaves=8))
def test_random_expressions_are_what_numpy_computes(expression):
    text, wanted = expression
    x, y = numbers(2, 3, 4), numbers(2, 3, 4, seed=1)
    found = value_of(text, x, y)
    assert found.value.shape == np.shape(wanted(np.float64(x), np.float64(y)))
    steps = "floor" in text  # a step may lie within the bound of an argument
    if not steps:
        wanted = wanted(np.float64(x), np.float64(y))
        assert_within(found.value, wanted, found.error + 1e-12 * np.abs(wanted).max())


PIECES = ["x", "x0", "1", "1e9", "9", "**", "(", ")", "[", "]", ":", ",", "sum", "axis=", "-1", "lambda", "__import__"]
PIECES += [".", "...", "'os'", "if", "else", "for", "in", "None", "{", "}", "f'", "\\", "\n", "é", "@", "~", "==", " "]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30))
def test_garbage_gives_an_expression_or_one_kind_of_error(text):
    with contextlib.suppress(ParameterError):
        parse(text, 1, {})


# --- what is no expression --------------------------------------------------------------------------------------------

REFUSED = {
    "9 ** 9 ** 9 * x": "OverflowError",
    "x * 10 ** 400": "OverflowError",
    "x * 1e308 * 0 + 1e39 * x": "a number too large",
    "x + 99999999999999999": "a number too large",
    "x / (1 - 1) ** -1": "ZeroDivisionError",
    "x * (-8) ** (1 / 3)": "whose result is none",
    "tf.square(x)": "write square(...)",
    "K.mean(x, axis=1)": "write mean(...)",
    "x.shape": "attribute is no part",
    "__import__('os').system('id')": "no function of the language",
    "eval('x')": "'eval' is no function",
    "(lambda: x)()": "no function of the language",
    "[x for x in x]": "list comp is no part",
    "x if x else x": "if exp is no part",
    "x and x": "bool op is no part",
    "0 < x < 1": "compare is no part",
    "x is None": "compare is no part",
    "x < y": "the name 'y' is not known; the inputs are x",
    "x; x": "';' is no part of the language",
    "x = 1": "not an expression",
    "3": "it reads no tensor",
    "sum([1, 2], axis=0)": "sum reads no tensor",
    "1 < 2": "a comparison of numbers",
    "[1, 2] * 2 + x": "an operation on lists",
    "-[1] + x": "a sign before a list",
    "x + [1, [2]]": "rows of the same length",
    "x + [x]": "must hold numbers only",
    "x + ()": "must hold numbers only",
    "[1, 2][0] * x": "an index of what is no tensor",
    "x[x]": "integers, slices of integers",
    "x[1.5:]": "integers, slices of integers",
    "x[[0, 1]]": "integers, slices of integers",
    "x + True": "True is no number",
    "x + 1j": "1j is no number",
    "x + 'a'": "'a' is no number",
    "sum(x)": "sum needs axis",
    "sum(x, axis=1.5)": "axis of sum must be axes",
    "sum(x, axis=x)": "axis of sum must be axes",
    "sum(x, 1, axis=1)": "each once",
    "sum(x, 1, False, 3)": "sum takes x, axis, keepdims",
    "sum(x, dim=1)": "sum takes x, axis, keepdims",
    "sum(*x)": "must be written out",
    "sum(**x)": "each once",
    "sum(x, axis=1, keepdims=1)": "must be True or False",
    "cast(x, complex64)": "dtype of cast must be one of",
    "concatenate(x, axis=1)": "a list of tensors is expected",
    "concatenate([], axis=1)": "a list of tensors is expected",
    "clip(x, None, 1)": "low of clip must be a number",
    "pad(x, 3)": "widths of pad must be a pair",
    "x << 1": "lshift is no part",
    "~x": "'~' is no part",
    "": "not an expression",
    "x" + "+x" * MOST_CHARACTERS: "at most 1000 are possible",
    "-" * 100 + "x": "more than 32 expressions in each other",
    "sum(x, axis=" + "[" * 60 + "]" * 60 + ")": "more than 32 expressions in each other",
    "(" * 400 + "x" + ")" * 400: "not an expression",
    "x.a" + ".a" * 400 + "(x)": "no function of the language",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_anything_else_is_refused(text):
    with pytest.raises(ParameterError, match="what the Lambda 'f' stands for") as caught:
        graph_of(text, (4,))
    assert REFUSED[text] in str(caught.value)


def test_the_column_is_that_of_the_text():
    with pytest.raises(ParameterError, match="column 6: the name 'y'"):
        parse("  x + (y)", 1, {})


def test_numbers_are_folded_as_python_does():
    assert parse("x * (7 // 2 + 7 % 4 - 2 ** -1)", 1, {}).operands[1] == 7 // 2 + 7 % 4 - 2**-1
    assert parse("x * 2 ** 62 / 1", 1, {}).operands[0].operands[1] == 2.0**62


@pytest.mark.parametrize("text", ["x[0]", "mean(x, axis=0)", "transpose(x, (1, 0))", "reshape(x, (4, -1))", "x[None]"])
def test_what_mixes_examples_is_refused(text):
    with pytest.raises(KerasInteropError, match="batch"):
        graph_of(text, (4,))


def test_names_are_those_of_the_inputs():
    with pytest.raises(ParameterError, match="the inputs are x0, x1"):
        graph_of("x + x1", (4,), (4,))
    with pytest.raises(ParameterError, match="'x1' is not known"):
        graph_of("x0 + x1", (4,))
