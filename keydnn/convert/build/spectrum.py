"""Numbers that Keras works out anew in each call of a spectrogram: cosines and sines in a window, the table of mels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
RAISED = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46)}  # a - b * cos


def window_of(kind: str | None, length: int) -> F64:
    """Give TensorFlow's periodic windows; of an odd length they are not periodic but symmetric. None: ones."""
    if kind is None or length == 1:
        return np.ones(length)
    mean, swing = RAISED[kind]
    return mean - swing * np.cos(2 * np.pi * np.arange(length) / (length - length % 2))


def fourier(window: F64, whole: int) -> tuple[F64, F64]:
    """Give what turns ``whole`` samples, windowed in their middle, into the parts of each frequency; (bins, whole)."""
    before = (whole - len(window)) // 2
    padded = np.pad(window, (before, whole - len(window) - before))
    turns = np.outer(np.arange(whole // 2 + 1), np.arange(whole)) % whole * (2 * np.pi / whole)
    return np.cos(turns) * padded, -np.sin(turns) * padded


def mel_of(hertz: F64) -> F64:
    """Give frequencies on the mel scale."""
    return 1127.0 * np.log1p(hertz / 700.0)


def mel_table(bins: int, mels: int, rate: float, lowest: float, highest: float) -> F64:
    """Give how much of each frequency belongs to each band; (mels, bins).  The frequency 0 belongs to none.

    Bands overlap by half, and rise and fall linearly in mels.
    """
    found = mel_of(np.linspace(0, rate / 2, bins))
    first, last = mel_of(np.array([lowest, highest]))
    edges: F64 = np.linspace(first, last, mels + 2)[:, None]
    rising = (found - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - found) / (edges[2:] - edges[1:-1])
    table: F64 = np.maximum(0, np.minimum(rising, falling))
    table[:, 0] = 0
    return table
