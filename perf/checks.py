"""What checking costs: ``python perf/checks.py [--files a.h5,b.keras] [--rounds 300]``.

For each Keras file: milliseconds of ``predict`` for one example, and of its plan alone, without the checks before, in
turns; and seconds of reading it through the HDF5 library's own process, started anew and waiting, beside h5py in this
process (whose import, in a process of its own, is printed once).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fire
import h5py
import numpy as np

import keydnn
from keydnn.convert.read import open_keras
from keydnn.convert.read.hdf5.process import IDLE
from keydnn.convert.read.record import KerasModel, StoredTensor
from keydnn.examples import random_inputs
from keydnn.plan.stages import Stages
from keydnn.report.tables import Align, table_text

DIGITS = Path(keydnn.__file__).parent / "data" / "digits.h5"
COLUMNS: list[tuple[str, Align]] = [
    ("file", "left"), ("MB", "right"), ("predict ms", "right"), ("plan ms", "right"), ("checks", "right"),
    ("read cold s", "right"), ("read again s", "right"), ("h5py s", "right"),
]  # fmt: skip


def seconds(call: Callable[[], Any]) -> float:
    """Give how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(calls: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Give the median of each call, made one after the other so often."""
    taken = [[seconds(call) for call in calls] for _ in range(rounds + 1)][1:]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def tensors(model: KerasModel) -> Iterator[StoredTensor]:
    """Give all weights of a model."""
    for layer in model.layers:
        yield from layer.weights
        if layer.inner is not None:
            yield from tensors(layer.inner)


def read(file: Path) -> None:
    """Read a file and all its weights as ``convert`` does."""
    with open_keras(file) as model:
        for tensor in tensors(model):
            tensor.read()


def read_here(file: Path) -> None:
    """Read all datasets of an HDF5 file in this process."""
    with h5py.File(file) as opened:
        opened.visititems(lambda name, found: np.asarray(found[()]) if isinstance(found, h5py.Dataset) else None)


def row(file: Path, rounds: int) -> tuple[str, ...]:
    """Measure one file."""
    model = keydnn.from_keras(file, strict=False)
    x = random_inputs(model.graph)
    plan = Stages(model.graph)
    predict, bare = in_turns([lambda: model.predict(x), lambda: plan.run(x)], rounds)
    IDLE.close()
    cold = seconds(lambda: read(file))
    again, here = in_turns([lambda: read(file), lambda: read_here(file)], 5)
    return (
        file.name, f"{file.stat().st_size / 1e6:.2f}", f"{1e3 * predict:.3f}", f"{1e3 * bare:.3f}",
        f"{predict / bare - 1:+.1%}", f"{cold:.3f}", f"{again:.3f}", f"{here:.3f}",
    )  # fmt: skip


def main(files: str | Sequence[str] = str(DIGITS), rounds: int = 300) -> None:
    """Measure files, and print a table.

    Args:
        files: HDF5 files, commas between them; the bundled digits model unless given
        rounds: turns of predict and plan, of which the median counts
    """
    paths = [Path(name) for name in (files.split(",") if isinstance(files, str) else files)]
    importing = [seconds(lambda: subprocess.run([sys.executable, "-c", "import h5py"], check=True)) for _ in range(5)]
    plain = [seconds(lambda: subprocess.run([sys.executable, "-c", "import numpy"], check=True)) for _ in range(5)]
    print(table_text("What checking costs", COLUMNS, [row(path, rounds) for path in paths]))
    print(f"import h5py beside NumPy alone: {statistics.median(importing) - statistics.median(plain):.3f} s")


if __name__ == "__main__":
    fire.Fire(main)
