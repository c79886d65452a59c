"""``python -m tests.parity.random_models --seeds 500``: many random models in both Kerases; mismatches one a line."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

import fire

from tests.parity.kerases import KERASES
from tests.parity.random_models.comparison import compare


def main(seeds=100, first=0, keras=None):
    """Compare the models of some seeds.

    Args:
        seeds: how many
        first: the first seed
        keras: keras3 or keras2; both unless given
    """
    start, wrong, said, outputs = time.perf_counter(), 0, 0, 0
    for seed in range(first, first + seeds):
        for name in [keras] if keras else KERASES:
            try:
                more, count = compare(seed, name)
            except Exception as error:  # whatever goes wrong is what is looked for
                wrong += 1
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where, what = f"{Path(frame.filename).name}:{frame.lineno}", " ".join(str(error).split())[:400]
                print(f"seed {seed} {name}: {type(error).__name__} at {where}: {what}", flush=True)
            else:
                said, outputs = said + more, outputs + count
    seconds = time.perf_counter() - start
    share = f"{said} of {outputs} outputs with a bound below 2 % of the largest number"
    print(f"{seeds} seeds: {wrong} mismatches; {share}; {seconds:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    fire.Fire(main)
