"""Normalised KerasModel to Graph: every call of every layer through its builder, in the order of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from keydnn.convert.build.call import Blocked, LayerCall, Value
from keydnn.convert.build.registry import BUILDERS
from keydnn.convert.build.weights import WeightReader
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import KerasModel, Layer, TensorRef, refs_in
from keydnn.errors import KerasFileError, ParameterError, ShapeError
from keydnn.graph import Graph, Input, Node, Origin, Output
from keydnn.modules.base import Module, Shape
from keydnn.strict_json import Json

MAX_RANK = 8


class Assembly:
    """A graph under construction; the ``Sink`` of all calls."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.nodes: list[Node] = []
        self.layout_nodes: set[str] = set()  # Permutes that the layout pass may move

    def emit(self, name: str, module: Module, inputs: Sequence[Value], origin: Origin, *, layout: bool) -> Value:
        """Add a node; a module equal to one of the same layer's earlier calls is shared with it."""
        shape = module.output_shape(*(value.shape for value in inputs))
        shared = next((node.module for node in self.nodes if _same(node, module, origin)), module)
        self.nodes.append(Node(name, shared, tuple(value.name for value in inputs), origin))
        if layout:
            self.layout_nodes.add(name)
        return Value(name, shape)


def _same(node: Node, module: Module, origin: Origin) -> bool:
    other = node.module
    if node.origin != origin or type(other) is not type(module) or other.parameters() != module.parameters():
        return False
    mine, theirs = module.tensors(), other.tensors()
    return bool(mine) and mine.keys() == theirs.keys() and all(np.array_equal(mine[k], theirs[k]) for k in mine)


def assemble(model: KerasModel, notes: Notes) -> tuple[Graph | None, set[str]]:
    """Build a graph.

    Returns
    -------
    The graph, or None if there are obstacles that nothing can allow (all are in ``notes``), and the names of the
    Permutes that change the layout.

    Raises
    ------
    KerasInteropError
        Weights that are missing, of another shape than the configuration says, or that no layer uses; a graph that
        does not fit together.
    """
    assembly = Assembly()
    values: dict[TensorRef, Value | None] = {}
    readers: dict[str, WeightReader] = {}
    input_layers = [ref.layer for ref in model.inputs]
    for layer, number in _in_order(model):
        if layer.class_name == "InputLayer" and not layer.calls:
            value = Value(layer.name, _input_shape(layer, model.source))
            if layer.name in input_layers:
                assembly.inputs.append(Input(value.name, value.shape))
            values[TensorRef(layer.name)] = value
            continue
        reader = readers.setdefault(layer.name, WeightReader(layer, notes))
        call = LayerCall(layer, number, values, model.version, reader, notes, assembly)
        values[TensorRef(layer.name, number)] = _build(call, layer, notes, model.source)
    if any(obstacle.switch is None for obstacle in notes.obstacles):
        return None, set()
    for name, reader in readers.items():
        if unused := reader.unused():
            raise KerasFileError(f"{model.source}: layer {name!r} does not use its weight {unused[0].name!r}")
    assembly.inputs.sort(key=lambda given: input_layers.index(given.name))
    outputs = []
    for name, ref in zip(model.output_names, model.outputs, strict=True):
        end = values.get(ref)
        if end is None:
            raise KerasFileError(
                f"{model.source}: layer {ref.layer!r} does not give the output {ref.tensor} that is read"
            )
        outputs.append(Output(name, end.name))
    try:
        return Graph(assembly.inputs, assembly.nodes, outputs), assembly.layout_nodes
    except (ParameterError, ShapeError) as error:
        raise KerasFileError(f"{model.source}: {error}") from None


def _build(call: LayerCall, layer: Layer, notes: Notes, source: str) -> Value | None:
    """Build one call; None if an obstacle prevents it."""
    full = f"{layer.package}>{layer.class_name}" if layer.package else layer.class_name
    builder = BUILDERS.get(full)
    if builder is None:
        notes.obstacle(layer.name, full, f"Unsupported Keras layer: {full}", _why_unknown(layer))
        return None
    try:
        return builder.build(call)
    except Blocked:
        return None
    except (ParameterError, ShapeError) as error:
        raise KerasFileError(f"{source}: layer {layer.name!r} ({layer.class_name}): {error}") from None
    except (TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise KerasFileError(
            f"{source}: layer {layer.name!r} ({layer.class_name}): a configuration that Keras does not write: {error}"
        ) from None


def _why_unknown(layer: Layer) -> str:
    if layer.package == "ops":
        return "an operation on tensors, not a layer"
    if "function" in layer.config:
        return "Python code in the file, which is never run"
    return f"a class of {layer.package}, not of Keras" if layer.package else "a class that KeyDNN does not know"


def _in_order(model: KerasModel) -> Iterator[tuple[Layer, int]]:
    """Give every call after the calls it reads, else in the file's order."""
    pending = [(layer, number) for layer in model.layers for number in range(max(len(layer.calls), 1))]
    done: set[TensorRef] = set()
    while pending:
        waiting = []
        for layer, number in pending:
            call = layer.calls[number] if layer.calls else None
            refs = refs_in((call.args, call.kwargs)) if call else ()
            if all(TensorRef(ref.layer, ref.call) in done for ref in refs):
                done.add(TensorRef(layer.name, number))
                yield layer, number
            else:
                waiting.append((layer, number))
        if len(waiting) == len(pending):
            names = ", ".join(repr(layer.name) for layer, _ in waiting[:5])
            raise KerasFileError(f"{model.source}: the layers {names} read each other, in a circle")
        pending = waiting


def _input_shape(layer: Layer, source: str) -> Shape:
    config = layer.config
    shape: Json = config.get("batch_shape") or config.get("batch_input_shape") or config.get("input_shape")
    fits = isinstance(shape, list) and 1 <= len(shape) <= MAX_RANK
    if not fits or not all(size is None or (type(size) is int and size > 0) for size in shape):
        raise KerasFileError(f"{source}: the input {layer.name!r} has no usable shape: {shape!r}")
    return (None, *shape[1:])
