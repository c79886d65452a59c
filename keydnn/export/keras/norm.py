"""Normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import AnyArray, Rules, Site, Value, channels_last


def _options(module: Any, **config: Any) -> dict[str, Any]:
    return {**config, "epsilon": module.eps, "center": module.use_bias, "scale": module.use_weight}


def _weights(module: Any) -> dict[str, AnyArray]:
    found = {"gamma": module.weight, "beta": module.bias}
    return {name: array for name, array in found.items() if array is not None}


def batch(module: Any, site: Site) -> Value:
    """``BatchNormalization`` of the last axis."""
    statistics = {"moving_mean": module.running_mean, "moving_variance": module.running_var}
    weights = _weights(module) | statistics
    return site.layer("BatchNormalization", _options(module, axis=-1), weights, fixed=statistics)


def group(module: Any, site: Site) -> Value:
    """``GroupNormalization`` of the last axis."""
    return site.layer("GroupNormalization", _options(module, groups=module.num_groups, axis=-1), _weights(module))


def _axes(module: Any) -> int | list[int]:
    return -1 if len(module.normalized_shape) == 1 else list(range(-len(module.normalized_shape), 0))


def layer(module: Any, site: Site) -> Value:
    """``LayerNormalization`` of the last axes."""
    return site.layer("LayerNormalization", _options(module, axis=_axes(module)), _weights(module))


def rms(module: Any, site: Site) -> Value:
    """``RMSNormalization``, which always has a weight; with a variance, operations: Keras refuses ``rms_scaling``."""
    weight = np.ones(module.normalized_shape, np.float32) if module.weight is None else module.weight
    if not module.centered:
        return site.layer("RMSNormalization", {"axis": _axes(module), "epsilon": module.eps}, {"scale": weight})
    (x,) = site.inputs
    axes = list(range(-len(module.normalized_shape), 0))
    one_a_row = (*x.shape[: axes[0]], *[1] * len(axes))
    variance = site.operation("numpy.Var", [x], {"axis": axes, "keepdims": True}, shape=one_a_row)
    variance = site.operation("numpy.Add", [variance, site.number(module.eps)], shape=one_a_row)
    factor = site.operation("math.Rsqrt", [variance], shape=one_a_row)
    return site.operation("numpy.Multiply", [site.operation("numpy.Multiply", [x, factor]), weight])


def unit(module: Any, site: Site) -> Value:
    """``UnitNormalization``, or ``ops.normalize`` for another least length."""
    rank = len(site.inputs[0].shape)
    axes = list(range(module.start_dim % rank, rank))
    axis = -1 if len(axes) == 1 else axes
    if module.eps == 1e-12:
        return site.layer("UnitNormalization", {"axis": axis})
    return site.operation("nn.Normalize", site.inputs, {"axis": axis, "order": 2, "epsilon": module.eps})


RULES: Rules = dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"), channels_last(batch)) | {
    "GroupNorm": channels_last(group),
    "LayerNorm": layer,
    "RMSNorm": rms,
    "UnitNorm": unit,
}
