"""What writing and reading a checkpoint share: its contents, its canonical JSON and its digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from keydnn.checkpoint.check import SelfCheck
from keydnn.checkpoint.spot import Spot
from keydnn.errors import CheckpointError
from keydnn.graph import Graph
from keydnn.strict_json import DEPTH_LIMIT, clip

FORMAT = "keydnn.json.ckpt.v2"

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    graph
        The model, with its weights.
    source
        What the converter said about the Keras file; None if it said nothing.
    format
        The format it was read from.
    check
        The example that it carries, and what a float64 reference computed of it.
    """

    graph: Graph
    source: Mapping[str, JSON] | None = None
    format: str = FORMAT
    check: SelfCheck | None = None


def metadata_digest(document: Mapping[str, Any]) -> str:
    """Give the SHA-256 of a document's canonical JSON, without its own digest and without any ``data``."""
    weights: Any = document.get("weights")
    bare = {key: value for key, value in document.items() if key != "sha256"}
    if isinstance(weights, dict):
        bare["weights"] = {
            name: {key: value for key, value in entry.items() if key != "data"} if isinstance(entry, dict) else entry
            for name, entry in weights.items()
        }
    canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def text_of(value: Any) -> str:
    """Write a JSON value on one line, in ASCII."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def plain(spot: Spot, value: Any, depth: int = 0) -> Any:
    """Give a value as JSON has it, tuples as lists; CheckpointError if JSON has no such value."""
    if depth > DEPTH_LIMIT:
        cannot_hold(spot, f"it is nested deeper than {DEPTH_LIMIT}")
    if value is None or type(value) in (bool, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            cannot_hold(spot, f"{value} is no JSON number")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain(Spot(spot.file, f"{spot.path}[{i}]", None), item, depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        return {key: plain(Spot(spot.file, f"{spot.path}.{key}", None), v, depth + 1) for key, v in value.items()}
    cannot_hold(spot, f"{type(value).__name__} is no JSON type")


def cannot_hold(spot: Spot, problem: str) -> NoReturn:
    """Raise CheckpointError for what a graph has and a checkpoint cannot."""
    raise CheckpointError(f"{spot.file}: a checkpoint cannot hold {clip(spot.path, 200)}: {problem}")
