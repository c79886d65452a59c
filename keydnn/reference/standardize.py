"""Standardization."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import TINY, Bounded, Rules, f64, gamma


def standardize(module: Any, x: Bounded) -> Bounded:
    """Ten roundings, as batch_norm counts them: Keras 2 normalizes batches over several axes alike."""
    mean, std = f64(module.mean), f64(module.std)
    terms = (x.largest + np.abs(mean)) / np.abs(std)
    return Bounded((x.value - mean) / std, x.error / np.abs(std) + gamma(10) * terms + TINY)


RULES: Rules = {"Standardize": standardize}
