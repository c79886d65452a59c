"""Attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, FUNCTION, TINY, Bounded, Rules, f64, gamma

HIDDEN = 104  # exp(-104) is 0 in float32


def heads(x: npt.ArrayLike, count: int, repeats: int = 1) -> F64:
    """Give (N, T, count * size) as (N, count * repeats, T, size), every head several times."""
    x = f64(x)
    return np.repeat(np.moveaxis(x.reshape(*x.shape[:2], count, x.shape[2] // count), 2, 1), repeats, axis=1)


def attention_scores(q: npt.ArrayLike, k: npt.ArrayLike, count: int, few: int, scale: float) -> F64:
    """Multiply queries and keys, head by head: (N, count, T, S)."""
    return scale * (heads(q, count) @ heads(k, few, count // few).swapaxes(2, 3))


def attention_seen(
    queries: int, keys: int, is_causal: bool, window: int | None, mask: npt.ArrayLike | None = None
) -> npt.NDArray[np.bool_]:
    """Tell which query sees which key."""
    i, j = np.arange(queries)[:, None], np.arange(keys)
    seen = (j <= i) | (not is_causal)
    seen = seen & ((np.abs(i - j) < window) if window else True)
    return seen if mask is None else seen & (np.asarray(mask) != 0)


def masked_softmax(scores: npt.ArrayLike, seen: npt.NDArray[np.bool_], if_none: float) -> F64:
    """Softmax over the keys that are seen; ``if_none``, each one's share where none is."""
    scores, seen = f64(scores), np.broadcast_to(seen, np.shape(scores))
    some = seen.any(-1, keepdims=True)
    largest = np.max(scores, -1, keepdims=True, where=seen, initial=-np.inf)
    e = np.exp(np.where(seen, scores - np.where(some, largest, 0), -np.inf))
    return np.where(some, e / np.where(some, e.sum(-1, keepdims=True), 1), if_none)


def attention_output(weights: npt.ArrayLike, v: npt.ArrayLike, few: int) -> F64:
    """Sum values by weights (N, count, T, S), head by head: (N, T, count * size)."""
    weights = f64(weights)
    summed = np.moveaxis(weights @ heads(v, few, weights.shape[1] // few), 1, 2)
    return summed.reshape(*summed.shape[:2], math.prod(summed.shape[2:]))


def product(operation: Callable[[F64, F64], F64], terms: int, x: Bounded, y: Bounded) -> Bounded:
    """Sum ``terms`` products of elements of two values; a scale before or behind them are two roundings more."""
    whole = operation(x.largest, y.largest)
    passed = whole - operation(np.abs(x.value), np.abs(y.value))
    return Bounded(operation(x.value, y.value), passed + gamma(terms + 4) * whole + TINY)


def bounded_attention_scores(module: Any, q: Bounded, k: Bounded) -> Bounded:
    count = module.num_heads or 1
    few, size = module.num_key_value_heads or count, q.value.shape[2] // count
    scale = size**-0.5 if module.scale is None else float(np.float32(module.scale))

    def operation(q: F64, k: F64) -> F64:
        scores = attention_scores(q, k, count, few, 1)
        return scores[:, 0] if module.num_heads is None else scores

    scores = product(operation, size, q, k)
    return Bounded(scale * scores.value, np.abs(scale) * scores.error + TINY)


def additive_scores(module: Any, q: Bounded, k: Bounded) -> Bounded:
    """Off by what tanh is given wrong, whose slope is at most 1, by tanh itself, and by the sum."""
    weight, scale = f64(module.weight), f64(module.scale)

    def pairs(x: F64, y: F64) -> F64:
        return x[:, :, None] + y[:, None]

    given = np.abs(scale) * (pairs(q.error, k.error) + gamma(2) * pairs(q.largest, k.largest))
    value = np.tanh(scale * pairs(q.value, k.value))
    wrong = given + gamma(FUNCTION) * np.minimum(np.abs(value) + given, 1)
    size = (np.abs(weight) * (np.abs(value) + wrong)).sum(-1)
    error = (np.abs(weight) * wrong).sum(-1) + gamma(module.features + 2) * size + TINY
    return Bounded((weight * value).sum(-1), error)


def bounded_masked_softmax(module: Any, scores: Bounded, mask: Bounded | None = None) -> Bounded:
    """As softmax.py has it, over the keys that are seen: the others' shares are 0 exactly, if far enough below.

    Where none is seen, 1e9 less is the same number for all scores below 32 (float32 is 64 apart there).
    """
    keys = scores.value.shape[-1]
    if mask is not None and mask.value.ndim == 3 and scores.value.ndim == 4:
        mask = Bounded(mask.value[:, None], mask.error[:, None])
    seen = attention_seen(
        scores.value.shape[-2], keys, module.is_causal, module.window, None if mask is None else mask.value
    )
    seen = np.broadcast_to(seen, scores.value.shape)
    some = seen.any(-1, keepdims=True)
    value = masked_softmax(scores.value, seen, 0.0 if module.masking == "zero" else 1 / keys)
    largest = np.max(scores.value, -1, keepdims=True, where=seen, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        distance = np.where(seen, largest - scores.value, 0)
    passed = np.expm1(2 * np.max(scores.error, -1, keepdims=True, where=seen, initial=0))
    total = gamma(1) * (value * distance).sum(-1, keepdims=True) + gamma(FUNCTION + keys)
    relative = (1 + passed) * (1 + gamma(1) * distance + total + gamma(FUNCTION + 1)) - 1
    error = np.where(value > 0, value * relative + TINY, 0)
    hidden = module.mask_value + (scores.value if module.masking == "add" else 0)
    nearest = np.max(np.broadcast_to(hidden, seen.shape), -1, keepdims=True, where=~seen, initial=-np.inf)
    error = np.where(some & (nearest > largest - HIDDEN), np.inf, error)
    if module.masking == "add":
        lost = some | ((scores.largest < 32).all(-1, keepdims=True) & (module.mask_value == -1e9))
        error = np.where(lost, error, np.inf)
    return Bounded(value, error)


def bounded_attention_output(module: Any, weights: Bounded, v: Bounded) -> Bounded:
    if weights.value.ndim == 3:
        weights = Bounded(weights.value[:, None], weights.error[:, None])
    few = module.num_key_value_heads or weights.value.shape[1]

    def operation(weights: F64, v: F64) -> F64:
        return attention_output(weights, v, few)

    return product(operation, weights.value.shape[-1], weights, v)


class _Few:
    """The part of an attention that sums values."""

    def __init__(self, module: Any) -> None:
        self.num_key_value_heads = module.num_key_value_heads or module.num_heads


def attention(module: Any, q: Bounded, k: Bounded, v: Bounded, mask: Bounded | None = None) -> Bounded:
    weights = bounded_masked_softmax(module, bounded_attention_scores(module, q, k), mask)
    return bounded_attention_output(_Few(module), weights, v)


RULES: Rules = {
    "ScaledDotProductAttention": attention,
    "AttentionScores": bounded_attention_scores,
    "AdditiveScores": additive_scores,
    "MaskedSoftmax": bounded_masked_softmax,
    "AttentionOutput": bounded_attention_output,
}
