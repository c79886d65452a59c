"""One small graph for each algorithm of a plan, and how to make a plan take it."""

from __future__ import annotations

import contextlib

import numpy as np

from jit_kernels._simd import LANES
from keydnn.graph import Graph
from keydnn.modules import (
    GRU,
    LSTM,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concatenate,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Linear,
    Maximum,
    MaxPool2d,
    Multiply,
    ReLU,
    ScaledDotProductAttention,
    SiLU,
    SimpleRNN,
    Upsample1d,
    Upsample2d,
)
from tests.plan.choices import winograd
from tests.plan.graphs import Maker, well_conditioned

B, F = LANES, min(3, LANES // 2)  # channels of a block; few, that lie side by side


class Seeded(Maker):
    """Fills modules so that sums do not cancel."""

    def __call__(self, name, module, *inputs):
        if module.tensor_shapes():
            module = well_conditioned(module, np.random.default_rng(len(self.nodes)))
        return super().__call__(name, module, *inputs)


def _one(shape, module, **options):
    """A module behind a 1x1 convolution, that its input be blocked."""

    def graph():
        make = Seeded(x=shape)
        make("before", (Conv1d if len(shape) == 2 else Conv2d)(shape[0], shape[0], 1), "x")
        make("y", module, "before")
        return make.graph("y")

    return graph, options


def _fed(shape, module, *following, **options):
    """A module on the graph's input, with what follows."""

    def graph():
        make = Seeded(x=shape)
        last = make("y", module, "x")
        for place, behind in enumerate(following):
            last = make(f"then{place}", behind, last)
        return make.graph(last)

    return graph, options


def _merge(module, *, small):
    def graph():
        make = Seeded(x=(B + 3, 6, 7))
        make("before", Conv2d(B + 3, B + 3, 1), "x")
        make("other", GlobalAvgPool2d(keepdims=True) if small else Conv2d(B + 3, B + 3, 1), "before")
        make("keep", MaxPool2d(1), "before")  # so that no convolution takes the sum in
        make("y", module, "keep", "other")
        return make.graph("y", "other")

    return graph, {}


def _residual():
    make = Seeded(x=(2 * B, 9, 10), r=(3 * B, 9, 10))
    make("conv", Conv2d(2 * B, 3 * B, 3, padding="same"), "x")
    make("bn", BatchNorm2d(3 * B), "conv")
    make("add", Add(), "bn", "r")
    make("relu", SiLU(), "add")
    return make.graph("relu")


def _norm():
    make = Seeded(x=(B + 3, 6, 7))
    make("before", Conv2d(B + 3, B + 3, 1), "x")
    make("pool", MaxPool2d(2), "before")
    make("bn", BatchNorm2d(B + 3), "pool")
    make("act", SiLU(), "bn")
    return make.graph("act")


def _copies():
    """A concatenation of parts that lie elsewhere."""
    make = Seeded(x=(B, 5, 6))
    make("a", Conv2d(B, B, 1), "x")
    make("one", Concatenate(1), "a", "a")
    make("two", Concatenate(1), "one", "a")
    return make.graph("one", "two")


def _attention():
    """A kernel of a module's own, which makes as many parts of its work as there are threads."""
    make = Seeded(x=(37, 2 * B))
    for name in "qkv":
        make(name, Linear(2 * B, 2 * B), "x")
    make("y", ScaledDotProductAttention(2, is_causal=True), "q", "k", "v")
    return make.graph("y")


def _masked():
    """A layer with all its inputs and outputs."""
    size = 2 * B + 1
    make = Seeded(x=(B + 4, 3), mask=(B + 4,), h=(size,), c=(size,))
    options = {"return_sequences": True, "return_state": True, "has_mask": True, "has_state": True}
    make("y", LSTM(3, size, **options), "x", "mask", "h", "c")
    return make.graph("y")


# name: (graph, options), label of an operation that must be there.  Options: whether Winograd takes what it can.
CASES = {
    "direct-bands": (_fed((B, 23, 19), Conv2d(B, B, 3, padding="same"), SiLU()), "direct convolution"),
    "direct-groups": (_fed((B + 3, 2, 3), Conv2d(B + 3, 9 * B + 1, 3, padding="same"), SiLU()), "direct convolution"),
    "direct-long-sum": (_fed((40 * B, 5, 5), Conv2d(40 * B, 3 * B, 3, padding="same")), "direct convolution"),
    "direct-strided": (_fed((B, 23, 19), Conv2d(B, 5, 3, 2, "same", 1)), "direct convolution"),
    "direct-1x1": (_fed((2 * B, 11, 9), Conv2d(2 * B, 5 * B, 1), ReLU()), "direct convolution"),
    "direct-one-pixel": (_fed((2 * B, 1, 1), Conv2d(2 * B, 5 * B, 1), ReLU()), "direct convolution"),
    "residual": ((_residual, {}), "direct convolution"),
    "sequence": (_fed((B, 50), Conv1d(B, 2 * B, 3, padding="same")), "direct convolution"),
    "pixels": (_fed((F, 23, 19), Conv2d(F, 3 * B, 3, padding="same"), SiLU()), "pixels convolution"),
    "pixels-strided": (_fed((F, 23, 19), Conv2d(F, 3 * B, 3, 2, padding="same")), "pixels convolution"),
    "grouped": (_fed((4 * B, 9, 8), Conv2d(4 * B, 8 * B, 3, padding="same", groups=4), SiLU()), "grouped convolution"),
    "diagonal": (_fed((2 * B, 9, 8), Conv2d(2 * B, 2 * B, 3, groups=B), SiLU()), "diagonal convolution"),
    "depthwise": (_fed((B + 3, 9, 8), Conv2d(B + 3, B + 3, 3, groups=B + 3), SiLU()), "depthwise convolution"),
    "depthwise-strided": (
        _one((B + 3, 9, 18), Conv2d(B + 3, B + 3, 5, 2, "same", groups=B + 3)), "depthwise convolution"),
    "transposed": (
        _fed((B + 3, 7, 5), ConvTranspose2d(B + 3, 3 * B, 3, 2), SiLU()), "transposed convolution"),
    "transposed-sequence": (
        _fed((B + 3, 23), ConvTranspose1d(B + 3, 3 * B, 4, 3, 1), SiLU()), "transposed convolution"),
    "volume": (_fed((B, 5, 9, 8), Conv3d(B, 2 * B, 3, padding="same"), SiLU()), "direct convolution"),
    "volume-strided": (_fed((F, 7, 9, 8), Conv3d(F, B + 3, 3, 2, padding="same"), ReLU()), "pixels convolution"),
    "volume-point": (_fed((B, 4, 7, 5), Conv3d(B, 2 * B, 1), SiLU()), "direct convolution"),
    "volume-transposed": (
        _fed((B + 3, 3, 5, 4), ConvTranspose3d(B + 3, B, 3, 2), SiLU()), "transposed convolution"),
    "winograd-tiles": (
        _fed((B, 84, 81), Conv2d(B, B + 3, 3, padding="same"), ReLU(), winograd=True), "Winograd convolution"),
    "winograd-numbers": (
        _fed((B + 3, 9, 14), Conv2d(B + 3, 5 * B, 3, padding="same"), ReLU(), winograd=True), "Winograd convolution"),
    "winograd-activation": (
        _fed((B, 9, 14), Conv2d(B, B, 3, padding="same"), SiLU(), winograd=True), ""),
    "winograd-residual": ((_residual, {"winograd": True}), ""),
    "linear": (_fed((3 * B + 1,), Linear(3 * B + 1, 9 * B + 2), SiLU()), "dense"),
    "linear-of-rows": (_fed((13, B + 1), Linear(B + 1, 3 * B + 2), ReLU()), "dense"),
    "attention": ((_attention, {}), "dense"),
    "max-pool": (_one((2 * B, 9, 8), MaxPool2d(3, 2, padding="same")), "pooling"),
    "mean-pool": (_one((2 * B, 9, 8), AvgPool2d(3, 1, padding=1, count_include_pad=True)), "pooling"),
    "mean-pool-edges": (
        _one((2 * B, 9, 8), AvgPool2d((2, 3), (2, 1), padding="same", count_include_pad=False)), "pooling"),
    "global-mean": (_one((5 * B, 9, 8), GlobalAvgPool2d()), "global pooling"),
    "global-max": (_one((5 * B, 9, 8), GlobalMaxPool2d()), "global pooling"),
    "add": (_merge(Add(), small=False), "add"),
    "maximum": (_merge(Maximum(), small=False), "maximum"),
    "scale": (_merge(Multiply(), small=True), "multiply"),
    "norm": ((_norm, {}), "batch normalization"),
    "upsampling": (_one((B + 3, 5, 4), Upsample2d((2, 3))), "upsampling"),
    "upsampling-sequence": (_one((B + 3, 9), Upsample1d(3)), "upsampling"),
    "copies": ((_copies, {}), "concatenation"),
    "lstm": (_fed((6, B + 1), LSTM(B + 1, 2 * B + 3), Linear(2 * B + 3, 5)), "recurrent"),
    "lstm-of-lstm": (
        _fed((5, 3), LSTM(3, 3 * B, return_sequences=True), LSTM(3 * B, B + 2, go_backwards=True)), "recurrent"),
    "lstm-masked": ((_masked, {}), "recurrent"),
    "gru": (_fed((6, 3), GRU(3, 3 * B - 1, return_sequences=True)), "recurrent"),
    "gru-reset-before": (_fed((6, 3), GRU(3, 3 * B - 1, reset_after=False, return_state=True)), "recurrent"),
    "simple": (_fed((6, 3), SimpleRNN(3, 4 * B)), "recurrent"),
}  # fmt: skip


def graph_of(name) -> Graph:
    (make, _), _ = CASES[name]
    return make()


@contextlib.contextmanager
def settings_of(name):
    """Let a plan take the algorithm that a case is for."""
    with winograd(CASES[name][0][1].get("winograd", False)):
        yield


def arrays_of(graph, batch):
    draw = np.random.default_rng(7)
    return [draw.uniform(0.2, 2, (batch, *given.shape[1:])).astype(np.float32) for given in graph.inputs]


def labels(plan):
    """Give the algorithms of a plan's operations, in order."""
    return [operation.job.label for operation in plan.route.operations if operation.job is not None]


def kernels(plan):
    """Give the names of the kernels that a plan's jobs launch."""
    names = []
    for operation in plan.route.operations:
        if operation.job is not None:
            launches = operation.job.launches(
                operation.inputs, operation.added, operation.out, operation.scratch.offset
            )
            names += [launch.kernel.name for launch in launches]
    return names
