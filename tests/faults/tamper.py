"""Edits valid checkpoints at random, makes their digests anew, and runs what is still read.

``python -m tests.faults.tamper --count 5000 --seed 0`` prints how many were refused, how many run, and how many of
these are wrong: every one must be refused with a typed error, or give what the float64 reference computes, within its
bound.  With ``NUMBA_BOUNDSCHECK=1`` (and a ``KEYDNN_CACHE_DIR`` of its own) a kernel that leaves its arrays raises
IndexError.

The work is done in a process of its own, so that one that dies is counted, and the checkpoint that did it is kept.
"""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import fire
import numpy as np

from keydnn import checkpoint, load
from keydnn.checkpoint.document import metadata_digest
from keydnn.errors import KeyDNNError
from keydnn.examples import random_inputs
from keydnn.reference import evaluate
from tests.export.cases import CASES
from tests.within import assert_within

VALUES = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 1000, 10**5, 10**9, 2**31, 2**63 - 1, 0.0, -0.0, -0.5, 1e-30, 1e308),
    *("", "same", "valid", "x0", "layer", "float32", "int64", [], [0], [1, 1], [2, 3], [[1, 1], [1, 1]], {}),
]
MOST = 1 << 22  # numbers: larger values are run, but not compared with the reference
MEMORY = 3 << 30


def spots(value, way=()):
    """Give the ways to all values of a document, but for the weights' bytes."""
    if way and way[-1] != "data":
        yield way
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from spots(item, (*way, key))


def at(value, way):
    for step in way:
        value = value[step]
    return value


def tampered(document, pick):
    """Give a copy with one to three edits, mostly of parameters, and its own digest."""
    made = copy.deepcopy(document)
    for _ in range(pick.choice((1, 1, 1, 2, 3))):
        ways = list(spots(made))
        inner = [way for way in ways if "params" in way or "parameters" in way or "shape" in way]
        way = pick.choice(inner if inner and pick.random() < 0.7 else ways)
        owner, old = at(made, way[:-1]), at(made, way)
        kind = pick.random()
        if isinstance(old, bool) or kind < 0.3:
            new = pick.choice(VALUES)
        elif isinstance(old, int):
            new = old + pick.choice((-2, -1, 1, 2, old, 10))
        elif isinstance(old, float):
            new = max(-1e308, min(1e308, old * pick.choice((-1.0, 0.0, 2.0, 1e-3, 1e3))))
        elif isinstance(old, list) and old:
            new = pick.choice((old[::-1], old[:-1], old + old[-1:], [pick.choice(VALUES)] * len(old)))
        else:
            new = at(made, pick.choice(ways))
        owner[way[-1]] = copy.deepcopy(new)
    made["sha256"] = metadata_digest(made)
    return made


def outcome(path):
    """Read and run a checkpoint, and say what became of it."""
    try:
        model = load(path)
        inputs = random_inputs(model.graph, batch=2, free_size=5)
        if sum(array.size for array in inputs) > MOST:
            return "read, inputs too large to run"
        found = model.predict(inputs, batch_size=2)
    except KeyDNNError as error:
        return f"refused ({type(error).__name__})"
    try:
        bounds = evaluate(model.graph, inputs)
    except MemoryError:
        return "ran, too large to compare"
    if sum(bounded.value.size for bounded in bounds.values()) > MOST:
        return "ran, too large to compare"
    for output, array in zip(model.graph.results, found if isinstance(found, list) else [found], strict=True):
        bounded = bounds[output.value]
        if bounded.value.dtype == np.float64:
            limit = np.finfo(np.float32).max
            beyond = ~(np.abs(bounded.value) + bounded.error < limit) | ~np.isfinite(bounded.error)
            wanted = np.where(beyond, 0, bounded.value)
            assert_within(np.where(beyond, 0, array), wanted, np.where(beyond, 0, bounded.error) + 1e-37)
        else:
            np.testing.assert_array_equal(array.astype(str), bounded.value.astype(str))
    return "right"


def work(count, seed, folder):
    """Tamper with so many checkpoints, and give the outcomes counted; the last one stays in the folder."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except ImportError:
        pass
    pick, counts = random.Random(seed), Counter()
    documents = {}
    path = folder / "tampered.json"
    for name, case in CASES.items():
        checkpoint.write(case.graph, path)
        documents[name] = json.loads(path.read_text())
    for number in range(count):
        name = pick.choice(list(documents))
        path.write_text(json.dumps(tampered(documents[name], pick)))
        try:
            found = outcome(path)
        except AssertionError as error:
            found = "WRONG"
            keep(folder, path, f"wrong_{seed}_{number}", name, error)
        except BaseException as error:
            found = f"UNTYPED {type(error).__name__}"
            keep(folder, path, f"untyped_{seed}_{number}", name, error)
        counts[found] += 1
    return counts


def keep(folder, path, name, case, error):
    """Keep a checkpoint that shows a fault."""
    (folder / f"{name}.json").write_bytes(path.read_bytes())
    print(f"{name}: {case}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)


def run(count, seed, folder):
    """Do the work in a process of its own; give the outcomes counted."""
    words = [sys.executable, "-m", "tests.faults.tamper", f"--count={count}", f"--seed={seed}", f"--work_in={folder}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.returncode:
        return Counter({f"DIED with status {done.returncode}": 1})
    return Counter(json.loads(done.stdout.splitlines()[-1]))


def faults(counts):
    """Give the outcomes that must not be."""
    return {what: number for what, number in counts.items() if what.split()[0] in ("WRONG", "UNTYPED", "DIED")}


def main(count: int = 5000, seed: int = 0, work_in: str = ""):
    """Tamper with so many checkpoints, print what became of them, and exit with 1 if there is a fault.

    Args:
        count: number of checkpoints
        seed: what the edits are made from
        work_in: a folder; do the work in this process, and print the outcomes as JSON
    """
    if work_in:
        print(json.dumps(work(count, seed, Path(work_in))))
        return
    folder = Path(tempfile.mkdtemp(prefix="keydnn-tamper-"))
    counts = run(count, seed, folder)
    for what, number in counts.most_common():
        print(f"{number:6,}  {what}")
    print(f"{sum(counts.values()):6,}  checkpoints, {len(faults(counts))} kinds of fault; kept in {folder}")
    sys.exit(bool(faults(counts)))


if __name__ == "__main__":
    fire.Fire(main)
