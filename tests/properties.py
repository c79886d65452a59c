"""Properties that modules of every family have."""

from __future__ import annotations

import numba
import numpy as np

from keydnn.reference import f64
from tests.within import assert_within


def assert_any_thread_count(module, *inputs):
    """Assert that one thread and all threads give bit-identical results."""
    found = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        found.append(module(*inputs))
    assert found[0].tobytes() == found[1].tobytes()


# Shapes of weights, and of inputs that they are broadcast to.
BROADCASTS = {
    "features": ((3,), (5, 3)),
    "one-for-all-features": ((1,), (5, 3)),
    "cells": ((3, 4, 5), (2, 3, 4, 5)),
    "last-axis": ((1, 1, 5), (2, 3, 4, 5)),
    "first-axis": ((3, 1, 1), (2, 3, 4, 5)),
    "middle-axis": ((1, 4, 1), (2, 3, 4, 5)),
    "outer-axes": ((3, 1, 5), (2, 3, 4, 5)),
    "one-for-all-cells": ((1, 1, 1), (2, 3, 4, 5)),
    "empty-batch": ((1, 4, 1), (0, 3, 4, 5)),
    "lines-of-several-blocks": ((2, 1), (2, 2, 9000)),
    "many-short-rows": ((1, 7), (2, 1801, 7)),
    "rows-of-several-blocks": ((9000,), (2, 9000)),
}


def assert_broadcast(make, function, bound=lambda wanted, x, *weights: 0):
    """Assert that a module of a shape, with its weights drawn at random, is a function of them broadcast."""
    for name, (shape, sizes) in BROADCASTS.items():
        module, random = make(shape), np.random.default_rng(len(name))
        tensors = {
            key: random.uniform(0.5, 2, size) * random.choice([-1, 1], size)
            for key, size in module.tensor_shapes().items()
        }
        module = module.with_tensors(tensors)
        x, weights = random.standard_normal(sizes).astype(np.float32), [f64(w) for w in module.tensors().values()]
        wanted = function(f64(x), *weights)
        assert module.output_shape(sizes) == sizes, name
        assert module.output_shape((None,) * len(sizes)) == (None, *(size if size > 1 else None for size in shape))
        assert_within(module(x), wanted, bound(wanted, f64(x), *weights))
        assert_permuted(module, (0, *range(len(sizes) - 1, 0, -1)), x)
        assert_any_thread_count(module, x)


def assert_permuted(module, permutation, *inputs):
    """Assert ``M.permuted(p)(transpose(x)) == transpose(M(x))``, bit by bit."""
    other = module.permuted(permutation)
    found = other(*(np.transpose(x, permutation) for x in inputs))
    np.testing.assert_array_equal(found, np.transpose(module(*inputs), permutation))
