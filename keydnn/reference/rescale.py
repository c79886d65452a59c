"""Rescaling."""

from __future__ import annotations

import numpy as np

from keydnn.reference.bounds import F64, TINY, Bounded, Rules, f64, gamma


def affine(x: Bounded, scale: F64, offset: F64) -> Bounded:
    """Round a product and a sum, each relative to the sum of the terms' absolute values, and both numbers before.

    Nothing is rounded where all of them are float32 numbers, as in ``1 * 1e9 - 1e9``.
    """
    terms = np.abs(scale) * x.largest + np.abs(offset)
    value = scale * x.value + offset
    fits = np.all([np.float32(number) == number for number in (scale + 0 * value, scale * x.value, value)], axis=0)
    return Bounded(value, np.abs(scale) * x.error + np.where(fits & (x.error == 0), 0, gamma(3) * terms + TINY))


RULES: Rules = {
    "Rescale": lambda module, x: affine(x, f64(module.scale), f64(module.offset)),
    "Affine": lambda module, x: affine(x, f64(module.weight), f64(module.bias)),
}
