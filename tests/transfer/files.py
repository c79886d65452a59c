"""Graphs and Keras files that weights are moved between."""

from __future__ import annotations

import h5py
import numpy as np

from keydnn.graph import Graph, Node, Output
from keydnn.transfer.rules import RULES


def emptied(graph, *, renamed):
    """Give a graph with zeros for weights; with other names, only order and shapes tell what belongs where."""
    names = {given.name: given.name for given in graph.inputs}
    names |= {node.name: f"m{place}" if renamed else node.name for place, node in enumerate(graph.nodes)}
    modules = {}
    for _, module in graph.modules():
        zeros = {tensor: np.zeros(shape) for tensor, shape in module.tensor_shapes().items()}
        modules[id(module)] = module.with_tensors(zeros) if type(module).__name__ in RULES else module
    nodes = [Node(names[n.name], modules[id(n.module)], tuple(names[name] for name in n.inputs)) for n in graph.nodes]
    outputs = [Output(output.name, names[output.value]) for output in graph.outputs]
    return Graph(graph.inputs, nodes, outputs, graph.states)


def without_rules(graph):
    """Name the modules with weights of kinds that no rule knows."""
    kinds = ((name, type(module).__name__) for name, module in graph.modules() if module.tensor_shapes())
    return [name for name, kind in kinds if kind not in RULES]


def assert_same_weights(found, wanted):
    """Fail unless two graphs have the same weights, bit for bit."""
    for (name, one), (_, other) in zip(found.modules(), wanted.modules(), strict=True):
        for tensor, array in other.tensors().items():
            np.testing.assert_array_equal(one.tensors()[tensor], array, f"{name}.{tensor}")


def numbers(shape, seed=0):
    """Give different numbers for every seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def write_legacy(path, layers, **attributes):
    """Write weights only, as Keras 2 does: layers is {layer: {weight: array}} in the order of the model."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in layers])
        file.attrs.update({"keras_version": b"2.4.0", "backend": b"tensorflow", **attributes})
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/{name}:0".encode() for name in arrays])
            for name, array in arrays.items():
                group[f"{layer}/{name}:0"] = array
    return path


def write_v3(path, layers):
    """Write weights only, as Keras 3 does: layers is {group: [arrays]}."""
    with h5py.File(path, "w") as file:
        for group, arrays in layers.items():
            for place, array in enumerate(arrays):
                file[f"{group}/vars/{place}"] = array
    return path
