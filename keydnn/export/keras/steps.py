"""Layers that are called for every step: what stands between FoldTime and UnfoldTime, as TimeDistributed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from keydnn.export.keras.document import WRAPPER, Layer, Ref
from keydnn.export.keras.fusing import fused
from keydnn.export.keras.layout import ChannelsLast
from keydnn.export.keras.site import Refused, Rule, Site, Value, kind_of
from keydnn.graph import Graph, Node
from keydnn.modules.base import Module, Shape
from keydnn.modules.time import FoldTime, UnfoldTime


@dataclass(frozen=True)
class Stretch:
    """The nodes that compute each step by itself, one after the other."""

    fold: Node
    nodes: tuple[Node, ...]
    unfold: Node

    @property
    def modules(self) -> tuple[int, ...]:
        """What two stretches of the same modules have in common."""
        return tuple(id(bare(node)) for node in self.nodes)


def bare(node: Node) -> Module:
    """Give the module of a node as the graph had it, whatever the layout."""
    return node.module.inner if isinstance(node.module, ChannelsLast) else node.module


def stretches(graph: Graph) -> Iterator[Stretch]:
    """Find the chains of nodes between FoldTime and UnfoldTime that nothing else reads."""
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    readers.update(output.value for output in graph.outputs)
    only = {name: node for node in graph.nodes for name in node.inputs if readers[name] == 1}
    for fold in graph.nodes:
        if not isinstance(fold.module, FoldTime) or len(graph.shapes[fold.inputs[0]]) < 3:
            continue
        nodes = [fold]
        while (node := only.get(nodes[-1].name)) and len(node.inputs) == 1:
            nodes.append(node)
        inside = tuple(nodes[1:])
        if inside and node and isinstance(node.module, UnfoldTime) and node.inputs == (nodes[-1].name, fold.inputs[0]):
            yield Stretch(fold, inside, node)


def distributed(stretch: Stretch, graph: Graph, rules: Mapping[str, Rule]) -> list[tuple[Layer, Shape]] | None:
    """Give what a stretch calls: a TimeDistributed for each layer, and the shape that a call gives.

    None if there is something in it that is no layer, or does not take just what the one before gives.
    """
    shape, dtype = graph.shapes[stretch.fold.name], graph.dtypes[stretch.fold.name]
    start = Layer("", "", {}, {}, frozenset(), None)
    value: Value = start.call([], {}, shape, dtype)
    layers: list[Layer] = []
    made: dict[tuple[object, ...], Layer] = {}
    for node in stretch.nodes:
        module = bare(node)
        module.require_tensors()
        site = Site(module, [value], graph.shapes[node.name], graph.dtypes[node.name], node.origin, made)
        try:
            value = rules[kind_of(module)](module, site)
        except (KeyError, Refused):
            return None
        layers += [layer for layer in site.layers if layer not in layers]
    if not isinstance(value, Ref):
        return None
    (last,) = fused(layers, [value])
    calls: list[Ref] = []
    while last.layer is not start:
        calls.insert(0, last)
        args = last.layer.calls[last.call].args
        if last.layer.is_operation or len(args) != 1 or not isinstance(args[0], Ref):
            return None
        last = args[0]
    if len(calls) != sum(len(layer.calls) for layer in layers):
        return None
    sequence = graph.shapes[stretch.fold.inputs[0]][:2]
    wrapped = {ref.layer: _wrapped(ref.layer) for ref in calls}
    return [(wrapped[ref.layer], (*sequence, *ref.shape[1:])) for ref in calls]


def _wrapped(layer: Layer) -> Layer:
    layer.name = layer.origin.layer.split("/")[-1] if layer.origin else layer.class_name.lower()
    weights = {f"layer/{name}": array for name, array in layer.weights.items()}
    fixed = frozenset(f"layer/{name}" for name in layer.fixed)
    return Layer("keras.layers", WRAPPER, {"layer": layer}, weights, fixed, layer.origin)


def names_of(layers: Iterable[Layer], otherwise: str) -> dict[Layer, str]:
    """Give a name for each TimeDistributed: the wrapper's that the original model had, if it was of one layer."""
    paths = {layer: layer.origin.layer if layer.origin else otherwise for layer in layers}
    tops = Counter(path.split("/")[0] for path in paths.values())
    return {layer: top if tops[top := path.split("/")[0]] == 1 else path for layer, path in paths.items()}
