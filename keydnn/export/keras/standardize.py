"""Less a mean, divided by a standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value

EPSILON = np.float32(1e-7)  # below it, Keras takes a deviation to be so


def standardize(module: Any, site: Site) -> Value:
    """``Normalization``, which has variances, if their roots are the deviations; else a difference and a quotient."""
    (x,) = site.inputs
    axes = [axis for axis, size in enumerate(module.shape, 1) if size > 1]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        variance = module.std * module.std
        exact = np.array_equal(np.sqrt(variance), module.std) and bool((module.std >= EPSILON).all())
    if not exact or None in [x.shape[axis] for axis in axes]:
        return site.operation("numpy.Divide", [site.operation("numpy.Subtract", [x, module.mean]), module.std])
    sizes = [module.shape[axis - 1] for axis in axes]
    weights = {
        "mean": module.mean.reshape(sizes),
        "variance": variance.reshape(sizes),
        "count": np.zeros((), np.int64),
    }
    return site.layer("Normalization", {"axis": axes or None}, weights, fixed=weights)


RULES: Rules = {"Standardize": standardize}
