"""Lookups: every element by itself."""

from __future__ import annotations

import numpy as np

from keydnn.modules.fingerprint import fingerprint64, siphash  # held to TensorFlow's in tests/layers and tests/parity
from tests.oracle.bounds import Bounded, exact, of_any_type

TYPES = {"int64": np.int64, "string": np.str_}


def element_by_element(function):
    """Make a rule of a function of a module and one element."""

    def rule(module, x):
        assert not x.error.any()
        found = np.empty(x.value.shape, object)
        found.flat[:] = [function(module, item) for item in x.value.flat]
        return (
            exact(found.astype(float)) if module.gives == "float32" else of_any_type(found.astype(TYPES[module.gives]))
        )

    return rule


def bucket(text, count, salt):
    return (fingerprint64(text.encode()) if salt is None else siphash(text.encode(), salt)) % count


def lookup(module, item):
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


def inverse(module, item):
    place = int(item) - module.first_index
    if module.mask_token is not None and int(item) == 0:
        return module.mask_token
    return module.vocabulary[place] if 0 <= place < len(module.vocabulary) else module.oov_token


def to_float(module, x):
    return Bounded(x.value.astype(float), x.error)


RULES = {
    "StringLookup": element_by_element(lookup),
    "IntegerLookup": element_by_element(lookup),
    "InverseStringLookup": element_by_element(inverse),
    "InverseIntegerLookup": element_by_element(inverse),
    "ToFloat": to_float,
}
