"""Graph -> the lines of a document of format v2, without opening any file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keydnn.checkpoint import tensors
from keydnn.checkpoint.check import SelfCheck, describe_check
from keydnn.checkpoint.decode import read_structure
from keydnn.checkpoint.document import FORMAT, JSON, cannot_hold, metadata_digest, plain, text_of
from keydnn.checkpoint.spot import WAY_OUT, Spot, parse
from keydnn.errors import CheckpointError
from keydnn.graph import Graph, Input, Landmark
from keydnn.modules import MODULE_TYPES
from keydnn.modules.base import Array


def named_tensors(graph: Graph) -> dict[str, Array]:
    """Give every weight once, under the name that checkpoints give it; MissingWeightsError if one is absent."""
    found: dict[str, Array] = {}
    for name, module in graph.modules():
        module.require_tensors()
        found |= {f"{name}.{tensor}": array for tensor, array in module.tensors().items()}
    return found


def describe(
    file: str,
    graph: Graph,
    source: Mapping[str, JSON] | None,
    arrays: Mapping[str, Array],
    sidecar: Mapping[str, str] | None,
    check: SelfCheck | None = None,
) -> dict[str, Any]:
    """Make a document, with its digests, but without the ``data`` of its weights.

    Parameters
    ----------
    file
        The checkpoint's name, for messages.
    graph, source
        What to write.
    arrays
        What ``named_tensors`` gives for the graph.
    sidecar
        Name and SHA-256 of the sidecar, or None if weights go inline.
    check
        The check to write, or None.

    Raises
    ------
    CheckpointError
        The graph or ``source`` holds something that checkpoints cannot, or that their readers refuse.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "inputs": [_describe_input(given) for given in graph.inputs],
        "nodes": _describe_nodes(file, graph),
        "outputs": [{"name": output.name, "value": output.value} for output in graph.outputs],
    }
    if graph.states:
        document["states"] = list(graph.states)
    if graph.landmarks:
        document["landmarks"] = [_describe_landmark(mark) for mark in graph.landmarks]
    if source is not None:
        document["source"] = source
    if check is not None:
        document |= describe_check(check)
    if sidecar is not None:
        document["sidecar"] = sidecar
    document["weights"] = {
        name: {"dtype": tensors.DTYPE, "shape": array.shape, "sha256": tensors.digest(array)}
        for name, array in arrays.items()
    }
    document = {key: plain(Spot(file, key, None), value) for key, value in document.items()}
    document["sha256"] = metadata_digest(document)
    try:
        read_structure(parse(file, b"".join(lines(document, {}))))
    except CheckpointError as error:
        problem = str(error).removesuffix(f"; {WAY_OUT}")
        raise CheckpointError(f"{problem}; so this model cannot be written as a checkpoint") from error
    return document


def _describe_input(given: Input) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": given.name, "shape": list(given.shape)}
    return entry if given.dtype == "float32" else {**entry, "dtype": given.dtype}


def _describe_landmark(mark: Landmark) -> dict[str, Any]:
    """Leave out what is usual: the first call, the first output, Keras' order of axes."""
    entry: dict[str, Any] = {"layer": mark.layer, "class_name": mark.class_name, "value": mark.value}
    usual = {"call": 0, "tensor": 0, "order": ()}
    said = {"call": mark.call, "tensor": mark.tensor, "order": mark.order}
    return entry | {key: value for key, value in said.items() if value != usual[key]}


def _describe_nodes(file: str, graph: Graph) -> list[dict[str, Any]]:
    first: dict[int, str] = {}
    nodes: list[dict[str, Any]] = []
    for index, node in enumerate(graph.nodes):
        entry: dict[str, Any] = {"name": node.name}
        if id(node.module) in first:
            entry["shares"] = first[id(node.module)]
        else:
            first[id(node.module)] = node.name
            kind = type(node.module)
            if MODULE_TYPES.get(kind.__name__) is not kind:
                spot = Spot(file, f"nodes[{index}].type", None)
                cannot_hold(spot, f"{kind.__qualname__} is none of the modules that readers know")
            entry |= {"type": kind.__name__, "parameters": node.module.parameters()}
        entry["inputs"] = node.inputs
        if node.origin is not None:
            entry["origin"] = {"layer": node.origin.layer, "class_name": node.origin.class_name}
        nodes.append(entry)
    return nodes


def lines(document: Mapping[str, Any], data: Mapping[str, Array]) -> Iterator[bytes]:
    """Write a document: one node and one weight a line; base64 is made when its line is asked for.

    Parameters
    ----------
    document
        What ``describe`` gives.
    data
        The tensors to write inline, by name; empty for a document with a sidecar.
    """
    yield b"{\n"
    for key, value in document.items():
        yield f"  {text_of(key)}: ".encode()
        if isinstance(value, (list, dict)) and value and key != "sidecar":
            yield b"[" if isinstance(value, list) else b"{"
            for index, item in enumerate(value):
                yield b",\n    " if index else b"\n    "
                if isinstance(value, list):
                    yield text_of(item).encode()
                    continue
                yield f"{text_of(item)}: ".encode()
                if key == "weights" and item in data:
                    yield text_of(value[item])[:-1].encode() + b', "data": "'
                    yield tensors.to_base64(data[item])
                    yield b'"}'
                else:
                    yield text_of(value[item]).encode()
            yield b"\n  ]" if isinstance(value, list) else b"\n  }"
        else:
            yield text_of(value).encode()
        yield b"\n" if key == "sha256" else b",\n"
    yield b"}\n"
