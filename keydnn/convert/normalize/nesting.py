"""Pass: models inside models become layers named by their path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, refs_in, replace_refs
from keydnn.errors import KerasFileError

Resolve = Callable[[TensorRef], TensorRef]


def inline_models(model: KerasModel, notes: Notes) -> KerasModel:
    """Replace every nested model by its layers; one that is called k times has layers that are called k times as often.

    The layers of a nested model ``encoder`` are named ``encoder/...``; its InputLayers vanish.
    """
    while any(layer.inner is not None for layer in model.layers):
        layers: list[Layer] = []
        ends: dict[TensorRef, TensorRef] = {}
        for layer in model.layers:
            if layer.inner is None:
                layers.append(layer)
                continue
            notes.rewrite(layer.name, layer.class_name, f"nested model written out as {len(layer.inner.layers)} layers")
            layers += _inlined(layer, layer.inner, ends, model.source)
        model = dataclasses.replace(
            model,
            layers=tuple(_renamed(layer, _follow(ends)) for layer in layers),
            outputs=tuple(map(_follow(ends), model.outputs)),
        )
    return model


def _inlined(layer: Layer, inner: KerasModel, ends: dict[TensorRef, TensorRef], source: str) -> list[Layer]:
    """Give the layers of a nested model, and write into ``ends`` what its outputs are now called."""
    input_names = {ref.layer for ref in inner.inputs}
    calls: dict[str, list[Call]] = {sub.name: [] for sub in inner.layers}
    for number, outer in enumerate(layer.calls):
        given = list(refs_in(outer.args))
        if len(given) != len(inner.inputs):
            raise KerasFileError(
                f"{source}: {layer.name!r} takes {len(inner.inputs)} inputs, but is called with {len(given)}"
            )
        bound = dict(zip((ref.layer for ref in inner.inputs), given, strict=True))
        starts = {sub.name: number * len(sub.calls) for sub in inner.layers}

        def resolve(ref: TensorRef, bound: dict[str, TensorRef] = bound, starts: dict[str, int] = starts) -> TensorRef:
            if ref.layer in bound:
                return bound[ref.layer]
            return TensorRef(f"{layer.name}/{ref.layer}", starts[ref.layer] + ref.call, ref.tensor)

        for sub in inner.layers:
            calls[sub.name] += [
                Call(replace_refs(call.args, resolve), {**replace_refs(call.kwargs, resolve), **_training(outer)})
                for call in sub.calls
            ]
        for position, output in enumerate(inner.outputs):
            ends[TensorRef(layer.name, number, position)] = resolve(output)
    return [
        dataclasses.replace(sub, name=f"{layer.name}/{sub.name}", calls=tuple(calls[sub.name]))
        for sub in inner.layers
        if sub.name not in input_names
    ]


def _training(outer: Call) -> dict[str, object]:
    """Give what a call of a nested model hands down to its layers."""
    return {"training": True} if outer.kwargs.get("training") else {}


def _follow(ends: dict[TensorRef, TensorRef]) -> Resolve:
    def follow(ref: TensorRef) -> TensorRef:
        while ref in ends:
            ref = ends[ref]
        return ref

    return follow


def _renamed(layer: Layer, resolve: Resolve) -> Layer:
    calls = tuple(Call(replace_refs(call.args, resolve), replace_refs(call.kwargs, resolve)) for call in layer.calls)
    return dataclasses.replace(layer, calls=calls)
