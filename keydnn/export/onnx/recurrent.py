"""Recurrent layers: the operators that ONNX has for them, or else a Scan; and steps of sequences.

The operators are taken for bounded activations only, as onnxruntime cuts off what the others would let overflow.  It
has numbers in the place of NaN in them, too, which ONNX does not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from keydnn.export.onnx.site import END, AnyArray, Argument, Rules, Site, integer, ints, number
from keydnn.export.onnx.steps import applied, results, scanned

OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "SimpleRNN": [0]}  # the operators' i, o, f, c and z, r, h in ours
Function = tuple[str, list[float], list[float]]  # as the operators name it, alpha and beta


def _function(function: Any) -> Function | None:
    """Give an activation as the operators have it; None if they have no such."""
    kind = type(function).__name__
    if kind == "HardSigmoid":
        return kind, [function.slope / function.top], [function.offset / function.top]
    return (kind, [], []) if kind in ("Tanh", "Sigmoid") else None


def _functions(module: Any) -> dict[str, Any] | None:
    """Give the operator's attributes for the layer's activations; None if it has no such."""
    act, gate = (_function(function) for function in module.functions)
    functions = {"LSTM": [gate, act, act], "GRU": [gate, act], "SimpleRNN": [act]}[type(module).__name__]
    known = [function for function in functions if function is not None]
    if len(known) < len(functions):
        return None
    names, alphas, betas = zip(*known, strict=True)
    return {
        "activations": names,
        "activation_alpha": [*chain(*alphas)] or None,
        "activation_beta": [*chain(*betas)] or None,
    }


def recurrent(module: Any, site: Site) -> str:
    """Give the operator, which knows only masks that hide the end of a sequence; or a Scan."""
    functions = _functions(module)
    return _scanned(module, site) if module.has_mask or functions is None else _native(module, site, functions)


def _native(module: Any, site: Site, functions: Mapping[str, Any]) -> str:
    """Give the operator; it has the steps before the batch, and gives them in the order of the input."""

    def ordered(array: AnyArray) -> AnyArray:
        """Put the gates into the operator's order."""
        gates = array.reshape(module.gates, module.hidden_size, *array.shape[1:])[GATES[type(module).__name__]]
        return gates.reshape(1, -1, *array.shape[1:])

    bias: Argument = None
    if module.bias_ih is not None:
        theirs = getattr(module, "bias_hh", None)
        both = module.bias_ih, np.zeros_like(module.bias_ih) if theirs is None else theirs
        bias = site.weight("bias", np.concatenate([ordered(one) for one in both], axis=1))
    x, *states = site.inputs
    sequence, *last = site.ops(
        OPERATORS[type(module).__name__],
        1 + module.state_count,
        site.op("Transpose", x, perm=(1, 0, 2)),
        site.weight("weight_ih", ordered(module.weight_ih)),
        site.weight("weight_hh", ordered(module.weight_hh)),
        bias,
        None,
        *(site.op("Unsqueeze", state, ints(0)) for state in states),
        hidden_size=module.hidden_size,
        direction="reverse" if module.go_backwards else "forward",
        linear_before_reset=int(module.reset_after) if type(module).__name__ == "GRU" else None,
        **functions,
    )
    last = [site.op("Squeeze", state, ints(0)) for state in last]
    if not module.return_sequences:
        return results(module, site, None, last[0], last)
    sequence = site.op("Transpose", site.op("Squeeze", sequence, ints(1)), perm=(1, 0, 2))
    if module.go_backwards:
        sequence = site.op("Slice", sequence, ints(-1), ints(-END), ints(1), ints(-1))
    return results(module, site, sequence, last[0], last)


def _scanned(module: Any, site: Site) -> str:
    """Give what the input gives the gates, all steps at once, and then the rest step by step."""
    x, shape = site.inputs[0], site.shapes[0]
    given = site.op("MatMul", x, site.weight("weight_ih", module.weight_ih.T))
    if module.bias_ih is not None:
        given = site.op("Add", given, site.weight("bias_ih"))
    gates = given, (*shape[:2], module.gates * module.hidden_size)
    step = partial(STEPS[type(module).__name__], module)
    return scanned(module, site, gates, (shape[0], module.hidden_size), module.state_count, step)


def _product(site: Site, h: str, name: str, rows: AnyArray, bias: AnyArray | None = None) -> str:
    """Multiply a state by some rows of ``weight_hh``, and add those of ``bias_hh``."""
    product = site.op("MatMul", h, site.weight(f"weight_{name}", rows.T))
    return product if bias is None else site.op("Add", product, site.weight(f"bias_{name}", bias))


def _applied(module: Any, site: Site, function: Any, *values: str) -> list[str]:
    shape = site.shapes[0][0], module.hidden_size
    return [applied(function, site, value, shape) for value in values]


def lstm(module: Any, site: Site, x: str, states: Sequence[str]) -> Sequence[str]:
    (h, c), (act, gate) = states, module.functions
    gates = site.op("Add", x, _product(site, h, "hh", module.weight_hh))
    i, f, g, o = site.ops("Split", 4, gates, axis=-1, num_outputs=4)
    i, f, o = _applied(module, site, gate, i, f, o)
    (g,) = _applied(module, site, act, g)
    c = site.op("Add", site.op("Mul", f, c), site.op("Mul", i, g))
    (shown,) = _applied(module, site, act, c)
    return site.op("Mul", o, shown), c


def gru(module: Any, site: Site, x: str, states: Sequence[str]) -> Sequence[str]:
    (h,), (act, gate), first = states, module.functions, 2 * module.hidden_size
    biases = [None, None] if module.bias_hh is None else [module.bias_hh[:first], module.bias_hh[first:]]
    rest = module.weight_hh[first:]
    both, mine = site.ops("Split", 2, x, ints(first, module.hidden_size), axis=-1)
    gates = site.op("Add", both, _product(site, h, "hh", module.weight_hh[:first], biases[0]))
    r, z = _applied(module, site, gate, *site.ops("Split", 2, gates, axis=-1, num_outputs=2))
    if module.reset_after:
        own = site.op("Mul", r, _product(site, h, "hn", rest, biases[1]))
    else:
        own = _product(site, site.op("Mul", r, h), "hn", rest)
    (n,) = _applied(module, site, act, site.op("Add", mine, own))
    fresh = site.op("Mul", site.op("Sub", number(1), z), n)
    return (site.op("Add", site.op("Mul", z, h), fresh),)


def simple(module: Any, site: Site, x: str, states: Sequence[str]) -> Sequence[str]:
    total = site.op("Add", x, _product(site, states[0], "hh", module.weight_hh))
    return _applied(module, site, module.functions[0], total)


def steps(module: Any, site: Site) -> str:
    (x,) = site.inputs
    if module.stop is None:
        return site.op("Gather", x, integer(module.start), axis=1)
    stop = END if module.stop == "end" else module.stop
    return site.op("Slice", x, ints(module.start), ints(stop), ints(1))


STEPS = {"LSTM": lstm, "GRU": gru, "SimpleRNN": simple}
RULES: Rules = {"LSTM": recurrent, "GRU": recurrent, "SimpleRNN": recurrent, "Steps": steps}
