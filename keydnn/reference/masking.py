"""Masks of steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import Bounded, Rules, f64


def step_mask(module: Any, x: Bounded) -> Bounded:
    """Compare with ``mask_value``: a step counts where one number differs by more than it may be off."""
    wanted = f64(np.float32(module.mask_value))
    counts = (x.value != wanted).any(axis=-1)
    certain = (np.abs(x.value - wanted) > x.error).any(axis=-1) | ((x.value == wanted) & (x.error == 0)).all(axis=-1)
    return Bounded(counts.astype(float), np.where(certain, 0.0, 1.0))


def masked_fill(module: Any, x: Bounded, mask: Bounded) -> Bounded:
    counts = (mask.value != 0).reshape(mask.value.shape + (1,) * (x.value.ndim - mask.value.ndim))
    certain = ((mask.error == 0) | (np.abs(mask.value) > mask.error)).reshape(counts.shape)
    error = np.where(certain, np.where(counts, x.error, 0), np.inf)
    return Bounded(np.where(counts, x.value, module.value), error)


RULES: Rules = {"StepMask": step_mask, "MaskedFill": masked_fill}
