"""What ``verify`` does: a checkpoint beside the float64 reference, or beside Keras, as text and as JSON."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keydnn.errors import CheckpointError
from keydnn.model import Model
from keydnn.progress import show_status
from keydnn.report import verification
from keydnn.report.data import Verification
from keydnn.verify import selfcheck
from keydnn.verify.comparison import compare
from keydnn.verify.record import record
from keydnn.verify.recording import read_recording
from keydnn.verify.rows import Tolerance


@dataclass(frozen=True)
class Proof:
    """What was found.

    Attributes
    ----------
    text
        The table, and what there is to say about it.
    data
        The same for JSON.
    problem
        What is wrong, on one line; empty if nothing is.
    """

    text: str
    data: dict[str, Any]
    problem: str


def beside_reference(model: Model, file: str, tolerance: Tolerance) -> Proof:
    """Replay the check that a checkpoint carries; CheckpointError if it carries none."""
    if model.check is None:
        raise CheckpointError(
            f"{file}: carries no check: convert the Keras file again, or compare with Keras (--source, --reference)"
        )
    found = selfcheck.replay(model.graph, model.check, tolerance)
    title = f"{model.name}: kernels beside a float64 reference"
    problem = f"{found.problem}; convert the Keras file again" if found.problem else ""
    return Proof(verification.replay_text(title, model.graph, found), verification.replay_record(found), problem)


def beside_keras(model: Model, reference: Path, tolerance: Tolerance) -> Proof:
    """Compare a model with a recording.

    Raises
    ------
    RecordingError, InputError
        The recording is of another model, or damaged.
    """
    found = compare(model.graph, read_recording(reference), tolerance)
    title = f"{model.name} beside Keras"
    return Proof(verification.comparison_text(title, found), verification.comparison_record(found), found.problem)


def beside_source(model: Model, source: Path, python: Path | None, tolerance: Tolerance) -> Proof:
    """Compare a model with a Keras file that is recorded now; RecordingError if Keras cannot open it."""
    with tempfile.TemporaryDirectory(prefix="keydnn-") as folder:
        reference = Path(folder) / "reference.npz"
        with show_status("starting Python") as show:
            record(source, reference, python=python, progress=show)
        return beside_keras(model, reference, tolerance)


def of_report(model: Model, reference: Path | None) -> Verification | None:
    """Compare a model with a recording, else with the check that it has; None if there is neither.

    Raises
    ------
    RecordingError, InputError
        The recording is of another model, or damaged.
    """
    if reference is not None:
        recording = read_recording(reference)
        compared = compare(model.graph, recording, Tolerance())
        return Verification(recording.keras, tuple(compared.rows), compared.problem)
    if model.check is None:
        return None
    found = selfcheck.replay(model.graph, model.check, Tolerance())
    return Verification("a float64 reference", tuple(selfcheck.by_layer(model.graph, found.rows)), found.problem)
