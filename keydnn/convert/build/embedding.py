"""Embedding, ReversibleEmbedding."""

from __future__ import annotations

import dataclasses

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.lora import lora_of, with_lora
from keydnn.convert.build.registry import builds
from keydnn.modules.activation import Tanh
from keydnn.modules.arithmetic import Scalar
from keydnn.modules.base import Array
from keydnn.modules.dense import Linear
from keydnn.modules.embedding import Embedding
from keydnn.modules.rescale import Rescale


@builds("Embedding")
def embedding(call: LayerCall) -> Value:
    """Keras 3 takes negative ids from the end of the table; Keras 1 and 2 refuse them."""
    rows, size = call.integer("input_dim"), call.integer("output_dim")
    call.require("sparse", False)
    call.ignore("input_length")
    masked, lora = call.boolean("mask_zero", False), lora_of(call)
    ids = call.input()
    (table,) = call.weights(embeddings=(rows, size))
    return _rows(call, ids, with_lora(call, "embeddings", table, lora), masked)


@builds("ReversibleEmbedding")
def reversible_embedding(call: LayerCall) -> Value:
    """Also the other way round, with ``reverse=True``: by the table, or by a matrix of its own."""
    rows, size, tied = call.integer("input_dim"), call.integer("output_dim"), call.boolean("tie_weights", True)
    call.require("reverse_dtype", None, "float32")
    cap = None if call.option("logit_soft_cap") is None else call.number("logit_soft_cap", 1.0)
    masked, lora = call.boolean("mask_zero", False), lora_of(call)
    reverse = call.argument("reverse", 1, False)
    x = call.input()
    table, *others = call.weights(embeddings=(rows, size), reverse_embeddings=None if tied else (size, rows))
    table = with_lora(call, "embeddings", table, lora)
    if not reverse:
        return _rows(call, x, table, masked)
    linear = Linear(size, rows, False, weight=table if tied else others[0].T)
    if cap is None:
        return call.emit(linear, x, part="reverse")
    logits = call.emit(Scalar("divide", cap), call.emit(linear, x, part="reverse"), part="capped")
    return call.emit(Rescale(cap), call.emit(Tanh(), logits, part="tanh"))


def _rows(call: LayerCall, ids: Value, weight: Array, masked: bool) -> Value:
    """Give the rows of the ids, with their mask."""
    rows, size = weight.shape
    rows_of_ids = call.emit(Embedding(rows, size, call.version >= (3,), weight=weight), ids)
    if not masked:
        return rows_of_ids
    return dataclasses.replace(rows_of_ids, mask=call.emit(Scalar("not_equal", 0.0), ids, part="mask"))
