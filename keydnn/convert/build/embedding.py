"""Embedding."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.embedding import Embedding


@builds("Embedding")
def embedding(call: LayerCall) -> Value:
    """Keras 3 takes negative ids from the end of the table; Keras 1 and 2 refuse them."""
    rows, size = call.integer("input_dim"), call.integer("output_dim")
    call.require("sparse", False)
    call.ignore("input_length", "mask_zero")
    x = call.input()
    (weight,) = call.weights(embeddings=(rows, size))
    return call.emit(Embedding(rows, size, call.version >= (3,), weight=weight), x)
