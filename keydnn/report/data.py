"""The report of a conversion as plain data, from which all its forms are written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from keydnn.checkpoint.tensors import digest
from keydnn.convert import Conversion, FoundLayer
from keydnn.convert.read.shards import shard_files
from keydnn.door import open_regular
from keydnn.errors import InputError
from keydnn.graph import Graph, Node
from keydnn.modules.base import Array, Shape
from keydnn.report.latency import Latency
from keydnn.report.owners import Owners, keras_shapes, owners_of
from keydnn.report.tables import parameter_count, short
from keydnn.report.weights import Made, trace
from keydnn.verify.rows import LayerRow

ROUNDED = ("rounded", "computed in float32")  # how rewrites begin, or go on, that touch numbers
CHUNK = 1 << 20


@dataclass(frozen=True)
class Verification:
    """A comparison: with what, its rows in the order of the layers, and what is wrong in one line, or nothing."""

    against: str
    rows: tuple[LayerRow, ...]
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether all rows agree, and nothing else is wrong."""
        return not self.problem and all(row.agrees for row in self.rows)


@dataclass(frozen=True)
class FileDigest:
    """A file that the conversion read or wrote; ``role`` says which it is."""

    role: str
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class End:
    """An input or output of the model."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class TensorEntry:
    """A weight of a module, under the name that checkpoints give it."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    made: Made


@dataclass(frozen=True)
class ModuleEntry:
    """A node of the graph; ``shares`` names the node whose module, and weights, it has, too."""

    name: str
    keras_layer: str | None
    keras_class: str | None
    module: str
    type: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    output_shape: Shape
    parameters: int
    shares: str | None
    tensors: tuple[TensorEntry, ...]


@dataclass(frozen=True)
class StoredEntry:
    """A weight in the Keras file."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class LayerEntry:
    """A Keras layer and what became of it.

    Attributes
    ----------
    name, class_name
        As in the file; the path where models are nested.
    weights
        What the file stores for it.
    modules
        The modules that stand for it, in order, among them the Permutes that only it needs; none if it was left out.
    output_shape
        Of its first output, in Keras' order of axes; None where that is not known.
    parameters
        Numbers in the weights of its modules.
    rewrites
        What was changed in form.
    """

    name: str
    class_name: str
    weights: tuple[StoredEntry, ...]
    modules: tuple[ModuleEntry, ...]
    output_shape: Shape | None
    parameters: int
    rewrites: tuple[str, ...]


@dataclass(frozen=True)
class Rewritten:
    """A rewrite."""

    layer: str
    class_name: str
    what: str


@dataclass(frozen=True)
class Report:
    """All that is reported of a conversion."""

    keydnn: str
    source: str
    model: str
    keras_version: str
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    layers: tuple[LayerEntry, ...]
    modules: tuple[ModuleEntry, ...]
    rewrites: tuple[Rewritten, ...]
    warnings: tuple[str, ...]
    files: tuple[FileDigest, ...]
    verification: Verification | None
    latency: Latency | None
    graph: Graph

    @property
    def parameters(self) -> int:
        """Count the numbers in all weights, shared ones once."""
        return sum(layer.parameters for layer in self.layers)


def make_report(
    conversion: Conversion,
    graph: Graph,
    *,
    files: Sequence[FileDigest] = (),
    verification: Verification | None = None,
    latency: Latency | None = None,
) -> Report:
    """Gather what is reported.

    Parameters
    ----------
    conversion
        Made with ``keep_weights=True``; without it, nothing is said about where the weights come from.
    graph
        Its graph.
    files
        What :func:`file_digests` gives.
    verification, latency
        What is known, or None.
    """
    owners = owners_of(graph)
    found = {layer.name: layer for layer in conversion.layers}
    entries = _modules(graph, owners, found)
    layers = _layers(conversion, graph, owners, found, entries)
    modules = tuple(entries[node.name] for node in graph.nodes)
    rewrites = tuple(Rewritten(r.layer, r.class_name, r.what) for r in conversion.rewrites)
    return Report(
        metadata.version("keydnn"),
        conversion.source,
        conversion.name,
        conversion.keras_version,
        tuple(End(given.name, given.shape, given.dtype) for given in graph.given),
        tuple(End(out.name, graph.shapes[out.value], graph.dtypes[out.value]) for out in graph.results),
        layers,
        modules,
        rewrites,
        tuple(_warnings(conversion, graph, verification)),
        tuple(files),
        verification,
        latency,
        graph,
    )


def _modules(graph: Graph, owners: Owners, found: Mapping[str, FoundLayer]) -> dict[str, ModuleEntry]:
    """Describe every node, by name; the weights of a layer are traced together."""
    first: dict[int, str] = {}
    own: dict[str, dict[str, Array]] = {}  # of layers: tensors by the names that checkpoints give them
    for node in graph.nodes:
        if first.setdefault(id(node.module), node.name) == node.name:
            tensors = own.setdefault(owners.layer[node.name], {})
            tensors |= {f"{node.name}.{name}": array for name, array in node.module.tensors().items()}
    made = {
        name: how
        for layer, tensors in own.items()
        for name, how in trace(found[layer].weights if layer in found else (), tensors).items()
    }

    def entry(node: Node) -> ModuleEntry:
        shares = first[id(node.module)]
        is_first = shares == node.name
        tensors = tuple(
            TensorEntry(f"{node.name}.{name}", array.shape, digest(array), made[f"{node.name}.{name}"])
            for name, array in node.module.tensors().items()
            if is_first
        )
        return ModuleEntry(
            node.name,
            node.origin.layer if node.origin else None,
            node.origin.class_name if node.origin else None,
            short(node.module),
            type(node.module).__name__,
            node.module.parameters(),
            node.inputs,
            graph.shapes[node.name],
            parameter_count(node.module) if is_first else 0,
            None if is_first else shares,
            tensors,
        )

    return {node.name: entry(node) for node in graph.nodes}


def _layers(
    conversion: Conversion,
    graph: Graph,
    owners: Owners,
    found: Mapping[str, FoundLayer],
    entries: Mapping[str, ModuleEntry],
) -> tuple[LayerEntry, ...]:
    """Describe every Keras layer in the file's order; wrappers, which only nodes name, stand before what follows."""
    names = list(found)
    nodes: dict[str, list[Node]] = {}
    last = -1
    for node in graph.nodes:
        owner = owners.layer[node.name]
        if owner not in nodes and owner not in found:
            names.insert(last + 1, owner)
        nodes.setdefault(owner, []).append(node)
        last = names.index(owner)
    shapes = keras_shapes(graph)
    rewrites: dict[str, list[str]] = {}
    for rewrite in conversion.rewrites:
        rewrites.setdefault(rewrite.layer, []).append(rewrite.what)

    def entry(name: str) -> LayerEntry:
        given = found.get(name)
        mine = tuple(entries[node.name] for node in nodes.get(name, ()))
        classes = [node.origin.class_name for node in nodes.get(name, ()) if node.origin]
        value = mine[-1].name if mine else name
        return LayerEntry(
            name,
            given.class_name if given else next(iter(classes), ""),
            tuple(StoredEntry(w.name, w.shape, w.dtype) for w in given.weights) if given else (),
            mine,
            shapes.get((name, 0), graph.shapes.get(value)),
            sum(module.parameters for module in mine),
            tuple(rewrites.get(name, ())),
        )

    return tuple(map(entry, names))


def _warnings(conversion: Conversion, graph: Graph, verification: Verification | None) -> Iterable[str]:
    """Say what a reader should know before relying on the model."""
    if verification is not None and not verification.agrees:
        wrong = [row for row in verification.rows if not row.agrees]
        if wrong:
            yield f"{len(wrong)} of {len(verification.rows)} layers differ by more than allowed, {wrong[0].layer} first"
        else:
            yield verification.problem
    if conversion.keras_version == "1":
        yield "the file does not say which Keras wrote it; it is read by the rules of Keras 1"
    touched: dict[str, list[str]] = {}
    for rewrite in conversion.rewrites:
        if any(word in rewrite.what for word in ROUNDED):
            touched.setdefault(rewrite.what, []).append(rewrite.layer)
    for what, layers in touched.items():
        yield f"{what}: {layers[0]}" + (f" and {len(layers) - 1} more" if len(layers) > 1 else "")
    for name, module in graph.modules():
        for tensor, array in module.tensors().items():
            bad = array.size - int(np.count_nonzero(np.isfinite(array)))
            if bad:
                yield f"{name}.{tensor} holds {bad} numbers that are infinite or NaN"
    if graph.states:
        yield f"stateful: {len(graph.states)} states are kept from one call to the next"


def file_digests(files: Mapping[str, Path | None]) -> list[FileDigest]:
    """Give size and SHA-256 of files by their roles; of folders, and of sources that are an index, those of every file.

    Raises
    ------
    InputError
        One cannot be read.
    """
    found = []
    for role, path in files.items():
        if path is None:
            continue
        if path.is_dir():
            parts = sorted(part for part in path.rglob("*") if part.is_file())
            found += [_digest(role, os.path.join(path.name, part.relative_to(path)), part) for part in parts]
            continue
        shards = shard_files(path) if role == "source" and path.suffix == ".json" else []
        found += [_digest(role, part.name, part) for part in (path, *shards)]
    return found


def _digest(role: str, name: str, path: Path) -> FileDigest:
    sha, size = hashlib.sha256(), 0
    with open_regular(path, InputError) as (file, _):
        while chunk := file.read(CHUNK):
            sha.update(chunk)
            size += len(chunk)
    return FileDigest(role, name, size, sha.hexdigest())
