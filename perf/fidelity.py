"""Largest difference to a float64 computation, by the largest output: ``python perf/fidelity.py [--models a,b]``.

Each model is run with the algorithms that the plan chooses, with Winograd wherever it applies, and without it; on 1, 2,
4 and 8 threads, whose outputs must be the same bits.  The float64 computation is keydnn.reference.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "8")  # more threads than cores are slow, and right
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fire
import numpy as np
from models import FOLDER, RECIPES, Made, names_of, prepare

import keydnn
from keydnn import reference
from keydnn.plan import Program, winograd
from keydnn.report.tables import table_text

LIMIT = 1e-5
CHOICES: dict[str, Any] = {
    "as chosen": winograd.wins,
    "Winograd": lambda channels, out: True,
    "direct": lambda channels, out: False,
}
COUNTS = (1, 2, 4, 8)


def differences(made: Made) -> tuple[list[float], bool]:
    """Give the difference for each choice of algorithms, and whether the bits were the same for all threads."""
    x, _ = made.examples(1)
    graph = keydnn.from_keras(str(made.keras_file), strict=False).graph
    wanted = reference.values(graph, [x])[graph.outputs[0].value]
    found, same = [], True
    for choice in CHOICES.values():
        winograd.wins = choice
        program, outputs = Program(graph), []
        for count in COUNTS:
            keydnn.set_num_threads(count)
            outputs.append(program.run([x])[0])
        same &= all(np.array_equal(output, outputs[0]) for output in outputs)
        found.append(float(np.abs(outputs[0] - wanted).max() / np.abs(wanted).max()))
    return found, same


def main(models: str | Sequence[str] | None = None, folder: str = FOLDER) -> None:
    """Print the table; the exit status is 1 if a difference exceeds 1e-5 or bits depend on the threads.

    Args:
        models: names separated by commas; all unless given
        folder: where the models are kept
    """
    rows, right = [], True
    for made in prepare(names_of(models, list(RECIPES)), folder):
        found, same = differences(made)
        right &= same and max(found) <= LIMIT
        rows.append((made.name, *(f"{value:.1e}" for value in found), "yes" if same else "NO"))
    columns = [("model", "left"), *((choice, "right") for choice in CHOICES), ("same bits on 1-8 threads", "left")]
    print(table_text("Largest difference to float64, by the largest output", columns, rows))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    fire.Fire(main)
