"""Normalised KerasModel to Graph: every call of every layer through its builder, in the order of the data."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.hooks import build_with, hook_of
from keydnn.convert.build.inputs import input_dtype, input_shape, readers_of
from keydnn.convert.build.options import Blocked
from keydnn.convert.build.registry import BUILDERS
from keydnn.convert.build.sizes import of_sizes
from keydnn.convert.build.unsupported import switch_for, why
from keydnn.convert.build.weights import WeightReader
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, refs_in
from keydnn.errors import KerasFileError, ParameterError, ShapeError
from keydnn.graph import Graph, Input, Landmark, Node, Origin, Output
from keydnn.modules.base import Array, Module, Shape, shape_text
from keydnn.names import Names
from keydnn.strict_json import clip


class Assembly:
    """A graph under construction; the ``Sink`` of all calls."""

    def __init__(self, layer_names: Iterable[str], input_names: Sequence[str]) -> None:
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.layout_nodes: set[str] = set()  # Permutes that the layout pass may move
        self.states: dict[str, Input] = {}
        self.kept: dict[str, str] = {}  # the value that a state is at the next call
        self._names = Names([*layer_names, *input_names])
        self._reserved = set(layer_names) - set(input_names)
        self._by_origin: dict[Origin, list[Node]] = {}

    def emit(self, name: str, module: Module, inputs: Sequence[Value], origin: Origin, *, layout: bool) -> Value:
        """Add a node; a module equal to one of the same layer's earlier calls is shared with it."""
        shape = module.output_shape(*(value.shape for value in inputs))
        dtype = module.output_dtype(*(value.dtype for value in inputs))
        siblings = self._by_origin.setdefault(origin, [])
        shared = next((node.module for node in siblings if _same(node, module)), module)
        if name in self._reserved:  # a layer's own name, which was kept for it
            self._reserved.remove(name)
        else:
            name = self._names.new(name)
        siblings.append(Node(name, shared, tuple(value.name for value in inputs), origin))
        self.nodes.append(siblings[-1])
        self.shapes[name] = shape
        if layout:
            self.layout_nodes.add(name)
        return Value(name, shape, dtype=dtype)

    def state(self, name: str, shape: Shape) -> Value:
        """Add a value that is kept from one call of the model to the next."""
        name = self._names.new(name)
        self.states[name] = Input(name, shape)
        self.shapes[name] = shape
        return Value(name, shape)

    def keep(self, state: Value, value: Value) -> None:
        """Say what a state is at the next call."""
        self.kept[state.name] = value.name


def _same(node: Node, module: Module) -> bool:
    other = node.module
    if type(other) is not type(module) or other.parameters() != module.parameters():
        return False
    mine, theirs = module.tensors(), other.tensors()
    return bool(mine) and mine.keys() == theirs.keys() and all(np.array_equal(mine[k], theirs[k]) for k in mine)


@dataclass(frozen=True)
class Assembled:
    """What was built.

    Attributes
    ----------
    graph
        The graph; None if there are obstacles that nothing can allow.
    nodes
        Its nodes, or those that could be built.
    shapes
        The shape of every input and node.
    layout_nodes
        Names of the Permutes that change the layout.
    read
        The weights that were read, by the identity of the ``StoredTensor``.
    """

    graph: Graph | None
    nodes: Sequence[Node]
    shapes: Mapping[str, Shape]
    layout_nodes: Collection[str]
    read: Mapping[int, Array]


def assemble(model: KerasModel, notes: Notes) -> Assembled:
    """Build a graph; all obstacles are written into ``notes``.

    Raises
    ------
    KerasInteropError
        Weights that are missing, of another shape than the configuration says, or that no layer uses; a graph that
        does not fit together.
    """
    input_names = model.input_keys or tuple(ref.layer for ref in model.inputs)
    named = dict(zip((ref.layer for ref in model.inputs), input_names, strict=True))
    inputs: dict[str, Input] = {}
    assembly = Assembly([layer.name for layer in model.layers], input_names)
    values: dict[TensorRef, Value | None] = {}
    readers: dict[str, WeightReader] = {}
    layers_reading = readers_of(model)
    fixed = any(layer.config.get("stateful") is True for layer in model.layers)
    for layer, number in _in_order(model):
        if layer.class_name == "InputLayer" and not layer.calls:
            shape, dtype = input_shape(layer, model.source, fixed), input_dtype(layer, layers_reading)
            value = Value(named.get(layer.name, layer.name), shape, dtype=dtype)
            inputs[layer.name] = Input(value.name, shape, dtype)
            assembly.shapes[value.name] = value.shape
            values[TensorRef(layer.name)] = value
            continue
        if not layer.calls:
            raise KerasFileError(f"{model.source}: layer {layer.name!r} ({layer.class_name}) is never called")
        reader = readers.setdefault(layer.name, WeightReader(layer, notes))
        sizes = of_sizes(layer, layer.calls[number], values)
        if sizes is not None:
            values |= {TensorRef(layer.name, number, place): size for place, size in enumerate(sizes)}
            continue
        call = LayerCall(layer, number, values, model, reader, notes, assembly)
        for place, value in enumerate(_build(call, layer, notes, model.source)):
            values[TensorRef(layer.name, number, place)] = value
    if any(obstacle.blocks for obstacle in notes.obstacles):
        return Assembled(None, assembly.nodes, assembly.shapes, assembly.layout_nodes, {})
    for name, reader in readers.items():
        if unused := reader.unused():
            raise KerasFileError(f"{model.source}: layer {name!r} does not use its weight {unused[0].name!r}")
    missing = [ref.layer for ref in model.inputs if ref.layer not in inputs]
    if missing:
        raise KerasFileError(f"{model.source}: the input {missing[0]!r} is no InputLayer")
    outputs = []
    for name, ref in zip(model.output_names, model.outputs, strict=True):
        end = values.get(ref)
        if end is None:
            raise KerasFileError(
                f"{model.source}: layer {ref.layer!r} does not give the output {ref.tensor} that is read"
            )
        outputs.append(Output(name, end.name))
    try:
        outputs += [Output(name, value) for name, value in assembly.kept.items()]
        given = [inputs[ref.layer] for ref in model.inputs]
        known = {ref: value for ref, value in values.items() if value and value.name in assembly.shapes}
        states, landmarks = assembly.states, _landmarks(model, known)
        graph = Graph([*given, *states.values()], assembly.nodes, outputs, [*states], landmarks)
    except (ParameterError, ShapeError) as error:
        raise KerasFileError(f"{model.source}: {error}") from None
    read = {key: array for reader in readers.values() for key, array in reader.read.items()}
    return Assembled(graph, assembly.nodes, assembly.shapes, assembly.layout_nodes, read)


def _landmarks(model: KerasModel, values: Mapping[TensorRef, Value]) -> list[Landmark]:
    """Say where the outputs of Keras' layers are: of one that passes have split, at the part that no other reads."""
    parts: dict[tuple[str, str], list[Layer]] = {}
    for layer in model.layers:
        if layer.calls:
            parts.setdefault(layer.part_of or (layer.name, layer.class_name), []).append(layer)
    ends: dict[str, tuple[str, str]] = {}
    for whole, layers in parts.items():
        read = {
            ref.layer
            for layer in layers
            for number, call in enumerate(layer.calls)
            for ref in refs_in((call.args, call.kwargs))
            if ref.call == number  # another call of the same layer may read this one
        }
        ends |= {layer.name: whole for layer in [layer for layer in layers if layer.name not in read][-1:]}
    return [
        Landmark(*ends[ref.layer], ref.call, ref.tensor, value.name)
        for ref, value in values.items()
        if ref.layer in ends
    ]


def _build(call: LayerCall, layer: Layer, notes: Notes, source: str) -> Sequence[Value]:
    """Build one call and give its outputs; none if an obstacle prevents it."""
    full = f"{layer.package}>{layer.class_name}" if layer.package else layer.class_name
    builder = BUILDERS.get(full)
    if builder is None and (hook := hook_of(layer)):
        return build_with(hook, call, layer, notes, source)
    if builder is None or 0 < builder.gone <= call.version[0]:
        if layer.name not in notes.options.lambdas:  # else what is in the way of the statement has been taken down
            notes.obstacle(layer.name, full, f"Unsupported Keras layer: {full}", why(layer), switch_for(layer))
        return ()
    try:
        mask = call.mask() if 0 < builder.passes_mask <= call.version[0] else None
        made = builder.build(call)
        outputs = (made,) if isinstance(made, Value) else tuple(made)
        if mask and outputs and not outputs[0].mask:
            outputs = (replace(outputs[0], mask=mask), *outputs[1:])
        _compare_declared(layer, outputs, notes)
        return outputs
    except Blocked:
        return ()
    except KerasFileError as error:
        raise KerasFileError(f"{source}: {error}") from None
    except (ParameterError, ShapeError) as error:
        raise KerasFileError(f"{source}: layer {layer.name!r} ({layer.class_name}): {error}") from None
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise KerasFileError(
            f"{source}: layer {layer.name!r} ({layer.class_name}): a configuration that Keras does not write: {error}"
        ) from None


def _compare_declared(layer: Layer, outputs: Sequence[Value], notes: Notes) -> None:
    """Give up on a call, and take it down, if its output has not the shape that the file says."""
    if layer.declared is None or not outputs:
        return
    found = outputs[0].shape[1:]
    pairs = zip(found, layer.declared, strict=False)
    if len(found) != len(layer.declared) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
        name, class_name = layer.part_of or (layer.name, layer.class_name)
        what = f"gives {shape_text(outputs[0].shape)}, where the file says output_shape={list(layer.declared)}"
        notes.obstacle(name, class_name, f"Unsupported Keras layer: {class_name} that {what}", what)
        raise Blocked


def _in_order(model: KerasModel) -> Iterator[tuple[Layer, int]]:
    """Give every call after the calls it reads, else in the file's order."""
    calls = [(layer, number) for layer in model.layers for number in range(max(len(layer.calls), 1))]
    places = {(layer.name, number): place for place, (layer, number) in enumerate(calls)}
    readers: dict[int, list[int]] = {}
    waits = [0] * len(calls)
    for place, (layer, number) in enumerate(calls):
        call = layer.calls[number] if layer.calls else Call(())
        refs = [(ref.layer, ref.call) for ref in refs_in((call.args, call.kwargs))]
        unknown = next((name for name, called in refs if (name, called) not in places), None)
        if unknown is not None:  # a model in a model that gives nothing
            raise KerasFileError(f"{model.source}: layer {layer.name!r} reads {unknown!r}, which gives nothing")
        for read in {places[ref] for ref in refs}:
            readers.setdefault(read, []).append(place)
            waits[place] += 1
    ready = [place for place, count in enumerate(waits) if not count]
    done = 0
    while ready:
        place = heapq.heappop(ready)
        done += 1
        yield calls[place]
        for reader in readers.get(place, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader)
    if done < len(calls):
        names = ", ".join(repr(layer.name) for (layer, _), count in zip(calls, waits, strict=True) if count)
        raise KerasFileError(f"{model.source}: these layers read each other, in a circle: {clip(names, 200)}")
