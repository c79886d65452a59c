"""LSTM, GRU and SimpleRNN, and steps of sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from keydnn.export.keras.document import Ref
from keydnn.export.keras.site import AnyArray, Rules, Site, Value
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules.base import Module
from keydnn.modules.recurrent import GRU, Recurrent, Steps

GRU_ORDER = (1, 0, 2)  # PyTorch's r, z, n as Keras' z, r, h
FLAGS = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")


def recurrent(module: Recurrent, site: Site) -> Value:
    """The layer of the same name; its states, if it gives them, behind the sequence as further steps."""
    if site.shapes[0][2] is None:
        site.refuse("the size of its steps is free, which Keras makes its weights by")
    site_config = {"units": module.hidden_size, "use_bias": module.use_bias, **functions(module, module.hidden_size)}
    config = site_config | {name: getattr(module, name) for name in FLAGS}
    if isinstance(module, GRU):
        config["reset_after"] = module.reset_after
    return with_states(module, site, called(module, site, type(module).__name__, config, _weights(module)))


def with_states(module: Any, site: Site, out: Ref) -> Value:
    """Give what a layer gives, its states behind the sequence as further steps."""
    if not module.return_state:
        return out
    state = (site.shape[0], *site.shape[2:])
    one = (state[0], 1, *state[1:])
    sequence = out if module.return_sequences else site.operation("numpy.ExpandDims", [out], {"axis": 1}, shape=one)
    states = [
        site.operation("numpy.ExpandDims", [replace(out, place=1 + place, shape=state)], {"axis": 1}, shape=one)
        for place in range(_state_count(module))
    ]
    return site.operation("numpy.Concatenate", [[sequence, *states]], {"axis": 1})


def _state_count(module: Any) -> int:
    """Give the number of states: those of convolutional LSTMs are h and c."""
    return int(getattr(module, "state_count", 2))


def called(module: Any, site: Site, class_name: str, config: dict[str, Any], weights: dict[str, AnyArray]) -> Ref:
    """Call a recurrent layer; what it gives first, of the shape that it has without its states."""
    x, *others = site.inputs
    kwargs: dict[str, Any] = {"mask": site.cast(others.pop(0), "bool")} if module.has_mask else {}
    if module.has_state:
        kwargs["initial_state"] = others
    steps, *rest = site.shape[1:]
    if module.return_state:
        states = _state_count(module)
        shape = (site.shape[0], None if steps is None else steps - states, *rest)
        shape = shape if module.return_sequences else (site.shape[0], *rest)
    else:
        shape = site.shape
    return site.layer(class_name, config, weights, inputs=[x], shape=shape, kwargs=kwargs)


def functions(module: Any, units: int) -> dict[str, Any]:
    """Give the activations as Keras' layers take them."""
    made = dict(zip(("activation", "recurrent_activation"), module.functions, strict=True))
    if not hasattr(module, "recurrent_activation"):
        del made["recurrent_activation"]
    return {name: function(one, units) for name, one in made.items()}


def function(module: Module, units: int) -> Any:
    """Give an activation by its name or, with parameters that the name does not have, as a model of its own."""
    kind = type(module).__name__
    if kind == "Identity":
        return "linear"
    from keydnn.export.keras import translate  # it reads the rules of this file

    graph = Graph([Input("x", (None, units))], [Node("y", module, ("x",))], [Output("y", "y")])
    model = translate(graph, kind.lower())
    _, *layers = model.ordered
    if len(layers) == 1 and layers[0].class_name == "Activation":
        return layers[0].config["activation"]
    return model.described()


def _weights(module: Recurrent) -> dict[str, AnyArray]:
    """Give kernels and biases in Keras' order of gates."""
    order = GRU_ORDER if isinstance(module, GRU) else range(module.gates)

    def gates(array: AnyArray | None) -> AnyArray:
        parts = np.split(np.asarray(array), module.gates)
        return np.concatenate([parts[gate] for gate in order])

    weights = {"cell/kernel": gates(module.weight_ih).T, "cell/recurrent_kernel": gates(module.weight_hh).T}
    if module.use_bias:
        rows = [gates(module.bias_ih)]
        rows += [gates(module.bias_hh)] if isinstance(module, GRU) and module.reset_after else []
        weights["cell/bias"] = np.stack(rows) if len(rows) > 1 else rows[0]
    return weights


def steps(module: Steps, site: Site) -> Value:
    """Indices and slices of axis 1."""
    stop = None if module.stop == "end" else module.stop
    here = module.start if module.stop is None else slice(module.start, stop)
    return site.operation("numpy.GetItem", [site.inputs[0], (slice(None), here)])


RULES: Rules = {"LSTM": recurrent, "GRU": recurrent, "SimpleRNN": recurrent, "Steps": steps}
