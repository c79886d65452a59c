"""Lookups, in tables of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keydnn.export.onnx.site import Rules, Site, integer
from keydnn.modules.typed import utf8


def table(site: Site, x: str, keys: Sequence[Any], values: Sequence[Any], default: Any) -> str:
    """Give LabelEncoder of texts or integers to numbers, or back: floats for keys of text, integers, or text."""
    kinds = {str: "strings", int: "int64s", float: "floats"}
    of_keys, of_values = (kinds[type(items[0])] for items in (keys, values))
    attributes: dict[str, Any] = {
        f"keys_{of_keys}": [utf8(key) if isinstance(key, str) else key for key in keys],
        f"values_{of_values}": [utf8(value) if isinstance(value, str) else value for value in values],
        f"default_{of_values.removesuffix('s')}": utf8(default) if isinstance(default, str) else default,
    }
    return site.op("LabelEncoder", x, domain="ai.onnx.ml", **attributes)


def lookup(module: Any, site: Site) -> str:
    """Give the ids by a table; tokens out of the vocabulary get the first id, or one by their remainder."""
    (x,) = site.inputs
    text, outside = site.dtypes[0] == "string", module.num_oov_indices
    if site.dtypes[0] == "float32":
        x = site.cast(x, "int64")
    keys = [*module.vocabulary]
    ids = [*range(module.first_index + outside, module.first_index + outside + len(keys))]
    if module.mask_token is not None:
        keys, ids = [*keys, module.mask_token], [*ids, module.mask_index]
    if outside == 1:
        return table(site, x, keys, [float(place) for place in ids], float(module.first_index))
    if not outside:  # a place that the table of ids has not is an error
        places = table(site, x, keys, [*range(len(keys))], len(keys))
        return site.op("Gather", np.array(ids, np.float32), places, axis=0)
    if text or module.oov_hash != "mod":
        site.refuse("what is not in its vocabulary gets an id by a hash, which ONNX has not")
    known = table(site, x, keys, ids, -1)
    rest = site.op("Add", site.op("Mod", x, integer(outside)), integer(module.first_index))
    unknown = site.op("Less", known, integer(0))
    return site.cast(site.op("Where", unknown, rest, known), "float32")


def inverse(module: Any, site: Site) -> str:
    """Give the token of each id."""
    (x,) = site.inputs
    tokens = dict(enumerate(module.vocabulary, module.first_index))
    if module.mask_token is not None:
        tokens[0] = module.mask_token
    if not tokens:
        site.refuse("a table without tokens")
    return table(site, site.cast(x, "int64"), [*tokens], [*tokens.values()], module.oov_token)


def to_float(module: Any, site: Site) -> str:
    return site.cast(site.inputs[0], "float32")


RULES: Rules = {
    "StringLookup": lookup,
    "IntegerLookup": lookup,
    "InverseStringLookup": inverse,
    "InverseIntegerLookup": inverse,
    "ToFloat": to_float,
}
