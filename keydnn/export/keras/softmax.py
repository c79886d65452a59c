"""Activations along one axis."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def softmax(module: Any, site: Site) -> Value:
    """``Softmax``, or along the last axis ``Activation``, unless the original had the layer."""
    named = site.origin is not None and site.origin.class_name == "Softmax"
    if is_last(module, site) and not named:
        return site.layer("Activation", {"activation": "softmax"})
    return site.layer("Softmax", {"axis": -1 if is_last(module, site) else module.dim})


def log_softmax(module: Any, site: Site) -> Value:
    """``Activation`` along the last axis, else ``ops.log_softmax``."""
    if is_last(module, site):
        return site.layer("Activation", {"activation": "log_softmax"})
    return site.operation("nn.LogSoftmax", site.inputs, {"axis": module.dim})


def glu(module: Any, site: Site) -> Value:
    """``ops.glu``: of ``Activation`` Keras believes that it leaves the shape as it is."""
    return site.operation("nn.Glu", site.inputs, {"axis": module.dim})


def sparsemax(module: Any, site: Site) -> Value:
    """Operations, as another version of Keras has another ``sparsemax``: sort, find the support and its tau."""
    (x,) = site.inputs
    axis, counted = module.dim, {"axis": [module.dim], "keepdims": True}
    one = tuple(1 if place == axis % len(x.shape) else size for place, size in enumerate(x.shape))
    ordered = site.operation("numpy.Flip", [site.operation("numpy.Sort", [x], {"axis": axis})], {"axis": axis})
    places = site.operation("numpy.Cumsum", [site.operation("numpy.OnesLike", [x])], {"axis": axis})
    sums = site.operation("numpy.Cumsum", [ordered], {"axis": axis})
    reached = site.operation("numpy.Subtract", [sums, site.number(1)])
    supported = site.operation(
        "numpy.Greater", [site.operation("numpy.Multiply", [ordered, places]), reached], dtype="bool"
    )
    terms = sums if module.threshold == "cumulative" else ordered
    terms = site.operation("numpy.Where", [supported, terms, site.number(0)])
    total = site.operation("numpy.Sum", [terms], counted, shape=one)
    cells = site.operation("numpy.Sum", [site.cast(supported, "float32")], counted, shape=one)
    less = site.operation("numpy.Subtract", [total, site.number(1)], shape=one)
    tau = site.operation("numpy.Divide", [less, cells], shape=one)
    return site.operation("numpy.Maximum", [site.operation("numpy.Subtract", [x, tau]), site.number(0)])


def is_last(module: Any, site: Site) -> bool:
    """Tell whether the axis is the last one."""
    rank = len(site.shape)
    return bool(module.dim % rank == rank - 1)


RULES: Rules = {"Softmax": softmax, "LogSoftmax": log_softmax, "Sparsemax": sparsemax, "GLU": glu}
