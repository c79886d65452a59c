"""Embedding: rows are copied."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import exact


def embedding(module, ids):
    """Take rows, which are exact; ids must be so too."""
    assert not ids.error.any(), "ids that may be off by a rounding say nothing"
    return exact(naive.f64(module.weight)[np.trunc(ids.value).astype(int)])


RULES = {"Embedding": embedding}
