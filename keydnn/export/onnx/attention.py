"""Attention, written out: the opset has no operator of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.places import places_of
from keydnn.export.onnx.site import Rules, Site, integer, ints, number
from keydnn.modules.attention import scale_of
from keydnn.modules.base import Shape


def _heads(site: Site, x: str, shape: Shape, heads: int, order: tuple[int, ...]) -> str:
    """Give (N, T, heads * size) with an axis of heads, transposed."""
    size = -1 if shape[2] is None else shape[2] // heads
    return site.op("Transpose", site.op("Reshape", x, ints(0, 0, heads, size)), perm=order)


def _shared(site: Site, x: str, heads: int, few: int) -> str:
    """Give the heads of keys or values, on axis 1, as often as queries use them."""
    return x if heads == few else site.op("Gather", x, np.repeat(np.arange(few), heads // few), axis=1)


def _scores(site: Site, heads: int, few: int, scale: float | None) -> str:
    """Give the scaled products (N, heads, T, S) of the first two inputs."""
    (q, k, *_), (of_q, of_k, *_) = site.inputs, site.shapes
    queries = _heads(site, q, of_q, heads, (0, 2, 1, 3))
    keys = _shared(site, _heads(site, k, of_k, few, (0, 2, 3, 1)), heads, few)
    products = site.op("MatMul", queries, keys)
    if scale is not None or of_k[2] is not None:
        return site.op("Mul", products, number(scale_of(scale, 1 if of_k[2] is None else of_k[2] // few)))
    size = site.cast(site.op("Shape", queries, start=3), "float32")
    return site.op("Div", products, site.op("Sqrt", size))


def _seen(module: Any, site: Site, scores: str, shape: Shape) -> str | None:
    """Tell which query sees which key, as scores can be broadcast with; None if all see all."""
    found = []
    if module.has_mask:
        mask = site.cast(site.inputs[-1], "bool")
        found.append(site.op("Unsqueeze", mask, ints(1)) if len(site.shapes[-1]) < len(shape) else mask)
    if module.is_causal or module.window is not None:
        rank = len(shape)
        keys = places_of(site, scores, rank - 1, shape[-1])
        queries = site.op("Unsqueeze", places_of(site, scores, rank - 2, shape[-2]), ints(1))
        if module.is_causal:
            found.append(site.op("LessOrEqual", keys, queries))
        if module.window is not None:
            distance = site.op("Abs", site.op("Sub", keys, queries))
            found.append(site.op("Less", distance, integer(module.window)))
    while len(found) > 1:
        found.append(site.op("And", found.pop(), found.pop()))
    return found[0] if found else None


def _shares(module: Any, site: Site, scores: str, shape: Shape) -> str:
    """Give the masked softmax."""
    seen = _seen(module, site, scores, shape)
    if seen is None:
        return site.op("Softmax", scores, axis=-1)
    value = number(module.mask_value)
    if module.masking == "add":
        return site.op("Softmax", site.op("Add", scores, site.op("Where", seen, number(0), value)), axis=-1)
    shares = site.op("Softmax", site.op("Where", seen, scores, value), axis=-1)
    return shares if module.masking == "replace" else site.op("Mul", shares, site.cast(seen, "float32"))


def _summed(site: Site, weights: str, v: str, of_v: Shape, heads: int, few: int) -> str:
    """Sum values by weights (N, heads, T, S)."""
    values = _shared(site, _heads(site, v, of_v, few, (0, 2, 1, 3)), heads, few)
    summed = site.op("Transpose", site.op("MatMul", weights, values), perm=(0, 2, 1, 3))
    return site.op("Reshape", summed, ints(0, 0, -1 if site.shape[2] is None else site.shape[2]))


def attention(module: Any, site: Site) -> str:
    heads = module.num_heads
    few = module.num_key_value_heads or heads
    of_q, of_k, of_v = site.shapes[:3]
    scores = _scores(site, heads, few, module.scale)
    shares = _shares(module, site, scores, (of_q[0], heads, of_q[1], of_k[1]))
    return _summed(site, shares, site.inputs[2], of_v, heads, few)


def attention_scores(module: Any, site: Site) -> str:
    heads = module.num_heads or 1
    scores = _scores(site, heads, module.num_key_value_heads or heads, module.scale)
    return scores if module.num_heads else site.op("Squeeze", scores, ints(1))


def additive_scores(module: Any, site: Site) -> str:
    q, k = site.inputs
    total = site.op("Add", site.op("Unsqueeze", q, ints(2)), site.op("Unsqueeze", k, ints(1)))
    if module.scale != 1:
        total = site.op("Mul", total, number(module.scale))
    return site.op("MatMul", site.op("Tanh", total), site.weight("weight"))


def masked_softmax(module: Any, site: Site) -> str:
    return _shares(module, site, site.inputs[0], site.shape)


def attention_output(module: Any, site: Site) -> str:
    weights, v = site.inputs
    of_weights, of_v = site.shapes
    if len(of_weights) == 3:
        return _summed(site, site.op("Unsqueeze", weights, ints(1)), v, of_v, 1, 1)
    heads = of_weights[1]
    if heads is None:
        site.refuse("the number of its heads is free")
    return _summed(site, weights, v, of_v, heads, module.num_key_value_heads or heads)


RULES: Rules = {
    "ScaledDotProductAttention": attention,
    "AttentionScores": attention_scores,
    "AdditiveScores": additive_scores,
    "MaskedSoftmax": masked_softmax,
    "AttentionOutput": attention_output,
}
