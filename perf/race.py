"""KeyDNN against ONNX Runtime and OpenVINO (float32): ``python perf/race.py [--models a,b] [--threads 1,2]``.

The three take turns in one process; each thread count and model has a process of its own, because thread pools cannot
be resized reliably.  A turn is a pause (thread pools that spin fall asleep), one call that is not counted, and calls
whose median counts.  The ratio is KeyDNN's time by that of the peer with the lower median, round by round; the median
of the rounds is reported.  Every one's output is compared with Keras'.
"""

from __future__ import annotations

import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from json import dumps, loads
from pathlib import Path
from typing import Any

import fire
import models
import numpy as np

ENGINES = {"keydnn": "KeyDNN", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
PEERS = ("onnxruntime", "openvino")
AGREEMENT = 1e-4  # largest difference to Keras, of Keras' largest output
BUSY = 0.5  # load average above which a warning is printed
LEAST_ROUNDS = 5
TURN_SECONDS = 0.002  # short calls are repeated for this long
LONG_CALL = 0.05  # seconds from which the call that is not counted is left out

Call = Callable[[], np.ndarray]
Record = dict[str, Any]


# --- the contestants --------------------------------------------------------------------------------------------------


def keydnn_call(made: models.Made, x: np.ndarray, threads: int) -> Call:
    """Give a call of ``Model.predict``; the threads are those of NUMBA_NUM_THREADS."""
    from keydnn import from_keras

    model = from_keras(str(made.keras_file), strict=False)
    return lambda: model.predict(x, batch_size=len(x))


def onnxruntime_call(made: models.Made, x: np.ndarray, threads: int) -> Call:
    """Give a call of an ONNX Runtime session on the CPU, the batch size fixed beforehand."""
    import onnxruntime

    def session(free: str | None) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if free:
            options.add_free_dimension_override_by_name(free, len(x))
        return onnxruntime.InferenceSession(str(made.onnx_file), options, providers=["CPUExecutionProvider"])

    running = session(None)
    given = running.get_inputs()[0]
    if isinstance(given.shape[0], str):
        running = session(given.shape[0])
    return lambda: running.run(None, {given.name: x})[0]


def openvino_call(made: models.Made, x: np.ndarray, threads: int) -> Call:
    """Give a call of a model that OpenVINO compiled for float32, low latency and this batch size."""
    import openvino

    core = openvino.Core()
    network = core.read_model(str(made.onnx_file))
    network.reshape(list(x.shape))
    hints = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(network, "CPU", hints).create_infer_request()
    return lambda: request.infer([x], share_inputs=True, share_outputs=True)[0]


MAKERS = {"keydnn": keydnn_call, "onnxruntime": onnxruntime_call, "openvino": openvino_call}


# --- in the process that measures -------------------------------------------------------------------------------------


def error_of(got: np.ndarray, wanted: np.ndarray) -> float:
    """Give the largest difference, by the largest output that is wanted."""
    return float(np.abs(got.astype(np.float64) - wanted).max() / np.abs(wanted).max())


def timed(call: Call) -> float:
    """Give the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def turn(call: Call, expected: float, pause: float) -> float:
    """Give the seconds of a call: the median of as many as the turn has time for."""
    time.sleep(pause)
    if expected < LONG_CALL:
        call()
    count = max(1, min(50, int(TURN_SECONDS / expected)))
    return statistics.median(timed(call) for _ in range(count))


def race(calls: dict[str, Call], rounds: int, seconds: float, pause: float) -> dict[str, list[float]]:
    """Let all run in turns, another one first each round; stop after ``rounds``, or ``seconds`` and a few rounds."""
    expected = {}
    for name, call in calls.items():
        call()
        call()
        expected[name] = timed(call)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order, start = list(calls), time.perf_counter()
    for done in range(rounds):
        if done >= LEAST_ROUNDS and time.perf_counter() - start > seconds:
            break
        for name in order:
            taken[name].append(turn(calls[name], expected[name], pause))
        order = order[1:] + order[:1]
    return taken


def race_one(made: models.Made, batch: int, job: Record) -> Record:
    """Race all on one model and batch size; whoever fails is left out, and the record says why."""
    x, wanted = made.examples(batch)
    calls: dict[str, Call] = {}
    errors: dict[str, float] = {}
    failures: dict[str, str] = {}
    for name, maker in MAKERS.items():
        try:
            call = maker(made, x, job["threads"])
            errors[name] = error_of(call(), wanted)
            calls[name] = call
        except Exception as failure:  # whatever a peer raises, the others run
            failures[name] = f"{type(failure).__name__}: {str(failure).strip()[:300]}"
    taken = race(calls, job["rounds"], job["seconds"], job["pause"])
    return {
        "model": made.name, "threads": job["threads"], "batch": batch,
        "seconds": taken, "errors": errors, "failures": failures,
    }  # fmt: skip


def between_one(made: models.Made, batch: int, job: Record) -> Record:
    """Time KeyDNN with and without a NumPy matrix product before each call, in blocks that alternate."""
    x, wanted = made.examples(batch)
    call = keydnn_call(made, x, job["threads"])
    error = error_of(call(), wanted)
    matrix = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    taken: dict[str, list[float]] = {"alone": [], "between": []}
    start = time.perf_counter()
    for done in range(job["rounds"]):
        if done >= LEAST_ROUNDS and time.perf_counter() - start > job["seconds"]:
            break
        time.sleep(max(job["pause"], 0.2))  # the worker threads of the matrix product fall asleep
        call()
        taken["alone"].extend(timed(call) for _ in range(5))
        for _ in range(5):
            matrix @ matrix
            taken["between"].append(timed(call))
    return {
        "model": made.name, "threads": job["threads"], "batch": batch,
        "seconds": taken, "errors": {"keydnn": error}, "failures": {},
    }  # fmt: skip


def keras_one(made: models.Made, batch: int, job: Record) -> Record:
    """Time Keras' ``predict_on_batch``; TensorFlow's threads are set to the same number."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    x, wanted = made.examples(batch)
    model = models.read_keras(made.keras_file)
    error = error_of(np.asarray(model.predict_on_batch(x)), wanted)
    taken = race({"keras": lambda: model.predict_on_batch(x)}, min(job["rounds"], 10), job["seconds"] / 3, 0.0)
    return {
        "model": made.name, "threads": job["threads"], "batch": batch,
        "seconds": taken, "errors": {"keras": error}, "failures": {},
    }  # fmt: skip


JOBS = {"race": race_one, "between": between_one, "keras": keras_one}


def worker(job: Record) -> None:
    """Do one model with one thread count; print one JSON line a batch size."""
    made = models.Made(job["model"], Path(job["folder"]))
    for batch in job["batches"]:
        print("record " + dumps(JOBS[job["kind"]](made, batch, job)), flush=True)


# --- in the process that reports --------------------------------------------------------------------------------------


def run_worker(job: Record) -> list[Record]:
    """Start a process with that many threads; give what it measured."""
    threads = str(job["threads"])
    counts = {"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    command = [sys.executable, __file__, "--worker", dumps(job)]
    environment = {**os.environ, **models.QUIET, **counts}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    records = [loads(line[len("record ") :]) for line in done.stdout.splitlines() if line.startswith("record ")]
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        print(f"{job['model']}, {threads} threads: {job['kind']} ended with {done.returncode}: {last}", file=sys.stderr)
    for record in records:
        for name, reason in record["failures"].items():
            print(f"{record['model']}: {name} left out: {reason}", file=sys.stderr)
        for name, error in record["errors"].items():
            if not error <= AGREEMENT:
                print(f"{record['model']}: {name} differs from Keras by {error:.1e}", file=sys.stderr)
    return records


def medians(record: Record) -> dict[str, float]:
    """Give the median seconds of each contestant."""
    return {name: statistics.median(taken) for name, taken in record["seconds"].items() if taken}


def ratio(record: Record) -> float | None:
    """Give the median of keydnn's time by the better peer's, round by round; None where one of them did not run."""
    typical = medians(record)
    peers = [name for name in PEERS if name in typical]
    if "keydnn" not in typical or not peers:
        return None
    best = min(peers, key=typical.__getitem__)
    rounds = zip(record["seconds"]["keydnn"], record["seconds"][best], strict=True)
    return statistics.median(ours / theirs for ours, theirs in rounds)


def geometric_mean(values: Iterable[float]) -> float:
    """Give the geometric mean; of nothing it is nan."""
    logarithms = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logarithms)) if logarithms else math.nan


def settings(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Give the pairs of threads and batch size that were measured."""
    return sorted({(record["threads"], record["batch"]) for record in records})


def mean_ratio(records: Sequence[Record], setting: tuple[int, int]) -> float:
    """Give the geometric mean of the ratios of one setting."""
    found = [ratio(record) for record in records if (record["threads"], record["batch"]) == setting]
    return geometric_mean(value for value in found if value is not None)


def header(records: Sequence[Record]) -> list[str]:
    """Give the columns of the table; Keras has one where it ran."""
    keras = ["Keras ms"] if any("keras" in record["seconds"] for record in records) else []
    return ["model", "KeyDNN ms", "ONNX Runtime ms", "OpenVINO ms", *keras, "ratio", "errors", "rounds"]


def cells(record: Record, with_keras: bool) -> list[str]:
    """Give one row: medians, ratio, and the errors of keydnn and the peers in the order of the columns."""
    typical, value = medians(record), ratio(record)
    times = [f"{typical[name] * 1e3:.3f}" if name in typical else "-" for name in ENGINES]
    keras = [f"{typical['keras'] * 1e3:.1f}" if "keras" in typical else "-"] if with_keras else []
    shown = [f"{error:.0e}" if (error := record["errors"].get(name)) is not None else "-" for name in ENGINES]
    rounds = len(record["seconds"].get("keydnn", ()))
    return [record["model"], *times, *keras, "-" if value is None else f"{value:.2f}", " ".join(shown), str(rounds)]


def title_of(setting: tuple[int, int]) -> str:
    """Name a setting."""
    threads, batch = setting
    return f"{threads} thread{'s' if threads > 1 else ''}, batch {batch}"


def tables(records: Sequence[Record]) -> str:
    """Give one table a setting, for the terminal."""
    from keydnn.report.tables import table_text

    names, texts = header(records), []
    for setting in settings(records):
        rows = [cells(r, "Keras ms" in names) for r in records if (r["threads"], r["batch"]) == setting]
        columns = [(name, "left" if name in ("model", "errors") else "right") for name in names]
        footer = f"geometric mean of the ratios: {mean_ratio(records, setting):.2f} (below 1: KeyDNN is faster)"
        texts.append(table_text(title_of(setting), columns, rows, footer))
    return "\n\n".join(texts)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = ("model",)) -> str:
    """Give a table in Markdown."""
    rule = ["---" if name in left else "---:" for name in columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, rule, *rows])


def markdown(records: Sequence[Record], about: Sequence[str]) -> str:
    """Give the section of docs/performance.md."""
    names, parts = header(records), ["\n".join(f"- {line}" for line in about)]
    for setting in settings(records):
        rows = [cells(r, "Keras ms" in names) for r in records if (r["threads"], r["batch"]) == setting]
        parts.append(f"### {title_of(setting)[0].upper()}{title_of(setting)[1:]}")
        parts.append(markdown_table(names, rows, ("model", "errors")))
        parts.append(f"Geometric mean of the ratios: {mean_ratio(records, setting):.2f}.")
    return "\n\n".join(parts)


def between_rows(records: Sequence[Record]) -> list[list[str]]:
    """Give the rows of the table of ``--between``: median alone, median after a matrix product, growth."""
    rows = []
    for record in records:
        alone, between = medians(record)["alone"], medians(record)["between"]
        setting = [record["model"], str(record["threads"]), str(record["batch"])]
        rows.append([*setting, f"{alone * 1e3:.3f}", f"{between * 1e3:.3f}", f"{between / alone:.2f}"])
    return rows


BETWEEN_COLUMNS = ["model", "threads", "batch", "alone ms", "with a product between ms", "growth"]


def put_section(path: str | Path, name: str, text: str) -> None:
    """Replace what stands between the marks ``<!-- name -->`` and ``<!-- /name -->`` of a Markdown file."""
    page = Path(path)
    old = page.read_text(encoding="utf-8") if page.exists() else f"<!-- {name} -->\n<!-- /{name} -->\n"
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(old):
        raise SystemExit(f"{path} has no marks <!-- {name} --> and <!-- /{name} -->")
    page.write_text(marks.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", old), encoding="utf-8")


def processor() -> str:
    """Name the CPU."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def machine(load: float, packages: Sequence[str] = ("numpy", "numba", "onnxruntime", "openvino")) -> list[str]:
    """Describe where and with what the numbers were measured."""
    import keydnn

    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"{processor()}, {cores} cores, {platform.system()}; load average at start {load:.2f}",
        f"keydnn {keydnn.__version__}, Python {platform.python_version()}, {', '.join(versions)}",
    ]


def load_average() -> float:
    """Give the load average of the last minute, with a warning if others are at work; nan where there is none."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    if load > BUSY:
        print(f"warning: load average {load:.2f}: others are at work here, the numbers are noisy", file=sys.stderr)
    return load


def plot_ratios(records: Sequence[Record], path: str) -> None:
    """Draw the ratios as bars on a logarithmic axis, a colour a setting."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(record["model"] for record in records))
    shown = settings(records)
    found = {(r["model"], r["threads"], r["batch"]): value for r in records if (value := ratio(r)) is not None}
    figure, axes = plt.subplots(figsize=(max(6.0, 1.3 * len(names)), 4.5), layout="constrained")
    width = 0.8 / max(1, len(shown))
    for place, setting in enumerate(shown):
        pairs = [(at, found[name, *setting]) for at, name in enumerate(names) if (name, *setting) in found]
        places = [at + (place - (len(shown) - 1) / 2) * width for at, _ in pairs]
        # Bars start at 1: up is slower, down is faster than the better peer.
        axes.bar(places, [value - 1 for _, value in pairs], width, bottom=1, label=title_of(setting))
    axes.set_yscale("log")
    low, high = min([0.5, *found.values()]), max([2.0, *found.values()])
    axes.set_ylim(low / 1.2, high * 1.2)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low / 1.2 <= tick <= high * 1.2]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axhline(1, color="black", linewidth=1)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("KeyDNN / better peer (time)")
    axes.set_title("Below 1: KeyDNN is faster than ONNX Runtime and OpenVINO")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def numbers_of(value: int | str | Sequence[int]) -> list[int]:
    """Read a list of numbers as Fire gives it."""
    items = value if isinstance(value, (tuple, list)) else str(value).split(",")
    numbers = [int(item) for item in items]
    if not numbers or min(numbers) < 1:
        raise SystemExit(f"threads and batches are numbers from 1, got {value!r}")
    return numbers


def main(
    models: str | None = None,
    threads: str = "1,2",
    batches: str = "1,32",
    rounds: int = 30,
    seconds: float = 20.0,
    pause: float = 0.1,
    folder: str = ".perf-cache",
    keras: bool = False,
    between: bool = False,
    plot: str | None = None,
    json: str | None = None,
    markdown: str | None = None,
) -> None:
    """Race KeyDNN, ONNX Runtime and OpenVINO; print a table a setting.

    Args:
        models: names, comma-separated; all unless given
        threads: thread counts, comma-separated
        batches: batch sizes, comma-separated
        rounds: turns of each contestant
        seconds: a model and setting that takes longer gets fewer rounds, at least 5
        pause: seconds before each turn
        folder: where the models are kept
        keras: time Keras too (on its own, in another process)
        between: instead of the race, time KeyDNN with a NumPy matrix product before each call
        plot: write a picture of the ratios to this file
        json: write all times to this file
        markdown: put the result between the marks of this Markdown file
    """
    run(
        {"models": models, "threads": threads, "batches": batches, "folder": folder},
        {"rounds": rounds, "seconds": seconds, "pause": pause},
        keras, between, plot, json, markdown,
    )  # fmt: skip


def run(
    what: Record, how: Record, keras: bool, between: bool, plot: str | None, json: str | None, page: str | None
) -> None:
    """Do what the command line asks for."""
    load = load_average()
    names = models.names_of(what["models"], list(models.RECIPES))
    prepared = models.prepare(names, what["folder"])
    base = {**how, "batches": numbers_of(what["batches"])}
    kind, records = "between" if between else "race", []
    for count in numbers_of(what["threads"]):
        for made in prepared:
            print(f"{made.name}, threads {count} ...", file=sys.stderr)
            job = {**base, "kind": kind, "model": made.name, "folder": str(made.folder), "threads": count}
            found = run_worker(job)
            if keras and not between:
                for other in run_worker({**job, "kind": "keras"}):
                    for record in found:
                        if record["batch"] == other["batch"]:
                            record["seconds"] |= other["seconds"]
                            record["errors"] |= other["errors"]
            records += found
    if not records:
        raise SystemExit("nothing was measured")
    about = [*machine(load), f"`{' '.join(['python', *map(shown_argument, sys.argv)])}`"]
    section = markdown(records, about)
    if between:
        from keydnn.report.tables import table_text

        columns = [(name, "left" if name == "model" else "right") for name in BETWEEN_COLUMNS]
        rows = between_rows(records)
        print(table_text("A NumPy matrix product between calls", columns, rows, "\n".join(about)))
        section = "\n\n".join(["\n".join(f"- {line}" for line in about), markdown_table(BETWEEN_COLUMNS, rows)])
    else:
        print(tables(records) + "\n\n" + "\n".join(about))
    if plot and not between:
        plot_ratios(records, plot)
    if json:
        Path(json).write_text(dumps({"about": about, "records": records}, indent=1), encoding="utf-8")
    if page:
        put_section(page, kind, section)


def shown_argument(argument: str) -> str:
    """Give a command-line argument without the folder that the program lies in."""
    return f"perf/{Path(argument).name}" if argument == sys.argv[0] else argument


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(loads(sys.argv[2]))
    else:
        fire.Fire(main)
