"""Embedding."""

from __future__ import annotations

import dataclasses

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.lora import lora_of, with_lora
from keydnn.convert.build.registry import builds
from keydnn.modules.arithmetic import Scalar
from keydnn.modules.embedding import Embedding


@builds("Embedding")
def embedding(call: LayerCall) -> Value:
    """Keras 3 takes negative ids from the end of the table; Keras 1 and 2 refuse them."""
    rows, size = call.integer("input_dim"), call.integer("output_dim")
    call.require("sparse", False)
    call.ignore("input_length")
    masked, lora = call.boolean("mask_zero", False), lora_of(call)
    ids = call.input()
    (table,) = call.weights(embeddings=(rows, size))
    weight = with_lora(call, "embeddings", table, lora)
    rows_of_ids = call.emit(Embedding(rows, size, call.version >= (3,), weight=weight), ids)
    if not masked:
        return rows_of_ids
    return dataclasses.replace(rows_of_ids, mask=call.emit(Scalar("not_equal", 0.0), ids, part="mask"))
