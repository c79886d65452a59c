"""Rescaling."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import TINY, Bounded, gamma


def affine(x, scale, offset):
    """Round a product and a sum, each relative to the sum of the terms' absolute values, and both numbers before."""
    terms = np.abs(scale) * x.largest + np.abs(offset)
    return Bounded(scale * x.value + offset, np.abs(scale) * x.error + gamma(3) * terms + TINY)


RULES = {
    "Rescale": lambda module, x: affine(x, naive.f64(module.scale), naive.f64(module.offset)),
    "Affine": lambda module, x: affine(x, naive.f64(module.weight), naive.f64(module.bias)),
}
