"""From a Keras model to a module graph: ``build(normalize(read(source)))``, then the layout pass."""

from __future__ import annotations

from dataclasses import dataclass

from keydnn.convert.build import BUILDERS, assemble
from keydnn.convert.layout import move_permutes
from keydnn.convert.normalize import normalize
from keydnn.convert.normalize.notes import Notes, Options, Rewrite
from keydnn.convert.read import Source, open_keras
from keydnn.convert.read.record import KerasModel
from keydnn.errors import KerasInteropError, MissingWeightsError, Obstacle
from keydnn.graph import Graph

__all__ = ["BUILDERS", "Conversion", "Options", "Rewrite", "Source", "convert"]


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
        Name and class of the Keras layers, nested models written out.
    """

    source: str
    keras_version: str
    name: str
    graph: Graph | None
    rewrites: tuple[Rewrite, ...]
    obstacles: tuple[Obstacle, ...]
    layers: tuple[tuple[str, str], ...]

    def require_graph(self) -> Graph:
        """Give the graph, or raise the KerasInteropError that lists every obstacle."""
        if self.graph is None or self.obstacles:
            raise KerasInteropError.from_obstacles(self.source, self.obstacles)
        return self.graph


def convert(source: Source, options: Options) -> Conversion:
    """Convert a Keras file or live model.

    Raises
    ------
    KerasFileError
        The file cannot be trusted or read.
    MissingWeightsError
        It lacks weights.
    """
    fused = {name for name, builder in BUILDERS.items() if builder.fused_activation}
    notes = Notes(options, fused)
    with open_keras(source) as model:
        flat = normalize(model, notes)
        try:
            graph, movable = assemble(flat, notes)
        except MissingWeightsError as error:
            raise MissingWeightsError(f"{error} in {model.source}") from None
    return _conversion(model, flat, move_permutes(graph, movable) if graph else None, notes)


def _conversion(model: KerasModel, flat: KerasModel, graph: Graph | None, notes: Notes) -> Conversion:
    layers = tuple((layer.name, layer.class_name) for layer in flat.layers if layer.part_of is None)
    places = {layer.name: place for place, layer in enumerate(flat.layers)}
    obstacles = sorted(notes.obstacles, key=lambda obstacle: places.get(obstacle.layer, -1))
    rewrites = sorted(notes.rewrites, key=lambda rewrite: places.get(rewrite.layer, -1))
    version = ".".join(map(str, model.version))
    return Conversion(model.source, version, model.name, graph, tuple(rewrites), tuple(obstacles), layers)
