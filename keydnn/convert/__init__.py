"""From a Keras model to a module graph: ``build(normalize(read(source)))``, then the layout pass."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from keydnn.convert.build import BUILDERS, assemble
from keydnn.convert.build.assemble import Assembled
from keydnn.convert.build.call import Value
from keydnn.convert.build.hooks import CustomLayer, reads
from keydnn.convert.layout import move_permutes
from keydnn.convert.normalize import normalize
from keydnn.convert.normalize.notes import Notes, Options, Rewrite
from keydnn.convert.read import Given, Source, open_keras
from keydnn.convert.read.limits import DEFAULT, Limits
from keydnn.convert.read.record import KerasModel
from keydnn.errors import KerasFileError, KerasInteropError, KeyDNNError, MissingWeightsError, Obstacle
from keydnn.graph import Graph, Node
from keydnn.modules.base import Array, Shape
from keydnn.strict_json import clip

__all__ = [
    "BUILDERS",
    "Conversion",
    "CustomLayer",
    "FoundLayer",
    "FoundWeight",
    "Given",
    "Limits",
    "Options",
    "Rewrite",
    "Source",
    "Value",
    "convert",
    "new_notes",
    "reads",
]

UNFORESEEN = "not what Keras writes, in a way that no check has foreseen"


class FoundWeight(NamedTuple):
    """A weight in the file; ``values`` as the layer's builder has got them, if it was asked to keep them."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: Array | None = None


class FoundLayer(NamedTuple):
    """A Keras layer in the file; ``numbers`` counts those that its weights hold."""

    name: str
    class_name: str
    numbers: int
    weights: tuple[FoundWeight, ...] = ()


@dataclass(frozen=True)
class Conversion:
    """What became of a Keras model.

    Attributes
    ----------
    source, keras_version, name
        The file's name, the Keras version that wrote it (``"1"`` where the file does not say), the model's name.
    graph
        The module graph, as it is with all switches on; None if there are obstacles that no switch allows.
    rewrites
        Every change of form that was made, in order.
    obstacles
        What stands in the way, in the order of the layers.
    layers
        The Keras layers, nested models written out.
    nodes
        The graph's nodes; without a graph, those that could be built.
    shapes
        The shapes of inputs and nodes by name.
    """

    source: str
    keras_version: str
    name: str
    graph: Graph | None
    rewrites: tuple[Rewrite, ...]
    obstacles: tuple[Obstacle, ...]
    layers: tuple[FoundLayer, ...]
    nodes: tuple[Node, ...]
    shapes: Mapping[str, Shape]

    def require_graph(self) -> Graph:
        """Give the graph, or raise the KerasInteropError that lists every obstacle."""
        if self.graph is None or self.obstacles:
            raise KerasInteropError.from_obstacles(self.source, self.obstacles)
        return self.graph


def convert(
    source: Source,
    options: Options,
    architecture: Given | None = None,
    *,
    keep_weights: bool = False,
    limits: Limits = DEFAULT,
) -> Conversion:
    """Convert a Keras file or live model; ``architecture`` goes with a file of weights only.

    With ``keep_weights`` the layers' weights stay in memory as they were read, beside those of the modules.  ``limits``
    bound what the file may ask for.

    Raises
    ------
    MissingArchitectureError
        The file has weights only, and no architecture is given.
    KerasFileError
        The file cannot be trusted or read.
    MissingWeightsError
        It lacks weights.
    """
    notes = new_notes(options)
    try:
        with open_keras(source, architecture, limits) as model:
            flat = normalize(model, notes)
            assembled = assemble(flat, notes)
    except MissingWeightsError as error:
        raise MissingWeightsError(f"{error} in {_called(source)}") from None
    except KeyDNNError:
        raise
    except MemoryError as error:
        raise KerasFileError(f"{_called(source)}: there is not enough memory for its weights") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        what = clip(f"{type(error).__name__}: {error}", 200)  # of what no check has foreseen, a stranger made this
        raise KerasFileError(f"{_called(source)}: {UNFORESEEN} ({what})") from error
    return _conversion(model, flat, assembled, notes, keep_weights)


def new_notes(options: Options) -> Notes:
    """Give an empty notebook for ``normalize`` and ``assemble``."""
    fused = {name for name, builder in BUILDERS.items() if builder.fused_activation}
    stepwise = {name for name, builder in BUILDERS.items() if builder.stepwise}
    return Notes(options, fused, stepwise)


def _called(source: Source) -> str:
    return Path(source).name if isinstance(source, (str, os.PathLike)) else "the model"


def _conversion(
    model: KerasModel, flat: KerasModel, assembled: Assembled, notes: Notes, keep_weights: bool
) -> Conversion:
    graph = move_permutes(assembled.graph, assembled.layout_nodes) if assembled.graph else None
    nodes = graph.nodes if graph else [node for node in assembled.nodes if node.name not in assembled.layout_nodes]
    layers = tuple(
        FoundLayer(
            layer.name,
            class_name,
            sum(math.prod(tensor.shape) for tensor in layer.weights),
            tuple(
                FoundWeight(w.name, w.shape, w.dtype, assembled.read.get(id(w)) if keep_weights else None)
                for w in layer.weights
            ),
        )
        for layer in flat.layers
        for name, class_name in [layer.part_of or (layer.name, layer.class_name)]
        if name == layer.name  # else it is a part that a pass has split off
    )
    places = {layer.name: place for place, layer in enumerate(flat.layers)}
    obstacles = sorted(notes.obstacles, key=lambda obstacle: places.get(obstacle.layer, -1))
    rewrites = sorted(notes.rewrites, key=lambda rewrite: places.get(rewrite.layer, -1))
    version = ".".join(map(str, model.version))
    return Conversion(
        model.source,
        version,
        model.name,
        graph,
        tuple(rewrites),
        tuple(obstacles),
        layers,
        tuple(nodes),
        graph.shapes if graph else assembled.shapes,
    )
