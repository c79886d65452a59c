"""Random functional models: 5 to 25 layers of every family, branches, shared layers, nested models, both layouts.

Weights lie between -0.2 and 1 times what keeps values near 1, so that sums do not cancel and the oracle's bound, which
takes every error at its worst, still says something after 25 layers.
"""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from tests.parity.kerases import KERASES, answer, assert_agrees, filled, quiet, save

pytestmark = pytest.mark.parity

SEEDS = range(100)
# Keras 3.15's ``ops.add`` takes an array for a bias of the last axis if only one of its axes has more than one cell,
# and as many as that: also a batch of numbers, or a channels_first bias.  No other axis here has these sizes.
BATCH, FILTERS_FIRST = 19, 17
RELATIVE = 0.02  # of the largest output; a wrong weight, axis or order of cells changes more


def draw(random, name, shape):
    """Give weights whose sums are well-conditioned."""
    if name in ("gamma", "moving_mean", "beta", "bias"):
        return random.uniform(0.5, 1.5, shape) if name == "gamma" else random.uniform(-0.2, 0.4, shape)
    terms = max(1, np.prod(shape) // shape[-1]) if "depthwise" not in name else np.prod(shape[:2])
    return random.uniform(-0.2, 1, shape) * 2.5 / terms


class Maker:
    """Builds the same random model in either Keras: all choices are drawn from one seed."""

    def __init__(self, library, seed):
        self.library, self.layers = library, library.layers
        self.random = np.random.default_rng(seed)
        self.shared = []  # layers that may be called again, with the input shape they were built for

    def model(self):
        count = int(self.random.integers(5, 26))
        shapes = [(8, 9, 3), (10, 4), (6,)]
        first = int(self.random.integers(0, 3))
        inputs = [self.library.Input(shapes[first], name="first")]
        if self.random.random() < 0.4:
            inputs.append(self.library.Input(shapes[int(self.random.integers(0, 3))], name="second"))
        self.values, self.used = list(inputs), set()
        for _ in range(count):
            self.step()
        leaves = [value for place, value in enumerate(self.values) if place not in self.used and place >= len(inputs)]
        return self.library.Model(inputs, leaves)

    def pick(self):
        """Take a value, more often a late one."""
        place = len(self.values) - 1 - min(int(self.random.exponential(1.5)), len(self.values) - 1)
        self.used.add(place)
        return self.values[place]

    def step(self):
        x = self.pick()
        rank = len(x.shape)
        steps = [*EVERY, *BY_RANK[rank]]
        made = steps[int(self.random.integers(0, len(steps)))](self, x)
        self.values.append(made)

    def chance(self, probability):
        return self.random.random() < probability

    def choose(self, *choices):
        return choices[int(self.random.integers(0, len(choices)))]

    def activation(self):
        return self.choose(None, None, "relu", "tanh", "sigmoid", "elu", "softplus", "swish")

    def format(self):
        """Choose a data format."""
        return {"data_format": self.choose("channels_last", "channels_last", "channels_first")}

    def call(self, layer, x):
        self.shared.append((layer, tuple(x.shape)))
        return layer(x)


def conv2d(make, x):
    options = make.format()
    size, stride = make.choose(1, 2, 3), make.choose(1, 1, 2)
    filters = FILTERS_FIRST if options["data_format"] == "channels_first" else int(make.random.integers(2, 6))
    layer = make.layers.Conv2D(
        filters, size, stride, padding="same", activation=make.activation(), use_bias=make.chance(0.7), **options
    )
    return make.call(layer, x)


def depthwise(make, x):
    layer = make.layers.DepthwiseConv2D(
        make.choose(2, 3), padding="same", depth_multiplier=make.choose(1, 2), activation=make.activation()
    )
    return make.call(layer, x) if x.shape[-1] <= 17 else conv2d(make, x)


def separable(make, x):
    return make.call(make.layers.SeparableConv2D(3, 3, padding="same", activation=make.activation()), x)


def transposed(make, x):
    if max(x.shape[1:3]) > 12:
        return conv2d(make, x)
    layer = make.layers.Conv2DTranspose(3, make.choose(2, 3), make.choose(1, 2), padding="same")
    return make.call(layer, x)


def pool2d(make, x):
    name = make.choose("MaxPooling2D", "AveragePooling2D")
    layer = getattr(make.layers, name)(2, make.choose(1, 2), padding="same", **make.format())
    return layer(x)


def pad(make, x):
    return make.layers.ZeroPadding2D(((1, 0), (0, 1)))(x) if max(x.shape[1:]) < 14 else crop(make, x)


def crop(make, x):
    if min(x.shape[1:3]) < 4:
        return make.layers.Permute((2, 1, 3))(x)
    return make.layers.Cropping2D(((1, 0), (0, 2)))(x)


def upsample(make, x):
    if max(x.shape[1:3]) > 8:
        return pool2d(make, x)
    return make.layers.UpSampling2D(2, interpolation=make.choose("nearest", "bilinear"))(x)


def permute(make, x):
    return make.layers.Permute(make.choose((2, 1, 3), (3, 1, 2), (2, 3, 1)))(x)


def global_pool(make, x):
    name = make.choose("GlobalAveragePooling", "GlobalMaxPooling")
    return getattr(make.layers, f"{name}{len(x.shape) - 2}D")(keepdims=make.chance(0.3))(x)


def flatten(make, x):
    return make.layers.Flatten(**make.format())(x)


def dense(make, x):
    layer = make.layers.Dense(int(make.random.integers(2, 7)), activation=make.activation())
    return make.call(layer, x)


def conv1d(make, x):
    layer = make.layers.Conv1D(4, make.choose(2, 3), padding=make.choose("same", "causal"), activation="relu")
    return make.call(layer, x)


def pool1d(make, x):
    name = make.choose("MaxPooling1D", "AveragePooling1D")
    return getattr(make.layers, name)(2, make.choose(1, 2), padding="same")(x)


def to_sequence(make, x):
    size = x.shape[1]
    return make.layers.Reshape((-1, 2))(x) if size % 2 == 0 else make.layers.Reshape((size, 1))(x)


def to_image(make, x):
    size = x.shape[1]
    return make.layers.Reshape((2, size // 2, -1))(x) if size % 2 == 0 else make.layers.Reshape((1, size, -1))(x)


def batch_norm(make, x):
    return make.call(make.layers.BatchNormalization(axis=make.choose(-1, -1, 1)), x)


def activation(make, x):
    layers = make.layers
    layer = make.choose(layers.ReLU(), layers.LeakyReLU(), layers.ELU(), layers.Activation("gelu"), layers.Softmax())
    return layer(x)


def dropout(make, x):
    return make.layers.Dropout(0.3)(x)


def again(make, x):
    """Call an earlier layer on another value of the shape that it was built for."""
    fitting = [layer for layer, shape in make.shared if shape == tuple(x.shape)]
    return fitting[int(make.random.integers(0, len(fitting)))](x) if fitting else batch_norm(make, x)


def merge(make, x):
    """Merge with a value of the same shape, of one that broadcasts, or made so by a Dense."""
    other = make.pick()
    if tuple(other.shape) != tuple(x.shape):
        other = make.layers.Dense(x.shape[-1])(make.layers.Flatten()(other))
    name = make.choose("Add", "Add", "Multiply", "Average", "Maximum", "Minimum")
    return getattr(make.layers, name)()([x, other])


def concatenate(make, x):
    """Join with a value that agrees on all axes but one."""
    for other in make.values[::-1]:
        differing = [
            axis
            for axis in range(1, len(x.shape))
            if len(other.shape) == len(x.shape) and other.shape[axis] != x.shape[axis]
        ]
        if other is not x and len(other.shape) == len(x.shape) and len(differing) <= 1 and x.shape[-1] < 16:
            return make.layers.Concatenate(axis=differing[0] if differing else -1)([x, other])
    return make.layers.Concatenate()([x, x])


def nested(make, x):
    """Wrap one to three layers in a model of its own, and sometimes call it twice."""
    given = make.library.Input(tuple(x.shape[1:]))
    inner, y = Maker(make.library, int(make.random.integers(1 << 30))), given
    inner.values, inner.used = [given], set()
    for _ in range(int(make.random.integers(1, 4))):
        y = make.choose(dense, batch_norm, activation)(inner, y)
    y = make.layers.Dense(x.shape[-1])(y)
    model = make.library.Model(given, y)
    return model(model(x)) if make.chance(0.3) else model(x)


def sequential(make, x):
    layers = make.layers
    model = make.library.Sequential(
        [layers.Input(tuple(x.shape[1:])), layers.Dense(3, activation="relu"), layers.BatchNormalization()]
    )
    return model(x)


EVERY = [dense, batch_norm, activation, dropout, again, merge, merge, concatenate, nested, sequential]
BY_RANK = {
    2: [to_sequence, to_image],
    3: [conv1d, conv1d, pool1d, flatten, global_pool],
    4: [
        conv2d,
        conv2d,
        conv2d,
        depthwise,
        separable,
        transposed,
        pool2d,
        pad,
        crop,
        upsample,
        permute,
        flatten,
        global_pool,
    ],
}


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_random_model_agrees(seed, name):
    with quiet():
        model = filled(Maker(KERASES[name], seed).model(), seed, draw)
    random = np.random.default_rng(seed)
    arrays = [random.uniform(0.2, 2, (BATCH, *given.shape[1:])).astype(np.float32) for given in model.inputs]
    inputs = arrays if len(arrays) > 1 else arrays[0]
    wanted = answer(model, inputs)
    converted = {place: from_keras(source, strict=False) for place, source in save(model, f"random-{name}").items()}
    assert_agrees(converted["live"], inputs, wanted, RELATIVE)
    results = {place: model(inputs) for place, model in converted.items()}
    for place, result in results.items():
        for one, other in zip(as_list(result), as_list(results["live"]), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=place)


def as_list(value):
    return value if isinstance(value, list) else [value]
