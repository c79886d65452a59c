"""Recurrent layers: PyTorch's own where they compute the same; classes of ``written/recurrent.py`` otherwise.

A layer gives the states behind the output in one value, of which :class:`Steps` takes parts.  Where nothing else reads
it, the written code leaves them apart.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np

from keydnn.export.rules import rules_of
from keydnn.export.torch.expressions import call, literal, unless
from keydnn.export.torch.indexing import indexed
from keydnn.export.torch.site import AnyArray, Parts, Site, placeholder
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules.base import Module
from keydnn.modules.recurrent import GRU, LSTM, Recurrent, SimpleRNN, Steps

NATIVE = {"LSTM": "nn.LSTM", "GRU": "nn.GRU", "SimpleRNN": "nn.RNN"}
WRITTEN = {"LSTM": "KerasLSTM", "GRU": "KerasGRU", "SimpleRNN": "KerasRNN"}


def recurrent(module: Any, site: Site) -> str:
    """Write the layer; outputs and states together where they are wanted so."""
    if is_native(module, site.graph):
        return _native(module, site)
    layer = site.attribute(_constructor(module, site), **module.tensors())
    written = call(layer, *given(module, site))
    if not module.return_state or states_apart(module, site.graph):
        return written
    return call(site.define("with_states"), f"*{written}")


def given(module: Any, site: Site) -> list[str]:
    """Give the arguments: the input, the mask, the states."""
    x, *others = site.inputs
    mask = [others.pop(0)] if module.has_mask else []
    if not others:
        return [x, *mask]
    states = literal(tuple(others))
    return [x, *mask, states] if mask else [x, f"states={states}"]


def options(module: Any, site: Site) -> dict[str, Any]:
    """Give the arguments of the constructor that all written classes have."""
    activation, gate = module.functions
    flags = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    return {
        "activation": unless("torch.tanh", function(activation, site)),
        "recurrent_activation": unless("torch.sigmoid", function(gate, site)),
        **{name: unless(False, getattr(module, name)) for name in flags},
    }


def _constructor(module: Any, site: Site) -> str:
    found = options(module, site)
    if isinstance(module, SimpleRNN):
        del found["recurrent_activation"]
    if isinstance(module, GRU):
        found["reset_after"] = unless(True, module.reset_after)
    sizes = (module.input_size, module.hidden_size)
    return call(site.define(WRITTEN[type(module).__name__]), *sizes, bias=unless(True, module.use_bias), **found)


def function(module: Module, site: Site) -> str:
    """Write an activation as a function: by its name, or as a lambda."""
    graph = Graph([Input("x", site.shape)], [node := Node("y", module, ("x",))], [Output("y", "y")])
    rule = rules_of(importlib.import_module("keydnn.export.torch"))[type(module).__name__]
    parts = Parts.of(graph)
    written = rule(module, Site(node, graph, parts))
    for name in parts.definitions:
        site.define(name)
    plain = re.fullmatch(rf"([\w.]+)\({placeholder(0)}\)", written)
    return plain[1] if plain else f"lambda x: {written.replace(placeholder(0), 'x')}"


def is_native(module: Any, graph: Graph) -> bool:
    """Tell whether PyTorch's layer computes the same, and gives what the graph reads."""
    usual = module.activation == "Tanh" and getattr(module, "recurrent_activation", "Sigmoid") == "Sigmoid"
    usual |= isinstance(module, SimpleRNN) and module.activation == "ReLU"
    is_apart = not module.return_state or states_apart(module, graph)
    return usual and not module.has_mask and getattr(module, "reset_after", True) and is_apart


def _native(module: Any, site: Site) -> str:
    """Write PyTorch's layer; what goes backwards begins with the last step of the input."""
    constructor = call(
        NATIVE[type(module).__name__],
        module.input_size,
        module.hidden_size,
        nonlinearity='"relu"' if module.activation == "ReLU" else None,
        bias=unless(True, module.use_bias),
        batch_first=True,
    )
    tensors: dict[str, AnyArray | None] = {f"{name}_l0": array for name, array in module.tensors().items()}
    if module.use_bias:
        tensors.setdefault("bias_hh_l0", np.zeros_like(module.bias_ih))  # PyTorch has two
    x, *states = site.inputs
    first = [f"{state}.unsqueeze(0).contiguous()" for state in states]
    layer = site.attribute(constructor, **tensors)
    x = f"{x}.flip(1)" if module.go_backwards else x
    both = call(layer, x, *([literal(tuple(first)) if len(first) > 1 else first[0]] if first else []))
    if module.return_state:
        return both
    return f"{both}[0]" if module.return_sequences else f"{both}[0][:, -1]"


def states_apart(module: Any, graph: Graph) -> bool:
    """Tell whether all that is read of a layer's calls are its output and its states, one by one."""
    calls = {node.name for node in graph.nodes if node.module is module}
    if any(output.value in calls for output in graph.outputs):
        return False
    readers = [node.module for node in graph.nodes if calls & {*node.inputs}]
    return all(isinstance(reader, Steps) and part(module, reader) is not None for reader in readers)


def part(module: Any, steps: Steps) -> int | None:
    """Tell which part of a layer's value steps are: 0, the output, 1, a state, 2, the other; None if they are none."""
    count = getattr(module, "state_count", 2)  # a convolutional LSTM has two
    output = (0, -count) if module.return_sequences else (0, None)
    if (steps.start, steps.stop) == output:
        return 0
    return count + steps.start + 1 if steps.stop is None and -count <= steps.start < 0 else None


def steps(module: Any, site: Site) -> str:
    """Take a part where the layer before gives its parts, and steps of anything else."""
    (x,) = site.inputs
    source = next((node.module for node in site.graph.nodes if node.name == site.node.inputs[0]), None)
    if not getattr(source, "return_state", False) or not states_apart(source, site.graph):
        if module.stop is None:
            return f"{x}[:, {module.start}]"
        return indexed(x, [":", f"{module.start or ''}:{'' if module.stop == 'end' else module.stop}"])
    place = part(source, module)
    if not (isinstance(source, Recurrent) and is_native(source, site.graph)):
        return f"{x}[{place}]"
    if place:
        return f"{x}[1][{place - 1}][0]" if isinstance(source, LSTM) else f"{x}[1][0]"
    return f"{x}[0]" if source.return_sequences else f"{x}[0][:, -1]"


RULES = dict.fromkeys(WRITTEN, recurrent) | {"Steps": steps}
