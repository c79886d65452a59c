"""Layers that act in training only: the Dropout family, noise, activity regularization, augmentation of images."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.dropout import Dropout


@builds(
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout",
    passes_mask=True, stepwise=True,
)  # fmt: skip
def dropout(call: LayerCall) -> Value:
    """Kept in the graph with its rate, so that every layer stays visible; it passes its input on."""
    rate = call.number("rate", call.number("p", 0.5))
    call.ignore("noise_shape", "data_format")
    return call.emit(Dropout(rate), call.input())


AUGMENTATIONS = (
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom",
    "Solarization",
)  # fmt: skip
AUGMENTATION_OPTIONS = (
    "addition_factor", "all_ops", "alpha", "bins", "bounding_box_format", "brightness_factor", "chain_depth",
    "contrast_factor", "data_format", "factor", "fill_mode", "fill_value", "height_factor", "hue_factor",
    "interpolation", "kernel_size", "mode", "num_chains", "num_ops", "rng_type", "saturation_factor", "scale", "sigma",
    "threshold_factor", "value_range", "width_factor", "x_factor", "y_factor",
)  # fmt: skip


@builds(*AUGMENTATIONS)
def augmentation(call: LayerCall) -> Value:
    """Left out, and said so.

    Keras 3 writes ``training=True``, these layers' default, into every call; a model's ``predict`` overrides it.
    """
    call.ignore(*AUGMENTATION_OPTIONS)
    if call.version >= (3,):
        call.argument("training")
    return call.identity(call.input())


@builds("StochasticDepth")
@builds("GaussianNoise", "ActivityRegularization", passes_mask=True, stepwise=True)
def training_only(call: LayerCall) -> Value:
    """Left out, and said so."""
    call.ignore("stddev", "l1", "l2", "drop_path_rate")
    return call.identity(call.input())
