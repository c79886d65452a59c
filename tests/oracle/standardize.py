"""Standardization."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import TINY, Bounded, gamma


def standardize(module, x):
    """Ten roundings, as batch_norm counts them: Keras 2 normalizes batches over several axes alike."""
    mean, std = naive.f64(module.mean), naive.f64(module.std)
    terms = (x.largest + np.abs(mean)) / np.abs(std)
    return Bounded((x.value - mean) / std, x.error / np.abs(std) + gamma(10) * terms + TINY)


RULES = {"Standardize": standardize}
