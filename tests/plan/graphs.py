"""Graphs made by hand, and what every plan must do: lie within the reference's bound, as Graph.forward does."""

from __future__ import annotations

import zlib

import numpy as np

from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Conv2d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from keydnn.plan import Program
from tests.within import assert_informative, assert_within, outputs_of

TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
RELATIVE = 0.01  # of the largest output: a bound wider than that would let mistakes through


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def conv(out_channels=6, kernel_size=3, **options):
    """Give a convolution for :func:`image`."""
    return Conv2d(4, out_channels, kernel_size, **{"padding": "same", **options})


def image():
    """Start a graph of one input."""
    return Maker(x=(4, 7, 9))


def filled(module, seed):
    """Give a module weights that keep values near 1."""
    draw, tensors = np.random.default_rng(seed), {}
    for name, shape in module.tensor_shapes().items():
        if name == "running_var" or (name == "weight" and len(shape) == 1):
            tensors[name] = draw.uniform(0.5, 2, shape)
        elif len(shape) == 1:
            tensors[name] = draw.uniform(-0.5, 0.5, shape)
        else:
            tensors[name] = draw.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))
    return module.with_tensors(tensors)


def well_conditioned(module, draw):
    """Give weights between -0.2 and 1 times what keeps values near 1: sums do not cancel, and the bound stays tight."""
    tensors = {}
    for name, shape in module.tensor_shapes().items():
        if name == "running_var" or (name == "weight" and len(shape) == 1):
            tensors[name] = draw.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            tensors[name] = draw.uniform(-0.2, 0.4, shape)
        else:
            terms = np.prod(shape[1:]) if not isinstance(module, TRANSPOSED) else np.prod(shape) / shape[1]
            tensors[name] = draw.uniform(-0.2, 1, shape) * 2.5 / max(1, terms)
    return module.with_tensors(tensors)


class Maker:
    """Puts a graph together; values are named as they are made, and weights follow from the names."""

    def __init__(self, **inputs):
        self.inputs = [Input(name, (None, *shape)) for name, shape in inputs.items()]
        self.nodes = []

    def __call__(self, name, module, *inputs):
        if any(value is None for value in (getattr(module, tensor) for tensor in module.tensor_shapes())):
            module = filled(module, zlib.crc32(name.encode()))
        self.nodes.append(Node(name, module, inputs))
        return name

    def graph(self, *outputs):
        return Graph(self.inputs, self.nodes, [Output(f"out{i}", value) for i, value in enumerate(outputs)])


def one(module, *shape):
    """Give the graph of one module (with weights) on one input."""
    return Graph([Input("x", (None, *shape))], [Node("y", module, ("x",))], [Output("y", "y")])


def arrays_for(graph, batch=2, seed=0, free=5):
    shapes = [[free if size is None else size for size in given.shape[1:]] for given in graph.inputs]
    return [random(seed + i, batch, *shape) for i, shape in enumerate(shapes)]


def assert_plan_agrees(graph, arrays=None, relative=RELATIVE):
    """Assert that plan and module-by-module forward both lie within float32's bound; give the program.

    Where ReLU leaves nothing, or two equal values cancel, the output is 0 up to rounding and the bound stands alone: it
    must then be small beside the inputs.
    """
    arrays = arrays_for(graph) if arrays is None else arrays
    program, bounds = Program(graph), outputs_of(graph, arrays)
    found, plain = program.run(arrays), graph.forward(arrays)
    for output, bounded, one_found, one_plain in zip(graph.outputs, bounds, found, plain, strict=True):
        if np.abs(bounded.value).max(initial=0) > bounded.error.max(initial=0):
            assert_informative(bounded, relative)
        else:
            assert bounded.error.max(initial=0) <= relative * max(np.abs(array).max(initial=0) for array in arrays)
        assert one_found.dtype == np.float32
        assert_within(one_plain, bounded.value, bounded.error)
        try:
            assert_within(one_found, bounded.value, bounded.error)
        except AssertionError as error:
            raise AssertionError(f"plan, output {output.name} ({output.value}): {error}") from None
    return program


def units(graph):
    """Give the units of a graph as text: the names of their nodes, joined by ``+``."""
    return ["+".join(node.name for node in unit.nodes) for unit in Program(graph).units]
