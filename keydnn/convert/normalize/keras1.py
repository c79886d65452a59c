"""Pass: options and classes of Keras 1 in today's words; ``keras1_weights.py`` does the same for its arrays.

Source: Keras 1.2.2, ``keras/layers``, and ``keras/legacy/interfaces.py`` of Keras 2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef
from keydnn.strict_json import Json, clip

CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
OPTIONS = {
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "beta_init": "beta_initializer",
    "gamma_init": "gamma_initializer",
    "length": "size",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}
WINDOWS = ("filter_length", "nb_row", "nb_col", "kernel_dim1", "kernel_dim2", "kernel_dim3")  # make up kernel_size
OF_TRAINING = ("consume_less", "forget_bias_init")
ORDERINGS = {"th": "channels_first", "tf": "channels_last", "default": "channels_last"}
MERGES = {
    "ave": "Average",
    "concat": "Concatenate",
    "cos": "Dot",
    "dot": "Dot",
    "max": "Maximum",
    "mul": "Multiply",
    "sum": "Add",
}


def modernize(model: KerasModel, notes: Notes) -> KerasModel:
    """Rename classes and options of files of Keras 1; Keras 2.0 still wrote its ``Merge``."""
    if model.version >= (3,):
        return model

    def changed(layer: Layer) -> Layer:
        if layer.package:
            return layer
        if layer.class_name == "Merge":
            return _merge(layer, notes)
        return layer if model.version >= (2,) else _renamed(layer)

    return each_layer(_with_shapes_of_cosines(model), changed)


def each_layer(model: KerasModel, changed: Callable[[Layer], Layer]) -> KerasModel:
    """Change every layer of a model, those of models and wrappers in it first."""

    def deep(layer: Layer) -> Layer:
        inner = each_layer(layer.inner, changed) if layer.inner is not None else None
        parts = {key: deep(part) for key, part in layer.parts.items()}
        return changed(dataclasses.replace(layer, inner=inner, parts=parts))

    return dataclasses.replace(model, layers=tuple(map(deep, model.layers)))


def _renamed(layer: Layer) -> Layer:
    options = {key: value for key, value in layer.config.items() if key not in (*WINDOWS, *OF_TRAINING)}
    if layer.class_name == "Embedding":  # its output_dim is still called so
        return dataclasses.replace(layer, config={k: v for k, v in options.items() if k not in ("init", "dropout")})
    config = {OPTIONS.get(key, key): value for key, value in options.items()}
    window = [layer.config[key] for key in WINDOWS if key in layer.config]
    if window:
        config["kernel_size"] = window
    if "dim_ordering" in layer.config:
        config["data_format"] = ORDERINGS.get(str(config["data_format"]), config["data_format"])
    if layer.class_name.startswith("ZeroPadding"):
        config["padding"] = _padding(config.get("padding"))
    return dataclasses.replace(layer, class_name=CLASSES.get(layer.class_name, layer.class_name), config=config)


def _padding(value: Json) -> Json:
    """Give padding as one number an axis or two; Keras 1 also had four in a row, or by name."""
    if isinstance(value, dict):
        axes = [axis for axis in (("top_pad", "bottom_pad"), ("left_pad", "right_pad")) if set(axis) & set(value)]
        pairs = [[value.get(start, 0), value.get(end, 0)] for start, end in axes]
        return pairs[0] if set(value) <= {"left_pad", "right_pad"} else pairs
    return [value[:2], value[2:]] if isinstance(value, list) and len(value) == 4 else value


def _merge(layer: Layer, notes: Notes) -> Layer:
    """Give the layer that a mode of ``Merge`` is today."""
    mode = layer.config.get("mode")
    is_raw = isinstance(mode, str) and layer.config.get("mode_type", "raw") == "raw"
    class_name = MERGES.get(str(mode)) if is_raw else None
    if class_name is None:
        why = "Python code in the file, which is never run"
        message = f"Unsupported Keras layer: Merge with mode={clip(repr(mode), 60)}"
        notes.obstacle(layer.name, "Merge", message, why)
        class_name = "Add"  # so that what lies behind is looked at too
    config: dict[str, Json] = {"name": layer.name, "trainable": True}
    if class_name == "Concatenate":
        config["axis"] = layer.config.get("concat_axis", -1)
    if class_name == "Dot":
        axes = layer.config.get("dot_axes", -1)
        config["axes"] = [_only(axis) for axis in axes] if isinstance(axes, list) else axes
        config["normalize"] = mode == "cos"
    return dataclasses.replace(layer, class_name=class_name, config=config)


def _with_shapes_of_cosines(model: KerasModel) -> KerasModel:
    """Put a Reshape behind every ``Merge(mode="cos")``, which gave (N, 1, 1) for two inputs (N, size)."""
    layers: list[Layer] = []
    for layer in model.layers:
        if layer.inner is not None:
            layers.append(dataclasses.replace(layer, inner=_with_shapes_of_cosines(layer.inner)))
        elif layer.class_name == "Merge" and layer.config.get("mode") == "cos" and not layer.package:
            cosine = f"{layer.name}.cosine"
            layers.append(dataclasses.replace(layer, name=cosine, part_of=(layer.name, layer.class_name)))
            calls = tuple(Call((TensorRef(cosine, number),)) for number in range(len(layer.calls)))
            config: dict[str, Json] = {"name": layer.name, "target_shape": [1, 1]}
            layers.append(dataclasses.replace(layer, class_name="Reshape", config=config, calls=calls))
        else:
            layers.append(layer)
    return dataclasses.replace(model, layers=tuple(layers))


def _only(axis: Json) -> Json:
    """Give an axis that stands alone in a list, as the first versions wrote it: ``[[1], [1]]``."""
    return axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
