"""Normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.site import Rules, Site, ints, number


def batch_norm(module: Any, site: Site) -> str:
    """Give BatchNormalization; it wants a weight and a bias."""
    (x,) = site.inputs
    ones, zeros = np.ones(module.num_features, np.float32), np.zeros(module.num_features, np.float32)
    return site.op(
        "BatchNormalization",
        x,
        site.optional("weight") or ones,
        site.optional("bias") or zeros,
        site.weight("running_mean"),
        site.weight("running_var"),
        epsilon=module.eps,
    )


def layer_norm(module: Any, site: Site) -> str:
    """Give LayerNormalization; it wants a weight."""
    (x,) = site.inputs
    weight = site.optional("weight") or np.ones(module.normalized_shape, np.float32)
    axis = -len(module.normalized_shape)
    return site.op("LayerNormalization", x, weight, site.optional("bias"), axis=axis, epsilon=module.eps)


def group_norm(module: Any, site: Site) -> str:
    """Give InstanceNormalization of the groups as channels, and the channels' weights apart.

    GroupNormalization of this opset has a weight a group only.
    """
    (x,) = site.inputs
    groups = module.num_groups
    rows = site.op("Reshape", x, ints(0, groups, -1))
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    plain = site.op("InstanceNormalization", rows, ones, zeros, epsilon=module.eps)
    result = site.op("Reshape", plain, site.op("Shape", x))
    behind = (module.num_channels, *[1] * (len(site.shape) - 2))
    for kind, name in (("Mul", "weight"), ("Add", "bias")):
        weight = site.optional(name)
        if weight is not None:
            result = site.op(kind, result, site.op("Reshape", weight, ints(*behind)))
    return result


def rms_norm(module: Any, site: Site) -> str:
    """Give the formula: RMSNormalization is younger than the opset, and knows no mean."""
    (x,) = site.inputs
    axes = ints(*range(-len(module.normalized_shape), 0))
    distance = site.op("Sub", x, site.op("ReduceMean", x, axes)) if module.centered else x
    square = site.op("ReduceMean", site.op("Mul", distance, distance), axes)
    result = site.op("Div", x, site.op("Sqrt", site.op("Add", square, number(module.eps))))
    weight = site.optional("weight")
    return result if weight is None else site.op("Mul", result, weight)


def unit_norm(module: Any, site: Site) -> str:
    """Divide by the length, or by eps."""
    (x,) = site.inputs
    rank = len(site.shape)
    length = site.op("ReduceL2", x, ints(*range(module.start_dim % rank, rank)))
    return site.op("Div", x, site.op("Max", length, number(module.eps)))


RULES: Rules = {
    **{f"BatchNorm{axes}d": batch_norm for axes in (1, 2, 3)},
    "GroupNorm": group_norm,
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "UnitNorm": unit_norm,
}
