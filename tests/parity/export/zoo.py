"""Architectures of ``keras.applications`` with random weights, and what Keras answers."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keydnn import Model, from_keras
from tests.parity.kerases import keras, quiet

NAMES = ("ResNet50", "MobileNetV2", "EfficientNetB0", "ConvNeXtTiny")


@functools.cache
def made(name: str) -> tuple[Model, Any, Any]:
    """Give a model, two images, and Keras' logits of them.

    The weights are drawn so that none is without effect, and the statistics of BatchNormalization are those of the
    images, or values would grow or vanish from block to block.
    """
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    with quiet():
        model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
        x = random.uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
        for weight in model.weights:
            if weight.path.endswith(("gamma", "variable")):  # LayerScale of ConvNeXt does not name its own
                weight.assign(random.uniform(0.8, 1.2, weight.shape))
            elif weight.path.endswith(("beta", "bias")):
                weight.assign(random.normal(0, 0.1, weight.shape))
        for layer in model.layers:
            if hasattr(layer, "momentum"):
                layer.momentum = 0.0
        model(x, training=True)
        for weight in model.weights:
            if weight.path.endswith("moving_variance"):
                weight.assign(1.1 * weight)
        return from_keras(model, strict=False), x, np.asarray(model(x, training=False))
