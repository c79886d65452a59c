"""Attention."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import FUNCTION, TINY, Bounded, gamma


def product(operation, terms, x, y):
    """Sum ``terms`` products of elements of two values; a scale before or behind them are two roundings more."""
    whole = operation(x.largest, y.largest)
    passed = whole - operation(np.abs(x.value), np.abs(y.value))
    return Bounded(operation(x.value, y.value), passed + gamma(terms + 4) * whole + TINY)


def attention_scores(module, q, k):
    count = module.num_heads or 1
    few, size = module.num_key_value_heads or count, q.value.shape[2] // count
    scale = size**-0.5 if module.scale is None else float(np.float32(module.scale))

    def operation(q, k):
        scores = naive.attention_scores(q, k, count, few, 1)
        return scores[:, 0] if module.num_heads is None else scores

    scores = product(operation, size, q, k)
    return Bounded(scale * scores.value, np.abs(scale) * scores.error + TINY)


def additive_scores(module, q, k):
    """Off by what tanh is given wrong, whose slope is at most 1, by tanh itself, and by the sum."""
    weight, scale = naive.f64(module.weight), naive.f64(module.scale)

    def pairs(x, y):
        return x[:, :, None] + y[:, None]

    given = np.abs(scale) * (pairs(q.error, k.error) + gamma(2) * pairs(q.largest, k.largest))
    value = np.tanh(scale * pairs(q.value, k.value))
    wrong = given + gamma(FUNCTION) * np.minimum(np.abs(value) + given, 1)
    size = (np.abs(weight) * (np.abs(value) + wrong)).sum(-1)
    error = (np.abs(weight) * wrong).sum(-1) + gamma(module.features + 2) * size + TINY
    return Bounded((weight * value).sum(-1), error)


def masked_softmax(module, scores, mask=None):
    """As softmax.py has it, over the keys that are seen: the others' shares are 0 exactly.

    Where none is seen, 1e9 less is the same number for all scores below 32 (float32 is 64 apart there).
    """
    keys = scores.value.shape[-1]
    if mask is not None and mask.value.ndim == 3 and scores.value.ndim == 4:
        mask = Bounded(mask.value[:, None], mask.error[:, None])
    seen = naive.attention_seen(
        *scores.value.shape[-2:], module.is_causal, module.window, None if mask is None else mask.value
    )
    seen = np.broadcast_to(seen, scores.value.shape)
    some = seen.any(-1, keepdims=True)
    if module.masking == "add":
        assert module.mask_value == -1e9
        assert np.all(some | (scores.largest < 32)), "scores so large that they are not lost in 1e9"
    value = naive.masked_softmax(scores.value, seen, 0.0 if module.masking == "zero" else 1 / keys)
    largest = np.max(scores.value, -1, keepdims=True, where=seen, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        distance = np.where(seen, largest - scores.value, 0)
    passed = np.expm1(2 * np.max(scores.error, -1, keepdims=True, where=seen, initial=0))
    total = gamma(1) * (value * distance).sum(-1, keepdims=True) + gamma(FUNCTION + keys)
    relative = (1 + passed) * (1 + gamma(1) * distance + total + gamma(FUNCTION + 1)) - 1
    return Bounded(value, np.where(value > 0, value * relative + TINY, 0))


def attention_output(module, weights, v):
    if weights.value.ndim == 3:
        weights = Bounded(weights.value[:, None], weights.error[:, None])
    few = module.num_key_value_heads or weights.value.shape[1]

    def operation(weights, v):
        return naive.attention_output(weights, v, few)

    return product(operation, weights.value.shape[-1], weights, v)


class _Few:
    """The part of an attention that sums values."""

    def __init__(self, module):
        self.num_key_value_heads = module.num_key_value_heads or module.num_heads


def attention(module, q, k, v, mask=None):
    weights = masked_softmax(module, attention_scores(module, q, k), mask)
    return attention_output(_Few(module), weights, v)


RULES = {
    "ScaledDotProductAttention": attention,
    "AttentionScores": attention_scores,
    "AdditiveScores": additive_scores,
    "MaskedSoftmax": masked_softmax,
    "AttentionOutput": attention_output,
}
