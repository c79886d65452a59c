"""Graph to Plan: fused, algorithms chosen, weights packed, memory placed; then run without Python work per module.

    program = Program(graph)            once: fuse.py; a step for each unit (conv.py, pool.py, merge.py, ...)
    plan = program.bind(input shapes)   once for each set of sizes: route.py, memory.py
    outputs = plan.run(arrays)

A plan gives what ``Graph.forward`` gives, up to the rounding of folded weights and of sums in another order.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jit_kernels._cores import apart
from jit_kernels._jit import LAUNCH, recording, thread_count
from jit_kernels._launch import one_thread
from keydnn.errors import ShapeError
from keydnn.graph import Graph
from keydnn.modules.activation import Elementwise
from keydnn.modules.base import Array, Module
from keydnn.modules.merge import Add
from keydnn.plan import conv, layout, memory, merge, pool, recurrent
from keydnn.plan.fuse import Unit, fuse
from keydnn.plan.pace import Pace
from keydnn.plan.route import Operation, Route
from keydnn.plan.step import PARALLEL_MACS, PARALLEL_NUMBERS, Launch, Step
from keydnn.plan.values import Blocked, Plain, Sizes

KEPT_PLANS = 4  # a batch, the rest of a batch, one example, and one more: each holds memory
CACHE_NUMBERS = 11 << 20  # of the values of all examples that are computed together: a usual third-level cache
STEPS: dict[type, Callable[[Unit], Step]] = {**conv.STEPS, **pool.STEPS, **merge.STEPS, **recurrent.STEPS}


def step_of(unit: Unit) -> Step | None:
    """Give what a unit becomes on the blocked layout, or None."""
    if isinstance(unit.module, Elementwise):
        return merge.Activation(unit)
    make = STEPS.get(type(unit.module))
    return make(unit) if make else None


class Program:
    """A graph with everything prepared that does not depend on the sizes of the inputs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        for _, module in graph.modules():
            module.require_tensors()
        self.units = fuse(graph)
        self.steps = {id(unit): step for unit in self.units if (step := step_of(unit)) is not None}
        self._plans: OrderedDict[Any, Plan] = OrderedDict()
        self._sizes: dict[tuple[Sizes, ...], int] = {}  # of the arena for one example, by the shapes of examples
        self._lock = threading.Lock()

    def bind(self, shapes: Sequence[Sizes]) -> Plan:
        """Give the plan for inputs of these shapes and the threads there are now; the last few are kept."""
        key = (tuple(shapes), thread_count())
        with self._lock:
            plan = self._plans.pop(key, None) or Plan(self, shapes)
            self._plans[key] = plan
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return plan

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Compute the outputs for float32 inputs of checked shapes; large batches in parts that stay in the cache."""
        count, each = len(arrays[0]), self._at_once(arrays)
        if count <= each:
            return self.bind([array.shape for array in arrays]).run(arrays)
        parts = []
        for start in range(0, count, each):
            part = [array[start : start + each] for array in arrays]
            parts.append(self.bind([array.shape for array in part]).run(part))
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _at_once(self, arrays: Sequence[Array]) -> int:
        """Give the number of examples whose values fit the cache together: a multiple of the threads, if more."""
        threads = thread_count()
        if len(arrays[0]) <= threads or not self.graph.by_example:
            return len(arrays[0])
        shapes = tuple(array.shape[1:] for array in arrays)
        if shapes not in self._sizes:
            self._sizes[shapes] = self.bind([(1, *shape) for shape in shapes]).arena.size
        return max(threads, CACHE_NUMBERS // self._sizes[shapes] // threads * threads)


class Part(NamedTuple):
    """An operation of a plan and its calls, whose arguments are bound; to be called holding ``LAUNCH``.

    ``launches`` are the kernels that do the work, for those who look at a plan; NumPy does what has none.
    """

    operation: Operation
    calls: list[Callable[[], None]]
    launches: list[Launch]


class Plan:
    """A program bound to sizes: memory, and calls with all their arguments.

    Attributes
    ----------
    parts
        The operations in the order they are done, with their calls.
    arena
        The memory of all values.
    """

    def __init__(self, program: Program, shapes: Sequence[Sizes]) -> None:
        self._threads = thread_count()
        self.route = Route(program.graph, program.units, program.steps, shapes, self._threads)
        self.arena = memory.place(self.route)
        self._inputs, self._outputs = ([self._view(value) for value in values] for values in (
            self.route.inputs, self.route.outputs))  # fmt: skip
        halos = memory.halos(self.route.operations)
        kept = {id(storage) for storage in memory.kept_halos(self.route.operations)}
        self.parts: list[Part] = []
        self._is_parallel = False
        for place, operation in enumerate(self.route.operations):
            calls: list[Callable[[], None]] = []
            for storage in halos.get(place, []):
                zeros = self._bound(layout.zero_halo(storage))
                if id(storage) in kept:
                    zeros()
                else:
                    calls.append(zeros)
            if operation.job is None and operation.unit is not None:
                own, launches = self._module_calls(operation)
                calls += own
            else:
                launches = self._launches(operation)
                calls += map(self._bound, launches)
            self.parts.append(Part(operation, calls, launches))
        self._pace = Pace() if self._threads > 1 and self._is_parallel else None
        self._calls = [call for part in self.parts for call in part.calls]

    def _bound(self, launch: Launch) -> Callable[[], None]:
        self._is_parallel |= launch.parallel
        return launch.kernel.bind((*launch.arguments, self.arena), launch.parallel)

    def _view(self, value: Plain) -> Array:
        return self.arena[value.start :][: value.size].reshape(value.sizes)

    def _launches(self, operation: Operation) -> list[Launch]:
        """Give the kernel calls of an operation on blocked values."""
        if operation.job is not None:
            inputs = [value for value in operation.inputs if isinstance(value, Blocked)]
            assert isinstance(operation.out, Blocked)  # as route.py makes them
            return operation.job.launches(inputs, operation.added, operation.out, operation.scratch.offset)
        return layout.convert(operation, self._threads)

    def _module_calls(self, operation: Operation) -> tuple[list[Callable[[], None]], list[Launch]]:
        """Give the calls of a unit on plain values, and the kernels among them: what its modules do."""
        unit = operation.unit
        assert unit is not None  # the caller has looked
        inputs = [self._view(value) for value in operation.inputs if isinstance(value, Plain)]
        assert isinstance(operation.out, Plain)  # as route.py makes them
        out = self._view(operation.out)
        count = len(unit.inputs)
        modules: list[tuple[Any, list[Array]]] = [(unit.whole(), inputs[:count])]
        if unit.residual is not None:
            modules.append((Add(), [out, *inputs[count:]]))
        if unit.following is not None and unit.following is not unit.module:
            modules.append((unit.following, [out]))
        made = [_calls(unit.value, module, given, out, self._threads) for module, given in modules]
        return [call for calls, _ in made for call in calls], [launch for _, launches in made for launch in launches]

    def watch(self, arrays: Sequence[Array], after: Callable[[], None]) -> list[Array]:
        """Compute as ``run`` does; ``after`` is called when the inputs are in their place, and after each part."""
        with LAUNCH:
            self._take(arrays)
            after()
            for part in self.parts:
                for call in part.calls:
                    call()
                after()
            return [output.copy() for output in self._outputs]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Compute the outputs for inputs of the plan's shapes; one caller at a time."""
        with LAUNCH:
            self._take(arrays)
            self._compute()
            return [output.copy() for output in self._outputs]

    def _take(self, arrays: Sequence[Array]) -> None:
        for buffer, array in zip(self._inputs, arrays, strict=True):
            np.copyto(buffer, array)

    def _compute(self) -> None:
        """Make the calls; on one thread where that is faster just now."""
        if self._pace is None:
            self._call_all()
            return
        start = time.perf_counter()
        alone = self._pace.alone(start)
        with one_thread() if alone else apart():
            self._call_all()
        self._pace.note(alone, start, time.perf_counter())

    def _call_all(self) -> None:
        for call in self._calls:
            call()


def _calls(
    name: str, module: Any, inputs: list[Array], out: Array, threads: int
) -> tuple[list[Callable[[], None]], list[Launch]]:
    """Give the calls of a module's computation; its kernels are taken down once if it does nothing but call them."""
    shapes = [x.shape for x in inputs]
    if not module.launches_only(*shapes):
        return [partial(_compute, name, module, inputs, out)], []
    is_large = max(*(x.size for x in inputs), out.size) >= PARALLEL_NUMBERS or module.macs(*shapes) >= PARALLEL_MACS
    parallel = threads > 1 and is_large
    with recording() as recorded:
        module.compute(*inputs, out=out)
    launches = [Launch(kernel, arguments, parallel) for kernel, arguments in recorded]
    checks = [] if type(module).check_values is Module.check_values else [partial(_check, name, module, inputs)]
    return [*checks, *(launch.kernel.bind(launch.arguments, parallel) for launch in launches)], launches


def _compute(name: str, module: Any, inputs: list[Array], out: Array) -> None:
    """Compute a module."""
    _check(name, module, inputs)
    try:
        module.compute(*inputs, out=out)
    except ShapeError as error:
        raise ShapeError(f"node {name!r}: {error}") from None


def _check(name: str, module: Any, inputs: list[Array]) -> None:
    """Let a module look at the values it is given; an error names the node."""
    try:
        module.check_values(*inputs)
    except ShapeError as error:
        raise ShapeError(f"node {name!r}: {error}") from None
