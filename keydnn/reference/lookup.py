"""Lookups: every element by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keydnn.modules.fingerprint import fingerprint64, siphash  # held to TensorFlow's in tests/layers and tests/parity
from keydnn.reference.bounds import Bounded, Rules

TYPES: dict[str, Any] = {"float32": np.float64, "int64": np.int64, "string": np.str_}


def element_by_element(function: Callable[[Any, Any], Any]) -> Callable[..., Bounded]:
    """Make a rule of a function of a module and one element; of numbers that are off, nothing can be told."""

    def rule(module: Any, x: Bounded) -> Bounded:
        found = np.empty(x.value.shape, object)
        found.flat[:] = [function(module, item) for item in x.value.flat]
        return Bounded(found.astype(TYPES[module.gives]), np.where(x.error > 0, np.inf, 0.0))

    return rule


def bucket(text: str, count: int, salt: Any) -> int:
    return (fingerprint64(text.encode()) if salt is None else siphash(text.encode(), salt)) % count


def lookup(module: Any, item: Any) -> Any:
    token = item if isinstance(item, str) else int(item)
    if module.mask_token is not None and token == module.mask_token:
        return module.mask_index
    if token in module.vocabulary:
        return module.first_index + module.num_oov_indices + module.vocabulary.index(token)
    if module.num_oov_indices == 1:
        return module.first_index
    if isinstance(token, int) and module.oov_hash == "mod":
        return module.first_index + token % module.num_oov_indices
    return module.first_index + bucket(str(token), module.num_oov_indices, module.salt)


def inverse(module: Any, item: Any) -> Any:
    place = int(item) - module.first_index
    if module.mask_token is not None and int(item) == 0:
        return module.mask_token
    return module.vocabulary[place] if 0 <= place < len(module.vocabulary) else module.oov_token


def to_float(module: Any, x: Bounded) -> Bounded:
    return Bounded(x.value.astype(float), x.error)


RULES: Rules = {
    "StringLookup": element_by_element(lookup),
    "IntegerLookup": element_by_element(lookup),
    "InverseStringLookup": element_by_element(inverse),
    "InverseIntegerLookup": element_by_element(inverse),
    "ToFloat": to_float,
}
