"""How the models of this folder were made: by real Keras 3 and real Keras 2 (tf-keras), with their answers.

Run from the repository's root, in an environment with the ``parity`` extra::

    TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= python -m tests.golden.write_golden

Every function below makes one model; ``@golden`` says which Keras writes it and into what.  Beside ``<name>.h5`` or
``<name>.keras`` lies ``<name>.npz`` with the inputs (``x0``, ``x1``, ... in the model's order, or ``x_<name>`` where it
takes a dict) and what that Keras answered (``y0``, ..., or ``y_<name>``), float32.  Weights and inputs are drawn from
seeds, so the numbers are the same on every run; the files' bytes are not, as Keras writes the date into them.

Keras stores the members of a ``.keras`` archive as they are; to keep this folder small they are compressed here, in all
but ``dicts``.

``tests/convert/test_golden.py`` replays them without Keras.
"""

from __future__ import annotations

import json
import warnings
import zipfile
import zlib
from pathlib import Path
from unittest import mock

import h5py
import keras
import numpy as np
import tf_keras
from tf_keras.src.saving.legacy import hdf5_format

FOLDER = Path(__file__).parent
KERASES = {"keras2": tf_keras, "keras3": keras}
MODELS = []


def golden(*files):
    """Write the decorated function's model to files such as ``"keras2.h5"``: which Keras, and what container."""

    def add(build):
        MODELS.extend((build, *file.split(".")) for file in files)
        return build

    return add


def conv(library, filters, size=3, **options):
    """Make a convolution with padding ``same``."""
    return library.layers.Conv2D(filters, size, padding="same", **options)


# --- models ----------------------------------------------------------------------------------------------------------


@golden("keras2.h5", "keras3.keras")
def sequential_cnn(library):
    """Odd sizes, an even kernel with a stride, depthwise with a multiplier, pooling, BatchNormalization, Dense."""
    layers = library.layers
    return library.Sequential(
        [
            layers.Input((9, 11, 3)),
            conv(library, 4, 4, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


@golden("keras2.keras", "keras3.h5")
def branches(library):
    """A residual connection, three merges, two outputs that lie in the middle and at the end."""
    layers = library.layers
    x = library.Input((6, 7, 3), name="image")
    y = layers.ReLU()(layers.Add()([conv(library, 3)(x), x]))
    z = layers.Concatenate()([y, layers.AveragePooling2D(3, 1, "same")(x), layers.MaxPooling2D(3, 1, "same")(y)])
    gate = layers.Conv2D(9, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(z))
    z = layers.Multiply()([z, gate])
    return library.Model(x, [layers.Dense(2)(layers.GlobalMaxPooling2D()(z)), y])


@golden("keras2.h5", "keras3.keras")
def shared_layers(library):
    """Two inputs, layers called twice, a merge of ranks 2 and 3."""
    layers = library.layers
    x, y = library.Input((4, 5), name="left"), library.Input((5,), name="right")
    dense, act = layers.Dense(6, activation="tanh"), layers.LeakyReLU()
    both = [act(dense(x)), act(dense(y))]
    return library.Model([x, y], [layers.Subtract()(both), layers.Maximum()(both[::-1])])


@golden("keras2.h5", "keras2.keras", "keras3.h5", "keras3.keras")
def nested(library):
    """A functional model called twice, with a frozen layer first, and a Sequential model within."""
    layers = library.layers
    a = library.Input((5,))
    y = layers.BatchNormalization(name="norm")(layers.Dense(5, trainable=False, name="dense")(a))
    inner = library.Sequential([layers.Dense(5, activation="relu", name="hidden"), layers.Dense(5, name="last")])
    encoder = library.Model(a, inner(y), name="encoder")
    x, z = library.Input((5,)), library.Input((5,))
    return library.Model([x, z], [encoder(layers.Dense(5, name="dense")(encoder(x))), encoder(z)])


@golden("keras2.h5", "keras3.keras")
def larger_images(library):
    """Transposed convolutions, padding and cropping that differ on all sides, both interpolations."""
    layers = library.layers
    x = library.Input((4, 5, 2))
    y = layers.Conv2DTranspose(3, (3, 2), (2, 3), padding="same")(x)
    y = layers.ZeroPadding2D(((1, 0), (2, 3)))(y)
    y = layers.Conv2DTranspose(2, 2, 3, output_padding=1, use_bias=False)(layers.Cropping2D(((0, 4), (8, 5)))(y))
    y = layers.UpSampling2D((1, 2))(y)
    return library.Model(x, layers.UpSampling2D((2, 1), interpolation="bilinear")(y))


@golden("keras2.keras", "keras3.h5")
def separable(library):
    """Separable, depthwise, grouped and dilated convolutions, strides above the kernel."""
    layers = library.layers
    x = library.Input((10, 9, 4))
    y = layers.SeparableConv2D(6, 2, depth_multiplier=2, padding="same", activation="elu")(x)
    y = layers.DepthwiseConv2D((2, 3), dilation_rate=2, use_bias=False)(y)
    y = layers.Conv2D(4, 3, dilation_rate=(1, 2), padding="same")(y)
    return library.Model(x, layers.Conv2D(3, 1, strides=2)(layers.Conv2D(4, (2, 1), groups=2)(y)))


@golden("keras2.h5", "keras3.keras")
def norms(library):
    """BatchNormalization with and without scale and center on several axes and ranks, LayerNormalization likewise."""
    layers = library.layers
    x = library.Input((4, 5, 3))
    y = layers.BatchNormalization(scale=False)(x)
    y = layers.BatchNormalization(axis=1, center=False, epsilon=0.01)(y)
    y = layers.LayerNormalization(axis=[1, 3])(layers.BatchNormalization(axis=2, scale=False, center=False)(y))
    z = layers.LayerNormalization(epsilon=0.1, center=False)(layers.Reshape((-1, 6))(y))
    return library.Model(x, [layers.BatchNormalization()(layers.Flatten()(z)), layers.BatchNormalization()(z)])


@golden("keras2.keras", "keras3.h5")
def sequence(library):
    """1-D layers, causal and dilated, and what the two Kerases spell or compute differently.

    LeakyReLU's slope is ``alpha`` in Keras 2; ``hard_sigmoid`` has another slope there.
    """
    layers = library.layers
    slope = {"negative_slope" if library is keras else "alpha": 0.15}
    x = library.Input((13, 3))
    y = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="hard_sigmoid")(x)
    y = layers.MaxPooling1D(3, 2, "same")(
        layers.Conv1D(4, 4, 2, padding="same", activation=layers.LeakyReLU(**slope))(y)
    )
    y = layers.Permute((2, 1))(layers.LeakyReLU(**slope)(layers.Dense(5)(y)))
    return library.Model(x, [layers.AveragePooling1D(2)(y), layers.GlobalAveragePooling1D()(y)])


@golden("keras2.h5", "keras3.keras")
def activations(library):
    """Every activation function, each on its own, and the activation layers."""
    layers = library.layers
    names = ["elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu", "sigmoid", "softmax"]
    names += ["softplus", "softsign", "swish", "tanh"]
    if library is keras:
        names += ["celu", "glu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax"]
        names += ["relu6", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "tanh_shrink"]
    x = library.Input((2, 6))
    made = [layers.Activation(name)(x) for name in names]
    made += [layers.ELU(0.5)(x), layers.ReLU(1.0, 0.1, 0.3)(x), layers.ReLU(threshold=0.2)(x), layers.Softmax(1)(x)]
    if library is tf_keras:
        made.append(layers.ThresholdedReLU(0.4)(x))
    return library.Model(x, layers.Concatenate(axis=-1)(made))


@golden("keras2.h5", "keras3.keras")
def channels_first(library):
    """Everything with the channels first; Flatten puts them last.

    No layer has as many filters as its output is wide: Keras 3.15 would add the bias along the wrong axis.
    """
    layers, first = library.layers, {"data_format": "channels_first"}
    x = library.Input((3, 8, 9))
    y = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", **first)(x)
    y = layers.BatchNormalization(axis=1)(y)
    y = layers.Conv2DTranspose(4, 2, 2, **first)(layers.DepthwiseConv2D(2, **first)(y))
    return library.Model(x, layers.Dense(3)(layers.Flatten(**first)(layers.AveragePooling2D(2, **first)(y))))


@golden("keras2.keras", "keras3.keras")
def dicts(library):
    """Inputs and outputs by name, in no alphabetical order."""
    layers = library.layers
    x, y = library.Input((3,), name="right"), library.Input((4,), name="left")
    z = layers.Minimum()([layers.Dense(3)(y), x])
    return library.Model({"right": x, "left": y}, {"third": layers.Average()([x, z]), "first": layers.Dense(2)(z)})


# --- files that no Keras of today writes -----------------------------------------------------------------------------


def small(library):
    """Give a model that old layouts are made of."""
    layers = library.layers
    made = [layers.Conv2D(3, 2, input_shape=(5, 4, 2), name="conv"), layers.Activation("hard_sigmoid", name="act")]
    return library.Sequential([*made, layers.Flatten(name="flatten"), layers.Dense(2, name="classes")], name="old")


def edited_config(file, edit):
    """Edit the JSON of an HDF5 file's ``model_config``."""
    config = json.loads(file.attrs["model_config"])
    edit(config)
    file.attrs["model_config"] = json.dumps(config).encode()


def split_names(path, model):
    """``layer_names`` and ``weight_names`` in parts, as Keras writes them above 64512 bytes; here above 20."""
    with mock.patch.object(hdf5_format, "HDF5_OBJECT_HEADER_LIMIT", 20):
        model.save(path)
    with h5py.File(path) as file:
        assert {"layer_names0", "layer_names1"} <= set(file["model_weights"].attrs)
        assert {"weight_names0", "weight_names1"} <= set(file["model_weights/conv"].attrs)


def config_is_a_list(path, model):
    """Keras up to 2.2.2: a Sequential model's config is the bare list of its layers."""
    model.save(path)

    def edit(config):
        config["config"] = [entry for entry in config["config"]["layers"] if entry["class_name"] != "InputLayer"]

    with h5py.File(path, "r+") as file:
        edited_config(file, edit)
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = b"2.1.6"


def no_version(path, model):
    """No ``keras_version`` anywhere, as in files of early Keras."""
    config_is_a_list(path, model)
    with h5py.File(path, "r+") as file:
        for owner in (file, file["model_weights"]):
            del owner.attrs["keras_version"]


# --- writing ---------------------------------------------------------------------------------------------------------


def filled(model, seed):
    """Give every weight a random value, variances positive ones."""
    random = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        variance = weight.name.partition(":")[0].endswith("moving_variance")
        shape = tuple(weight.shape)
        values.append(random.uniform(0.3, 2, shape) if variance else random.uniform(-1, 1, shape))
    model.set_weights([value.astype(np.float32) for value in values])
    return model


def compress(path):
    """Compress the members of a ``.keras`` archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def write_answer(stem, model):
    """Record random inputs and the model's answer."""
    random = np.random.default_rng(zlib.crc32(stem.encode()))
    arrays = [random.standard_normal((3, *given.shape[1:])).astype(np.float32) for given in model.inputs]
    if "dicts" in stem:
        inputs = dict(zip((given.name.partition(":")[0] for given in model.inputs), arrays, strict=True))
    else:
        inputs = arrays if len(arrays) > 1 else arrays[0]
    answer = model(inputs, training=False)
    np.savez_compressed(FOLDER / f"{stem}.npz", **named("x", inputs), **named("y", answer))


def named(prefix, value):
    """Give arrays by the names they have in the file."""
    if isinstance(value, dict):
        return {f"{prefix}_{name}": np.asarray(array) for name, array in value.items()}
    arrays = value if isinstance(value, (list, tuple)) else [value]
    return {f"{prefix}{place}": np.asarray(array) for place, array in enumerate(arrays)}


def main():
    """Write all models."""
    for build, name, suffix in MODELS:
        library = KERASES[name]
        library.backend.clear_session()
        stem = f"{name}_{build.__name__}_{suffix}"
        model = filled(build(library), zlib.crc32(stem.encode()))
        path = FOLDER / f"{stem}.{suffix}"
        model.save(path)
        if suffix == "keras" and build is not dicts:
            compress(path)
        write_answer(stem, model)
    for write in (split_names, config_is_a_list, no_version):
        tf_keras.backend.clear_session()
        stem = f"keras2_{write.__name__}_h5"
        model = filled(small(tf_keras), zlib.crc32(stem.encode()))
        write(FOLDER / f"{stem}.h5", model)
        write_answer(stem, model)
    written = [path for path in FOLDER.iterdir() if path.suffix in (".h5", ".keras", ".npz")]
    print(f"{len(written) // 2} models, {sum(path.stat().st_size for path in written):,} bytes")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
