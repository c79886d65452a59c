"""Attention."""

import numpy as np

from keydnn.modules import AdditiveScores, AttentionOutput, AttentionScores, MaskedSoftmax, ScaledDotProductAttention
from tests.export.case import Case, filled, numbers

Q, K, V = numbers(2, 4, 12), numbers(2, 5, 12, seed=1), numbers(2, 5, 20, seed=2)
FEW_K, FEW_V = numbers(2, 5, 6, seed=1), numbers(2, 5, 10, seed=2)
SCORES, SINGLE = numbers(2, 3, 4, 5), numbers(2, 4, 5)
SEEN = (np.random.default_rng(3).random((2, 3, 4, 5)) < 0.6).astype(np.float32)
SEEN[..., 1] = 1  # every query sees a key
BLIND = SEEN[:, 0].copy()
BLIND[1, 2] = 0  # a query that sees no key
OF_KEYS = np.float32([[[1, 1, 1, 0, 0]], [[0, 1, 1, 1, 1]]])
MASKINGS = ("add", "replace", "zero")


def attention(*more, **options):
    """Give a case of four heads."""
    return Case(ScaledDotProductAttention(4, **options), (Q, K, V, *more))


CASES = (
    {
        "all": attention(),
        "one head": Case(ScaledDotProductAttention(1), (Q, K, V)),
        "scaled": attention(scale=0.25),
        "causal": attention(is_causal=True),
        "window": attention(window=2),
        "causal, window": attention(is_causal=True, window=2),
        "mask of keys": attention(OF_KEYS, has_mask=True),
        "mask of queries": attention(np.float32([[[1], [1], [0], [1]]] * 2), has_mask=True),
        "mask of pairs": attention(SEEN[:, 0], has_mask=True),
        "mask of heads": Case(ScaledDotProductAttention(3, has_mask=True), (Q, K, numbers(2, 5, 6), SEEN)),
        "mask, causal, window": attention(SEEN[:, 0], has_mask=True, is_causal=True, window=3),
        "shared heads": Case(ScaledDotProductAttention(4, 2), (Q, FEW_K, FEW_V)),
        "shared heads, mask": Case(ScaledDotProductAttention(4, 2, has_mask=True), (Q, FEW_K, FEW_V, OF_KEYS)),
        "one head of keys, causal": Case(
            ScaledDotProductAttention(4, 1, is_causal=True), (Q, numbers(2, 5, 3), numbers(2, 5, 5))
        ),
        "scores": Case(AttentionScores(4), (Q, K)),
        "scores, scaled": Case(AttentionScores(4, scale=2.0), (Q, K)),
        "scores of shared heads": Case(AttentionScores(4, 2), (Q, FEW_K)),
        "scores without heads": Case(AttentionScores(), (Q, K)),
        "scores without heads, scaled": Case(AttentionScores(scale=1.0), (Q, K)),
        "additive scores": Case(filled(AdditiveScores(12)), (Q, K)),
        "additive scores, scaled": Case(filled(AdditiveScores(12, 0.5)), (Q, K)),
        "softmax": Case(MaskedSoftmax(), (SCORES,)),
        "softmax, causal": Case(MaskedSoftmax(is_causal=True), (SCORES,)),
        "softmax, window, no heads": Case(MaskedSoftmax(window=1), (SINGLE,)),
        "softmax, causal, window, mask": Case(
            MaskedSoftmax(is_causal=True, window=2, has_mask=True), (SINGLE, OF_KEYS)
        ),
        "softmax, mask of heads": Case(MaskedSoftmax(has_mask=True), (SCORES, SEEN)),
        "softmax of heads, mask of none": Case(MaskedSoftmax(has_mask=True), (SCORES, SEEN[:, 0])),
        "softmax, other value": Case(MaskedSoftmax(has_mask=True, mask_value=-65504.0), (SCORES, SEEN)),
        "output": Case(AttentionOutput(), (SCORES, numbers(2, 5, 6))),
        "output of shared heads": Case(AttentionOutput(1), (SCORES, numbers(2, 5, 2))),
        "output without heads": Case(AttentionOutput(), (SINGLE, V)),
    }
    | {f"blind query, {name}": attention(BLIND, has_mask=True, masking=name) for name in MASKINGS}
    | {
        f"softmax, blind query, {name}": Case(MaskedSoftmax(has_mask=True, masking=name), (SINGLE, BLIND))
        for name in MASKINGS
    }
)
