"""Run by test_attention.py in a process of its own: all arrays end, or begin, at pages of no access.

A kernel that reads or writes beyond its arrays ends the process.
"""

from __future__ import annotations

import itertools
import json
import math

import numpy as np

from jit_kernels.attention import (
    additive_scores_f32,
    attention_f32,
    attention_output_f32,
    attention_scores_f32,
    block_rows,
    line_of,
    masked_softmax_f32,
    scratch_numbers,
)
from tests.plan.guarded import guarded

# Queries, keys, heads, those of keys, size, size of values.
SIZES = [
    (1, 1, 1, 1, 1, 1),
    (5, 7, 2, 1, 3, 5),
    (33, 65, 2, 2, 16, 16),
    (33, 64, 1, 1, 17, 48),
    (8, 63, 3, 3, 32, 31),
    (40, 129, 2, 1, 64, 20),
]
SCALE, VALUE = np.float32(0.3), np.float32(-1e9)


def check(sizes, at_the_end, is_causal, mask_shape):
    """Run all kernels; what they compute is tested elsewhere."""
    queries, keys, heads, few, size, value_size = sizes
    random = np.random.default_rng(0)

    def array(*shape):
        found = guarded(math.prod(shape), at_the_end).reshape(shape)
        found[:] = random.standard_normal(shape)
        return found

    rows, window = block_rows(queries, keys), 4 if is_causal else 0
    q, k, v = array(2, queries, heads * size), array(2, keys, few * size), array(2, keys, few * value_size)
    mask = array(*(sizes[axis] if axis >= 0 else 1 for axis in mask_shape))
    mask[:] = mask < 0.5
    out, scores, weights = array(2, queries, heads * value_size), *(array(2, heads, queries, keys) for _ in range(2))
    hiding = (is_causal, window, not is_causal, VALUE, is_causal)
    memory = array(2, scratch_numbers(rows, keys, size, value_size))
    attention_f32(q, k, v, mask, heads, few, rows, SCALE, *hiding, memory, out)
    attention_scores_f32(q, k, heads, few, rows, SCALE, array(2, scratch_numbers(rows, keys, size, 0)), scores)
    masked_softmax_f32(scores, mask, *hiding, array(2, 2 * line_of(keys)), weights)
    attention_output_f32(weights, v, few, rows, array(2, scratch_numbers(rows, keys, 0, value_size)), out)
    if heads == few == 1:
        additive_scores_f32(q, k, array(size), SCALE, array(2, queries, keys))


def main():
    masks = [(-1, -1, -1, -1), (-1, -1, -1, 1), (-1, 2, 0, 1), (-1, -1, 0, -1)]
    cases = list(itertools.product(SIZES, (True, False), (True, False), masks))
    for case in cases:
        check(*case)
    print(json.dumps(len(cases)))


if __name__ == "__main__":
    main()
