"""Run by test_algorithms.py in a process of its own, with eight threads whatever the machine: a line for each case."""

from __future__ import annotations

import json

import numba
import numpy as np

from keydnn.plan import Program
from tests.plan.algorithms import CASES, arrays_of, graph_of, kernels, settings_of
from tests.plan.choices import always_parallel, few_tiles

COUNTS = [1, 2, 4, 8]


def main():
    assert COUNTS[-1] <= numba.config.NUMBA_NUM_THREADS
    for name in CASES:
        graph, found, launched, same = graph_of(name), [], set(), True
        for batch in (1, 4):
            arrays = arrays_of(graph, batch)
            found = []
            for count in COUNTS:
                numba.set_num_threads(count)
                with few_tiles(), always_parallel(), settings_of(name):
                    plan = Program(graph).bind([array.shape for array in arrays])
                    launched |= set(kernels(plan))
                    found += [plan.run(arrays) for _ in range(3)]  # the third may be made on one thread
            for outputs in found[1:]:
                same &= all(np.array_equal(one, other) for one, other in zip(outputs, found[0], strict=True))
        print(json.dumps({"name": name, "same": bool(same), "kernels": sorted(launched)}), flush=True)


if __name__ == "__main__":
    main()
