"""Weights in the layouts of Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def kernel_and_bias(kernel: Array, bias: Array | None, name: str = "kernel") -> dict[str, Array]:
    """Give a kernel and, if there is one, a bias, as layers have them."""
    return {name: kernel} | ({} if bias is None else {"bias": bias})


def channels_trailing(weight: Array) -> Array:
    """Give a weight (b, a, *sizes) as a kernel (*sizes, a, b)."""
    return np.moveaxis(weight, (0, 1), (-1, -2))
