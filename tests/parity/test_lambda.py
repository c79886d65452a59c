"""Lambda layers made and saved by the real Kerases, beside what is stated of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keydnn import from_keras
from tests.parity.kerases import KERASES, SOURCES, Case, assert_agrees, built, quiet, tensorflow
from tests.test_docs import EXAMPLE, NEEDS_MORE

pytestmark = pytest.mark.parity

tf = tensorflow
IMAGE = (4, 6, 8)
CASES: list[tuple[Case, str]] = []


def code_of(text):
    """Give a lambda whose code names its functions itself, so that Keras can save it."""
    return eval(f"lambda x: {text}", {"tf": tensorflow})


def of_one(text, code, **options):
    """Add the case of a Lambda on one tensor, as it is stated and as it is in Keras."""

    def build(library, x):
        return library.layers.Lambda(code_of(code), name="f")(x)

    CASES.append((Case(text, (IMAGE,), build, **options), text))


def of_two(text, code):
    """Add the case of a Lambda on a list of two tensors."""

    def build(library, x, y):
        return library.layers.Lambda(code_of(code), name="f")([x, y])

    CASES.append((Case(text, (IMAGE, IMAGE), build), text))


def quarters(random, shape):
    return random.choice([0.5, 0.75, 1.25], shape)


def positive(random, shape):
    return random.uniform(0.2, 2, shape)


# --- arithmetic, comparisons, indices ---------------------------------------------------------------------------------

of_one("x / 127.5 - 1", "x / 127.5 - 1")
of_one("1 / 255 * x", "1 / 255 * x")
of_one("2 - x", "2 - x")
of_one("-x ** 2", "-x ** 2")
of_one("x ** 0.5 + 2 ** x", "x ** 0.5 + 2 ** x", draw=positive)
of_one("x // 0.5", "x // 0.5")
of_one("x % 0.75", "x % 0.75")
of_one("3 // x + 3 % x", "3 // x + 3 % x", draw=quarters)
of_one("x - [1, 2, 3, 4, 5, 6, 7, 8.5]", "x - [1, 2, 3, 4, 5, 6, 7, 8.5]")
of_one("cast(x > 0.5, float32)", "tf.cast(x > 0.5, 'float32')")
of_one("where(x <= 0, x, 0.25)", "tf.where(x <= 0, x, 0.25)")
of_one("x[:, 0]", "x[:, 0]")
of_one("x[:, -1, ..., 1:3]", "x[:, -1, ..., 1:3]")
of_one("x[..., ::-1]", "x[..., ::-1]")
of_one("x[:, None, 1:]", "x[:, None, 1:]")
of_two("x0 * x1 - x1", "x[0] * x[1] - x[1]")
of_two("x1 @ transpose(x0, (0, 1, 3, 2))", "x[1] @ tf.transpose(x[0], (0, 1, 3, 2))")
of_two("concatenate([x0, x1], axis=-1)", "tf.concat(x, -1)")
of_two("stack([x1, x0], axis=1)", "tf.stack([x[1], x[0]], 1)")
of_two("maximum(x0, 0) + minimum(x1, x0)", "tf.maximum(x[0], 0.0) + tf.minimum(x[1], x[0])")
of_two("x1", "x[1] + 0")

# --- functions --------------------------------------------------------------------------------------------------------

for _name in ("abs", "cos", "exp", "floor", "round", "sigmoid", "sign", "sin", "square", "tanh"):
    of_one(f"{_name}(x)", f"tf.{_name}(x)")
for _name in ("elu", "relu", "relu6", "selu", "silu", "softplus", "softsign"):
    of_one(f"{_name}(x)", f"tf.nn.{_name}(x)")
for _name in ("log", "log1p", "rsqrt", "sqrt"):
    of_one(f"{_name}(x)", f"tf.math.{_name}(x)", draw=positive)
of_one("ceil(x) + erf(x)", "tf.math.ceil(x) + tf.math.erf(x)")
for _name in ("mean", "sum", "max", "min", "prod", "std", "logsumexp"):
    of_one(f"{_name}(x, axis=(1, 2))", f"tf.math.reduce_{_name}(x, (1, 2))")
    of_one(f"{_name}(x, axis=-1, keepdims=True)", f"tf.math.reduce_{_name}(x, -1, keepdims=True)")
of_one("var(x, 1)", "tf.math.reduce_variance(x, 1)")
of_one("cast(argmax(x, axis=-1), float32)", "tf.cast(tf.argmax(x, -1), 'float32')")
of_one("cast(argmin(x, axis=1), float32)", "tf.cast(tf.argmin(x, 1), 'float32')")
of_one("cast(cast(x * 3, int32), float32)", "tf.cast(tf.cast(x * 3, 'int32'), 'float32')")
of_one("clip(x, -0.5, 1)", "tf.clip_by_value(x, -0.5, 1)")
of_one("cumsum(x, axis=1)", "tf.cumsum(x, 1)")
of_one("depth_to_space(x, 2)", "tf.nn.depth_to_space(x, 2)")
of_one("space_to_depth(x, 2)", "tf.nn.space_to_depth(x, 2)")
of_one("expand_dims(x, -1)", "tf.expand_dims(x, -1)")
of_one("flip(x, [1, 2])", "tf.reverse(x, [1, 2])")
of_one("l2_normalize(x, axis=-1)", "tf.math.l2_normalize(x, -1)")
of_one("leaky_relu(x, 0.25)", "tf.nn.leaky_relu(x, 0.25)")
of_one("log_softmax(x)", "tf.nn.log_softmax(x)")
of_one("softmax(x, axis=1)", "tf.nn.softmax(x, 1)")
of_one("one_hot(argmax(x, -1), 5)", "tf.one_hot(tf.argmax(x, -1), 5)")
for _mode, _more in (("constant", ", value=3"), ("reflect", ""), ("symmetric", "")):
    _theirs = f"tf.pad(x, ((0, 0), (1, 3), (2, 0), (0, 0)), '{_mode}'{_more.replace('value', 'constant_values')})"
    of_one(f"pad(x, ((0, 0), (1, 3), (2, 0), (0, 0)), {_mode}{_more})", _theirs)
of_one("repeat(x, 2, axis=1)", "tf.repeat(x, 2, 1)")
of_one("reshape(x, (-1, 24, 8))", "tf.reshape(x, (-1, 24, 8))")
of_one("resize(x, (7, 9))", "tf.image.resize(x, (7, 9))")
of_one("resize(x, (8, 12), nearest)", "tf.image.resize(x, (8, 12), 'nearest')")
of_one("resize(x, (8, 12), bicubic)", "tf.image.resize(x, (8, 12), 'bicubic')")
of_one("squeeze(x[:, :1], axis=1)", "tf.squeeze(x[:, :1], 1)")
of_one("take(x, [2, 1, 0], axis=-1)", "tf.gather(x, [2, 1, 0], axis=-1)")
of_one("tile(x, (1, 1, 2, 1))", "tf.tile(x, (1, 1, 2, 1))")
of_one("transpose(x, (0, 3, 1, 2))", "tf.transpose(x, (0, 3, 1, 2))")

PARAMETERS = [
    pytest.param(case, text, name, source, id=f"{text}-{name}-{source}")
    for case, text in CASES
    for name in case.kerases
    for source in SOURCES
]


@pytest.mark.parametrize(("case", "text", "name", "source"), PARAMETERS)
def test_a_lambda_is_what_is_stated(case, text, name, source):
    sources, inputs, wanted = built(case, name)
    model = from_keras(sources[source], strict=False, lambdas={"f": text})
    assert "stands for" in model.source["rewrites"][0]["what"]
    assert_agrees(model, inputs, wanted, case.relative)


# --- masks, arguments, wrappers, models in models ---------------------------------------------------------------------

WHOLE: list[tuple[Case, dict[str, str]]] = []


def whole(statements, *shapes, **options):
    """Add the case of a whole model that a function builds, and what its Lambdas stand for."""

    def add(build):
        WHOLE.append((Case(build.__name__.replace("_", "-"), shapes, build, **options), statements))
        return build

    return add


def padded(random, shape):
    x = random.standard_normal(shape)
    x[:, 1::2] = 0
    return x


@whole({"f": "x * 2"}, (5, 3), draw=padded)
def a_mask_ends_at_a_lambda(library, x):
    layers = library.layers
    return layers.GlobalAveragePooling1D()(layers.Lambda(lambda x: x * 2, name="f")(layers.Masking()(x)))


@whole({"f": "x"}, (5, 3), draw=padded)
def the_mask_of_what_a_lambda_hands_on(library, x):
    layers = library.layers
    return layers.GlobalAveragePooling1D()(layers.Lambda(lambda x: x, name="f")(layers.Masking()(x)))


@whole({"f": "x[:, :]"}, (5, 3), draw=padded)
def a_mask_ends_at_a_slice_of_everything(library, x):
    layers = library.layers
    return layers.GlobalAveragePooling1D()(layers.Lambda(lambda x: x[:, :], name="f")(layers.Masking()(x)))


@whole({"f": "x * scale + 1"}, (4,))
def arguments(library, x):
    return library.layers.Lambda(lambda x, scale: x * scale + 1, arguments={"scale": 2.5}, name="f")(x)


@whole({"f": "x[:, :2]"}, (4,))
def a_shape_that_is_said(library, x):
    return library.layers.Lambda(lambda x: x[:, :2], output_shape=(2,), name="f")(x)


@whole({"each/f": "mean(x, axis=-1)"}, (5, 3, 2))
def in_time_distributed(library, x):
    layers = library.layers
    return layers.TimeDistributed(layers.Lambda(lambda x: tf.reduce_mean(x, -1), name="f"), name="each")(x)


@whole({"inner/f": "x / 2", "g": "x0 - x1"}, (4,))
def in_a_model_called_twice(library, x):
    layers = library.layers
    inner = library.Sequential(
        [library.Input((4,)), layers.Lambda(lambda x: x / 2, name="f"), layers.Dense(4)], name="inner"
    )
    return layers.Lambda(lambda t: t[0] - t[1], name="g")([inner(x), inner(inner(x))])


@whole({"f": "abs(x0 - x1)"}, (4,), (4,))
def a_siamese_network(library, x, y):
    layers = library.layers
    dense = layers.Dense(3)
    return layers.Dense(1)(layers.Lambda(lambda t: tf.abs(t[0] - t[1]), name="f")([dense(x), dense(y)]))


@whole({"f": "mean(x, axis=(1, 2))"}, (6, 6, 3))
def behind_a_convolution_axes_are_those_of_keras(library, x):
    layers = library.layers
    return layers.Dense(2)(layers.Lambda(lambda x: tf.reduce_mean(x, (1, 2)), name="f")(layers.Conv2D(4, 3)(x)))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize(("case", "statements"), WHOLE, ids=[case.id for case, _ in WHOLE])
def test_models_with_lambdas(case, statements, name, source):
    sources, inputs, wanted = built(case, name)
    assert_agrees(from_keras(sources[source], strict=False, lambdas=statements), inputs, wanted, case.relative)


# --- the guides -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["lambda.md", "custom-layers.md"])
def test_the_examples_of_the_guides_print_what_they_say(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keydnn.convert.build.hooks.HOOKS", {})
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    examples = EXAMPLE.findall(text)
    assert examples
    for code, printed in examples:
        assert NEEDS_MORE.search(code)
        with quiet():
            exec(compile(code, page, "exec"), {"__name__": "guide"})
        assert capsys.readouterr().out.split() == printed.split()


def test_arrays_are_compared():
    """The comparison can fail."""
    case, _ = CASES[0]
    sources, inputs, wanted = built(case, "keras3")
    model = from_keras(sources["keras"], lambdas={"f": "x / 127 - 1"})
    with pytest.raises(AssertionError):
        assert_agrees(model, inputs, wanted, case.relative)
    assert np.isfinite(wanted).all()
