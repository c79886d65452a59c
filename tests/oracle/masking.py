"""Masks of steps."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import Bounded


def step_mask(module, x):
    """Compare with ``mask_value``: a step counts where one number differs by more than it may be off."""
    wanted = naive.f64(np.float32(module.mask_value))
    counts = (x.value != wanted).any(axis=-1)
    certain = (np.abs(x.value - wanted) > x.error).any(axis=-1) | ((x.value == wanted) & (x.error == 0)).all(axis=-1)
    return Bounded(counts.astype(float), np.where(certain, 0.0, 1.0))


def masked_fill(module, x, mask):
    assert not mask.error.any(), "a mask that may be off by a rounding says nothing"
    counts = (mask.value != 0).reshape(mask.value.shape + (1,) * (x.value.ndim - mask.value.ndim))
    return Bounded(np.where(counts, x.value, module.value), np.where(counts, x.error, 0))


RULES = {"StepMask": step_mask, "MaskedFill": masked_fill}
