"""Layers that act in training only: the Dropout family, noise, activity regularization."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.dropout import Dropout


@builds("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout")
def dropout(call: LayerCall) -> Value:
    """Kept in the graph with its rate, so that every layer stays visible; it passes its input on."""
    rate = call.number("rate", call.number("p", 0.5))
    call.ignore("noise_shape", "data_format")
    return call.emit(Dropout(rate), call.input())


@builds("GaussianNoise", "ActivityRegularization", "StochasticDepth")
def training_only(call: LayerCall) -> Value:
    """Left out, and said so."""
    call.ignore("stddev", "l1", "l2", "drop_path_rate")
    return call.identity(call.input())
