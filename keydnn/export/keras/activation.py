"""Activations of one element."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value

# Functions that Keras has under these names, with the parameters that it takes them to have.
NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "CELU": ("celu", {"alpha": 1.0}),
    "ELU": ("elu", {"alpha": 1.0}),
    "Exponential": ("exponential", {}),
    "HardShrink": ("hard_shrink", {"lambd": 0.5}),
    "HardSiLU": ("hard_silu", {}),
    "HardSigmoid": ("hard_sigmoid", {"slope": 1.0, "offset": 3.0, "top": 6.0}),
    "HardTanh": ("hard_tanh", {"min_val": -1.0, "max_val": 1.0}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.2}),
    "LogSigmoid": ("log_sigmoid", {}),
    "Mish": ("mish", {}),
    "ReLU": ("relu", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    "SELU": ("selu", {}),
    "SiLU": ("silu", {}),
    "Sigmoid": ("sigmoid", {}),
    "SoftShrink": ("soft_shrink", {"lambd": 0.5}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "SparsePlus": ("sparse_plus", {}),
    "SparseSigmoid": ("sparse_sigmoid", {}),
    "Squareplus": ("squareplus", {"b": 4.0}),
    "Tanh": ("tanh", {}),
    "TanhShrink": ("tanh_shrink", {}),
}
# What has a layer of its own that takes the parameters under the same names, or an operation.
LAYERS = {"ELU": "ELU", "LeakyReLU": "LeakyReLU", "ReLU": "ReLU"}
OPERATIONS = {"CELU": "Celu", "HardShrink": "HardShrink", "SoftShrink": "SoftShrink", "Squareplus": "Squareplus"}
OTHER_WORDS = {"lambd": "threshold"}


def relu(module: Any, site: Site) -> Value:
    """``relu6`` has a name, too."""
    if module.parameters() == NAMED["ReLU"][1] | {"max_value": 6.0} and not _was(site, "ReLU"):
        return site.layer("Activation", {"activation": "relu6"})
    return activation(module, site)


def _was(site: Site, kind: str) -> bool:
    """Tell whether the original layer was of a class."""
    return site.origin is not None and site.origin.class_name == kind


def activation(module: Any, site: Site) -> Value:
    """``Activation`` by name where the parameters are those of the name; else the layer or the operation."""
    kind, parameters = type(module).__name__, module.parameters()
    name, default = NAMED[kind]
    layer = LAYERS.get(kind)
    if parameters == default and not (layer and _was(site, layer)):
        return site.layer("Activation", {"activation": name})
    if layer:
        return site.layer(layer, parameters)
    config = {OTHER_WORDS.get(key, key): value for key, value in parameters.items()}
    return site.operation(f"nn.{OPERATIONS[kind]}", site.inputs, config)


def identity(module: Any, site: Site) -> Value:
    """``Identity``."""
    return site.layer("Identity", {})


def gelu(module: Any, site: Site) -> Value:
    """``gelu`` by name is the exact one."""
    if module.approximate == "none":
        return site.layer("Activation", {"activation": "gelu"})
    return site.operation("nn.Gelu", site.inputs, {"approximate": True})


def hard_sigmoid(module: Any, site: Site) -> Value:
    """Keras 2's as a product, a sum and a cut, in the order in which it computes them."""
    if module.parameters() == NAMED["HardSigmoid"][1]:
        return activation(module, site)
    x = site.operation("numpy.Multiply", [*site.inputs, site.number(module.slope)])
    x = site.operation("numpy.Add", [x, site.number(module.offset)])
    x = site.operation("numpy.Clip", [x], {"x_min": 0.0, "x_max": module.top})
    return x if module.top == 1 else site.operation("numpy.Divide", [x, site.number(module.top)])


def hard_tanh(module: Any, site: Site) -> Value:
    """A cut, where the limits are others."""
    if module.parameters() == NAMED["HardTanh"][1]:
        return activation(module, site)
    return site.operation("numpy.Clip", site.inputs, {"x_min": module.min_val, "x_max": module.max_val})


def threshold(module: Any, site: Site) -> Value:
    """The operation of the name."""
    return site.operation("nn.Threshold", site.inputs, {"threshold": module.threshold, "default_value": module.value})


def prelu(module: Any, site: Site) -> Value:
    """``PReLU``; axes of size 1 are shared."""
    (x,) = site.inputs
    pairs = zip(module.shape, x.shape[1:], strict=True)
    shared = [axis for axis, (mine, size) in enumerate(pairs, 1) if mine == 1 and size != 1]
    return site.layer("PReLU", {"shared_axes": shared or None}, {"alpha": module.weight})


RULES: Rules = dict.fromkeys(NAMED, activation) | {
    "GELU": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardTanh": hard_tanh,
    "Identity": identity,
    "PReLU": prelu,
    "ReLU": relu,
    "Threshold": threshold,
}
