"""Categories.

Ids without a class have no error in ONNX, where a module says that they are refused: they count for nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.site import Argument, Rules, Site, integer, ints, number


def _known(module: Any, site: Site) -> str:
    """Give ids as integers, ``num_classes`` in the place of those that have no class."""
    ids = site.cast(site.inputs[0], "int64")
    negative = site.op("Less", ids, integer(0))
    return site.op("Where", negative, integer(module.num_classes), site.op("Min", ids, integer(module.num_classes)))


def one_hot(module: Any, site: Site) -> str:
    """Give OneHot, for which negative ids count from the end, and others beyond the end are of no class."""
    return site.op("OneHot", _known(module, site), integer(module.num_classes), np.array([0, 1], np.float32))


def _scattered(module: Any, site: Site, values: Argument, reduction: str | None) -> str:
    """Put values at the ids of zeros, which have one more class for ids without a class."""
    ids = _known(module, site)
    sizes = site.op("Concat", site.op("Shape", ids, end=-1), ints(module.num_classes + 1), axis=0)
    given = values if isinstance(values, str) else site.op("Expand", values, site.op("Shape", ids))
    zeros = site.op("Expand", number(0), sizes)
    found = site.op("ScatterElements", zeros, ids, given, axis=-1, reduction=reduction)
    return site.op("Slice", found, ints(0), ints(module.num_classes), ints(-1))


def multi_hot(module: Any, site: Site) -> str:
    return _scattered(module, site, number(1), None)


def count(module: Any, site: Site) -> str:
    return _scattered(module, site, number(1), "add")


def weighted_count(module: Any, site: Site) -> str:
    return _scattered(module, site, site.inputs[1], "add")


def bucketize(module: Any, site: Site) -> str:
    """Count the boundaries that a number is not below: none, for NaN."""
    (x,) = site.inputs
    boundaries = np.array(module.boundaries, np.float32)
    if not boundaries.size:
        return site.op("Expand", number(0), site.op("Shape", x))
    below = site.op("Less", site.op("Unsqueeze", x, ints(len(site.shape))), boundaries)
    return site.op("ReduceSum", site.cast(site.op("Not", below), "float32"), ints(-1), keepdims=0)


RULES: Rules = {
    "OneHot": one_hot,
    "MultiHot": multi_hot,
    "Count": count,
    "WeightedCount": weighted_count,
    "Bucketize": bucketize,
}
