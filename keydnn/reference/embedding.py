"""Embedding: rows are copied."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import Bounded, Rules, f64, known, whole


def embedding(module: Any, ids: Bounded) -> Bounded:
    """Take rows, which are exact, where the ids are certain."""
    return known(f64(module.weight)[np.trunc(ids.value).astype(int)], whole(ids)[..., np.newaxis])


RULES: Rules = {"Embedding": embedding}
