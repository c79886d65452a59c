"""Hashing, HashedCrossing."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.category import encoded, output_mode
from keydnn.convert.build.registry import builds
from keydnn.errors import ShapeError
from keydnn.modules.base import shape_text
from keydnn.modules.hashing import Hash, HashedCross


@builds("Hashing", reads=("int64", "string"))
def hashing(call: LayerCall) -> Value:
    """FarmHash, or SipHash where there is a ``salt``."""
    mode = output_mode(call, "int", "one_hot", "multi_hot", "count")
    bins = call.integer("num_bins")
    mask_value, salt = call.option("mask_value"), call.option("salt")
    x = call.input()
    ids = call.emit(Hash(bins, mask_value, salt), x, part="" if mode == "int" else "ids")
    return encoded(call, ids, mode, bins)


@builds("HashedCrossing", reads=("int64", "string"))
def hashed_crossing(call: LayerCall) -> Value:
    """Of two or more inputs (N,) or (N, 1)."""
    mode = output_mode(call, "int", "one_hot")
    bins = call.integer("num_bins")
    inputs = call.inputs()
    for value in inputs:
        if len(value.shape) > 2 or value.shape[1:] not in ((), (1,)):
            raise ShapeError(f"takes inputs (N,) or (N, 1), got {shape_text(value.shape)}")
    ids = call.emit(HashedCross(bins), *inputs, part="" if mode == "int" else "ids")
    return encoded(call, ids, mode, bins)
