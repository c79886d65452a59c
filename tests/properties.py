"""Properties that modules of every family have."""

from __future__ import annotations

import numba
import numpy as np


def assert_any_thread_count(module, *inputs):
    """Assert that one thread and all threads give bit-identical results."""
    found = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        found.append(module(*inputs))
    assert found[0].tobytes() == found[1].tobytes()


def assert_permuted(module, permutation, *inputs):
    """Assert ``M.permuted(p)(transpose(x)) == transpose(M(x))``, bit by bit."""
    other = module.permuted(permutation)
    found = other(*(np.transpose(x, permutation) for x in inputs))
    np.testing.assert_array_equal(found, np.transpose(module(*inputs), permutation))
