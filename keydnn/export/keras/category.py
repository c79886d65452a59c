"""Categories.

Keras 3 has no error for ids without a class, where a module says that they are refused: they count for nothing.
"""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def one_hot(module: Any, site: Site) -> Value:
    """``ops.one_hot``."""
    config = {"num_classes": module.num_classes, "axis": -1, "dtype": "float32"}
    return site.operation("nn.OneHot", [site.cast(site.inputs[0], "int32")], config)


def _counted(module: Any, site: Site, weights: Value | None) -> Value:
    """Sum the rows of ids, times their weights."""
    rows = (*site.shapes[0], module.num_classes)
    config = {"num_classes": module.num_classes, "axis": -1, "dtype": "float32"}
    hot = site.operation("nn.OneHot", [site.cast(site.inputs[0], "int32")], config, shape=rows)
    if weights is not None:
        wide = (*weights.shape, 1)
        columns = site.operation("numpy.ExpandDims", [weights], {"axis": -1}, shape=wide)
        seen = site.operation("numpy.Greater", [hot, site.number(0)], shape=rows, dtype="bool")
        hot = site.operation("numpy.Where", [seen, columns, site.number(0)], shape=rows)
    return site.operation("numpy.Sum", [hot], {"axis": [-2], "keepdims": False})


def multi_hot(module: Any, site: Site) -> Value:
    """The largest of the rows of ``ops.one_hot``, of no ids zeros."""
    return site.operation("numpy.Minimum", [_counted(module, site, None), site.number(1)])


def count(module: Any, site: Site) -> Value:
    """The sum of the rows of ``ops.one_hot``."""
    return _counted(module, site, None)


def weighted_count(module: Any, site: Site) -> Value:
    """The same, of weights."""
    return _counted(module, site, site.inputs[1])


def bucketize(module: Any, site: Site) -> Value:
    """``Discretization``, whose buckets are int32."""
    if not module.boundaries:
        return site.operation("numpy.ZerosLike", site.inputs)
    found = site.layer("Discretization", {"bin_boundaries": module.boundaries}, dtype="int32")
    return site.cast(found, "float32")


RULES: Rules = {
    "OneHot": one_hot,
    "MultiHot": multi_hot,
    "Count": count,
    "WeightedCount": weighted_count,
    "Bucketize": bucketize,
}
