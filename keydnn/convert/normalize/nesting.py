"""Pass: models inside models become layers named by their path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import (
    Call,
    KerasModel,
    Layer,
    TensorRef,
    constants_in,
    has_keys,
    keyed_refs,
    refs_in,
    replace_refs,
)
from keydnn.errors import KerasFileError
from keydnn.names import Names

Resolve = Callable[[TensorRef], TensorRef]
MAX_CALLS = 100_000  # of layers, after inlining; nesting multiplies them


def inline_models(model: KerasModel, notes: Notes) -> KerasModel:
    """Replace every nested model by its layers; one that is called k times has layers that are called k times as often.

    The layers of a nested model ``encoder`` are named ``encoder/...``; its InputLayers vanish.
    """
    while any(layer.inner is not None for layer in model.layers):
        layers: list[Layer] = []
        ends: dict[TensorRef, TensorRef] = {}
        names = Names(layer.name for layer in model.layers)
        for layer in model.layers:
            if layer.inner is None:
                layers.append(layer)
                continue
            notes.rewrite(layer.name, layer.class_name, f"nested model written out as {len(layer.inner.layers)} layers")
            layers += _inlined(layer, layer.inner, names, ends, notes, model.source)
        _bound_calls(sum(len(layer.calls) for layer in layers), model.source)
        model = dataclasses.replace(
            model,
            layers=tuple(_renamed(layer, _follow(ends)) for layer in layers),
            outputs=tuple(map(_follow(ends), model.outputs)),
        )
    return model


def _bound_calls(count: int, source: str) -> None:
    if count > MAX_CALLS:
        raise KerasFileError(f"{source}: models in models make {count:,} calls of layers, more than {MAX_CALLS:,}")


def _inlined(
    layer: Layer, inner: KerasModel, names: Names, ends: dict[TensorRef, TensorRef], notes: Notes, source: str
) -> list[Layer]:
    """Give the layers of a nested model, and write into ``ends`` what its outputs are now called."""
    _bound_calls(sum(len(sub.calls) for sub in inner.layers) * len(layer.calls), source)
    given_names = {ref.layer for ref in inner.inputs}
    new_names = {sub.name: names.new(f"{layer.name}/{sub.name}") for sub in inner.layers if sub.name not in given_names}
    calls: dict[str, list[Call]] = {sub.name: [] for sub in inner.layers}
    for number, outer in enumerate(layer.calls):
        for what in constants_in(outer):
            message = f"Unsupported Keras layer: {layer.class_name} called with {what}"
            notes.obstacle(layer.name, layer.class_name, message, f"called with {what}")
        given = _given(layer, inner, outer, source)
        bound = {ref.layer: value for ref, value in zip(inner.inputs, given, strict=True)}
        starts = {sub.name: number * len(sub.calls) for sub in inner.layers}

        def resolve(ref: TensorRef, bound: dict[str, TensorRef] = bound, starts: dict[str, int] = starts) -> TensorRef:
            if ref.layer in bound:
                return bound[ref.layer]
            return TensorRef(new_names[ref.layer], starts[ref.layer] + ref.call, ref.tensor)

        for sub in inner.layers:
            calls[sub.name] += [_renamed_call(call, resolve) for call in sub.calls]
        for position, output in enumerate(inner.outputs):
            ends[TensorRef(layer.name, number, position)] = resolve(output)
    return [
        dataclasses.replace(sub, name=new_names[sub.name], calls=tuple(calls[sub.name]))
        for sub in inner.layers
        if sub.name in new_names
    ]


def _given(layer: Layer, inner: KerasModel, outer: Call, source: str) -> list[TensorRef]:
    """Give the tensors of a nested model's call in the order of its inputs, by name where the call has names."""
    tensors = list(refs_in(outer.args))
    structure = outer.args[0] if len(outer.args) == 1 else outer.args
    if has_keys(structure):
        wanted, given = inner.input_keys or tuple(ref.layer for ref in inner.inputs), dict(keyed_refs(structure))
        if set(wanted) != set(given):
            found = ", ".join(given)
            raise KerasFileError(f"{source}: {layer.name!r} takes {', '.join(wanted)}, but is called with {found}")
        return [given[key] for key in wanted]
    if len(tensors) != len(inner.inputs):
        raise KerasFileError(
            f"{source}: {layer.name!r} takes {len(inner.inputs)} inputs, but is called with {len(tensors)}"
        )
    return tensors


def _follow(ends: dict[TensorRef, TensorRef]) -> Resolve:
    def follow(ref: TensorRef) -> TensorRef:
        while ref in ends:
            ref = ends[ref]
        return ref

    return follow


def _renamed(layer: Layer, resolve: Resolve) -> Layer:
    return dataclasses.replace(layer, calls=tuple(_renamed_call(call, resolve) for call in layer.calls))


def _renamed_call(call: Call, resolve: Resolve) -> Call:
    return Call(replace_refs(call.args, resolve), replace_refs(call.kwargs, resolve))
