"""Latency of every layer of a Keras file, under its Keras name: ``python perf/layers.py model.h5 [--batch 1]``.

Prints one row a module: median milliseconds, share of the whole, GFLOP/s.  Inputs are seeded random numbers.
"""

from __future__ import annotations

import fire
import numpy as np

from keydnn import from_keras
from keydnn.profile import latency_table, measure, random_inputs


def main(source: str, batch: int = 1, repeat: int = 50) -> None:
    """Convert a Keras file, run it ``repeat`` times, print the table.

    Args:
        source: a .h5, .hdf5 or .keras file
        batch: examples at once
        repeat: number of runs, of which the median counts
    """
    model = from_keras(str(source), strict=False)
    inputs = [np.repeat(array, batch, axis=0) for array in random_inputs(model.graph)]
    print(latency_table(f"{source}, batch {batch}", measure(model.graph, inputs, repeat)))


if __name__ == "__main__":
    fire.Fire(main)
