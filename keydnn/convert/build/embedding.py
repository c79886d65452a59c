"""Embedding."""

from __future__ import annotations

import dataclasses

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.arithmetic import Scalar
from keydnn.modules.base import Array
from keydnn.modules.embedding import Embedding


@builds("Embedding")
def embedding(call: LayerCall) -> Value:
    """Keras 3 takes negative ids from the end of the table; Keras 1 and 2 refuse them."""
    rows, size = call.integer("input_dim"), call.integer("output_dim")
    call.require("sparse", False)
    call.ignore("input_length")
    masked, rank = call.boolean("mask_zero", False), call.option("lora_rank")
    scale = call.number("lora_alpha", float(rank or 0)) / rank if rank else 0.0
    ids = call.input()
    weight = _table(call, rows, size, rank, scale)
    rows_of_ids = call.emit(Embedding(rows, size, call.version >= (3,), weight=weight), ids)
    if not masked:
        return rows_of_ids
    return dataclasses.replace(rows_of_ids, mask=call.emit(Scalar("not_equal", 0.0), ids, part="mask"))


def _table(call: LayerCall, rows: int, size: int, rank: int | None, scale: float) -> Array:
    """Read the table; a LoRA layer of Keras 3 has a product beside it, which ``.keras`` files have added to it."""
    if rank is None or call.stored_shape("lora_embeddings_a") is None:
        (table,) = call.weights(embeddings=(rows, size))
        return table
    table, a, b = call.weights(embeddings=(rows, size), lora_embeddings_a=(rows, rank), lora_embeddings_b=(rank, size))
    return (table + np.float64(scale) * (a.astype(np.float64) @ b)).astype(np.float32)
