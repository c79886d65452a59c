"""Ids of integers, and integers of ids.  Text, and hashes, PyTorch has not."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.errors import ExportError
from keydnn.export.torch.expressions import call, unless
from keydnn.export.torch.site import Site


def integer_lookup(module: Any, site: Site) -> str:
    """Search in a buffer of the tokens in ascending order, beside one of their ids."""
    if module.num_oov_indices > 1 and module.oov_hash != "mod":
        raise ExportError(f"oov_hash={module.oov_hash!r}, a hash of digits")
    tokens = list(module.vocabulary)
    ids = list(range(module.first_token, module.first_token + len(tokens)))
    if module.mask_token is not None:
        tokens, ids = [*tokens, module.mask_token], [*ids, module.mask_index]
    order = np.argsort(np.array(tokens, np.int64), kind="stable")
    buffers = {"tokens": np.array(tokens, np.int64)[order], "ids": np.array(ids, np.int64)[order]}
    tables = [site.buffer(array, name) for name, array in buffers.items()]
    others = unless(1, module.num_oov_indices)
    return call(site.define("lookup"), site.inputs[0], *tables, module.first_index, buckets=others)


def inverse_integer_lookup(module: Any, site: Site) -> str:
    """Index a buffer."""
    tokens = site.buffer(np.array(module.vocabulary, np.int64), "tokens")
    options = {"first": unless(1, module.first_index), "mask_token": module.mask_token}
    return call(site.define("inverse_lookup"), site.inputs[0], tokens, module.oov_token, **options)


def to_float(module: Any, site: Site) -> str:
    """Convert."""
    return f"{site.inputs[0]}.float()"


RULES = {"IntegerLookup": integer_lookup, "InverseIntegerLookup": inverse_integer_lookup, "ToFloat": to_float}
