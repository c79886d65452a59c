"""What builders of operations on tensors share: operands of any rank, and axes that count the batch.

Keras aligns shapes at their end, as NumPy does.  Every value here has the batch as its first axis, so that tensors of
unequal rank would meet the batch of one with another axis of the other: that is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.modules.base import Array, shape_text
from keydnn.strict_json import clip

Operand = Value | Array


def operands(call: LayerCall, *names: str) -> list[Operand]:
    """Give the operands of a call in order; every one must be there, and one at least be a tensor."""
    found = [call.operand(name, place) for place, name in enumerate(names)]
    for name, value in zip(names, found, strict=True):
        if value is None:
            call.obstacle(f"called without {name}", f"called without {name}, which the file does not hold")
            call.stop()
    call.inputs()  # refuses what else the call says
    return [value for value in found if value is not None]


def tensors(call: LayerCall, values: Sequence[Operand]) -> list[Value]:
    """Give operands as values of equal rank, arrays as constants with axes of size 1 before them."""
    ranks = {len(value.shape) for value in values if isinstance(value, Value)}
    rank = max(ranks)
    if len(ranks) > 1:
        given = ", ".join(shape_text(value.shape) for value in values if isinstance(value, Value))
        call.obstacle(f"on inputs {given}", f"inputs {given}: aligned at their end, the batch meets another axis")
        call.stop()
    return [
        value if isinstance(value, Value) else _constant(call, value, rank, f"operand{place}")
        for place, value in enumerate(values)
    ]


def _constant(call: LayerCall, array: Array, rank: int, part: str) -> Value:
    shape = (1,) * (rank - array.ndim) + array.shape
    if len(shape) > rank or shape[:1] != (1,) or 0 in shape:
        found = f"a constant of shape {array.shape}"
        call.obstacle(f"with {found}", f"{found}, which does not leave the batch as it is")
        call.stop()
    return call.constant(array.reshape(shape[1:]), part)


def axis_of(call: LayerCall, value: object, rank: int, key: str = "axis") -> int:
    """Give an axis, counted from the front; neither the batch nor beyond the rank."""
    axis = value + rank if type(value) is int and value < 0 else value
    if type(axis) is not int or not 0 <= axis < rank:
        call.refuse(key, f"an axis of an input of rank {rank} is expected")
        call.stop()
    if axis == 0:
        call.refuse(key, "the batch axis")
        call.stop()
    return axis


def axes_of(call: LayerCall, value: object, rank: int, key: str = "axis") -> tuple[int, ...]:
    """Give one axis or several, in order, each once."""
    items = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
    axes = tuple(axis_of(call, int(item) if isinstance(item, np.integer) else item, rank, key) for item in items)
    if len(set(axes)) != len(axes):
        call.refuse(key, f"{clip(repr(value), 60)} names an axis twice")
        call.stop()
    return tuple(sorted(axes))


def sizes_of(call: LayerCall, key: str, count: int | None = None) -> list[int | None]:
    """Give integers that are an option or an argument; None for a size that is not known, as of a batch."""
    value = call.setting(key)
    items = [value] if isinstance(value, int) else value
    right = isinstance(items, (list, tuple)) and all(type(item) is int or item is None for item in items)
    if not right or count not in (None, len(items)):
        call.obstacle(f"with {key}={clip(repr(value), 60)}", f"{key}: {count or ''} integers are expected")
        call.stop()
    return list(items)


def per_axis(call: LayerCall, key: str, value: object, axes: int, last: bool) -> tuple[int, ...]:
    """Give one integer for each axis; those of batch and channels, where they are said, must be 1."""
    sizes = value if isinstance(value, list) else [value]
    if len(sizes) == axes + 2:
        ends = [sizes[0], sizes[-1] if last else sizes[1]]
        sizes = (sizes[1:-1] if last else sizes[2:]) if ends == [1, 1] else []
    sizes = sizes * axes if len(sizes) == 1 else sizes
    if len(sizes) != axes or any(type(size) is not int or size < 1 for size in sizes):
        call.refuse(key, f"{axes} integers >= 1 are expected")
        call.stop()
    return tuple(sizes)
