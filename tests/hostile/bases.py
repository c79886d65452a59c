"""Valid files of every container, to be damaged: their bytes, where their structure lies, and how they are read."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keydnn import checkpoint
from keydnn.convert import Limits, Options, convert
from keydnn.graph import Graph
from tests.checkpoint import samples
from tests.convert import files

GOLDEN = Path(__file__).parents[1] / "golden"
ARCHITECTURE = "architecture.json"
OPTIONS = Options(allow_non_linear_activation=True, channels_last=True)


@dataclass(frozen=True)
class Region:
    """A stretch of a file: ``structure``, ``config`` (Keras' JSON in HDF5), ``weights``, ``content`` (of a member)."""

    start: int
    size: int
    kind: str


@dataclass(frozen=True, eq=False)
class Base:
    """A valid model, in one file or two.

    Attributes
    ----------
    files
        Content by name.
    main
        The name of the file that is opened.
    regions
        Of the files that may be damaged, without gaps.
    read
        Writes given files into a folder, reads the model in them within a time limit, and gives a digest of what was
        read.
    text
        Whether they are text.
    values
        Whether they are JSON in which other values are put, instead of being damaged: the architecture beside a file.
    """

    files: Mapping[str, bytes]
    main: str
    regions: Mapping[str, list[Region]]
    text: bool = False
    values: bool = False

    def read(self, folder: Path, content: Mapping[str, bytes], timeout: float) -> str:
        for name, data in content.items():
            (folder / name).write_bytes(data)
        path = folder / self.main
        if path.suffix == ".json":
            found = checkpoint.read(path)
            return digest(found.graph, found.source, found.check)
        given = folder / ARCHITECTURE if ARCHITECTURE in content else None
        return digest(convert(path, OPTIONS, given, limits=Limits(timeout=timeout)).require_graph())


def digest(graph: Graph, *more: Any) -> str:
    """Give a SHA-256 of a graph: structure, parameters, weights bit for bit, and what else is given."""
    made = hashlib.sha256()
    first: dict[int, int] = {}
    for place, node in enumerate(graph.nodes):
        module = node.module
        shared = first.setdefault(id(module), place)
        made.update(repr((node.name, node.inputs, node.origin, type(module).__name__, shared)).encode())
        made.update(repr(module.parameters()).encode())
        for name, array in sorted(module.tensors().items()):
            made.update(repr((name, array.shape, array.dtype)).encode() + array.tobytes())
    made.update(repr((graph.inputs, graph.outputs, graph.states, graph.landmarks, more)).encode())
    return made.hexdigest()


# --- where the structure lies -----------------------------------------------------------------------------------------


def between(size: int, known: list[Region]) -> list[Region]:
    """Give the regions of a file: those that are known, and its structure between them."""
    found, end = [], 0
    for region in sorted(known, key=lambda region: region.start):
        if region.start > end:
            found.append(Region(end, region.start - end, "structure"))
        if region.size and region.start >= end:
            found.append(region)
            end = region.start + region.size
    return [*found, Region(end, size - end, "structure")] if size > end else found


def hdf5_regions(content: bytes) -> list[Region]:
    """Tell numbers and JSON from headers, trees and heaps."""
    known: list[Region] = []

    def visit(name: str, found: Any) -> None:
        if not isinstance(found, h5py.Dataset):
            return
        if found.chunks is not None:
            chunks = (found.id.get_chunk_info(place) for place in range(found.id.get_num_chunks()))
            known.extend(Region(chunk.byte_offset, chunk.size, "weights") for chunk in chunks)
        elif found.id.get_offset() is not None:
            known.append(Region(found.id.get_offset(), found.id.get_storage_size(), "weights"))

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(visit)
        text = file.attrs["model_config"]
    config = text.encode() if isinstance(text, str) else bytes(text)
    known.append(Region(content.index(config), len(config), "config"))
    return between(len(content), known)


def zip_regions(content: bytes) -> list[Region]:
    """Tell the members' content from local headers and the central directory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        known = []
        for info in archive.infolist():
            header = content[info.header_offset : info.header_offset + 30]
            names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            known.append(Region(info.header_offset + 30 + names, info.compress_size, "content"))
    return between(len(content), known)


def json_regions(content: bytes) -> list[Region]:
    """Tell base64 from everything else."""
    found = re.finditer(rb'"data": "([^"]*)"', content)
    return between(len(content), [Region(match.start(1), len(match[1]), "weights") for match in found])


def sidecar_regions(content: bytes) -> list[Region]:
    """Tell the header of a safetensors file from its numbers."""
    start = 8 + int.from_bytes(content[:8], "little")
    return between(len(content), [Region(start, len(content) - start, "weights")])


# --- the files --------------------------------------------------------------------------------------------------------


def _compressed(path: Path, **options: Any) -> bytes:
    """Give a legacy file whose kernels lie in compressed chunks with checksums."""
    weights = files.dense_weights(4, 3)
    files.write_h5(path, files.sequential(files.dense()), {"d": {}})
    with h5py.File(path, "a", **options) as file:
        group = file["model_weights/d"]
        group.attrs["weight_names"] = [f"d/{name}" for name in weights]
        for name, array in weights.items():
            chunks = tuple(max(1, size // 2) for size in array.shape)
            made = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            group.create_dataset(f"d/{name}", data=array, chunks=chunks, **made)
    return path.read_bytes()


def _latest(path: Path) -> bytes:
    """Give a legacy file in the newest format of HDF5, whose headers have checksums."""
    weights = files.dense_weights(4, 3)
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(files.sequential(files.dense()))
        file.attrs["keras_version"] = "2.4.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([b"d"])
        group = group.create_group("d")
        group.attrs["weight_names"] = np.array([f"d/{name}".encode() for name in weights])
        for name, array in weights.items():
            group[f"d/{name}"] = array
    return path.read_bytes()


H5 = (
    "keras2_nested",
    "keras2_norms",
    "keras2_split_names",
    "keras2_shared_layers",
    "keras3_sequence",
    "keras3_branches",
)
KERAS = ("keras2_sequence", "keras2_nested", "keras2_dicts", "keras3_nested", "keras3_norms", "keras3_activations")


def _h5() -> Iterator[Base]:
    contents = [(GOLDEN / f"{name}_h5.h5").read_bytes() for name in H5]
    with tempfile.TemporaryDirectory() as folder:
        contents += [_compressed(Path(folder) / "a.h5"), _latest(Path(folder) / "b.h5")]
    for content in contents:
        yield Base({"m.h5": content}, "m.h5", {"m.h5": hdf5_regions(content)})


def _keras() -> Iterator[Base]:
    for name in KERAS:
        content = (GOLDEN / f"{name}_keras.keras").read_bytes()
        yield Base({"m.keras": content}, "m.keras", {"m.keras": zip_regions(content)})


def _written(graph: Graph, weights: Any) -> dict[str, bytes]:
    from keydnn.verify import selfcheck

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.json"
        checkpoint.write(graph, path, weights=weights, source=samples.SOURCE, check=selfcheck.make(graph))
        return {found.name: found.read_bytes() for found in Path(folder).iterdir()}


def _json() -> Iterator[Base]:
    for make in samples.GRAPHS.values():
        written = _written(make(), "inline")
        yield Base(written, "m.json", {name: json_regions(content) for name, content in written.items()}, text=True)


def _sidecar() -> Iterator[Base]:
    for make in (samples.tiny, samples.chain, samples.shared, samples.words):
        written = _written(make(), "sidecar")
        name = "m.safetensors"
        yield Base(written, "m.json", {name: sidecar_regions(written[name])})
        yield Base(written, "m.json", {"m.json": json_regions(written["m.json"])}, text=True)


def _config() -> Iterator[Base]:
    for path in sorted(GOLDEN.glob("*.keras")) + sorted(GOLDEN.glob("*.h5")):
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                text = archive.read("config.json")
                version = json.loads(archive.read("metadata.json"))["keras_version"]
        else:
            with h5py.File(path, "r") as file:
                text, version = file.attrs["model_config"], str(file.attrs.get("keras_version", "1"))
        config = json.dumps(json.loads(text) | {"keras_version": version}).encode()
        written = {f"m{path.suffix}": path.read_bytes(), ARCHITECTURE: config}
        regions = {ARCHITECTURE: [Region(0, len(config), "structure")]}
        yield Base(written, f"m{path.suffix}", regions, values=True)


CONTAINERS: dict[str, Callable[[], Iterator[Base]]] = {
    "h5": _h5, "keras": _keras, "json": _json, "sidecar": _sidecar, "config": _config,
}  # fmt: skip


def make(container: str) -> list[Base]:
    """Give the valid files of a container, the same on every call."""
    return list(CONTAINERS[container]())
