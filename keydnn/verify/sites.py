"""The layers of two graphs, and which layer of one is which of the other."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from keydnn.graph import Graph, Node
from keydnn.modules.base import Module
from keydnn.modules.shape import Permute


@dataclass(frozen=True)
class Site:
    """Where an output of a layer is found in a graph.

    Attributes
    ----------
    name
        The Keras layer's path, with ``@1`` for its second call and ``[1]`` for a second output; the node's name where
        there is no Keras layer.
    class_name
        Keras' class, or the module's type.
    value
        The node that gives it.
    order
        The permutation to Keras' order of axes; empty where there is none.
    modules
        What the layer became; empty for all but its first call's first output.
    """

    name: str
    class_name: str
    value: str
    order: tuple[int, ...]
    modules: tuple[Module, ...]


def sites_of(graph: Graph, keras_order: bool) -> list[Site]:
    """Give the sites of a graph in the order in which it computes them.

    Parameters
    ----------
    graph
        Any: one without landmarks has a site at the last node of each layer, or at each node.
    keras_order
        Whether values are compared with Keras' order of axes, which only landmarks know.
    """
    layers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.origin is not None:
            layers.setdefault(node.origin.layer, []).append(node)
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    found = []
    for mark in graph.landmarks:
        if mark.value in places:  # not an input
            first = not mark.call and not mark.tensor
            modules = _modules(layers.get(mark.layer, ())) if first else ()
            found.append(Site(mark.name, mark.class_name, mark.value, mark.order if keras_order else (), modules))
    marked = {mark.layer for mark in graph.landmarks}
    for layer, nodes in layers.items():
        if layer not in marked and nodes[-1].origin is not None:
            found.append(Site(layer, nodes[-1].origin.class_name, nodes[-1].name, (), _modules(nodes)))
    for node in graph.nodes:  # those that the conversion added are of no layer: the permutations among them say nothing
        if node.origin is None and not (layers and isinstance(node.module, Permute)):
            found.append(Site(node.name, type(node.module).__name__, node.name, (), (node.module,)))
    return sorted(found, key=lambda site: places[site.value])


def _modules(nodes: list[Node] | tuple[Node, ...]) -> tuple[Module, ...]:
    return tuple({id(node.module): node.module for node in nodes}.values())


def read_by(graph: Graph, sites: list[Site]) -> dict[str, tuple[str, ...]]:
    """Give, for each site by name, the sites and inputs whose values it is computed from, in the order of reading."""
    nodes = {node.name: node for node in graph.nodes}
    names = {site.value: site.name for site in reversed(sites)}  # of several at one value the first

    def walk(value: str, seen: set[str]) -> list[str]:
        found = []
        for name in nodes[value].inputs:
            if name in names or name not in nodes:
                found.append(names.get(name, name))
            elif name not in seen:
                seen.add(name)
                found += walk(name, seen)
        return found

    return {site.name: tuple(walk(site.value, set())) for site in sites}


def matched(first: list[Site], second: list[Site]) -> list[tuple[Site | None, Site | None]]:
    """Give pairs of sites, in the order of the first graph; None beside what only one of them has.

    Sites of one name belong together, unless the graphs have the same classes in the same order and other
    names: Keras numbers the layers of a second model on.  What is left is paired by class and order.
    """
    names = {site.name: site for site in second}
    classes = [[site.class_name for site in sites] for sites in (first, second)]
    if classes[0] == classes[1] and any(site.name not in names for site in first):
        return list(zip(first, second, strict=True))
    partner = {site.name: names[site.name] for site in first if site.name in names}
    taken = {site.name for site in partner.values()}
    left = [site for site in first if site.name not in partner]
    others = [site for site in second if site.name not in taken]
    matcher = SequenceMatcher(None, [s.class_name for s in left], [s.class_name for s in others], autojunk=False)
    for block in matcher.get_matching_blocks():
        for here, there in zip(left[block.a :][: block.size], others[block.b :][: block.size], strict=True):
            partner[here.name] = there
    return _merged(first, second, partner)


def _merged(first: list[Site], second: list[Site], partner: dict[str, Site]) -> list[tuple[Site | None, Site | None]]:
    """Put what only the second has before the layer that it comes before there."""
    pairs: list[tuple[Site | None, Site | None]] = []
    taken = {site.name for site in partner.values()}
    alone = [(place, site) for place, site in enumerate(second) if site.name not in taken]
    places = {site.name: place for place, site in enumerate(second)}
    for site in first:
        other = partner.get(site.name)
        while other is not None and alone and alone[0][0] < places[other.name]:
            pairs.append((None, alone.pop(0)[1]))
        pairs.append((site, other))
    return [*pairs, *((None, site) for _, site in alone)]
