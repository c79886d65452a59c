"""Normalisation: ``nn.BatchNorm*``, ``nn.GroupNorm``, ``nn.LayerNorm``, ``nn.RMSNorm``, ``F.normalize``.

A weight that the module lacks is ones, a bias zeros, where PyTorch has both or neither.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.torch.expressions import call, literal, per_axis, unless
from keydnn.export.torch.site import AnyArray, Site

EPS = 1e-5  # PyTorch's default


def _affine(module: Any, size: int) -> dict[str, AnyArray]:
    """Give the weight and the bias, both or neither."""
    if not (module.use_weight or module.use_bias):
        return {}
    weight = module.weight if module.use_weight else np.ones(size, np.float32)
    return {"weight": weight, "bias": module.bias if module.use_bias else np.zeros(size, np.float32)}


def batch_norm(module: Any, site: Site) -> str:
    """Write the layer, with its running statistics."""
    affine = _affine(module, module.num_features)
    name = f"nn.{type(module).__name__}"
    constructor = call(name, module.num_features, eps=unless(EPS, module.eps), affine=unless(True, bool(affine)))
    statistics = {"running_mean": module.running_mean, "running_var": module.running_var}
    layer = site.attribute(constructor, **affine, **statistics, num_batches_tracked=np.array(0, np.int64))
    return f"{layer}({site.inputs[0]})"


def group_norm(module: Any, site: Site) -> str:
    """Write the layer."""
    affine = _affine(module, module.num_channels)
    sizes = (module.num_groups, module.num_channels)
    constructor = call("nn.GroupNorm", *sizes, eps=unless(EPS, module.eps), affine=unless(True, bool(affine)))
    return f"{site.attribute(constructor, **affine)}({site.inputs[0]})"


def layer_norm(module: Any, site: Site) -> str:
    """Write the layer: PyTorch has one without bias, but none without weight."""
    shape = module.normalized_shape
    weight = module.weight if module.use_weight else np.ones(shape, np.float32) if module.use_bias else None
    constructor = call(
        "nn.LayerNorm",
        per_axis(shape) if len(shape) == 1 else shape,
        eps=unless(EPS, module.eps),
        elementwise_affine=unless(True, weight is not None),
        bias=unless(True, module.use_bias or weight is None),
    )
    return f"{site.attribute(constructor, weight=weight, bias=module.bias)}({site.inputs[0]})"


def rms_norm(module: Any, site: Site) -> str:
    """Write the layer; division by the standard deviation alone, which PyTorch has not, by a function."""
    (x,) = site.inputs
    shape = module.normalized_shape
    if module.centered:
        scaled = call(site.define("divide_by_deviation"), x, len(shape), module.eps)
        return f"{scaled} * {site.parameter(module.weight)}" if module.use_weight else scaled
    constructor = call(
        "nn.RMSNorm",
        per_axis(shape) if len(shape) == 1 else shape,
        eps=module.eps,
        elementwise_affine=unless(True, module.use_weight),
    )
    return f"{site.attribute(constructor, weight=module.weight)}({x})"


def unit_norm(module: Any, site: Site) -> str:
    """Divide by the length of the last axes."""
    rank = len(site.shapes[0])
    dims = tuple(range(module.start_dim % rank, rank))
    dim = -1 if len(dims) == 1 else dims
    return call("F.normalize", site.inputs[0], dim=literal(dim), eps=unless(1e-12, module.eps))


RULES = {
    "BatchNorm1d": batch_norm,
    "BatchNorm2d": batch_norm,
    "BatchNorm3d": batch_norm,
    "GroupNorm": group_norm,
    "LayerNorm": layer_norm,
    "RMSNorm": rms_norm,
    "UnitNorm": unit_norm,
}
