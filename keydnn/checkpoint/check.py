"""The check that a checkpoint carries: a seeded example, and what a float64 reference computed of it at every node.

``keydnn.verify`` makes and replays it; here is what it holds, and how it is written and read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.checkpoint import tensors
from keydnn.checkpoint.spot import Spot, show
from keydnn.graph import Graph, Input
from keydnn.modules.typed import AnyArray

KEYS = ("example", "digests")  # of the document; both or none
EXAMPLE_LIMIT = 1 << 28  # bytes of the inputs
MOST_PLACES = 100  # numbers of an output that are kept


@dataclass(frozen=True)
class Digest:
    """What is kept of the output of a node.

    Attributes
    ----------
    module
        SHA-256 of the module's type, parameters and weights and of the names it reads.
    shape
        Of the output.
    mean, largest
        Of its numbers, and the largest absolute one; those that are finite.  None for text.
    at
        Some of its numbers, evenly spread over it in C order; None where one is NaN or infinite.
    """

    module: str
    shape: tuple[int, ...]
    mean: float | None
    largest: float | None
    at: tuple[float | str | None, ...]


@dataclass(frozen=True)
class SelfCheck:
    """A seeded example of a model, and what it gives.

    Attributes
    ----------
    inputs
        One array an input, by name: float32, int64 or text (``str`` objects).
    digests
        By node, in the order of the graph.
    """

    inputs: Mapping[str, AnyArray]
    digests: Mapping[str, Digest]


def describe_check(check: SelfCheck) -> dict[str, Any]:
    """Give the document's keys for a check."""
    return {
        "example": {name: _describe_input(array) for name, array in check.inputs.items()},
        "digests": {name: _describe_digest(digest) for name, digest in check.digests.items()},
    }


def _describe_input(array: AnyArray) -> dict[str, Any]:
    entry: dict[str, Any] = {"shape": array.shape}
    if array.dtype == np.float32:
        return entry | {"data": tensors.to_base64(array).decode("ascii")}
    return entry | {"values": array.ravel().tolist()}


def _describe_digest(digest: Digest) -> dict[str, Any]:
    entry: dict[str, Any] = {"module": digest.module, "shape": digest.shape, "at": digest.at}
    return entry if digest.mean is None else entry | {"mean": digest.mean, "largest": digest.largest}


def read_check(keys: Mapping[str, Spot], graph: Graph) -> SelfCheck | None:
    """Read the check of a document, if there is one; CheckpointError if it does not fit the graph's inputs."""
    if not any(key in keys for key in KEYS):
        return None
    for key, other in (KEYS, KEYS[::-1]):
        if key not in keys:
            keys[other].fail(f"stands without {key}")
    found = keys["example"].members(*(given.name for given in graph.given))
    inputs = {given.name: _read_input(found[given.name], given) for given in graph.given}
    digests = {name: _read_digest(spot) for name, spot in keys["digests"].entries().items()}
    return SelfCheck(inputs, digests)


def _read_input(spot: Spot, given: Input) -> AnyArray:
    said = spot.members("shape", "data" if given.dtype == "float32" else "values")
    shape = said["shape"].sizes()
    fits = len(shape) == len(given.shape) and all(w in (None, n) for w, n in zip(given.shape, shape, strict=True))
    if not fits or 0 in shape or tensors.size_in_bytes(shape) > EXAMPLE_LIMIT:
        said["shape"].fail(f"is not that of an example of {given.name!r}, got {show(list(shape))}")
    if "data" in said:
        array = tensors.from_base64(said["data"], shape)
        if not np.isfinite(array).all():
            said["data"].fail("holds NaN or infinities")
        return array
    items = list(said["values"].items())
    if len(items) != math.prod(shape):
        said["values"].fail(f"has {len(items)} items for the shape {show(list(shape))}")
    values: list[Any] = [item.text() if given.dtype == "string" else item.integer(-(1 << 63)) for item in items]
    for item in items:
        if given.dtype == "int64" and item.value >= 1 << 63:
            item.fail("is no int64")
    return np.array(values, object if given.dtype == "string" else np.int64).reshape(shape)


def _read_digest(spot: Spot) -> Digest:
    said = spot.members("module", "shape", "at", optional=("mean", "largest"))
    numbers: dict[str, float | None] = {"mean": None, "largest": None}
    if ("mean" in said) != ("largest" in said):
        spot.fail("has one of mean and largest without the other")
    for name in numbers:
        if name in said:
            numbers[name] = _number(said[name])
    shape = said["shape"].sizes()
    at = tuple(_place(item, numeric="mean" in said) for item in said["at"].items())
    most = min(MOST_PLACES, math.prod(shape))
    if not min(1, most) <= len(at) <= most:
        said["at"].fail(f"has {len(at)} items; {f'1 to {most} are' if most else 'none is'} possible")
    return Digest(said["module"].digest(), shape, numbers["mean"], numbers["largest"], at)


def _place(spot: Spot, *, numeric: bool) -> float | str | None:
    if not numeric:
        return spot.text()
    return None if spot.value is None else _number(spot)


def _number(spot: Spot) -> float:
    if type(spot.value) not in (int, float):
        spot.fail(f"must be a number, got {show(spot.value)}")
    return float(spot.value)
