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


def is_last(module: Any, site: Site) -> bool:
    """Tell whether the axis is the last one."""
    rank = len(site.shape)
    return bool(module.dim % rank == rank - 1)


RULES: Rules = {"Softmax": softmax, "LogSoftmax": log_softmax, "GLU": glu}
