"""A live ``keras.Model`` (Keras 3 or tf-keras), when the caller has one.  Keras itself is not imported."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from keydnn.convert.read.architecture import model_from, parse_config, parse_version
from keydnn.convert.read.record import KerasModel, Layer, StoredTensor
from keydnn.convert.read.weights import role_of
from keydnn.errors import KerasInteropError


def read_live(model: Any) -> KerasModel:
    """Read a live model through ``to_json()`` and its layers' ``weights``.

    Raises
    ------
    KerasInteropError
        The object is no Keras model, or one written as a class.
    """
    if not (hasattr(model, "to_json") and hasattr(model, "layers") and hasattr(model, "weights")):
        raise KerasInteropError(f"a path or a keras.Model is needed, got {type(model).__name__}")
    source = f"the model {model.name!r}"
    try:
        text = model.to_json()
    except NotImplementedError:
        raise KerasInteropError(
            f"{source} is written as a class; only Sequential and functional models convert"
        ) from None
    config = parse_config(text, source)
    version = str(config.get("keras_version") or _version_of(model))
    return _attach(model_from(config, parse_version(version), source), model)


def _version_of(model: Any) -> str:
    """Tell tf-keras' models from Keras 3's, where to_json leaves the version out."""
    return "2" if any(base.__module__.startswith("tf_keras") for base in type(model).__mro__) else "3"


def _attach(record: KerasModel, model: Any) -> KerasModel:
    live = {layer.name: layer for layer in model.layers}
    layers = []
    for layer in record.layers:
        owner = live.get(layer.name)
        if owner is None:
            layers.append(layer)  # an InputLayer, which a Sequential model does not list
        elif layer.inner is not None:
            layers.append(dataclasses.replace(layer, inner=_attach(layer.inner, owner)))
        else:
            layers.append(_with_weights(layer, owner))
    return dataclasses.replace(record, layers=tuple(layers))


def _with_weights(layer: Layer, owner: Any) -> Layer:
    tensors = []
    for variable in owner.weights:
        name = str(getattr(variable, "path", None) or variable.name)
        value = np.asarray(variable)
        tensors.append(StoredTensor(name, role_of(name), value.shape, value.dtype.name, partial(np.asarray, value)))
    return dataclasses.replace(layer, weights=tuple(tensors))
