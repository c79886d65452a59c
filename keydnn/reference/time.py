"""Sequences as batches of steps and back, and backwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import AnyArray, Rules, selected


def _fold(module: Any, x: AnyArray) -> AnyArray:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


RULES: Rules = {
    "FoldTime": selected(_fold),
    "UnfoldTime": selected(lambda module, x, like: x.reshape(*like.shape[:2], *x.shape[1:])),
    "Flip": selected(lambda module, x: np.flip(x, module.dim)),
}
