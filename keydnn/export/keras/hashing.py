"""Texts and integers in buckets."""

from __future__ import annotations

import math
from typing import Any

from keydnn.export.keras.lookup import tokens_of
from keydnn.export.keras.site import Rules, Site, Value


def _whole(site: Site, x: Value) -> Value:
    """Give texts and integers as they are, numbers without their fractions."""
    return site.cast(x, "int64") if x.dtype == "float32" else x


def hashed(module: Any, site: Site) -> Value:
    """``Hashing``."""
    x, mask = _whole(site, site.inputs[0]), module.mask_value
    if mask is not None and isinstance(mask, str) is not (x.dtype == "string"):
        site.refuse(f"mask_value={mask!r} of another type than its input")
    tokens_of(site, [] if mask is None else [mask])
    config = {"num_bins": module.num_bins, "mask_value": mask, "salt": module.salt, "dtype": "int64"}
    return site.cast(site.layer("Hashing", config, inputs=[x], dtype="int64"), "float32")


def crossed(module: Any, site: Site) -> Value:
    """``HashedCrossing`` of columns, which it takes two of."""
    if len(site.inputs) != 2:
        site.refuse("of other than two inputs")
    sizes = site.shape[1:]
    if None in sizes or 0 in sizes:
        site.refuse("of values with free sizes")
    batch = site.shape[0]
    if batch is not None:
        batch *= math.prod(size for size in sizes if size is not None)
    columns = [_whole(site, x) for x in site.inputs]
    if sizes:
        flat = {"newshape": [-1]}
        columns = [site.operation("numpy.Reshape", [x], flat, shape=(batch,), dtype=str(x.dtype)) for x in columns]
    config = {"num_bins": module.num_bins, "dtype": "int64"}
    found: Value = site.layer("HashedCrossing", config, inputs=columns, shape=(batch,), dtype="int64", listed=True)
    if sizes:
        found = site.operation("numpy.Reshape", [found], {"newshape": [-1, *sizes]}, dtype="int64")
    return site.cast(found, "float32")


RULES: Rules = {"Hash": hashed, "HashedCross": crossed}
