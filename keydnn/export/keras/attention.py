"""Attention, written out in ``keras.ops``: Keras' layers have projections and other masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value
from keydnn.modules.attention import scale_of
from keydnn.modules.base import Shape


def _heads(site: Site, x: Value, heads: int, few: int) -> Value:
    """Give (N, T, few * size) as (N, T, heads, size), each head as often as queries use it."""
    batch, steps, width = x.shape
    if width is None:
        site.refuse("the size of its heads is free")
    size = width // few
    target = (-1 if steps is None else steps, few, size)
    parts = site.layer("Reshape", {"target_shape": target}, inputs=[x], shape=(batch, steps, few, size))
    if heads == few:
        return parts
    repeats = {"repeats": heads // few, "axis": 2}
    return site.operation("numpy.Repeat", [parts], repeats, shape=(batch, steps, heads, size))


def _scores(site: Site, heads: int | None, few: int | None, scale: float | None) -> Value:
    """Give the scaled products of the first two inputs: (N, heads, T, S), without an axis of heads if that is None."""
    q, k = site.inputs[:2]
    if k.shape[2] is None:
        site.refuse("the size of its heads is free")
    factor = float(np.float32(scale_of(scale, k.shape[2] // (few or heads or 1))))
    equation, shape = "nqd,nkd->nqk", site.shapes[0][:2] + site.shapes[1][1:2]
    if heads is not None:
        equation, shape = "nqhd,nkhd->nhqk", (shape[0], heads, *shape[1:])
        q, k = _heads(site, q, heads, heads), _heads(site, k, heads, few or heads)
    products = site.operation("numpy.Einsum", [q, k], {"subscripts": equation}, shape=shape)
    return products if factor == 1 else site.operation("numpy.Multiply", [products, site.number(factor)], shape=shape)


def _places(site: Site, scores: Value, axis: int) -> Value:
    """Give the places along an axis of scores, from 1, in their rank."""
    others = [place for place in range(1, len(scores.shape)) if place != axis]
    key = tuple(0 if place in others else slice(None) for place in range(len(scores.shape)))
    shape = (scores.shape[0], scores.shape[axis])
    line = site.operation("numpy.GetItem", [scores, key], shape=shape)
    ones = site.operation("numpy.OnesLike", [line], shape=shape)
    counted = site.operation("numpy.Cumsum", [ones], {"axis": 1}, shape=shape)
    wide = tuple(1 if place in others else size for place, size in enumerate(scores.shape))
    return site.operation("numpy.ExpandDims", [counted], {"axis": others}, shape=wide)


def _seen(module: Any, site: Site, scores: Value) -> Value | None:
    """Tell which query sees which key, as scores can be broadcast with; None if all see all."""
    found: list[Value] = []
    rank = len(scores.shape)
    if module.has_mask:
        mask = site.cast(site.inputs[-1], "bool")
        found.append(mask if len(mask.shape) == rank else _fitted(site, mask, rank))
    if module.is_causal or module.window is not None:
        keys, queries = (_places(site, scores, axis) for axis in (rank - 1, rank - 2))
        batch, *heads = scores.shape[:-2]
        shape: Shape = (batch, *(1 for _ in heads), *scores.shape[-2:])
        if module.is_causal:
            found.append(site.operation("numpy.LessEqual", [keys, queries], shape=shape, dtype="bool"))
        if module.window is not None:
            distance = site.operation("numpy.Subtract", [keys, queries], shape=shape)
            distance = site.operation("numpy.Absolute", [distance], shape=shape)
            near = [distance, site.number(module.window)]
            found.append(site.operation("numpy.Less", near, shape=shape, dtype="bool"))
    while len(found) > 1:
        pair = found.pop(), found.pop()
        shape = tuple(_broadcast(*sizes) for sizes in zip(*(value.shape for value in pair), strict=True))
        found.append(site.operation("numpy.LogicalAnd", list(pair), shape=shape, dtype="bool"))
    return found[0] if found else None


def _broadcast(one: int | None, other: int | None) -> int | None:
    return other if one == 1 else one if other == 1 or one is not None else other


def _fitted(site: Site, mask: Value, rank: int) -> Value:
    """Give a mask (N, T, S) with an axis of heads, or one (N, 1, T, S) without."""
    if isinstance(mask, np.ndarray):
        return mask[:, np.newaxis] if rank == 4 else mask[:, 0]
    batch, *sizes = mask.shape
    if rank == 4:
        return site.operation("numpy.ExpandDims", [mask], {"axis": 1}, shape=(batch, 1, *sizes), dtype="bool")
    return site.operation("numpy.GetItem", [mask, (slice(None), 0)], shape=(batch, *sizes[1:]), dtype="bool")


def _shares(module: Any, site: Site, scores: Value) -> Value:
    """Give the masked softmax."""
    seen = _seen(module, site, scores)
    if seen is None:
        return site.layer("Softmax", {"axis": -1}, inputs=[scores], shape=scores.shape)
    value = site.number(module.mask_value)
    shape = tuple(_broadcast(*sizes) for sizes in zip(scores.shape, seen.shape, strict=True))
    if module.masking == "add":
        added = site.operation("numpy.Where", [seen, site.number(0), value], shape=seen.shape)
        masked = site.operation("numpy.Add", [scores, added], shape=shape)
    else:
        masked = site.operation("numpy.Where", [seen, scores, value], shape=shape)
    shares = site.layer("Softmax", {"axis": -1}, inputs=[masked], shape=shape)
    if module.masking != "zero":
        return shares
    return site.operation("numpy.Where", [seen, shares, site.number(0)], shape=shape)


def _summed(site: Site, weights: Value, v: Value, few: int | None) -> Value:
    """Sum values by weights (N, heads, T, S), or (N, T, S)."""
    if len(weights.shape) == 3:
        shape: Shape = (*weights.shape[:2], v.shape[2])
        return site.operation("numpy.Einsum", [weights, v], {"subscripts": "nqk,nkd->nqd"}, shape=shape)
    batch, heads, steps, _ = weights.shape
    if heads is None:
        site.refuse("the number of its heads is free")
    values = _heads(site, v, heads, few or heads)
    shape = (batch, steps, heads, values.shape[3])
    summed = site.operation("numpy.Einsum", [weights, values], {"subscripts": "nhqk,nkhd->nqhd"}, shape=shape)
    target = {"target_shape": (-1 if steps is None else steps, site.shape[2])}
    return site.layer("Reshape", target, inputs=[summed], shape=(batch, steps, site.shape[2]))


def attention(module: Any, site: Site) -> Value:
    """Scores, shares, sums of values."""
    scores = _scores(site, module.num_heads, module.num_key_value_heads, module.scale)
    return _summed(site, _shares(module, site, scores), site.inputs[2], module.num_key_value_heads)


def attention_scores(module: Any, site: Site) -> Value:
    """``ops.einsum``, scaled."""
    return _scores(site, module.num_heads, module.num_key_value_heads, module.scale)


def additive_scores(module: Any, site: Site) -> Value:
    """``ops.tanh`` of all sums, and a ``Dense`` of one unit without bias."""
    q, k = site.inputs
    if None in (q.shape[2], k.shape[2]):
        site.refuse("the size of its features is free")
    ends: list[Value] = []
    for x, axis in ((q, 2), (k, 1)):
        wide = (*x.shape[:axis], 1, *x.shape[axis:])
        ends.append(site.operation("numpy.ExpandDims", [x], {"axis": axis}, shape=wide))
    shape = (q.shape[0], q.shape[1], k.shape[1], module.features)
    total = site.operation("numpy.Add", ends, shape=shape)
    if module.scale != 1:
        total = site.operation("numpy.Multiply", [total, site.number(module.scale)], shape=shape)
    total = site.operation("numpy.Tanh", [total], shape=shape)
    config, weights = {"units": 1, "use_bias": False}, {"kernel": module.weight[:, np.newaxis]}
    scores = site.layer("Dense", config, weights, inputs=[total], shape=(*shape[:3], 1))
    return site.operation("numpy.Squeeze", [scores], {"axis": [3]})


def masked_softmax(module: Any, site: Site) -> Value:
    """``Softmax`` of scores that are far below where a key is hidden."""
    return _shares(module, site, site.inputs[0])


def attention_output(module: Any, site: Site) -> Value:
    """``ops.einsum``."""
    weights, v = site.inputs
    return _summed(site, weights, v, module.num_key_value_heads)


RULES: Rules = {
    "ScaledDotProductAttention": attention,
    "AttentionScores": attention_scores,
    "AdditiveScores": additive_scores,
    "MaskedSoftmax": masked_softmax,
    "AttentionOutput": attention_output,
}
