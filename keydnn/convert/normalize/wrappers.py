"""Pass: layers that hold other layers are written out as plain ones: TimeDistributed, Bidirectional, RNN with cells.

The layers inside are named by their path (``"bidirectional/forward_lstm"``).  What the wrapper itself does stays behind
as a layer of its class, under its name, whose calls read what the layers inside give; what it does to its input before
is a layer split off from it (``build/time.py`` builds both).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, refs_in, replace_refs
from keydnn.errors import KerasFileError
from keydnn.names import Names
from keydnn.strict_json import Json

CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")  # the layer of each is its name without "Cell"
HOLDS = {"layer", "backward_layer", "cell", "cells"}  # options that hold layers


def write_out(model: KerasModel, notes: Notes) -> KerasModel:
    """Write out all wrappers, also inside of each other and inside of nested models."""
    writer = _Writer(Names(layer.name for layer in model.layers), notes, model)
    return dataclasses.replace(model, layers=tuple(new for layer in model.layers for new in writer.plain(layer)))


@dataclasses.dataclass(frozen=True)
class _Writer:
    names: Names
    notes: Notes
    model: KerasModel

    def plain(self, layer: Layer) -> list[Layer]:
        """Give the layers that a layer becomes."""
        if layer.inner is not None:
            return _model(self, dataclasses.replace(layer, inner=write_out(layer.inner, self.notes)))
        write = None if layer.package else WRITERS.get(layer.class_name)
        return [layer] if write is None else write(self, layer)

    def part(self, layer: Layer, key: str) -> Layer:
        """Give a layer inside of a wrapper."""
        if key not in layer.parts:
            raise KerasFileError(f"{self.model.source}: {layer.name!r} ({layer.class_name}) has no usable {key!r}")
        return layer.parts[key]

    def inside(self, wrapper: Layer, part: Layer, calls: Sequence[Call], **options: Json) -> Layer:
        """Give a layer inside of a wrapper as one of the model's own."""
        name = self.names.new(f"{wrapper.name}/{part.name}")
        return dataclasses.replace(part, name=name, calls=tuple(calls), config={**part.config, **options})

    def before(self, wrapper: Layer, what: str, calls: Sequence[Call]) -> Layer:
        """Give what a wrapper does to its input as a layer split off from it."""
        origin = (wrapper.name, wrapper.class_name)
        return Layer(self.names.new(f"{wrapper.name}.{what}"), wrapper.class_name, "", {}, tuple(calls), part_of=origin)

    def behind(self, wrapper: Layer, given: Callable[[int], Sequence[TensorRef]], **options: Json) -> Layer:
        """Give what a wrapper does at the end: its calls read the sequence, and what the layers inside give."""
        calls = []
        for number, call in enumerate(wrapper.calls):
            mask = {"mask": call.kwargs["mask"]} if "mask" in call.kwargs else {}
            calls.append(Call((_sequence(call), *given(number)), mask))
        config = {key: value for key, value in wrapper.config.items() if key not in HOLDS} | options
        return dataclasses.replace(wrapper, config=config, calls=tuple(calls), weights=(), parts={})

    def rewrite(self, layer: Layer, what: str) -> None:
        """Take down what became of a wrapper."""
        self.notes.rewrite(layer.name, layer.class_name, what)


def _time_distributed(writer: _Writer, layer: Layer) -> list[Layer]:
    """Fold time into the batch, apply the layer, unfold; or apply the layer as it is, if it does the same."""
    part = writer.part(layer, "layer")
    if not part.package and part.inner is None and part.class_name in writer.notes.stepwise:
        writer.rewrite(layer, f"{part.class_name} alone, which does the same to every step")
        return [dataclasses.replace(part, name=layer.name, calls=layer.calls)]
    if _is_stateful(part):
        _refuse(writer, layer, "of a stateful layer", "a stateful layer, which would go on from step to step")
    writer.rewrite(layer, f"written out: every step an example of its own for {part.class_name}")
    fold = writer.before(layer, "fold", layer.calls)
    inside = writer.inside(layer, part, [Call((TensorRef(fold.name, number),)) for number in range(len(layer.calls))])
    last = writer.behind(layer, lambda number: [TensorRef(inside.name, number)])
    return [fold, *writer.plain(inside), last]


def _spectral(writer: _Writer, layer: Layer) -> list[Layer]:
    """Give the layer inside: training has divided its kernel by the norm, and stored it so."""
    part = writer.part(layer, "layer")
    writer.rewrite(layer, f"{part.class_name} alone, whose kernel is stored as training has normalized it")
    weights = tuple(tensor for tensor in part.weights if tensor.role != "vector_u")
    return writer.plain(dataclasses.replace(part, name=layer.name, calls=layer.calls, weights=weights))


def _bidirectional(writer: _Writer, layer: Layer) -> list[Layer]:
    """Apply both layers, the second one's outputs turned round, and merge."""
    layer = dataclasses.replace(layer, calls=tuple(map(_by_keyword, layer.calls)))
    forward, backward = writer.part(layer, "layer"), writer.part(layer, "backward_layer")
    writer.rewrite(layer, f"written out as two layers, {forward.class_name} and {backward.class_name}")
    sequences = bool(forward.config.get("return_sequences", False))
    options = {"zero_output_for_mask": True} if sequences and _zeroes_masked_steps(writer, forward) else {}
    count = _outputs(forward)
    ways: list[list[Call]] = [[], []]
    for call in layer.calls:
        states = _states(call)
        half = len(states) // 2
        if len(states) % 2:
            _refuse(writer, layer, f"with {len(states)} initial states", "an even number of initial states is expected")
        for calls, own in zip(ways, (states[:half], states[half:]), strict=True):
            calls.append(_recurrent_call(call, _sequence(call), own))
    first, second = (
        writer.inside(layer, part, calls, **options) for part, calls in zip((forward, backward), ways, strict=True)
    )
    last = writer.behind(
        layer,
        lambda number: [TensorRef(one.name, number, place) for one in (first, second) for place in range(count)],
        return_sequences=sequences,
    )
    return [*writer.plain(first), *writer.plain(second), last]


def _zeroes_masked_steps(writer: _Writer, layer: Layer) -> bool:
    """Tell whether Keras' Bidirectional makes a layer give zeros at masked steps: since TensorFlow's Keras 2."""
    if layer.class_name.startswith("CuDNN"):  # these know no masks
        return False
    return writer.model.version >= (2, 4) or "time_major" in layer.config


def _rnn(writer: _Writer, layer: Layer) -> list[Layer]:
    """Give the layer that a cell belongs to; several cells are layers one behind the other."""
    layer = dataclasses.replace(layer, calls=tuple(map(_by_keyword, layer.calls)))
    cell = writer.part(layer, "cell")
    stacked = cell.class_name == "StackedRNNCells" and not cell.package
    cells = [part for key, part in cell.parts.items() if key.startswith("cells/")] if stacked else [cell]
    if layer.config.get("num_constants"):
        _refuse(writer, layer, "with constants", "constants, which only cells of one's own read")
    for one in cells:
        if one.package or one.class_name not in CELLS:
            return [dataclasses.replace(layer, class_name=one.class_name, package=one.package, parts={})]
    options = {key: value for key, value in layer.config.items() if key not in HOLDS | {"num_constants"}}
    if not stacked:
        kind = cell.class_name.removesuffix("Cell")
        writer.rewrite(layer, f"with {cell.class_name} computed as {kind}")
        config = {**cell.config, **options}
        return [dataclasses.replace(layer, class_name=kind, config=config, weights=cell.weights, parts={})]
    if not cells:
        raise KerasFileError(f"{writer.model.source}: {layer.name!r} ({layer.class_name}) has no cells")
    return _stack(writer, layer, cells, options)


def _stack(writer: _Writer, layer: Layer, cells: Sequence[Layer], options: Mapping[str, Json]) -> list[Layer]:
    """Write out a stack of cells; backwards, sequence and mask are turned round before the first one."""
    writer.rewrite(layer, f"written out as {len(cells)} layers")
    with_states = bool(options.get("return_state", False)) or any(_states(call) for call in layer.calls)
    if with_states and writer.model.version < (2, 3):
        _refuse(
            writer, layer, "with the states of several cells", "states, whose order files before Keras 2.3 do not say"
        )
    layers: list[Layer] = []
    calls = [_recurrent_call(call, _sequence(call), ()) for call in layer.calls]
    masks = [{"mask": call.kwargs["mask"]} if "mask" in call.kwargs else {} for call in layer.calls]
    if options.get("go_backwards", False):
        if writer.model.version >= (3,) and any(
            mask and _states(call) for mask, call in zip(masks, layer.calls, strict=True)
        ):
            _refuse(writer, layer, "backwards, with mask and states", "a mask given to the call beside states")
        masks = [{} for _ in masks]
        layers.append(writer.before(layer, "flip", calls))
        calls = [Call((TensorRef(layers[0].name, number),)) for number in range(len(calls))]
    outputs: list[tuple[str, int]] = []
    first = 0
    for place, cell in enumerate(cells):
        is_last, count = place == len(cells) - 1, _state_count(cell)
        own = {**options, "go_backwards": False, "name": cell.name}
        own |= {} if is_last else {"return_sequences": True, "zero_output_for_mask": False}
        given = [_states(call)[first : first + count] for call in layer.calls]
        calls = [_recurrent_call(call, call.args[0], states) for call, states in zip(calls, given, strict=True)]
        plain = dataclasses.replace(cell, class_name=cell.class_name.removesuffix("Cell"))
        layers.append(writer.inside(layer, plain, calls, **own))
        calls = [Call((TensorRef(layers[-1].name, number),), mask) for number, mask in enumerate(masks)]
        outputs += [(layers[-1].name, state) for state in range(1, _outputs(layers[-1]))]
        first += count
    ends = [(layers[-1].name, 0), *outputs]
    sequences = bool(options.get("return_sequences", False))
    last = writer.behind(
        layer, lambda number: [TensorRef(name, number, place) for name, place in ends], return_sequences=sequences
    )
    return [*layers, last]


def _model(writer: _Writer, layer: Layer) -> list[Layer]:
    """Give a nested model, and before it its inputs with the masks that its calls name."""
    if not any(True for call in layer.calls for _ in refs_in(call.kwargs.get("mask"))):
        return [layer]
    masked = writer.names.new(f"{layer.name}.masked")
    inputs: list[Call] = []
    calls = []
    for call in layer.calls:
        given = call.kwargs.get("mask")
        masks = given if isinstance(given, (list, tuple)) else [given]
        names: dict[TensorRef, TensorRef] = {}
        for ref, mask in zip(refs_in(call.args), masks, strict=False):
            if isinstance(mask, TensorRef):
                names[ref] = TensorRef(masked, len(inputs))
                inputs.append(Call((ref,), {"mask": mask}))
        kwargs = {key: value for key, value in call.kwargs.items() if key != "mask"}
        calls.append(Call(replace_refs(call.args, partial(_renamed, names)), kwargs))
    before = Layer(masked, "Masking", "", {}, tuple(inputs), part_of=(layer.name, layer.class_name))
    return [before, dataclasses.replace(layer, calls=tuple(calls))]


def _renamed(names: Mapping[TensorRef, TensorRef], ref: TensorRef) -> TensorRef:
    return names.get(ref, ref)


def _is_stateful(layer: Layer) -> bool:
    """Tell whether a layer, or one inside of it, keeps its state from call to call."""
    inside = [*layer.parts.values(), *(layer.inner.layers if layer.inner is not None else ())]
    return layer.config.get("stateful") is True or any(map(_is_stateful, inside))


def _refuse(writer: _Writer, layer: Layer, what: str, found: str) -> None:
    message = f"Unsupported Keras layer: {layer.class_name} {what}"
    writer.notes.obstacle(layer.name, layer.class_name, message, found)


def _leaves(value: Any) -> list[Any]:
    """Give tensors and constants of an argument, None left out."""
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is None else [value]


def _sequence(call: Call) -> Any:
    """Give the first tensor of a call."""
    return next(refs_in(call.args), None)


def _by_keyword(call: Call) -> Call:
    """Give a call of a recurrent layer whose further arguments, where Keras 3 has them by position, are named."""
    named = zip(("initial_state", "mask", "training"), call.args[1:], strict=False)
    return Call(call.args[:1], {**{name: value for name, value in named if value is not None}, **call.kwargs})


def _states(call: Call) -> list[Any]:
    """Give the initial states of a recurrent layer's call: behind the sequence, or by keyword."""
    return [*_leaves(call.args)[1:], *_leaves(call.kwargs.get("initial_state"))]


def _recurrent_call(call: Call, sequence: Any, states: Sequence[Any]) -> Call:
    """Give a call with another sequence and other states, and what else it says."""
    kwargs = {key: value for key, value in call.kwargs.items() if key != "initial_state"}
    return Call((sequence,), {**kwargs, "initial_state": list(states)} if states else kwargs)


def _state_count(layer: Layer) -> int:
    """Give the number of states of a recurrent layer or of its cells: h and c, or h alone."""
    if "cell" in layer.parts:
        return _state_count(layer.parts["cell"])
    if layer.parts:
        return sum(map(_state_count, layer.parts.values()))
    return 2 if "LSTM" in layer.class_name else 1


def _outputs(layer: Layer) -> int:
    """Give the number of outputs of a recurrent layer."""
    return 1 + (_state_count(layer) if layer.config.get("return_state", False) else 0)


WRITERS: Mapping[str, Callable[[_Writer, Layer], list[Layer]]] = {
    "SpectralNormalization": _spectral,
    "TimeDistributed": _time_distributed,
    "Bidirectional": _bidirectional,
    "RNN": _rnn,
}
