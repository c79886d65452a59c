"""What proof costs: ``python perf/verify.py [--files a.h5,b.keras] [--repeat 3]``.

For each Keras file: seconds of converting, of working out the check, of replaying it and of loading the checkpoint, the
size of the checkpoint without and with it, and the largest difference of a kernel in units of its bound.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fire
import race

import keydnn
from keydnn.report.tables import Align, table_text
from keydnn.verify import selfcheck
from keydnn.verify.rows import Tolerance

DIGITS = Path(keydnn.__file__).parent / "data" / "digits.h5"
COLUMNS: list[tuple[str, Align]] = [
    ("file", "left"), ("nodes", "right"), ("convert s", "right"), ("check s", "right"), ("replay s", "right"),
    ("load s", "right"), ("MB", "right"), ("MB with check", "right"), ("of bound", "right"),
]  # fmt: skip


def seconds(call: Callable[[], Any], repeat: int) -> float:
    """Give the median of some calls, after one that is not counted."""
    taken = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def row(file: Path, repeat: int, folder: Path) -> tuple[str, ...]:
    """Measure one file; SystemExit unless it passes its own check."""
    model, path = keydnn.from_keras(file, strict=False), folder / "model.json"
    model.save(path)
    bare = path.stat().st_size
    model.save(path, check=True)
    assert model.check is not None
    found = selfcheck.replay(model.graph, model.check, Tolerance())
    if found.problem:
        raise SystemExit(f"{file}: {found.problem}")
    times = (
        seconds(lambda: keydnn.from_keras(file, strict=False), repeat),
        seconds(lambda: selfcheck.make(model.graph), repeat),
        seconds(lambda: selfcheck.replay(model.graph, model.check, Tolerance()), repeat),
        seconds(lambda: keydnn.load(path), repeat),
    )
    sizes = (f"{size / 1e6:.2f}" for size in (bare, path.stat().st_size))
    worst = max(one.bounds or 0.0 for one in found.rows)
    return (file.name, str(len(found.rows)), *(f"{taken:.3f}" for taken in times), *sizes, f"{worst:.2f}")


def main(files: str | Sequence[str] = str(DIGITS), repeat: int = 3) -> None:
    """Print the table; the exit status is 1 if a file does not pass its own check.

    Args:
        files: Keras files, separated by commas; the bundled digits model unless given
        repeat: how often each is timed; medians are shown
    """
    load = race.load_average()
    names = files.split(",") if isinstance(files, str) else files
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(Path(name), repeat, Path(folder)) for name in names]
    print(table_text("What proof costs", COLUMNS, rows, "\n".join(race.machine(load, ("numpy", "numba")))))


if __name__ == "__main__":
    fire.Fire(main)
