"""Operations of Keras 3 that pick cells or set some beside them: ``x[...]``, split, take, pad, one_hot."""

from __future__ import annotations

import itertools
from types import EllipsisType
from typing import Any

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.operands import axes_of, axis_of
from keydnn.convert.build.registry import builds
from keydnn.modules.arithmetic import Where
from keydnn.modules.base import Shape, shape_text
from keydnn.modules.category import OneHot
from keydnn.modules.embedding import Embedding
from keydnn.modules.indexing import Gather, IndexSelect, Pad, Slice, Sort, TopK
from keydnn.modules.rearrange import Squeeze, Unsqueeze
from keydnn.modules.shape import Permute, Reshape
from keydnn.modules.unary import FullLike, Unary
from keydnn.strict_json import clip

ALL = (None, None, None)
Ends = tuple[int | None, int | None, int | None]


@builds("ops>GetItem")
def get_item(call: LayerCall) -> Value:
    """Integers, slices, ``None`` and ``...``; every example of the batch stays."""
    key, x = call.argument("key", 1), call.input()
    items = list(key) if isinstance(key, (list, tuple)) else [key]
    rank = len(x.shape)
    taken = sum(1 for item in items if item is not None and item is not ...)
    if not all(_is_key(item) for item in items) or items.count(...) > 1 or taken > rank:
        call.obstacle(f"with the key {clip(repr(key), 60)}", "integers, slices, None and one ... are expected")
        call.stop()
    if ... not in items:
        items.append(...)
    place = items.index(...)
    items[place : place + 1] = [slice(None)] * (rank - taken)
    ends: list[Ends] = []
    dropped: list[int] = []
    added: list[int] = []
    axis = 0
    for item in items:
        if item is None:
            added.append(axis - len(dropped) + len(added))
            continue
        if isinstance(item, int):
            dropped.append(axis)
            ends.append((item, item + 1 if item != -1 else None, None))
        else:
            ends.append((item.start, item.stop, item.step))
        axis += 1
    if not _takes_all(ends[0]) or 0 in dropped or 0 in added:
        call.obstacle(f"with the key {clip(repr(key), 60)}", "a key that does not leave the batch as it is")
        call.stop()
    if all(map(_takes_all, ends)) and not added:
        return call.identity(x)
    steps: list[Any] = [] if all(map(_takes_all, ends)) else [Slice(tuple(ends[1:]))]
    steps += [Squeeze(tuple(dropped))] if dropped else []
    steps += [Unsqueeze(tuple(added))] if added else []
    for number, step in enumerate(steps[:-1]):
        x = call.emit(step, x, part=f"part{number}")
    return call.emit(steps[-1], x)


def _is_key(item: object) -> bool:
    return item is None or type(item) is int or isinstance(item, (slice, EllipsisType))


def _takes_all(ends: Ends) -> bool:
    return ends[0] in (None, 0) and ends[1] is None and ends[2] in (None, 1)


def sliced(call: LayerCall, x: Value, axis: int, ends: Ends, part: str = "") -> Value:
    """Emit a slice of one axis."""
    slices = [ends if place == axis else ALL for place in range(1, len(x.shape))]
    return call.emit(Slice(tuple(slices)), x, part=part)


@builds("ops>Flip")
def flip(call: LayerCall) -> Value:
    """Along some axes, not the batch."""
    axis, x = call.option("axis"), call.input()
    rank = len(x.shape)
    axes = axes_of(call, list(range(rank)) if axis is None else axis, rank)
    return call.emit(Slice(tuple((None, None, -1) if place in axes else ALL for place in range(1, rank))), x)


@builds("ops>Split", "ops>ArraySplit")
def split(call: LayerCall) -> list[Value]:
    """Into equal parts, at places, or (TensorFlow) into parts of given sizes."""
    where, sizes, axis = call.option("indices_or_sections"), call.option("sizes"), call.option("axis", 0)
    call.require("num", None)
    x = call.input()
    axis = axis_of(call, axis, len(x.shape))
    where = _places(call, x, axis, where if sizes is None else sizes, sizes is not None)
    starts, stops = [None, *where], [*where, None]
    return [
        sliced(call, x, axis, (start, stop, None), f"part{place}")
        for place, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]


def _places(call: LayerCall, x: Value, axis: int, given: Any, are_sizes: bool) -> list[int]:
    """Give the places between parts."""
    if type(given) is int and given > 0:
        size = call.size(x, axis)
        if size % given and call.class_name == "Split":
            call.obstacle(f"into {given} parts", f"axis {axis} of {shape_text(x.shape)} into {given} equal parts")
            call.stop()
        lengths = [size // given + (part < size % given) for part in range(given)]
        return list(itertools.accumulate(lengths[:-1]))
    if not isinstance(given, list) or any(type(item) is not int for item in given):
        call.obstacle(f"with parts {clip(repr(given), 60)}", "a number of parts, or integers, are expected")
        call.stop()
    if not are_sizes:
        return list(given)
    if -1 in given:
        rest = call.size(x, axis) - sum(item for item in given if item != -1)
        given = [rest if item == -1 else item for item in given]
    return list(itertools.accumulate(given[:-1]))


@builds("ops>Unstack")
def unstack(call: LayerCall) -> list[Value]:
    """Every place of an axis by itself."""
    axis = call.option("axis", 0)
    call.ignore("num")
    x = call.input()
    axis = axis_of(call, axis, len(x.shape))
    made = []
    for place in range(call.size(x, axis)):
        part = sliced(call, x, axis, (place, place + 1, None), f"place{place}")
        made.append(call.emit(Squeeze(axis), part, part=f"part{place}"))
    return made


@builds("ops>Take")
def take(call: LayerCall) -> Value:
    """Places that the file holds; rows of a table that it holds, by places that are a tensor."""
    axis = call.option("axis")
    call.require("batch_dims", 0)
    table, places = call.operand("x", 0), call.operand("indices", 1)
    call.inputs()
    if isinstance(table, np.ndarray) and isinstance(places, Value) and table.ndim == 2 and axis == 0:
        rows, size = table.shape
        return call.emit(Embedding(rows, size, call.version >= (3,), weight=table), places)
    if not isinstance(table, Value) or not isinstance(places, np.ndarray):
        call.obstacle("with places that are a tensor", "places that are a tensor, or constants only")
        call.stop()
    axis = axis_of(call, axis, len(table.shape))
    index = tuple(places.ravel().astype(int).tolist())
    if places.ndim == 1:
        return call.emit(IndexSelect(axis, index), table)
    x = call.emit(IndexSelect(axis, index), table, part="cells")
    if places.ndim == 0:
        return call.emit(Squeeze(axis), x)
    sizes = [call.size(x, place) for place in range(1, len(x.shape))]
    return call.emit(Reshape((*sizes[: axis - 1], *places.shape, *sizes[axis:])), x)


@builds("ops>TakeAlongAxis")
def take_along_axis(call: LayerCall) -> Value:
    """Places that are a tensor of the same rank."""
    axis = call.option("axis")
    x, places = call.tensor("x", 0), call.tensor("indices", 1)
    call.inputs()
    if x is None or places is None or len(x.shape) != len(places.shape):
        call.obstacle("with places of another rank", "places of the same rank are expected")
        call.stop()
    return call.emit(Gather(axis_of(call, axis, len(x.shape))), x, places)


@builds("ops>TopK")
def top_k(call: LayerCall) -> list[Value]:
    """The largest cells of the last axis, in falling order, and their places."""
    k = call.setting("k", 1)
    call.ignore("index_type")
    if type(k) is not int or k < 1:
        call.refuse("k", "an integer >= 1 is expected")
    if not call.boolean("sorted", True):
        call.refuse("sorted", "an order that TensorFlow leaves open; sorted=True says which")
    x = call.input()
    axis = axis_of(call, len(x.shape) - 1, len(x.shape), "k")
    places = call.emit(TopK(k, axis), x, part="places")
    return [call.emit(Gather(axis), x, places), places]


@builds("ops>Sort", "ops>Argsort")
def sort(call: LayerCall) -> Value:
    """All cells of an axis in order, or their places: rising, those of the largest cells of what is negated."""
    axis = call.option("axis", -1)
    rising = call.choice("direction", "ASCENDING", ("ASCENDING", "DESCENDING")) == "ASCENDING"
    call.ignore("stable")  # it always is
    x = call.input()
    axis = axis_of(call, axis, len(x.shape))
    if call.class_name == "Sort":
        return call.emit(Sort(axis, descending=not rising), x)
    places = TopK(call.size(x, axis), axis)
    return call.emit(places, call.emit(Unary("neg"), x, part="negated") if rising else x)


@builds("ops>Pad")
def pad(call: LayerCall) -> Value:
    """With a number, or with what is there, mirrored."""
    mode = str(call.option("mode", "constant")).lower()
    value = call.setting("constant_values", 0) or 0
    if mode not in ("constant", "reflect", "symmetric") or not isinstance(value, (int, float)):
        call.refuse("mode", "only constant (with one number), reflect and symmetric")
    width, x = call.setting("pad_width"), call.input()
    pairs = _pairs(call, width, x.shape)
    return call.emit(Pad(tuple(pairs[1:]), mode, float(value)), x)


def _pairs(call: LayerCall, width: Any, shape: Shape) -> list[tuple[int, int]]:
    """Give (before, after) for every axis, the batch among them."""
    pairs = width if isinstance(width, list) else [[width, width]]
    pairs = [pairs] if len(pairs) == 2 and all(type(item) is int for item in pairs) else pairs
    pairs = pairs * len(shape) if len(pairs) == 1 else pairs
    right = len(pairs) == len(shape) and all(
        isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair) for pair in pairs
    )
    if not right or pairs[0] != [0, 0]:
        call.obstacle(f"with pad_width={clip(repr(width), 60)}", "pad_width: a pair for each axis, 0 for the batch")
        call.stop()
    return [(before, after) for before, after in pairs]


@builds("ops>OneHot")
def one_hot(call: LayerCall) -> Value:
    """1 and 0 along a new axis; nothing but 0 for what is no class."""
    classes, axis = call.integer("num_classes"), call.option("axis", -1)
    call.require("sparse", False)
    call.require("on_value", None, 1, 1.0)
    call.require("off_value", None, 0, 0.0)
    call.ignore("dtype")
    x = call.input()
    rank = len(x.shape) + 1
    axis = axis_of(call, axis, rank)
    if axis == rank - 1:
        return call.emit(OneHot(classes), x)
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return call.emit(Permute(tuple(order)), call.emit(OneHot(classes), x, part="classes_last"))


@builds("ops>Tril", "ops>Triu")
def triangle(call: LayerCall) -> Value:
    """Cells of the last two axes below or above a diagonal, 0 elsewhere."""
    diagonal, x = call.integer("k", 0, least=-(2**31)), call.input()
    if len(x.shape) < 3:
        call.obstacle(f"on an input {shape_text(x.shape)}", "two axes behind the batch are needed")
        call.stop()
    rows, columns = (call.size(x, axis) for axis in (-2, -1))
    cut = np.tril if call.class_name == "Tril" else np.triu
    kept = cut(np.ones((rows, columns), np.float32), diagonal).reshape((1,) * (len(x.shape) - 3) + (rows, columns))
    return call.emit(Where(), call.constant(kept, "kept"), x, call.emit(FullLike(0.0), x, part="zero"))
