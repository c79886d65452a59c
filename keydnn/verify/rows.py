"""What a comparison of two runs of a model says about each layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keydnn.modules.base import Array


@dataclass(frozen=True)
class LayerRow:
    """How far one output of one call of a layer is from what it should be.

    Attributes
    ----------
    layer
        Path of the Keras layer in its model (``"encoder/conv2d"``), with ``@1`` for its second call; the node's name
        in graphs that come from no Keras file.
    class_name
        Keras' class; the module's type in such graphs.
    modules
        What the layer became, in order, e.g. ``("Conv2d", "ReLU")``.
    shape
        Of the output, with the batch, in Keras' order of axes.
    max_abs_error
        Largest absolute difference.
    max_rel_error
        Largest absolute difference, relative to the largest absolute number that there should be.
    cosine
        Cosine of the angle between the two as vectors; 1.0 where they are equal, NaN where one is NaN.
    bounds
        Largest difference in units of the bound that float32 roundings explain (``keydnn.reference``), element by
        element; None where there is no bound.
    agrees
        Whether it is within the tolerance.
    """

    layer: str
    class_name: str
    modules: tuple[str, ...]
    shape: tuple[int, ...]
    max_abs_error: float
    max_rel_error: float
    cosine: float
    bounds: float | None
    agrees: bool


def differences(found: Array, wanted: Array) -> tuple[float, float, float]:
    """Give the largest absolute and relative difference of two arrays of one shape, and the cosine.

    Equal infinities, and NaN at the same places, are no difference; NaN or an infinity at one place alone is an
    infinite one.
    """
    x, y = np.asarray(found, np.float64).ravel(), np.asarray(wanted, np.float64).ravel()
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(x - y))
    apart = np.where(np.isnan(apart), np.inf, apart)
    largest = float(np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
    absolute = float(np.max(apart, initial=0.0))
    relative = 0.0 if absolute == 0 else absolute / largest if largest else float("inf")
    if same.all():
        return absolute, relative, 1.0
    with np.errstate(all="ignore"):
        cosine = float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
    return absolute, relative, cosine
