"""Activations of one element."""

from __future__ import annotations

from functools import partial
from typing import Any

from keydnn.export.onnx.site import Rules, Site, number


def _one(kind: str, module: Any, site: Site) -> str:
    """Give an operator without parameters."""
    return site.op(kind, *site.inputs)


def relu(module: Any, site: Site) -> str:
    """Give Relu, Clip or LeakyRelu where they say it all."""
    (x,) = site.inputs
    top = None if module.max_value is None else number(module.max_value)
    if not module.threshold and not module.negative_slope:
        return site.op("Relu", x) if top is None else site.op("Clip", x, number(0), top)
    if not module.threshold and top is None:
        return site.op("LeakyRelu", x, alpha=module.negative_slope)
    edge = number(module.threshold)
    above = x if top is None else site.op("Min", x, top)
    below: Any = number(0)
    if module.negative_slope:
        distance = site.op("Sub", x, edge) if module.threshold else x
        below = site.op("Mul", distance, number(module.negative_slope))
    return site.op("Where", site.op("Greater", x, edge), above, below)


def leaky_relu(module: Any, site: Site) -> str:
    return site.op("LeakyRelu", *site.inputs, alpha=module.negative_slope)


def prelu(module: Any, site: Site) -> str:
    return site.op("PRelu", *site.inputs, site.weight("weight"))


def elu(module: Any, site: Site) -> str:
    return site.op("Elu", *site.inputs, alpha=module.alpha)


def celu(module: Any, site: Site) -> str:
    return site.op("Celu", *site.inputs, alpha=module.alpha)


def gelu(module: Any, site: Site) -> str:
    return site.op("Gelu", *site.inputs, approximate=module.approximate)


def hard_sigmoid(module: Any, site: Site) -> str:
    return site.op("HardSigmoid", *site.inputs, alpha=module.slope / module.top, beta=module.offset / module.top)


def hard_tanh(module: Any, site: Site) -> str:
    return site.op("Clip", *site.inputs, number(module.min_val), number(module.max_val))


def silu(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Mul", x, site.op("Sigmoid", x))


def log_sigmoid(module: Any, site: Site) -> str:
    return site.op("Neg", site.op("Softplus", site.op("Neg", *site.inputs)))


def hard_shrink(module: Any, site: Site) -> str:
    return site.op("Shrink", *site.inputs, lambd=module.lambd)


def soft_shrink(module: Any, site: Site) -> str:
    return site.op("Shrink", *site.inputs, lambd=module.lambd, bias=module.lambd)


def tanh_shrink(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Sub", x, site.op("Tanh", x))


def threshold(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Where", site.op("Greater", x, number(module.threshold)), x, number(module.value))


def squareplus(module: Any, site: Site) -> str:
    (x,) = site.inputs
    root = site.op("Sqrt", site.op("Add", site.op("Mul", x, x), number(module.b)))
    return site.op("Div", site.op("Add", x, root), number(2))


def _risen(site: Site) -> str:
    """Give ``x + 1`` for x between -1 and 1, 0 below and 2 above."""
    return site.op("Add", site.op("Clip", *site.inputs, number(-1), number(1)), number(1))


def sparse_plus(module: Any, site: Site) -> str:
    (x,) = site.inputs
    risen = _risen(site)
    curve = site.op("Div", site.op("Mul", risen, risen), number(4))
    return site.op("Where", site.op("GreaterOrEqual", x, number(1)), x, curve)


def sparse_sigmoid(module: Any, site: Site) -> str:
    return site.op("Div", _risen(site), number(2))


RULES: Rules = {
    "Identity": partial(_one, "Identity"),
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "PReLU": prelu,
    "ELU": elu,
    "CELU": celu,
    "SELU": partial(_one, "Selu"),
    "GELU": gelu,
    "Sigmoid": partial(_one, "Sigmoid"),
    "HardSigmoid": hard_sigmoid,
    "HardSiLU": partial(_one, "HardSwish"),
    "HardTanh": hard_tanh,
    "Tanh": partial(_one, "Tanh"),
    "Softplus": partial(_one, "Softplus"),
    "Softsign": partial(_one, "Softsign"),
    "SiLU": silu,
    "Exponential": partial(_one, "Exp"),
    "LogSigmoid": log_sigmoid,
    "Mish": partial(_one, "Mish"),
    "HardShrink": hard_shrink,
    "SoftShrink": soft_shrink,
    "TanhShrink": tanh_shrink,
    "Threshold": threshold,
    "Squareplus": squareplus,
    "SparsePlus": sparse_plus,
    "SparseSigmoid": sparse_sigmoid,
}
