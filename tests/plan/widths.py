"""Run by test_widths.py in a process of its own, with the CPU that kernels are compiled for in the environment."""

from __future__ import annotations

import json
import sys

from jit_kernels._simd import LANES, REGISTERS
from keydnn.plan import Program
from tests.plan.algorithms import arrays_of, graph_of, labels, settings_of
from tests.plan.bounds import winograd_in_reference
from tests.plan.choices import few_tiles
from tests.within import assert_informative, assert_within, outputs_of

CASES = ["direct-1x1", "depthwise", "winograd-residual", "linear", "attention", "lstm"]


def main():
    print(json.dumps({"lanes": LANES, "registers": REGISTERS}))
    for name in CASES:
        graph = graph_of(name)
        arrays = arrays_of(graph, 2)
        with few_tiles(), settings_of(name), winograd_in_reference():
            program, bounds = Program(graph), outputs_of(graph, arrays)
            for found, bounded in zip(program.run(arrays), bounds, strict=True):
                assert_informative(bounded, 0.01)
                assert_within(found, bounded.value, bounded.error)
            print(json.dumps({"name": name, "labels": labels(program.bind([array.shape for array in arrays]))}))


if __name__ == "__main__":
    sys.exit(main())
