"""Random graphs, made of what runs on the blocked layout, and of what brings values into it and out of it.

Sizes and activations come from short lists and every convolution has one of two tiles: each combination of tile, step
and activation is a kernel to compile.
"""

from __future__ import annotations

import contextlib
import math
import zlib

import hypothesis.strategies as st
import numpy as np

from jit_kernels._simd import LANES
from keydnn.graph import Node
from keydnn.modules import (
    Add,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Crop2d,
    Dropout,
    Flatten,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Linear,
    Maximum,
    MaxPool1d,
    MaxPool2d,
    Minimum,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    SiLU,
    Subtract,
    Upsample1d,
    Upsample2d,
    ZeroPad1d,
    ZeroPad2d,
)
from tests.plan.bounds import winograd_in_reference
from tests.plan.choices import few_tiles, kept_halos, winograd
from tests.plan.graphs import Maker, well_conditioned

FEW = min(3, LANES // 2)
CHANNELS = [LANES, 2 * LANES, LANES + 3, 5]
PLANES = [(6, 5), (6, 5), (9, 10), (9, 10), (1, 7), (4, 1), (1, 1)]
ACTIVATIONS = [ReLU(), SiLU(), SiLU(), ReLU(max_value=0.75)]
LARGEST = 12 * LANES * 100  # numbers of a value


class Example:
    """A graph, arrays for it, whether Winograd takes what it can, and whether halos are kept from run to run."""

    def __init__(self, graph, arrays, winograd, kept):
        self.graph, self.arrays, self.winograd, self.kept = graph, arrays, winograd, kept

    def settings(self):
        """Bind the graph like this, as long as the context lasts."""
        stack = contextlib.ExitStack()
        for context in (few_tiles(), winograd(self.winograd), kept_halos(self.kept)):
            stack.enter_context(context)
        if self.winograd:
            stack.enter_context(winograd_in_reference())
        return stack

    def __repr__(self):
        nodes = "".join(f"\n  {n.name} = {n.module}({', '.join(n.inputs)})" for n in self.graph.nodes)
        shapes = [array.shape for array in self.arrays]
        flags = f"winograd={self.winograd}, kept={self.kept}"
        return f"{shapes}, {flags}{nodes}\n  -> {[output.value for output in self.graph.outputs]}"


class Growing(Maker):
    """A graph that grows step by step, at random."""

    def __init__(self, draw, **inputs):
        super().__init__(**inputs)
        self.draw, self.shapes, self.read = draw, dict(inputs), set()

    def pick(self, *values):
        return values[int(self.draw.integers(len(values)))]

    def chance(self):
        return self.draw.random() < 0.5

    def add(self, module, *inputs):
        name = f"{type(module).__name__.lower()}{len(self.nodes)}"
        if module.tensor_shapes():
            module = well_conditioned(module, np.random.default_rng(zlib.crc32(name.encode())))
        self.nodes.append(Node(name, module, inputs))
        self.shapes[name] = module.output_shape(*((None, *self.shapes[value]) for value in inputs))[1:]
        self.read.update(inputs)
        return name

    def step(self):
        names = list(self.shapes)
        x = names[-1 - min(int(self.draw.exponential(1.2)), len(names) - 1)]
        ways = {1: self.vector, 2: self.sequence, 3: self.image}[len(self.shapes[x])]
        if self.pick(*ways)(x) is None:
            self.activation(x)

    # --- of any rank -------------------------------------------------------------------------------------------------

    def activation(self, x):
        return self.add(self.pick(*ACTIVATIONS, Dropout(0.5)), x)

    def norm(self, x):
        channels = self.shapes[x][0]
        return self.add((BatchNorm2d if len(self.shapes[x]) == 3 else BatchNorm1d)(channels), x)

    def like(self, x):
        """Give values of the same shape."""
        return [name for name, shape in self.shapes.items() if shape == self.shapes[x]]

    def merge(self, x):
        others = self.like(x)
        inputs = [x, self.pick(*others)] + ([self.pick(*others)] if self.chance() else [])
        module = self.pick(Add(), Multiply(), Maximum(), Minimum(), Subtract())
        return self.add(module, *inputs[: 2 if isinstance(module, Subtract) else 3])

    def concatenate(self, x):
        """Join values that differ in their channels only; the same one twice, too."""
        fitting = [name for name, shape in self.shapes.items() if shape[1:] == self.shapes[x][1:]]
        fitting = [name for name in fitting if len(self.shapes[name]) == len(self.shapes[x])]
        inputs = [x] + [self.pick(*fitting) for _ in range(self.pick(1, 2))]
        inputs = inputs[::-1] if self.chance() else inputs
        if sum(math.prod(self.shapes[name]) for name in inputs) > LARGEST:
            return None
        return self.add(Concatenate(1), *inputs)

    # --- (C, H, W) ---------------------------------------------------------------------------------------------------

    @property
    def image(self):
        return [
            self.conv, self.conv, self.conv, self.residual, self.residual, self.concatenate, self.concatenate,
            self.depthwise, self.grouped, self.pool, self.pool, self.broadcast, self.merge, self.activation, self.norm,
            self.pad, self.transposed, self.move, self.leave,
        ]  # fmt: skip

    def conv(self, x, **options):
        channels, *plane = self.shapes[x]
        out = options.pop("out", None) or self.pick(*CHANNELS)
        kernel = self.pick(3, 3, 1, (1, 3), 5)
        reach = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = self.pick("same", "valid", ((2, 0), (0, 1)))
        pads = padding if isinstance(padding, tuple) else ((0, 0), (0, 0))
        if padding != "same" and any(n + sum(p) < k for n, p, k in zip(plane, pads, reach, strict=True)):
            padding = "same"
        stride, dilation = self.pick((1, 1), (1, 1), (1, 1), (2, 1), (1, 2))
        if padding != "same" and dilation == 2:
            dilation = 1
        made = self.add(Conv2d(channels, out, kernel, stride, padding, dilation, **options), x)
        return self.activation(made) if self.chance() else made

    def residual(self, x):
        channels = self.shapes[x][0]
        made = self.add(Conv2d(channels, channels, self.pick(3, 1), padding="same"), x)
        made = self.norm(made) if self.chance() else made
        other = self.pick(*self.like(x))
        made = self.add(Add(), *((made, other) if self.chance() else (other, made)))
        return self.activation(made) if self.chance() else made

    def depthwise(self, x):
        channels = self.shapes[x][0]
        if channels == 1:
            return None
        return self.conv(x, out=channels, groups=channels)

    def grouped(self, x):
        """Groups of whole blocks, groups that share a block, and groups that the blocked layout has no kernel for."""
        channels = self.shapes[x][0]
        fitting = [groups for groups in (2, channels // LANES, channels // 4) if groups > 1 and channels % groups == 0]
        if not fitting:
            return None
        groups = self.pick(*fitting)
        return self.conv(x, out=self.pick(channels, 2 * channels if channels <= 2 * LANES else channels), groups=groups)

    def transposed(self, x):
        channels, *plane = self.shapes[x]
        kernel, stride, dilation = self.pick(
            (3, 2, 1), (2, 2, 1), (4, 2, 1), (3, 1, 1), (2, 1, 2), (3, (1, 2), 1), (2, 3, 1)
        )
        crop = self.pick(0, ((1, 0), (0, 0)), ((0, 1), (1, 1)))
        if 16 * math.prod(self.shapes[x]) > LARGEST or min(plane) < 2:
            return None
        made = self.add(ConvTranspose2d(channels, self.pick(*CHANNELS), kernel, stride, crop, 0, dilation), x)
        return self.activation(made) if self.chance() else made

    def pool(self, x):
        module = self.pick(
            MaxPool2d(2, padding="same"), MaxPool2d(3, 2, padding="same"),
            AvgPool2d(2, 1, padding="same", count_include_pad=False),
            AvgPool2d(3, 2, padding=((1, 0), (1, 1)), count_include_pad=True),
        )  # fmt: skip
        if any(n + 1 < 3 for n in self.shapes[x][1:]) and module.padding != "same":
            return None
        return self.add(module, x)

    def broadcast(self, x):
        """Scale each channel, as squeeze and excitation does."""
        channels = self.shapes[x][0]
        small = self.add(self.pick(GlobalAvgPool2d(keepdims=True), GlobalMaxPool2d(keepdims=True)), x)
        if self.chance():
            small = self.activation(self.add(Conv2d(channels, channels, 1), small))
        return self.add(self.pick(Multiply(), Add()), *((x, small) if self.chance() else (small, x)))

    def pad(self, x):
        return self.add(ZeroPad2d(self.pick(((1, 1), (1, 1)), ((0, 1), (2, 0)))), x)

    def move(self, x):
        shape = self.shapes[x]
        module = self.pick(Permute((0, 2, 3, 1)), Permute((0, 3, 1, 2)), Upsample2d((1, 2), "nearest"), Upsample2d(2))
        if isinstance(module, Upsample2d) and 4 * math.prod(shape) > LARGEST:
            return None
        moved = self.add(module, x)
        if isinstance(module, Permute) and self.chance():
            return self.add(Permute((0, 3, 1, 2) if module.dims[1] == 2 else (0, 2, 3, 1)), moved)
        return moved

    def leave(self, x):
        channels, height, width = self.shapes[x]
        modules = [
            GlobalAvgPool2d(),
            Flatten(),
            Reshape((channels, height * width)),
            Reshape((channels, width, height)),
        ]
        if height > 2:
            modules.append(Crop2d(((1, 0), (0, 0))))
        return self.add(self.pick(*modules), x)

    # --- (C, L) and (F,) ---------------------------------------------------------------------------------------------

    @property
    def sequence(self):
        return [
            self.conv1d, self.transposed1d, self.linear, self.linear, self.merge, self.concatenate, self.activation,
            self.turn,
        ]  # fmt: skip

    def conv1d(self, x):
        channels, _ = self.shapes[x]
        groups = self.pick(1, channels)
        module = Conv1d(channels, channels if groups > 1 else self.pick(*CHANNELS), 3, padding="same", groups=groups)
        return self.add(module, x)

    def transposed1d(self, x):
        channels, length = self.shapes[x]
        if length > 40:
            return None
        kernel, stride, crop = self.pick((3, 2, ((0, 1),)), (4, 2, 1), (3, 1, 0), (2, 3, 0))
        made = self.add(ConvTranspose1d(channels, self.pick(*CHANNELS), kernel, stride, crop), x)
        return self.activation(made) if self.chance() else made

    def linear(self, x):
        made = self.add(Linear(self.shapes[x][-1], self.pick(*CHANNELS)), x)
        return self.activation(made) if self.chance() else made

    def turn(self, x):
        channels, length = self.shapes[x]
        modules = [Permute((0, 2, 1)), MaxPool1d(2, 1, padding="same"), GlobalAvgPool1d(), Flatten()]
        modules += [ZeroPad1d(((2, 1),)), *([Upsample1d(2)] if length < 40 else [])]
        return self.add(self.pick(*modules, Reshape((channels, 1, length)), BatchNorm1d(channels)), x)

    @property
    def vector(self):
        return [self.linear, self.linear, self.merge, self.concatenate, self.norm, self.stand]

    def stand(self, x):
        (size,) = self.shapes[x]
        return self.add(self.pick(Reshape((size, 1, 1)), Reshape((1, size))), x)


def example(steps, seed):
    """Give a graph of so many random steps with arrays for it; the first steps do not depend on how many follow."""
    draw = np.random.default_rng(seed)
    start = Growing(draw)
    plane, channels, batch = start.pick(*PLANES), start.pick(*CHANNELS, FEW), start.pick(1, 1, 2, 3, 4)
    winograd, kept = start.chance(), start.chance()
    kind = start.pick("image", "image", "image", "image", "channels-last", "sequence", "vector")
    shape = {"sequence": (channels, 7), "vector": (channels,), "channels-last": (*plane, FEW)}.get(
        kind, (channels, *plane)
    )
    make = Growing(draw, x=shape)
    first = make.add(Permute((0, 3, 1, 2)), "x") if kind == "channels-last" else "x"
    {1: make.linear, 2: make.conv1d, 3: make.conv}[len(make.shapes[first])](first)
    for _ in range(steps):
        make.step()
    names = [node.name for node in make.nodes]
    outputs = [name for name in names if name not in make.read or draw.random() < 0.08]
    arrays = [draw.uniform(0.2, 2, (batch, *shape)).astype(np.float32)]
    return Example(make.graph(*outputs), arrays, winograd, kept)


def examples():
    """Give a strategy; what it finds shrinks in the number of steps."""
    return st.builds(example, st.integers(2, 14), st.integers(0, 1 << 32))
