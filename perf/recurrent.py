"""Recurrent layers, KeyDNN against ONNX Runtime: ``python perf/recurrent.py [--cells LSTM,GRU] [--threads 1,2]``.

One layer at a time with random weights, the same on both sides; the ONNX model is its one operator and a transposition
of the input, for ONNX's operators want the steps first.  The two take turns as in ``race.py``: each thread count has a
process of its own, the ratio is of times of the same round, and the median of the rounds is reported.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from json import dumps, loads
from typing import Any

import fire
import models
import numpy as np
import race

Weights = dict[str, np.ndarray]
# Gates as ONNX orders them, by their places in KeyDNN's modules; the operator, and its attributes.
CELLS: dict[str, tuple[tuple[int, ...], str, dict[str, int]]] = {
    "LSTM": ((0, 3, 1, 2), "LSTM", {}),
    "GRU": ((1, 0, 2), "GRU", {"linear_before_reset": 1}),
    "SimpleRNN": ((0,), "RNN", {}),
}
COLUMNS = ["cell", "units", "steps", "batch", "threads", "KeyDNN ms", "ONNX Runtime ms", "ratio", "difference"]


def keydnn_model(cell: str, weights: Weights) -> Any:
    """Give a KeyDNN model of one layer that gives its last step."""
    import keydnn.modules

    features, units = (weights[name].shape[1] for name in ("weight_ih", "weight_hh"))
    made = getattr(keydnn.modules, cell)(features, units)
    layer = made.with_tensors({name: weights[name] for name in made.tensor_shapes()})
    graph = keydnn.Graph(
        [keydnn.Input("x", (None, None, features))], [keydnn.Node("y", layer, ("x",))], [keydnn.Output("y", "y")]
    )
    return keydnn.Model(graph)


def onnx_model(cell: str, weights: Weights) -> bytes:
    """Give the same layer as an ONNX model."""
    from onnx import TensorProto, helper, numpy_helper

    order, operator, attributes = CELLS[cell]
    units = weights["weight_hh"].shape[1]

    def ordered(rows: np.ndarray) -> np.ndarray:
        parts = np.split(rows, len(order))
        return np.concatenate([parts[gate] for gate in order])

    biases = np.concatenate([ordered(weights["bias_ih"]), ordered(weights["bias_hh"])])
    arrays = {"W": ordered(weights["weight_ih"]), "R": ordered(weights["weight_hh"]), "B": biases}
    constants = [numpy_helper.from_array(array[np.newaxis], name) for name, array in arrays.items()]
    constants.append(numpy_helper.from_array(np.array([0], np.int64), "first"))
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node(operator, ["steps", "W", "R", "B"], ["", "h"], hidden_size=units, **attributes),
        helper.make_node("Squeeze", ["h", "first"], ["y"]),
    ]
    shapes = {"x": ["N", "T", weights["weight_ih"].shape[1]], "y": ["N", units]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph(nodes, "recurrent", [values["x"]], [values["y"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def weights_of(cell: str, features: int, units: int) -> Weights:
    """Give random weights with which states neither vanish nor settle at 1; one bias but for a GRU."""
    random, rows = np.random.default_rng(0), len(CELLS[cell][0]) * units
    shapes = {"weight_ih": (rows, features), "weight_hh": (rows, units), "bias_ih": (rows,), "bias_hh": (rows,)}
    made = {name: random.standard_normal(shape) / np.sqrt(units) for name, shape in shapes.items()}
    if cell != "GRU":
        made["bias_hh"] *= 0
    return {name: array.astype(np.float32) for name, array in made.items()}


def race_one(cell: str, units: int, steps: int, batch: int, job: dict[str, Any]) -> race.Record:
    """Race both on one layer."""
    import onnxruntime

    features = job["features"] or units
    weights = weights_of(cell, features, units)
    model = keydnn_model(cell, weights)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(onnx_model(cell, weights), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).standard_normal((batch, steps, features)).astype(np.float32)
    calls = {
        "keydnn": lambda: model.predict(x, batch_size=batch),
        "onnxruntime": lambda: session.run(None, {"x": x})[0],
    }
    difference = race.error_of(calls["keydnn"](), calls["onnxruntime"]())
    taken = race.race(calls, job["rounds"], job["seconds"], job["pause"])
    return {"setting": [cell, units, steps, batch, job["threads"]], "seconds": taken, "difference": difference}


def row(record: race.Record) -> list[str]:
    """Give a row of the table."""
    typical, value = race.medians(record), race.ratio(record)
    times = [f"{typical[name] * 1e3:.3f}" for name in ("keydnn", "onnxruntime")]
    return [*map(str, record["setting"]), *times, f"{value:.2f}", f"{record['difference']:.0e}"]


def worker(job: dict[str, Any]) -> None:
    """Race with one thread count; print one JSON line a layer."""
    for setting in itertools.product(job["cells"], job["units"], job["steps"], job["batches"]):
        print("record " + dumps(race_one(*setting, job)), flush=True)


def run_worker(job: dict[str, Any]) -> list[race.Record]:
    """Start a process with that many threads; give what it measured."""
    counts = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), str(job["threads"]))
    command = [sys.executable, __file__, "--worker", dumps(job)]
    environment = {**os.environ, **models.QUIET, **counts}
    done = subprocess.run(command, check=False, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"the process with {job['threads']} threads ended with {done.returncode}")
    return [loads(line[len("record ") :]) for line in done.stdout.splitlines() if line.startswith("record ")]


def main(
    cells: str = "LSTM",
    units: str = "64,128,256",
    steps: str = "20,200",
    batches: str = "1,32",
    features: int = 0,
    threads: str = "1,2",
    rounds: int = 15,
    seconds: float = 8.0,
    pause: float = 0.1,
    markdown: str | None = None,
) -> None:
    """Race KeyDNN and ONNX Runtime on recurrent layers; print a table.

    Args:
        cells: LSTM, GRU, SimpleRNN, comma-separated
        units: numbers of units
        steps: numbers of steps
        batches: batch sizes
        features: numbers of a step of the input; as many as units unless given
        threads: thread counts
        rounds: turns of each contestant
        seconds: a layer that takes longer gets fewer rounds, at least 5
        pause: seconds before each turn
        markdown: put the result between the marks of this Markdown file
    """
    from keydnn.report.tables import table_text

    load, records = race.load_average(), []
    names = cells if isinstance(cells, (tuple, list)) else cells.split(",")
    if unknown := set(names) - set(CELLS):
        raise SystemExit(f"cells are {', '.join(CELLS)}, got {', '.join(sorted(unknown))}")
    job = {
        "cells": names, "units": race.numbers_of(units), "steps": race.numbers_of(steps),
        "batches": race.numbers_of(batches), "features": features, "rounds": rounds, "seconds": seconds, "pause": pause,
    }  # fmt: skip
    for count in race.numbers_of(threads):
        records += run_worker({**job, "threads": count})
    rows = [row(record) for record in records]
    about = [
        *race.machine(load, ("numpy", "numba", "onnxruntime")),
        f"`{' '.join(['python', *map(race.shown_argument, sys.argv)])}`",
    ]
    mean = race.geometric_mean(value for record in records if (value := race.ratio(record)))
    title = "Recurrent layers (a ratio below 1: KeyDNN is faster)"
    columns = [(name, "left" if name == "cell" else "right") for name in COLUMNS]
    print(table_text(title, columns, rows, f"geometric mean of the ratios: {mean:.2f}\n" + "\n".join(about)))
    if markdown:
        text = "\n".join(f"- {line}" for line in about)
        race.put_section(markdown, "recurrent", f"{text}\n\n{race.markdown_table(COLUMNS, rows, ('cell',))}")
    far = [record["setting"] for record in records if not record["difference"] <= race.AGREEMENT]
    if far:
        raise SystemExit(f"the answers differ: {far}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(loads(sys.argv[2]))
    else:
        fire.Fire(main)
