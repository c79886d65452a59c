"""A module graph written as a functional model of Keras, by the rules of its modules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from keydnn.errors import ExportError
from keydnn.export.keras.conv_lstm import with_convolutions
from keydnn.export.keras.document import INPUT, KerasDocument, Layer, Ref
from keydnn.export.keras.fusing import fused
from keydnn.export.keras.layout import with_channels_last
from keydnn.export.keras.site import Refused, Rule, Site, Value, kind_of
from keydnn.export.keras.steps import Stretch, bare, distributed, names_of, stretches
from keydnn.export.rules import refuse
from keydnn.graph import Graph, Input, Node
from keydnn.modules.base import Shape
from keydnn.names import Names

TARGET = "Keras"


class Writer:
    """A model in the making.

    Parameters
    ----------
    graph
        What is exported.
    name
        The model's name.
    rules
        Rules by module type.
    """

    def __init__(self, graph: Graph, name: str, rules: Mapping[str, Rule]) -> None:
        self._graph, self._name, self._rules = graph, name, rules
        self._values: dict[str, Value] = {}
        self._layers: dict[Layer, str] = {}  # with the name that each would like to have
        self._made: dict[tuple[object, ...], Layer] = {}
        self._distributed: dict[str, tuple[Stretch, list[tuple[Layer, Shape]]]] = {}  # by the name of the last node

    def write(self, containers: Mapping[str, str] | None) -> KerasDocument:
        """Give the model; ``containers`` are those of :class:`KerasDocument`.

        Raises
        ------
        ExportError
            Modules have no rule, or parameters that their rules refuse; an output is a constant; or there are states.
        MissingWeightsError
            A module has no weights.
        """
        if self._graph.states:
            states = ", ".join(self._graph.states)
            raise ExportError(f"a functional model of Keras does not hand states ({states}) to its next call")
        graph = with_channels_last(with_convolutions(self._graph), self._rules)
        inputs = [self._input(given) for given in graph.inputs]
        reasons: dict[str, str] = {}
        skipped = self._distribute(graph)
        for node in graph.nodes:
            if node.name in self._distributed:
                self._call_steps(*self._distributed[node.name])
            elif node.name not in skipped:
                self._visit(node, graph, reasons)
        outputs = []
        for output in graph.outputs:
            value = self._values[output.value]
            if isinstance(value, Ref):
                outputs.append(value)
            else:
                reasons[output.value] = "a constant, which cannot be an output of a functional model"
        refuse(reasons, TARGET)
        outputs = fused(list(self._layers), outputs)
        self._layers = {layer: name for layer, name in self._layers.items() if layer.calls}
        self._name_layers()
        return KerasDocument(_legal(self._name), tuple(self._layers), tuple(inputs), tuple(outputs), containers)

    def _input(self, given: Input) -> Ref:
        layer = Layer("keras.layers", INPUT, {"batch_shape": given.shape, "dtype": given.dtype}, {}, frozenset(), None)
        self._layers[layer] = given.name
        self._values[given.name] = ref = layer.call([], {}, given.shape, given.dtype)
        return ref

    def _distribute(self, graph: Graph) -> set[str]:
        """Find what is computed for every step; give the nodes that are part of that, but for the last of each."""
        skipped: set[str] = set()
        same: dict[tuple[int, ...], list[tuple[Layer, Shape]]] = {}
        for stretch in stretches(graph):
            found = same.get(stretch.modules) or distributed(stretch, graph, self._rules)
            if found is not None:
                same[stretch.modules] = found
                self._distributed[stretch.unfold.name] = stretch, found
                skipped |= {stretch.fold.name, *(node.name for node in stretch.nodes)}
        return skipped

    def _call_steps(self, stretch: Stretch, layers: list[tuple[Layer, Shape]]) -> None:
        value = self._values[stretch.unfold.inputs[1]]
        for layer, name in names_of(dict(layers), stretch.unfold.name).items():
            self._layers.setdefault(layer, name)
        for layer, shape in layers:
            value = layer.call([value], {}, shape, self._graph.dtypes[stretch.unfold.name])
        self._values[stretch.unfold.name] = value

    def _visit(self, node: Node, graph: Graph, reasons: dict[str, str]) -> None:
        module = bare(node)
        module.require_tensors()
        read = [self._values[name] for name in node.inputs]
        constants = [value for value in read if not isinstance(value, Ref)]
        if read and len(constants) == len(read):
            self._values[node.name] = node.module(*constants)
            return
        shape, dtype, kind = graph.shapes[node.name], graph.dtypes[node.name], kind_of(module)
        site = Site(module, read, shape, dtype, node.origin, self._made)
        try:
            if kind not in self._rules:
                site.refuse(kind)
            self._values[node.name] = self._rules[kind](module, site)
        except Refused as error:
            reasons[node.name] = str(error)
            nothing = Layer("", kind, {}, {}, frozenset(), None)
            self._values[node.name] = nothing.call([], {}, shape, dtype)  # for what reads it, which may be refused, too
        else:
            self._propose(node, site)

    def _propose(self, node: Node, site: Site) -> None:
        """Note what the layers of a node would like to be called: one of them as the node, others after their class."""
        named = next((layer for layer in site.layers if layer.weights), None)
        named = named or (site.layers[-1] if site.layers else None)
        for layer in site.layers:
            short = _flat(node)
            self._layers.setdefault(layer, short if layer is named else f"{short}_{layer.class_name.lower()}")

    def _name_layers(self) -> None:
        """Name the layers: first those that have the names of layers of the original model."""
        originals = {_legal(node.origin.layer) for node in self._graph.nodes if node.origin}
        names = Names()
        for wanted in (True, False):
            for layer, name in self._layers.items():
                if (layer.class_name == INPUT or name in originals) is wanted:
                    layer.name = names.new(_legal(name))


def _legal(name: str) -> str:
    """Give a name that Keras takes."""
    return name.replace("/", "_") or "model"


def _flat(node: Node) -> str:
    """Give a node's name with the parts that KeyDNN has added as Keras would write them."""
    layer = node.origin.layer if node.origin else ""
    if not node.name.startswith(layer):
        layer = ""
    return _legal(layer + re.sub(r"[.@]", "_", node.name.removeprefix(layer)))
