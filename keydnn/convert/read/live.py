"""A live ``keras.Model`` (Keras 3 or tf-keras), when the caller has one.  Keras itself is not imported."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.convert.read.architecture import model_from
from keydnn.convert.read.document import NEWEST, parse_config, parse_version
from keydnn.convert.read.legacy import path_of, role_of
from keydnn.convert.read.record import KerasModel, Layer, StoredTensor
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
    """Give the version of the Keras that the model is of, where to_json leaves it out."""
    packages = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    name, otherwise = ("tf_keras", "2") if "tf_keras" in packages else ("keras", NEWEST)
    return str(getattr(sys.modules.get(name), "__version__", otherwise))


def _attach(record: KerasModel, model: Any) -> KerasModel:
    live = {layer.name: layer for layer in model.layers}
    layers = []
    for layer in record.layers:
        owner = live.get(layer.name)
        if owner is None:
            layers.append(layer)  # an InputLayer, which a Sequential model does not list
        else:
            layers.append(_with_weights(layer, owner))
    return dataclasses.replace(record, layers=tuple(layers))


def _with_weights(layer: Layer, owner: Any) -> Layer:
    if layer.inner is not None:
        return dataclasses.replace(layer, inner=_attach(layer.inner, owner))
    tensors = []
    for variable in owner.weights:
        if not hasattr(variable, "shape"):
            continue  # tf-keras counts a vocabulary among the weights
        name = str(getattr(variable, "path", None) or variable.name)
        value = np.asarray(variable)
        tensors.append(_stored(name, value))
    parts = {key: _with_weights(part, _part_of(owner, key)) for key, part in layer.parts.items()}
    vocabulary = None
    if hasattr(owner, "get_vocabulary"):
        vocabulary = partial(_tokens, owner)
        idf_weights = getattr(getattr(owner, "_lookup_layer", owner), "idf_weights_const", None)
        tensors = [] if idf_weights is None else [_stored("idf_weights", np.asarray(idf_weights))]
    return dataclasses.replace(layer, weights=tuple(tensors), parts=parts, vocabulary=vocabulary)


def _tokens(owner: Any) -> tuple[str, ...]:
    """Give the vocabulary of a live lookup as files have it."""
    return tuple(map(str, owner.get_vocabulary()))


def _stored(name: str, value: npt.NDArray[np.generic]) -> StoredTensor:
    return StoredTensor(name, role_of(name), value.shape, value.dtype.name, partial(np.asarray, value), path_of(name))


def _part_of(owner: Any, key: str) -> Any:
    """Give the layer inside of a live wrapper."""
    if key == "layer" and hasattr(owner, "forward_layer"):
        return owner.forward_layer
    name, _, place = key.partition("/")
    return getattr(owner, name)[int(place)] if place else getattr(owner, name)
