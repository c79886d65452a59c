"""Every activation function of both Kerases: on random numbers, far out, and on NaN and infinities."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.convert.build.activation import FUNCTIONS
from keydnn.reference import FUNCTION, gamma
from tests.parity.kerases import KERASES, Case, answer, check, oracle_of, parameters, quiet
from tests.within import assert_within, overflow

pytestmark = pytest.mark.parity

ALONG_AN_AXIS = {"glu", "log_softmax", "softmax", "sparsemax"}


def known(library, name):
    """Tell whether a Keras has an activation function (and not a layer) of this name."""
    try:
        with quiet():
            return callable(library.activations.get(name))
    except (TypeError, ValueError):
        return False


NAMES = {name: tuple(k for k, library in KERASES.items() if known(library, name)) for name in sorted(FUNCTIONS)}


def case_of(name, shape, prefix=""):
    return Case(f"{prefix}{name}", (shape,), lambda library, x: library.layers.Activation(name)(x), NAMES[name])


def fused(name):
    return Case(f"fused-{name}", ((3, 7),), lambda library, x: library.layers.Dense(6, activation=name)(x), NAMES[name])


# The layer behind is a Dense of inexact results, over which Keras' sparsemax may choose another support.
CASES = [case_of(name, (3, 40)) for name in NAMES] + [fused(name) for name in NAMES if name != "sparsemax"]
ELEMENTWISE = [
    pytest.param(name, keras, id=f"{name}-{keras}")
    for name, kerases in NAMES.items()
    for keras in kerases
    if name not in ALONG_AN_AXIS
]


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_activation_agrees(case, name, source):
    check(case, name, source)


def test_every_function_of_keras_is_known():
    keras = KERASES["keras3"]
    with quiet():
        names = set(keras.src.activations.ALL_OBJECTS_DICT)
    unusable = {"threshold"}  # has no default arguments, so no layer can name it
    assert names - unusable <= {*FUNCTIONS, "linear"}
    assert all(kerases for kerases in NAMES.values())


def everywhere():
    """Dense around 0, both sides of every exponential's range, every magnitude."""
    magnitudes = 10.0 ** np.random.default_rng(1).uniform(-37, 18, 1000)
    lines = [np.linspace(-110, 110, 2001), np.linspace(-4, 4, 2001)]
    return np.concatenate([magnitudes, -magnitudes, *lines]).astype(np.float32)[None]


@pytest.mark.parametrize(("function", "name"), ELEMENTWISE)
def test_activation_agrees_everywhere(function, name):
    x = everywhere()
    model = case_of(function, (x.shape[1],)).model(name)
    converted = from_keras(model, strict=False)
    (bounded,) = oracle_of(converted, x)
    wanted = overflow(bounded.value)
    bound = np.where(np.isfinite(wanted), bounded.error, 0)
    assert_within(answer(model, x), wanted, bound)
    assert_within(converted(x), wanted, bound)


SPECIAL = [0.0, -0.0, 1, -1, 1e30, -1e30, 3e38, -3e38, np.nan, np.inf, -np.inf]


def assert_same_specials(model, x, wanted):
    """Assert NaN and infinities at Keras' places; finite numbers as near as two results within the bound are.

    The bound is that of the input with its special values zeroed; what is finite at infinity is a limit, which both
    have but for the roundings of a function.
    """
    arrays = x if isinstance(x, list) else [x]
    zeroed = [np.where(np.isfinite(array), array, 0) for array in arrays]
    (bounded,) = oracle_of(model, zeroed)
    limit = gamma(4 * FUNCTION) * np.where(np.isfinite(wanted), np.abs(wanted), 0)
    assert_within(model(x), wanted, 2 * np.nan_to_num(bounded.error, posinf=0) + limit)


@pytest.mark.parametrize(("function", "name"), ELEMENTWISE)
def test_activation_has_keras_special_values(function, name):
    x = np.tile(np.array(SPECIAL, np.float32), 17)[None]  # TensorFlow treats eight at a time, and the rest one by one
    model = case_of(function, (x.shape[1],)).model(name)
    assert_same_specials(from_keras(model, strict=False), x, answer(model, x))


def sprinkled(case, *specials):
    """Give a case's inputs with special values at a tenth of the places each, at other places in each input."""
    inputs = case.arrays(batch=4)
    random = np.random.default_rng(7)
    for array in inputs if isinstance(inputs, list) else [inputs]:
        for special in specials:
            array[random.random(array.shape) < 0.1] = special
    return inputs


def of(class_name, *shapes, kerases=("keras3", "keras2"), **options):
    def build(library, *inputs):
        return getattr(library.layers, class_name)(**options)(list(inputs) if len(inputs) > 1 else inputs[0])

    what = "-".join(f"{key}-{value}" for key, value in options.items())
    return Case(f"{class_name}-{what}" if what else class_name, shapes, build, kerases)


LAYERS = [
    *(of(name, (5, 6), (5, 6)) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")),
    of("Concatenate", (5, 6), (5, 6)),
    of("Dense", (8,), units=3),
    of("MaxPooling1D", (12, 3), pool_size=2),
    of("MaxPooling2D", (7, 9, 3), pool_size=2),
    of("MaxPooling2D", (7, 9, 3), pool_size=3, strides=1, padding="same"),
    of("GlobalMaxPooling1D", (4, 3)),
    of("GlobalMaxPooling2D", (2, 3, 3)),
    of("AveragePooling2D", (7, 9, 3), pool_size=2),
    of("ReLU", (5, 60), max_value=2.0),
    of("ReLU", (5, 60), negative_slope=0.1),
    # With a threshold, Keras 2 multiplies by 0 or 1 and so makes NaN of -inf; KeyDNN does as Keras 3 for both.
    of("ReLU", (5, 60), kerases=("keras3",), threshold=0.5),
    of("ReLU", (5, 60), kerases=("keras3",), max_value=2.0, threshold=0.5),
    of("ReLU", (5, 60), kerases=("keras3",), negative_slope=0.1, threshold=0.5),
    of("LeakyReLU", (5, 60)),
    of("ELU", (5, 60), alpha=0.5),
    of("PReLU", (5, 60)),
    of("ThresholdedReLU", (5, 60), kerases=("keras2",), theta=0.5),
    of("BatchNormalization", (5, 6)),
    of("LayerNormalization", (5, 6)),
    of("GroupNormalization", (5, 6), groups=2),
    of("RMSNormalization", (5, 6), kerases=("keras3",)),
    of("UnitNormalization", (5, 6)),
    of("Rescaling", (5, 6), scale=0.5, offset=0.1),
    of("Normalization", (3,), mean=[1.0, 2.0, 3.0], variance=[1.0, 0.0, 3.0]),
    of("Dot", (5, 6), (4, 6), axes=2),
    of("Resizing", (7, 9, 3), height=5, width=5, interpolation="nearest"),
    of("CenterCrop", (7, 9, 3), height=4, width=5),
    of("UpSampling2D", (3, 4, 2)),
    of("ZeroPadding2D", (3, 4, 2)),
]


@pytest.mark.parametrize(
    ("case", "name"), [pytest.param(case, name, id=f"{case.id}-{name}") for case in LAYERS for name in case.kerases]
)
def test_layer_has_keras_special_values(case, name):
    inputs = sprinkled(case, np.nan, np.inf, -np.inf)
    model = case.model(name)
    assert_same_specials(from_keras(model, strict=False), inputs, answer(model, inputs))


@pytest.mark.parametrize("name", KERASES)
def test_softmax_of_minus_infinity_is_zero(name):
    """As masks have it; every line keeps a finite number."""
    case = case_of("softmax", (3, 10))
    x = sprinkled(case, -np.inf)
    x[..., 0] = 0
    model = case.model(name)
    wanted = answer(model, x)
    assert (wanted == 0).any()
    assert_same_specials(from_keras(model, strict=False), x, wanted)
