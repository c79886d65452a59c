"""Seconds from process start to the first answer, and peak memory: ``python perf/start.py [--repeat 5]``.

Every run is a process of its own.  The clock starts before the process and stops when it says that it has its first
answer.  KeyDNN is measured with an empty folder of compiled kernels and with the folder that such a run left behind.
Everybody finds the bytecode of its Python modules, as installed packages do, and the engines take turns.
Peak memory is what the process itself reports when it has answered once.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

import fire
import models
import race

Record = dict[str, Any]

# What each process runs; {model} and {x} are files.  "ready" on standard output stops the clock.
PROGRAMS = {
    "keydnn": """
import numpy as np
from keydnn import load
y = load({model!r}).predict(np.load({x!r})[:1])
""",
    "onnxruntime": """
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
y = session.run(None, {{session.get_inputs()[0].name: np.load({x!r})[:1]}})[0]
""",
    "openvino": """
import numpy as np, openvino
core = openvino.Core()
model = core.read_model({model!r})
x = np.load({x!r})[:1]
model.reshape(list(x.shape))
y = core.compile_model(model, "CPU", {{"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}})(x)[0]
""",
    "keras": """
import sys
sys.path.insert(0, {perf!r})
import numpy as np, models
y = models.read_keras({model!r}).predict_on_batch(np.load({x!r})[:1])
""",
}
# The peak of this process alone: Linux hands the ru_maxrss of the parent on to a child that runs another program.
REPORT = """
print("ready", flush=True)
import resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform == "darwin":
    peak //= 1024
try:
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
except OSError:
    pass
print(peak)
"""
CONVERT = (
    "import sys; from keydnn import from_keras; from_keras(sys.argv[1], strict=False).save(sys.argv[2], sys.argv[3])"
)


def program(engine: str, model: Path, x: Path) -> str:
    """Give the program of one engine."""
    text = PROGRAMS[engine].format(model=str(model), x=str(x), perf=str(Path(__file__).parent))
    return f"import sys{text}{REPORT}"


def run_once(text: str, environment: dict[str, str]) -> tuple[float, float]:
    """Run a program; give the seconds until it was ready and its peak memory in MB."""
    start = time.perf_counter()
    command = [sys.executable, "-c", text]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            if line.strip() == "ready":
                seconds = time.perf_counter() - start
            lines.append(line.strip())
        message = process.stderr.read() if process.stderr else ""
    if process.returncode or "ready" not in lines:
        raise RuntimeError((message.strip() or "no message").splitlines()[-1])
    return seconds, int(lines[-1]) / 1024


@dataclass
class Contestant:
    """A program that is run again and again, each time in an environment made for it."""

    name: str
    text: str
    environment: Callable[[], dict[str, str]]
    runs: list[tuple[float, float]] = field(default_factory=list)
    failure: str = ""

    def run(self, counted: bool = True) -> None:
        """Run it once; after a failure never again."""
        if self.failure:
            return
        try:
            found = run_once(self.text, self.environment())
        except RuntimeError as failure:
            print(f"{self.name}: left out: {failure}", file=sys.stderr)
            self.failure = str(failure)
            return
        if counted:
            self.runs.append(found)

    def record(self) -> Record:
        """Give the medians, or why there are none."""
        if self.failure:
            return {"name": self.name, "failure": self.failure}
        seconds, memory = zip(*self.runs, strict=True)
        return {
            "name": self.name, "seconds": statistics.median(seconds), "least": min(seconds), "most": max(seconds),
            "megabytes": statistics.median(memory),
        }  # fmt: skip


def measured(contestants: Sequence[Contestant], repeat: int) -> list[Record]:
    """Run all in turn, ``repeat`` times after one that is not counted: it leaves bytecode and kernels behind."""
    for counted in [False, *[True] * repeat]:
        for contestant in contestants:
            contestant.run(counted)
    return [contestant.record() for contestant in contestants]


def surroundings(folder: Path) -> dict[str, str]:
    """Give the environment of every process: bytecode is written, and kept in a folder of this run."""
    plain = {**os.environ, **models.QUIET, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    plain.pop("PYTHONDONTWRITEBYTECODE", None)
    return plain


def checkpoint(made: models.Made, folder: Path, weights: str) -> Path:
    """Convert a model in another process."""
    target = folder / f"{made.name}.json"
    subprocess.run([sys.executable, "-c", CONVERT, str(made.keras_file), str(target), weights], check=True)
    return target


def start_records(made: models.Made, folder: Path, repeat: int) -> list[Record]:
    """Measure everybody's first answer on one model."""
    x, converted = made.folder / "x.npy", checkpoint(made, folder, "inline")
    plain = surroundings(folder)
    warm = {**plain, "KEYDNN_CACHE_DIR": str(folder / "warm")}

    def cold() -> dict[str, str]:
        return {**plain, "KEYDNN_CACHE_DIR": tempfile.mkdtemp(dir=folder)}

    keydnn = program("keydnn", converted, x)
    return measured(
        [
            Contestant("KeyDNN, no kernels compiled yet", keydnn, cold),
            Contestant("KeyDNN, kernels cached", keydnn, lambda: warm),
            Contestant("ONNX Runtime", program("onnxruntime", made.onnx_file, x), lambda: plain),
            Contestant("OpenVINO", program("openvino", made.onnx_file, x), lambda: plain),
            Contestant("Keras with TensorFlow", program("keras", made.keras_file, x), lambda: plain),
        ],
        repeat,
    )


def memory_records(made: models.Made, folder: Path, repeat: int) -> list[Record]:
    """Measure peak memory of KeyDNN (checkpoint with sidecar, kernels cached) and ONNX Runtime on one model."""
    x, converted = folder / "one.npy", checkpoint(made, folder, "sidecar")
    subprocess.run(
        [sys.executable, "-c", f"import numpy as np; np.save({str(x)!r}, np.load({str(made.folder / 'x.npy')!r})[:1])"],
        check=True,
    )
    plain = surroundings(folder)
    warm = {**plain, "KEYDNN_CACHE_DIR": str(folder / "warm")}
    return measured(
        [
            Contestant("KeyDNN", program("keydnn", converted, x), lambda: warm),
            Contestant("ONNX Runtime", program("onnxruntime", made.onnx_file, x), lambda: plain),
        ],
        repeat,
    )


def rows(records: Sequence[Record], memory: bool) -> list[list[str]]:
    """Give the rows of a table; what could not be measured has dashes."""
    found = []
    for record in records:
        cells = ["-", "-"] if memory else ["-", "-", "-"]
        if "seconds" in record and memory:
            cells = [f"{record['megabytes']:.0f}", f"{record['seconds']:.2f}"]
        elif "seconds" in record:
            spread = f"{record['least']:.2f}-{record['most']:.2f}"
            cells = [f"{record['seconds']:.2f}", spread, f"{record['megabytes']:.0f}"]
        found.append([record["name"], *cells])
    return found


START_COLUMNS = ["", "seconds", "least-most", "peak MB"]
MEMORY_COLUMNS = ["", "peak MB", "seconds"]


def main(repeat: int = 5, folder: str = models.FOLDER, json: str | None = None, markdown: str | None = None) -> None:
    """Measure first answers on ResNet8 (on the digits model where it is not there) and peak memory on ResNet50.

    Args:
        repeat: processes of each kind, of which the median counts
        folder: where the models are kept
        json: write the numbers to this file
        markdown: put the tables between the marks of this Markdown file
    """
    from keydnn.report.tables import table_text

    load = race.load_average()
    about = race.machine(load, ("numpy", "numba", "onnxruntime", "openvino", "tensorflow"))
    small = models.prepare(["resnet8"], folder) or models.prepare(["digits"], folder)
    large = models.prepare(["resnet50"], folder)
    texts, sections, records = [], ["\n".join(f"- {line}" for line in about)], {}
    with tempfile.TemporaryDirectory() as work:
        for kind, measure, columns, made in (
            ("Process start to first answer", start_records, START_COLUMNS, small),
            ("Peak memory", memory_records, MEMORY_COLUMNS, large),
        ):
            if not made:
                continue
            title = f"{kind}, {made[0].name}, medians of {repeat}"
            records[kind] = measure(made[0], Path(work), repeat)
            table = rows(records[kind], columns is MEMORY_COLUMNS)
            texts.append(table_text(title, [(c, "left" if not c else "right") for c in columns], table))
            sections += [f"{title}:", race.markdown_table(columns, table, ("",))]
    print("\n\n".join(texts) + "\n\n" + "\n".join(about))
    if json:
        Path(json).write_text(dumps({"about": about, "records": records}, indent=1), encoding="utf-8")
    if markdown:
        race.put_section(markdown, "start", "\n\n".join(sections))


if __name__ == "__main__":
    fire.Fire(main)
