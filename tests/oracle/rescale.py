"""Rescaling."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import TINY, Bounded, gamma


def affine(x, scale, offset):
    """Round a product and a sum, each relative to the sum of the terms' absolute values, and both numbers before.

    Nothing is rounded where all of them are float32 numbers, as in ``1 * 1e9 - 1e9``.
    """
    terms = np.abs(scale) * x.largest + np.abs(offset)
    value = scale * x.value + offset
    fits = np.all([np.float32(number) == number for number in (scale + 0 * value, scale * x.value, value)], axis=0)
    return Bounded(value, np.abs(scale) * x.error + np.where(fits & (x.error == 0), 0, gamma(3) * terms + TINY))


RULES = {
    "Rescale": lambda module, x: affine(x, naive.f64(module.scale), naive.f64(module.offset)),
    "Affine": lambda module, x: affine(x, naive.f64(module.weight), naive.f64(module.bias)),
}
