"""Activations of one element: ``F.*`` and ``torch.*``, or their formula where PyTorch has none or another for NaN."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from keydnn.export.torch.expressions import call, decimal, literal, quoted, unless
from keydnn.export.torch.site import Site


def plain(function: str, module: Any, site: Site) -> str:
    """Apply a function without options."""
    return call(function, site.inputs[0])


def identity(module: Any, site: Site) -> str:
    """Do nothing."""
    return site.inputs[0]


def relu(module: Any, site: Site) -> str:
    """Write the shortest form that has the options."""
    (x,) = site.inputs
    top, slope, threshold = module.max_value, module.negative_slope, module.threshold
    if threshold:
        below = f"{literal(slope)} * ({x} - {decimal(threshold)})" if slope else "0.0"
        chosen = call("torch.where", f"{x} > {decimal(threshold)}", x, below)
    elif slope:
        chosen = call("F.leaky_relu", x, slope)
    elif top is not None:
        return call("F.relu6", x) if top == 6 else call(f"{x}.clamp", 0.0, top)
    else:
        return call("F.relu", x)
    return chosen if top is None else call(f"{chosen}.clamp", max=top)


def prelu(module: Any, site: Site) -> str:
    """Write the layer where slopes go by channels; ``torch.where`` for other shapes."""
    (x,) = site.inputs
    channels, *others = module.shape
    if set(others) <= {1} and (len(site.shapes[0]) > 1):
        layer = site.attribute(
            call("nn.PReLU", *([channels] if channels > 1 else [])), weight=module.weight.reshape(-1)
        )
        return f"{layer}({x})"
    return call("torch.where", f"{x} > 0", x, f"{site.parameter(module.weight)} * {x}")


def gelu(module: Any, site: Site) -> str:
    """Say the formula unless it is the exact one."""
    approximate = unless(quoted("none"), quoted(module.approximate))
    return call("F.gelu", site.inputs[0], approximate=approximate)


def hard_sigmoid(module: Any, site: Site) -> str:
    """Write PyTorch's own if the numbers are its."""
    (x,) = site.inputs
    if (module.slope, module.offset, module.top) == (1.0, 3.0, 6.0):
        return call("F.hardsigmoid", x)
    line = f"({x} * {decimal(module.slope)} + {decimal(module.offset)}).clamp(0.0, {decimal(module.top)})"
    return line if module.top == 1 else f"{line} / {decimal(module.top)}"


def kept_where(condition: str, module: Any, site: Site) -> str:
    """Write 0 where a condition on ``x`` and the module's number does not hold; NaN holds none."""
    (x,) = site.inputs
    return call("torch.where", condition.format(x=x, number=decimal(module.lambd)), x, 0.0)


def soft_shrink(module: Any, site: Site) -> str:
    """Move towards 0 what is farther from it."""
    (x,) = site.inputs
    return call("torch.where", f"{x}.abs() > {decimal(module.lambd)}", call("F.softshrink", x, module.lambd), 0.0)


def threshold(module: Any, site: Site) -> str:
    """Write the value where NaN is, too."""
    (x,) = site.inputs
    return call("torch.where", f"{x} > {decimal(module.threshold)}", x, module.value)


def with_number(function: str, number: str, default: float | None, module: Any, site: Site) -> str:
    """Apply a function with one option."""
    value = getattr(module, number)
    return (
        call(function, site.inputs[0], unless(default, value)) if value != default else call(function, site.inputs[0])
    )


def hard_tanh(module: Any, site: Site) -> str:
    """Cut off at both ends."""
    if (module.min_val, module.max_val) == (-1.0, 1.0):
        return call("F.hardtanh", site.inputs[0])
    return call(f"{site.inputs[0]}.clamp", module.min_val, module.max_val)


def squareplus(module: Any, site: Site) -> str:
    """Write the formula, summed as Keras does."""
    (x,) = site.inputs
    return f"({x} + torch.sqrt({x} * {x} + {decimal(module.b)})) / 2"


def sparse_plus(module: Any, site: Site) -> str:
    """Apply a function that PyTorch has not."""
    return call(site.define("sparse_plus"), site.inputs[0])


def sparse_sigmoid(module: Any, site: Site) -> str:
    """Write the line, cut off at both ends."""
    return f"(({site.inputs[0]} + 1) / 2).clamp(0.0, 1.0)"


Rule = Callable[[Any, Site], str]
PLAIN = {
    "SELU": "F.selu",
    "Sigmoid": "torch.sigmoid",
    "HardSiLU": "F.hardswish",
    "Tanh": "torch.tanh",
    "Softplus": "F.softplus",
    "Softsign": "F.softsign",
    "SiLU": "F.silu",
    "Exponential": "torch.exp",
    "LogSigmoid": "F.logsigmoid",
    "Mish": "F.mish",
    "TanhShrink": "F.tanhshrink",
}
RULES: dict[str, Rule] = {name: functools.partial(plain, function) for name, function in PLAIN.items()} | {
    "Identity": identity,
    "ReLU": relu,
    "LeakyReLU": functools.partial(with_number, "F.leaky_relu", "negative_slope", 0.01),
    "PReLU": prelu,
    "ELU": functools.partial(with_number, "F.elu", "alpha", 1.0),
    "CELU": functools.partial(with_number, "F.celu", "alpha", 1.0),
    "GELU": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardTanh": hard_tanh,
    "HardShrink": functools.partial(kept_where, "{x}.abs() > {number}"),
    "SoftShrink": soft_shrink,
    "Threshold": threshold,
    "Squareplus": squareplus,
    "SparsePlus": sparse_plus,
    "SparseSigmoid": sparse_sigmoid,
}
