"""Graph to Plan: fused, algorithms chosen, weights packed, buffers placed; then run without Python work per module.

    program = Program(graph)            once: fuse.py, conv.py
    plan = program.bind(input shapes)   once for each set of sizes: memory.py
    outputs = plan.run(arrays)

A plan gives what ``Graph.forward`` gives, up to the rounding of folded weights and of sums in another order.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from jit_kernels._jit import LAUNCH, recording, thread_count
from keydnn.errors import ShapeError
from keydnn.graph import Graph
from keydnn.modules.base import Array, sized
from keydnn.plan import conv, memory
from keydnn.plan.fuse import Unit, fuse, last_reads

Sizes = tuple[int, ...]
# Below these, opening a parallel region takes longer than the work.
PARALLEL_FLOP = 1_000_000
PARALLEL_NUMBERS = 20_000
KEPT_PLANS = 4  # a batch, the rest of a batch, one example, and one more: each holds buffers


class Program:
    """A graph with everything prepared that does not depend on the sizes of the inputs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        for _, module in graph.modules():
            module.require_tensors()
        self.units = fuse(graph)
        self.convolutions = {id(unit): step for unit in self.units if (step := conv.prepare(unit)) is not None}
        self._plans: OrderedDict[tuple[Sizes, ...], Plan] = OrderedDict()
        self._lock = threading.Lock()

    def bind(self, shapes: Sequence[Sizes]) -> Plan:
        """Give the plan for inputs of these shapes; the last few are kept."""
        key = tuple(shapes)
        with self._lock:
            plan = self._plans.pop(key, None) or Plan(self, shapes)
            self._plans[key] = plan
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return plan

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Compute the outputs for float32 inputs of checked shapes."""
        return self.bind([array.shape for array in arrays]).run(arrays)


class Plan:
    """A program bound to sizes: buffers, and calls with all their arguments."""

    def __init__(self, program: Program, shapes: Sequence[Sizes]) -> None:
        graph = program.graph
        self._threads = thread_count()
        sizes: dict[str, Sizes] = dict(zip((given.name for given in graph.inputs), shapes, strict=True))
        for node in graph.nodes:
            try:
                shape = node.module.output_shape(*(sizes[name] for name in node.inputs))
                sizes[node.name] = sized(node.module, shape)
            except ShapeError as error:
                raise ShapeError(f"node {node.name!r}: {error}") from None
        buffers = self._place(program, sizes)
        self._inputs = [buffers[given.name] for given in graph.inputs]
        self._outputs = [buffers[output.value] for output in graph.outputs]
        scratch = memory.Scratch()
        self.steps = [
            call for unit in program.units if not unit.is_view for call in self._calls(program, unit, buffers, scratch)
        ]

    def _place(self, program: Program, sizes: dict[str, Sizes]) -> dict[str, Array]:
        """Give every value its memory; views share their input's."""
        graph, units = program.graph, program.units
        home = {given.name: given.name for given in graph.inputs}
        written = {given.name: -1 for given in graph.inputs}
        for place, unit in enumerate(units):
            home[unit.value] = home[unit.inputs[0]] if unit.is_view else unit.value
            written.setdefault(home[unit.value], place)
        reads = dict.fromkeys(written, -1)
        for name, place in last_reads(units).items():
            reads[home[name]] = max(reads[home[name]], place)
        for output in graph.outputs:
            reads[home[output.value]] = len(units)
        names = list(written)
        lifetimes = [memory.Lifetime(math.prod(sizes[n]), written[n], max(reads[n], written[n])) for n in names]
        offsets, total = memory.place(lifetimes)
        block = memory.aligned(total)
        starts = dict(zip(names, offsets, strict=True))
        return {name: block[starts[home[name]] :][: math.prod(sizes[name])].reshape(sizes[name]) for name in home}

    def _calls(
        self, program: Program, unit: Unit, buffers: dict[str, Array], scratch: memory.Scratch
    ) -> list[Callable[[], None]]:
        """Give the calls of a unit, their arguments bound."""
        inputs, out = [buffers[name] for name in unit.inputs], buffers[unit.value]
        shapes = [x.shape for x in inputs]
        step = program.convolutions.get(id(unit))
        if step is not None:
            parallel = self._threads > 1 and 2 * unit.module.macs(*shapes) >= PARALLEL_FLOP
            residual = buffers[unit.residual] if unit.residual else None
            launches = conv.bind(step, inputs[0], residual, out, self._threads if parallel else 1, scratch)
        elif unit.module.launches_only(*shapes):
            parallel = self._threads > 1 and max(inputs[0].size, out.size) >= PARALLEL_NUMBERS
            with recording() as launches:
                unit.module.compute(*inputs, out=out)
        else:
            return [partial(unit.module.compute, *inputs, out=out)]
        return [kernel.bind(arguments, parallel) for kernel, arguments in launches]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Compute the outputs for inputs of the plan's shapes; one caller at a time."""
        with LAUNCH:
            for buffer, array in zip(self._inputs, arrays, strict=True):
                np.copyto(buffer, array)
            for step in self.steps:
                step()
            return [output.copy() for output in self._outputs]
