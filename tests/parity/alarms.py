"""False alarms: a model as Keras has it, recorded in this process, beside its own conversion.

``python -m tests.parity.alarms`` compares the models of all parity tests, and random ones; alarms one a line.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from keydnn import from_keras
from keydnn.verify.comparison import Comparison, compare
from keydnn.verify.recorder.library import Library
from keydnn.verify.recorder.writing import FORMAT, Writer
from keydnn.verify.recorder.writing import record as run_and_record
from keydnn.verify.recording import Recording, read_recording
from keydnn.verify.rows import Tolerance
from tests.parity.kerases import FOLDER, KERASES, Case, quiet
from tests.parity.random_models import Maker

NAMES = {"keras3": "keras", "keras2": "tf_keras"}
MASKS = {"NotEqual", "Any"}  # operations that make Keras 3's masks, which a graph makes in its own way
FOLDED = "TimeDistributed"  # before another one, its output is not unfolded


def recorded(model, which, arrays) -> Recording:
    """Record a model as it is; arrays by place, or by key."""
    arrays = [arrays[key] for key in sorted(arrays)] if isinstance(arrays, dict) else arrays
    arrays = arrays if isinstance(arrays, list) else [arrays]
    path = FOLDER / f"alarms-{which}.npz"
    with quiet(), path.open("wb") as file, contextlib.redirect_stdout(io.StringIO()):
        writer = Writer(file)
        made = run_and_record(Library(NAMES[which]), model, arrays, writer)
        writer.finish({"format": FORMAT, "source": {"file": "m", "sha256": "0" * 64}, "seed": 0, **made})
    return read_recording(path)


def compared(model, which, arrays, tolerance=None) -> tuple[Comparison, Recording]:
    """Compare a model of Keras with its conversion."""
    recording = recorded(model, which, arrays)
    with quiet():
        graph = from_keras(model, strict=False).graph
    return compare(graph, recording, tolerance or Tolerance()), recording


def compared_case(case, which) -> tuple[Comparison, Recording]:
    """Compare the model of a parity test."""
    KERASES[which].backend.clear_session()
    return compared(case.model(which), which, case.arrays())


def compared_random(seed, which) -> tuple[Comparison, Recording]:
    """Compare a random model."""
    KERASES[which].backend.clear_session()
    maker = Maker(KERASES[which], seed)
    with quiet():
        model = maker.model()
    return compared(model, which, maker.given(model))


def unexplained(found: Comparison, recording: Recording) -> list[str]:
    """Name the recorded layers that have no place in the graph, and should have one."""
    classes = {(f"{a.layer}@{a.call}" if a.call else a.layer): a.class_name for a in recording.activations}
    return [name for name in found.unmatched if classes[name] not in {*MASKS, FOLDED}]


def cases_of(file) -> list[Case]:
    """Give the cases of a test's file."""
    names = vars(importlib.import_module(f"tests.parity.{file}")).values()
    lists = [found for found in names if isinstance(found, list)]
    return list({id(one): one for found in lists for one in found if isinstance(one, Case)}.values())


def main(files: list[str], seeds: int) -> int:
    """Print every alarm; give how many there are."""
    count = wrong = 0

    def tries() -> Iterator[tuple[str, str, object]]:
        for file in files:
            for case in cases_of(file):
                yield from ((f"{file}:{case.id}", which, case) for which in case.kerases)
        yield from ((f"random {seed}", which, seed) for seed in range(seeds) for which in NAMES)

    for label, which, one in tries():
        count += 1
        try:
            made = compared_case(one, which) if isinstance(one, Case) else compared_random(one, which)
            problem = made[0].problem or ", ".join(unexplained(*made))
        except Exception as error:  # whatever goes wrong is what is looked for
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if problem:
            wrong += 1
            print(f"{label} {which}: {problem}", flush=True)
    print(f"{count} models, {wrong} alarms")
    return wrong


if __name__ == "__main__":
    chosen = sys.argv[1:] or sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    sys.exit(1 if main(chosen, 20) else 0)
