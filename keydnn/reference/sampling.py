"""Weights of cells by their distances, for what stands between them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def triangle(x: float) -> float:
    """Weight of a cell by its distance: that of a line between two cells."""
    return max(1 - x, 0.0)


def keys(x: float) -> float:
    """Weight of a cell by its distance: the cubic of Keys, 1981, with a = -1/2."""
    if x >= 2:
        return 0.0
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x < 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


def mitchell(x: float) -> float:
    """Weight of a cell by its distance: the cubic of Mitchell and Netravali, 1988, with B = C = 1/3."""
    if x >= 2:
        return 0.0
    return (21 * x**3 - 36 * x**2 + 16) / 18 if x < 1 else (-7 * x**3 + 36 * x**2 - 60 * x + 32) / 18


def lanczos(radius: int) -> Callable[[float], float]:
    """Give the weight of a cell by its distance: a sinc that a wider one ends."""
    return lambda x: float(np.sinc(x) * np.sinc(x / radius)) if x <= radius else 0.0


SAMPLINGS: dict[str, Callable[[float], float]] = {
    "bicubic": keys,
    "mitchellcubic": mitchell,
    "lanczos3": lanczos(3),
    "lanczos5": lanczos(5),
    "gaussian": lambda x: math.exp(-2 * x**2) if x < 1.5 else 0.0,
}
