"""Steps for values of any rank: dense layers, activations, normalizations, what is left out, shapes."""

from __future__ import annotations

import numpy as np

from tests.parity.random_models import grows, numbers, step

NOISE = {
    "Dropout": (0.3,), "GaussianDropout": (0.3,), "AlphaDropout": (0.3,), "GaussianNoise": (0.2,),
    "ActivityRegularization": (0.01,), "Identity": (),
}  # fmt: skip
ACTIVATIONS = ("relu", "gelu", "selu", "softplus", "tanh", "hard_sigmoid", "elu", "swish", "linear")


@step("Dense", weight=3)
def dense(make, x):
    layer = make.layers.Dense(make.integer(2, 7), activation=make.activation(), use_bias=make.chance(0.7))
    return make.call(layer, x)


@step("EinsumDense", ranks=(3, 4))
def einsum_dense(make, x):
    size = make.integer(2, 6)
    if len(x.shape) == 4:
        equation, output_shape, bias = ("abcd,cde->abe", (x.shape[1], size), "e")
    else:
        equation, output_shape, bias = make.choose(
            ("abc,cd->abd", (x.shape[1], size), "d"),
            ("...x,xy->...y", size, None),
            ("abc,bd->adc", (size, x.shape[2]), None),
        )
    return make.call(make.layers.EinsumDense(equation, output_shape, bias_axes=bias, activation=make.activation()), x)


@step("Activation")
def activation(make, x):
    return make.layers.Activation(make.choose(*ACTIVATIONS))(x)


@step("ReLU", "LeakyReLU", "ELU", "Softmax")
def activation_layer(make, x):
    layers = make.layers
    slope = {"negative_slope" if make.name == "keras3" else "alpha": 0.1}
    layer = make.choose(
        layers.ReLU(), layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2), layers.LeakyReLU(**slope),
        layers.ELU(0.7), layers.Softmax(), layers.Softmax(axis=1),
    )  # fmt: skip
    return layer(x)


@step("ThresholdedReLU", kerases=("keras2",), weight=0.3)
def thresholded(make, x):
    return make.layers.ThresholdedReLU(0.01)(x)


@step("PReLU")
def prelu(make, x):
    return make.call(make.layers.PReLU(shared_axes=make.choose(None, [1])), x)


@step("BatchNormalization", weight=2)
def batch_norm(make, x):
    layer = make.layers.BatchNormalization(
        axis=make.choose(-1, -1, 1), epsilon=make.choose(1e-3, 0.1), center=make.chance(0.8), scale=make.chance(0.8)
    )
    return make.call(layer, x)


@step("LayerNormalization")
def layer_norm(make, x):
    axes = make.choose(-1, -1, 1) if len(x.shape) < 4 else make.choose(-1, [1, 2, 3], [2, 3])
    return make.call(make.layers.LayerNormalization(axes, epsilon=0.1, scale=make.chance(0.7)), x)


@step("GroupNormalization", ranks=(3, 4, 5))
def group_norm(make, x):
    groups = make.choose(*[count for count in (1, 2, 3, -1) if count < 0 or x.shape[-1] % count == 0])
    return make.call(make.layers.GroupNormalization(groups, epsilon=0.1), x)


@step("RMSNormalization", kerases=("keras3",))
def rms_norm(make, x):
    return make.call(make.layers.RMSNormalization(epsilon=0.1), x)


@step("UnitNormalization")
def unit_norm(make, x):
    return make.layers.UnitNormalization(axis=make.choose(-1, 1))(x)


@step("Rescaling")
def rescaling(make, x):
    return make.layers.Rescaling(make.number(0.3, 2), make.number(-0.2, 0.5))(x)


@step("Normalization", weight=0.5)
def normalization(make, x):
    size = x.shape[-1]
    mean, variance = make.random.uniform(-0.5, 0.2, size), make.random.uniform(0.5, 2, size)
    if make.chance(0.5):
        mean, variance = make.number(-0.5, 0.2), make.number(0.5, 2)
        return make.layers.Normalization(axis=None, mean=mean, variance=variance)(x)
    return make.layers.Normalization(mean=mean.astype(np.float32), variance=variance.astype(np.float32))(x)


@step(*NOISE)
def noise(make, x):
    name = make.choose(*NOISE)
    return getattr(make.layers, name)(*NOISE[name])(x)


@step("Flatten", ranks=(3, 4, 5))
def flatten(make, x):
    return make.layers.Flatten(**make.format())(x)


@step("Reshape", weight=2)
def reshape(make, x):
    """To any rank."""
    left, sizes = numbers(x), []
    for _ in range(make.integer(0, 3)):
        divisors = [size for size in range(1, 8) if left % size == 0]
        sizes.append(make.choose(*divisors))
        left //= sizes[-1]
    return make.layers.Reshape((*sizes, -1 if make.chance(0.5) else left))(x)


@step("Permute", ranks=(3, 4, 5))
def permute(make, x):
    return make.layers.Permute(tuple(int(axis) + 1 for axis in make.random.permutation(len(x.shape) - 1)))(x)


@step("RepeatVector", ranks=(2,))
def repeat_vector(make, x):
    count = make.integer(2, 5)
    return None if grows(x, count) else make.layers.RepeatVector(count)(x)
