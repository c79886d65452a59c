"""Low-rank adaptation: the product of two small matrices that Keras 3 adds to a weight."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keydnn.convert.build.call import LayerCall
from keydnn.modules.base import Array, as_float32


class Lora(NamedTuple):
    """What the options say: 0 where the layer has none."""

    rank: int
    scale: float


def lora_of(call: LayerCall) -> Lora:
    """Read the options."""
    rank = call.integer("lora_rank", least=1) if call.option("lora_rank") is not None else 0
    alpha = call.number("lora_alpha", float(rank)) if call.option("lora_alpha") is not None else float(rank)
    return Lora(rank, alpha / max(rank, 1))


def with_lora(call: LayerCall, name: str, weight: Array, lora: Lora) -> Array:
    """Add the product to a weight, along its last axis; ``.keras`` files have added it already and hold no matrices."""
    if not lora.rank or call.stored_shape(f"lora_{name}_a") is None:
        return weight
    shapes = {f"lora_{name}_a": (*weight.shape[:-1], lora.rank), f"lora_{name}_b": (lora.rank, weight.shape[-1])}
    a, b = call.weights(**shapes)
    call.rewrite(f"the product of its lora matrices added to {name}")
    return as_float32(weight + lora.scale * (a.astype(np.float64) @ b))
