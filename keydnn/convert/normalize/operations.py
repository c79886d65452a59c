"""Pass: operations that Keras 2 saves as layers (``TFOpLambda``, ``TensorFlowOpLayer``) in Keras 3's spelling.

Their functions are names in the file; nothing is looked up in TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.normalize.raw_operations import as_function
from keydnn.convert.normalize.tensorflow import IGNORED, Signature, signature_of
from keydnn.convert.read.nodes import slice_of
from keydnn.convert.read.record import Call, KerasModel, Layer, refs_in
from keydnn.errors import KerasFileError
from keydnn.strict_json import Json

LAMBDAS = {"TFOpLambda", "SlicingOpLambda"}


def rename_operations(model: KerasModel, notes: Notes) -> KerasModel:
    """Give every operation its class in ``keras.ops``; what has none goes by TensorFlow's name in package ``tf``."""

    def renamed(layer: Layer) -> Layer:
        try:
            return _renamed(layer, notes)
        except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
            what = f"layer {layer.name!r} ({layer.class_name}): an operation that Keras does not write"
            raise KerasFileError(f"{model.source}: {what}: {error}") from None

    return dataclasses.replace(model, layers=tuple(map(renamed, model.layers)))


def _renamed(layer: Layer, notes: Notes) -> Layer:
    if layer.class_name == "TensorFlowOpLayer" and not layer.package:
        layer = as_function(layer)
    if layer.package or layer.class_name not in LAMBDAS:
        return layer
    function = str(layer.config.get("function"))
    signature = signature_of(function)
    config: dict[str, Json] = {key: layer.config[key] for key in ("name", "trainable") if key in layer.config}
    if signature is None or not layer.calls:
        return dataclasses.replace(layer, class_name=function, package="tf", config=config)
    said = [_options(call, signature) for call in layer.calls]
    if any(options != said[0] for options in said):
        message = f"Unsupported Keras layer: {layer.class_name} called with other options each time"
        notes.obstacle(layer.name, layer.class_name, message, function)
    calls = tuple(_call(call, signature) for call in layer.calls)
    config |= {**signature.defaults, **said[0]}
    return dataclasses.replace(layer, class_name=signature.class_name, package="ops", config=config, calls=calls)


def _options(call: Call, signature: Signature) -> dict[str, Json]:
    """Give the keyword arguments that hold no tensor, by Keras 3's names; None says nothing."""
    return {
        signature.options.get(key, key): value
        for key, value in call.kwargs.items()
        if value is not None and key not in (*signature.tensors, *IGNORED) and not any(True for _ in refs_in(value))
    }


def _call(call: Call, signature: Signature) -> Call:
    """Give the tensors by position, and the keyword arguments that hold tensors by Keras 3's names."""
    operands = [*call.args, *(call.kwargs.get(name) for name in signature.tensors[1:])]
    if signature.class_name == "GetItem":
        operands[1] = _key(operands[1])
    kwargs = {
        signature.options.get(key, key): value
        for key, value in call.kwargs.items()
        if key not in signature.tensors and any(True for _ in refs_in(value))
    }
    return Call(tuple(operands), kwargs)


def _key(spec: Any) -> Any:
    """Give what stands in the brackets of ``x[...]`` as Python has it."""
    if isinstance(spec, list):
        return [_key(item) for item in spec]
    if isinstance(spec, Mapping):
        return Ellipsis if spec.get("class_name") == "__ellipsis__" else slice_of(spec)
    return spec
