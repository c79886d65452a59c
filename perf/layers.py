"""Latency of what ``predict`` runs, under the names of Keras layers: ``python perf/layers.py model.h5 [--batch 1]``.

Prints one row an operation of the plan: median milliseconds, share of the whole, GFLOP/s, share of the measured peak.
Inputs are seeded random numbers.
"""

from __future__ import annotations

import fire

from keydnn import from_keras, set_num_threads
from keydnn.examples import random_inputs
from keydnn.peak import measure_peak
from keydnn.profile import latency_table, measure, measure_plan, plan_latency_table
from keydnn.threads import get_num_threads


def main(source: str, batch: int = 1, repeat: int = 50, threads: int | None = None, modules: bool = False) -> None:
    """Convert a Keras file, run it ``repeat`` times, print the table.

    Args:
        source: a .h5, .hdf5 or .keras file
        batch: examples at once
        repeat: number of runs, of which the median counts
        threads: number of threads; all that there can be unless given
        modules: run the modules one by one instead, which predict does not
    """
    if threads is not None:
        set_num_threads(threads)
    model = from_keras(str(source), strict=False)
    inputs = random_inputs(model.graph, batch)
    title = f"{source}, batch {batch}, threads {get_num_threads()}"
    if modules:
        print(latency_table(f"{title}, module by module", measure(model.graph, inputs, repeat)))
    else:
        print(plan_latency_table(title, measure_plan(model.graph, inputs, repeat), measure_peak()))


if __name__ == "__main__":
    fire.Fire(main)
