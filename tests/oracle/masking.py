"""Masks of steps."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle.bounds import Bounded, exact


def step_mask(module, x):
    """Compare exactly: what is compared with ``mask_value`` must be without error."""
    assert not x.error.any()
    return exact((x.value != naive.f64(np.float32(module.mask_value))).any(axis=-1))


def masked_fill(module, x, mask):
    assert not mask.error.any()
    counts = (mask.value != 0).reshape(mask.value.shape + (1,) * (x.value.ndim - mask.value.ndim))
    return Bounded(np.where(counts, x.value, module.value), np.where(counts, x.error, 0))


RULES = {"StepMask": step_mask, "MaskedFill": masked_fill}
