"""Real Keras files, with inputs and answers: those of tests/golden, and those of strangers in ../shared/data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keydnn import Model, from_keras
from keydnn.modules.typed import as_dtype

GOLDEN = Path(__file__).parents[2] / "golden"
DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: real files are not exported")

# Its recording leaves out that Theano mirrors kernels (tests/convert/test_shared_data.py): KeyDNN's answer counts.
MIRRORED = "9c145fa07e45"


@dataclass(frozen=True)
class File:
    """A Keras file, the recording of what Keras answered, and the architecture beside it, if there is one."""

    path: Path
    recording: Path
    architecture: Path | None = None

    def model(self) -> Model:
        """Open the file."""
        return from_keras(self.path, strict=False, architecture=self.architecture)

    def arrays(self, model: Model) -> tuple[list[Any], list[Any]]:
        """Give the inputs, of the model's dtypes, and Keras' answers, both in the order of the model."""
        graph = model.graph
        with np.load(self.recording) as recording:
            inputs = _in_order(recording, "x", [given.name for given in graph.given])
            answers = _in_order(recording, "y", [output.name for output in graph.results])
        inputs = [as_dtype(given.dtype, given.name, x) for given, x in zip(graph.given, inputs, strict=True)]
        return inputs, graph.forward(inputs) if self.path.stem == MIRRORED else answers


def _in_order(recording: Any, letter: str, names: list[str]) -> list[Any]:
    found = {key: recording[key] for key in recording.files if key[0] == letter}
    named = {f"{letter}_{name}" for name in names} == set(found)
    return [found[f"{letter}_{name}"] for name in names] if named else list(found.values())


def _listed(folder: Path) -> Iterator[Any]:
    """Give the files of a folder of strangers' ones that can be opened."""
    for entry in json.loads((folder / "manifest.json").read_text()):
        recording = entry.get("reference") or entry.get("recorded")
        if recording:
            architecture = folder / entry["architecture"] if entry["architecture"] else None
            file = File(folder / entry["file"], folder / recording, architecture)
            yield pytest.param(file, id=f"{folder.name}-{entry['id']}")


def _all() -> Iterator[Any]:
    for path in sorted(path for path in GOLDEN.iterdir() if path.suffix in (".h5", ".keras")):
        yield pytest.param(File(path, path.with_suffix(".npz")), id=path.stem)
    if not DATA.is_dir():
        yield pytest.param(None, id="shared-data", marks=needs_data)
        return
    for path in sorted((DATA / "models").glob("*.h5")):
        yield pytest.param(File(path, path.with_name(f"{path.stem}_reference.npz")), id=path.stem)
    for name in ("wild", "gold"):
        yield from _listed(DATA / name)


FILES = list(_all())
