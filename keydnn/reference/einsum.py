"""Einsum."""

from __future__ import annotations

import numpy as np

from keydnn.reference.bounds import Rules, weighted
from keydnn.reference.matmul import contract, terms_of

RULES: Rules = {
    "Einsum": weighted(
        lambda module, x, weight, bias: contract(module.labels, x, weight),
        terms_of,
        lambda module: np.zeros(()),
    )
}
