"""Small graphs to write, and the means to edit what was written."""

from __future__ import annotations

import json

import numpy as np

from keydnn.checkpoint import document
from keydnn.graph import Graph, Input, Node, Origin, Output
from keydnn.modules import (
    Add,
    Constant,
    Conv2d,
    ConvTranspose2d,
    IntegerLookup,
    Multiply,
    ReLU,
    Softmax,
    StringLookup,
)


def filled(module, seed=0):
    """Give a module random weights."""
    random = np.random.default_rng(seed)
    shapes = module.tensor_shapes().items()
    return module.with_tensors({name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes})


def tiny(seed=0):
    """One small convolution."""
    node = Node("conv", filled(Conv2d(1, 2, 1), seed), ("x",), Origin("features/conv", "Conv2D"))
    return Graph([Input("x", (None, 1, 2, 2))], [node], [Output("y", "conv")])


def chain():
    """Three modules with parameters of every kind: integers, numbers, None, text, pairs of pairs."""
    nodes = [
        Node("0", filled(Conv2d(3, 4, (3, 2), stride=(1, 2), padding=((1, 0), (0, 2)), groups=1)), ("in",)),
        Node("1", ReLU(max_value=6.0, negative_slope=0.1), ("0",)),
        Node("2", ReLU(), ("1",)),
        Node("3", filled(ConvTranspose2d(4, 2, 3, use_bias=False)), ("2",)),
        Node("4", Softmax(dim=1), ("3",)),
    ]
    return Graph([Input("in", (None, 3, None, 8))], nodes, [Output("out", "4")])


def shared():
    """One module in three nodes, among them an activation that is shared as well."""
    conv, relu = filled(Conv2d(2, 2, 3, padding="same")), ReLU()
    nodes = [
        Node("a", conv, ("x",), Origin("conv", "Conv2D")),
        Node("b", relu, ("a",)),
        Node("c", conv, ("b",), Origin("conv", "Conv2D")),
        Node("d", relu, ("c",)),
        Node("e", conv, ("d",)),
    ]
    return Graph([Input("x", (None, 2, 4, 4))], nodes, [Output("y", "e")])


def several():
    """Two inputs, three outputs, one of them an input, and names that need escapes."""
    nodes = [
        Node('block/"été"\n.1', filled(Conv2d(1, 1, 1), 1), ("left",)),
        Node("b\\", filled(Conv2d(2, 3, 1, use_bias=False), 2), ("right \U0001f40d",)),
    ]
    inputs = [Input("left", (None, 1, 3, 3)), Input("right \U0001f40d", (1, 2, None, None))]
    return Graph(inputs, nodes, [Output("z", "b\\"), Output("a", 'block/"été"\n.1'), Output("same", "left")])


def untouched():
    """No nodes at all."""
    return Graph([Input("x", (None, 5))], [], [Output("y", "x")])


def words():
    """Inputs of text and of integers, vocabularies, and a constant, which reads nothing."""
    nodes = [
        Node("word", StringLookup(("a", "\u00e9", "\U0001f40d"), 2, "", salt=(1, -2)), ("text",)),
        Node("number", IntegerLookup((-(1 << 63), 7)), ("id",)),
        Node("factor", filled(Constant((3,))), ()),
        Node("y", Multiply(), ("word", "number", "factor")),
    ]
    return Graph([Input("text", (None, 3), "string"), Input("id", (None, 3), "int64")], nodes, [Output("y", "y")])


def stateful():
    """A value that is kept from call to call."""
    nodes = [Node("sum", Add(), ("x", "s")), Node("y", ReLU(), ("sum",))]
    given = [Input("x", (2, 3)), Input("s", (2, 3))]
    return Graph(given, nodes, [Output("y", "y"), Output("s", "sum")], ["s"])


GRAPHS = {graph.__name__: graph for graph in (tiny, chain, shared, several, untouched, words, stateful)}
SOURCE = {
    "file": "m.h5",
    "keras_version": "2.15.0",
    "rewrites": [{"layer": "é", "n": [1, 2.5, None, True]}],
    "empty": {},
}


def same(one, other):
    """Tell whether two graphs are the same, weights bit for bit, and share modules alike."""

    def form(graph):
        first = {}
        nodes = [
            (n.name, n.inputs, n.origin, type(n.module), repr(n.module.parameters()),
             first.setdefault(id(n.module), index), {k: (v.shape, v.tobytes()) for k, v in n.module.tensors().items()})
            for index, n in enumerate(graph.nodes)
        ]  # fmt: skip
        return graph.inputs, nodes, graph.outputs, graph.shapes, graph.states

    return form(one) == form(other)


def edited(path, edit, reseal=True):
    """Edit a written document in place, with or without a new digest of its metadata."""
    content = json.loads(path.read_text())
    content = edit(content) or content
    if reseal and isinstance(content, dict) and "sha256" in content:
        content["sha256"] = document.metadata_digest(content)
    path.write_text(json.dumps(content))
