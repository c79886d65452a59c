"""Linear."""

from __future__ import annotations

import numpy.typing as npt

from keydnn.reference.bounds import F64, Rules, f64, or_zeros, weighted


def linear(x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike) -> F64:
    """Weigh and sum the last axis of (..., in) by (out, in)."""
    return f64(x) @ f64(weight).T + f64(bias)


RULES: Rules = {
    "Linear": weighted(
        lambda module, x, weight, bias: linear(x, weight, bias),
        lambda module, shape: shape[-1],
        lambda module: or_zeros(module.bias, module.out_features),
    )
}
