"""Kills processes while they write, at random times, and looks at what they leave behind.

``python -m tests.faults.kills --times 200`` does so for every kind of file, and prints how often the old file or a
complete new one was there, and how many files lay about: after the kills, and after one more write an hour later.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import fire
import numpy as np

from keydnn import Model, checkpoint
from keydnn.convert import Options, convert
from keydnn.npy import write_npy
from keydnn.report.data import make_report
from keydnn.report.write import write_report
from tests.checkpoint import samples

DIGITS = Path(__file__).parents[2] / "keydnn" / "data" / "digits.h5"
HOUR = 3600
MOST = 0.1  # seconds until the kill: some ten writes


@dataclass(frozen=True)
class Kind:
    """The file, how its two contents are written, and how to tell which one is there."""

    name: str
    writes: tuple[Callable[[Path], object], ...]
    look: Callable[[Path], object]


def inputs_of(path):
    """Read a checkpoint, and give its weights."""
    (array,) = (node.module.weight for node in checkpoint.read(path).graph.nodes)
    return array.tobytes()


def kinds():
    """Give every kind of file that is written at one stroke."""
    graphs = samples.tiny(1), samples.tiny(2)
    conversion = convert(DIGITS, Options(True, True))
    made = make_report(conversion, conversion.graph, files=[])
    reports = made, replace(made, model="another")
    content = Path.read_bytes
    return {
        "inline": Kind("m.json", tuple(partial(checkpoint.write, graph) for graph in graphs), inputs_of),
        "sidecar": Kind(
            "m.json", tuple(partial(checkpoint.write, graph, weights="sidecar") for graph in graphs), inputs_of
        ),
        "array": Kind("y.npy", tuple(partial(write_npy, array=np.full(99999, value)) for value in (1.0, 2.0)), content),
        "report": Kind("r.html", tuple(partial(write_report, report=report) for report in reports), content),
        "export": Kind("m.keras", tuple(partial(Model(graph).export, check=False) for graph in graphs), content),
    }


def write_until_killed(kind, path, seconds):
    """Write in a process of its own, and kill it after so many seconds."""
    child = os.fork()
    if not child:
        try:
            for write in itertools.cycle(kind.writes):
                write(path)
        finally:
            os._exit(3)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def left(folder, before):
    return [path for path in folder.iterdir() if path not in before]


def run(kind, folder, times, pick):
    """Give how often the file was whole, how often it was the new one, and how much lay about before and after."""
    path, whole, new = folder / kind.name, 0, 0
    wanted = []
    for write in reversed(kind.writes):
        write(path)
        wanted.append(kind.look(path))
    before = set(folder.iterdir())
    for _ in range(times):
        killed = write_until_killed(kind, path, pick.random() * MOST) == -signal.SIGKILL
        found = kind.look(path)
        whole += killed and found in wanted
        new += found == wanted[0]
    littered = left(folder, before)
    for one in littered:
        os.utime(one, (time.time() - 2 * HOUR,) * 2)
    kind.writes[0](path)
    return whole, new, len(littered), len(left(folder, before))


def main(times: int = 200, seed: int = 0):
    """Kill so many processes for each kind of file; exit with 1 if a file was neither old nor new.

    Args:
        times: kills of each kind
        seed: what the times are picked from
    """
    pick, faults = random.Random(seed), 0
    for name, kind in kinds().items():
        with tempfile.TemporaryDirectory() as folder:
            whole, new, littered, after = run(kind, Path(folder), times, pick)
        faults += whole != times or after > 0 or littered > times
        print(
            f"{name}: {whole} of {times} whole ({new} times the new one); "
            f"{littered} files left by the killed, {after} after one more write an hour later"
        )
    sys.exit(bool(faults))


if __name__ == "__main__":
    fire.Fire(main)
