"""A document of format v2 -> Graph, without opening any file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keydnn.checkpoint import tensors
from keydnn.checkpoint.check import KEYS as CHECK_KEYS
from keydnn.checkpoint.check import SelfCheck, read_check
from keydnn.checkpoint.document import JSON, Checkpoint, metadata_digest, plain, text_of
from keydnn.checkpoint.spot import RANK_LIMIT, WAY_OUT, Spot, show
from keydnn.errors import KeyDNNError, MissingWeightsError
from keydnn.graph import Graph, Input, Landmark, Node, Origin, Output
from keydnn.modules import MODULE_TYPES, Module
from keydnn.modules.base import Array
from keydnn.strict_json import clip

INPUT_DTYPES = ("int64", "string")  # those that are said


@dataclass(frozen=True, eq=False)
class Structure:
    """A document that has been checked, and whose tensors have not been read.

    Attributes
    ----------
    graph
        The graph; its modules have no tensors yet.
    source, check
        As in :class:`Checkpoint`.
    shapes
        The shape of every tensor, by name, as the modules' parameters demand it.
    entries
        What the document says about every tensor: Spots of dtype, shape, sha256, data.
    sidecar
        Spots of the sidecar's file and sha256, or None.
    """

    graph: Graph
    source: Mapping[str, JSON] | None
    check: SelfCheck | None
    shapes: dict[str, tuple[int, ...]]
    entries: dict[str, dict[str, Spot]]
    sidecar: dict[str, Spot] | None


def read_structure(root: Spot) -> Structure:
    """Check everything of a document but the tensors' bytes."""
    required = ("format", "inputs", "nodes", "outputs", "weights", "sha256")
    keys = root.members(*required, optional=("states", "landmarks", "source", *CHECK_KEYS, "sidecar"))
    if metadata_digest(root.value) != keys["sha256"].digest():
        keys["sha256"].fail("is not the SHA-256 of the document's metadata")
    source: Mapping[str, JSON] | None = None
    if "source" in keys:
        keys["source"].entries()  # an object
        source = keys["source"].value
    sidecar = keys["sidecar"].members("file", "sha256") if "sidecar" in keys else None
    if sidecar is not None:
        tensors.check_name(sidecar["file"])
        sidecar["sha256"].digest()
    calls = _read_nodes(keys["nodes"])
    inputs = [_read_input(spot) for spot in keys["inputs"].items()]
    outputs: list[Output] = []
    for spot in keys["outputs"].items():
        output = spot.members("name", "value")
        outputs.append(Output(output["name"].text(), output["value"].text()))
    states = [spot.text() for spot in keys["states"].items()] if "states" in keys else []
    if "states" in keys and not states:
        keys["states"].fail("is empty; where there are no states it must be absent")
    landmarks = [_read_landmark(spot) for spot in keys["landmarks"].items()] if "landmarks" in keys else []
    if "landmarks" in keys and not landmarks:
        keys["landmarks"].fail("is empty; where there are no landmarks it must be absent")
    graph = make_graph(root, inputs, calls, outputs, states, landmarks)
    owners = dict(graph.modules())
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in owners.items():
        shapes |= {f"{name}.{tensor}": shape for tensor, shape in module.tensor_shapes().items()}
    entries = _read_entries(keys["weights"], owners, shapes, inline=sidecar is None)
    return Structure(graph, source, read_check(keys, graph), shapes, entries, sidecar)


def _read_input(spot: Spot) -> Input:
    given = spot.members("name", "shape", optional=("dtype",))
    shape: list[int | None] = [None if size.value is None else size.integer(1) for size in given["shape"].items()]
    if len(shape) > RANK_LIMIT:
        given["shape"].fail(f"has {len(shape)} axes; at most {RANK_LIMIT} are possible")
    dtype = "float32"
    if "dtype" in given:
        dtype = given["dtype"].text()
        if dtype not in INPUT_DTYPES:
            given["dtype"].fail(f"must be one of {', '.join(INPUT_DTYPES)}, or absent for float32, got {show(dtype)}")
    return Input(given["name"].text(), tuple(shape), dtype)


def _read_landmark(spot: Spot) -> Landmark:
    said = spot.members("layer", "class_name", "value", optional=("call", "tensor", "order"))
    call, tensor = (said[key].integer(1) if key in said else 0 for key in ("call", "tensor"))
    order = tuple(axis.integer(0) for axis in said["order"].items()) if "order" in said else ()
    if "order" in said and (not order or len(order) > RANK_LIMIT):
        said["order"].fail(f"must have 1 to {RANK_LIMIT} axes, or be absent")
    layer, class_name, value = (said[key].text() for key in ("layer", "class_name", "value"))
    return Landmark(layer, class_name, call, tensor, value, order)


def _read_nodes(spots: Spot) -> list[Node]:
    calls: list[Node] = []
    modules: dict[str, Module] = {}
    for spot in spots.items():
        if "shares" in spot.entries():
            node = spot.members("name", "shares", "inputs", optional=("origin",))
            shared = node["shares"].text()
            if shared not in modules:
                node["shares"].fail(f"no earlier node {show(shared)} has a module of its own")
            module = modules[shared]
        else:
            node = spot.members("name", "type", "parameters", "inputs", optional=("origin",))
            module = make_module(node["type"], node["parameters"])
            modules[node["name"].text()] = module
        origin = None
        if "origin" in node:
            said = node["origin"].members("layer", "class_name")
            origin = Origin(said["layer"].text(), said["class_name"].text())
        inputs = tuple(value.text() for value in node["inputs"].items())
        calls.append(Node(node["name"].text(), module, inputs, origin))
    return calls


def make_module(kind: Spot, parameters: Spot) -> Module:
    """Make a module, without tensors, from its type's name and its parameters, which must be canonical."""
    made = MODULE_TYPES.get(kind.text())
    if made is None:
        kind.fail(f"unknown module type {show(kind.value)}; known are {', '.join(sorted(MODULE_TYPES))}")
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(made)  # type: ignore[arg-type]  # a dataclass
    given = parameters.members(*(field.name for field in fields if not field.metadata.get("tensor")))
    module = construct(parameters, made, {name: _frozen(spot.value) for name, spot in given.items()})
    for name, spot in given.items():
        canonical = plain(spot, module.parameters()[name])
        if text_of(canonical) != text_of(spot.value):
            spot.fail(f"must be {show(canonical)} in a checkpoint, got {show(spot.value)}")
    return module


def construct(spot: Spot, kind: type[Module], arguments: Mapping[str, Any]) -> Module:
    """Call a module's type with what a stranger wrote; every error becomes a CheckpointError."""
    try:
        return kind(**arguments)
    except Exception as error:  # a module that trips over an odd value in its own way refuses the file just as well
        text = str(error) if isinstance(error, KeyDNNError) else f"{kind.__name__} cannot be made: {error!r}"
        name = text.partition(" ")[0].partition("=")[0]
        path = f"{spot.path}.{name}" if name in arguments else spot.path
        raise Spot(spot.file, path, None).error(text) from error


def _frozen(value: Any) -> Any:
    """Give lists as the tuples they were."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def make_graph(
    root: Spot,
    inputs: Sequence[Input],
    calls: Sequence[Node],
    outputs: Sequence[Output],
    states: Sequence[str] = (),
    landmarks: Sequence[Landmark] = (),
) -> Graph:
    """Make a graph of what a stranger wrote; every error becomes a CheckpointError."""
    try:
        return Graph(inputs, calls, outputs, states, landmarks)
    except Exception as error:  # as in construct
        text = str(error) if isinstance(error, KeyDNNError) else repr(error)
        raise Spot(root.file, "nodes", None).error(text) from error


def _read_entries(
    weights: Spot, owners: Mapping[str, Module], shapes: Mapping[str, tuple[int, ...]], inline: bool
) -> dict[str, dict[str, Spot]]:
    """Hold what the document says about its tensors against what its modules need."""
    found = weights.entries()
    for key, spot in found.items():
        if key not in shapes:
            spot.fail("no module has such a tensor")
    for name, module in owners.items():
        missing = [tensor for tensor in module.tensor_shapes() if f"{name}.{tensor}" not in found]
        if missing:
            raise missing_weights(weights, module, f"node {show(name)} has no {', '.join(missing)}")
    entries: dict[str, dict[str, Spot]] = {}
    for key, shape in shapes.items():
        entry = found[key].members("dtype", "shape", "sha256", optional=("data",) if inline else ())
        if entry["dtype"].text() != tensors.DTYPE:
            entry["dtype"].fail(f"must be {show(tensors.DTYPE)}, got {show(entry['dtype'].value)}")
        if entry["shape"].sizes() != shape:
            entry["shape"].fail(
                f"must be {show(list(shape))} after the module's parameters, got {show(entry['shape'].value)}"
            )
        entry["sha256"].digest()
        entries[key] = entry
    total = sum(map(tensors.size_in_bytes, shapes.values()))
    if total > tensors.WEIGHTS_LIMIT:
        weights.fail(f"its tensors have {total} bytes; at most {tensors.WEIGHTS_LIMIT} are possible")
    return entries


def missing_weights(weights: Spot, module: Module | str, reason: str) -> MissingWeightsError:
    """Make the error for a module whose tensors a checkpoint lacks."""
    text = clip(f"No weights found for module {module}", 300)
    return MissingWeightsError(f"{text}: {weights.file}: {weights.path}: {reason}; {WAY_OUT}")


def assemble(structure: Structure, arrays: Mapping[str, Array]) -> Checkpoint:
    """Give the modules their tensors, whose digests are checked here."""
    for name, entry in structure.entries.items():
        if tensors.digest(arrays[name]) != entry["sha256"].value:
            entry["sha256"].fail("is not the SHA-256 of the tensor's bytes")
    full = {
        name: module.with_tensors({tensor: arrays[f"{name}.{tensor}"] for tensor in module.tensor_shapes()})
        for name, module in structure.graph.modules()
    }
    return Checkpoint(structure.graph.with_modules(full), structure.source, check=structure.check)


def inline_tensors(structure: Structure) -> dict[str, Array]:
    """Decode the tensors of a document without a sidecar."""
    arrays: dict[str, Array] = {}
    for name, entry in structure.entries.items():
        if "data" not in entry:
            entry["sha256"].fail("stands without data, and the document names no sidecar")
        arrays[name] = tensors.from_base64(entry["data"], structure.shapes[name])
    return arrays
