"""Verbs that prove checkpoints right: evaluate, compare, record, verify."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from keydnn.arguments import (
    check_target,
    numbered,
    open_model,
    prepare,
    refuse_same,
    write_json,
)
from keydnn.errors import DivergenceError, UsageError


def evaluate(
    model: Path,
    inputs: tuple[Path, ...],
    labels: Path,
    source_predictions: Path | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    json: Path | None = None,
) -> None:
    """Count how many labelled examples a checkpoint gets right, and compare with what its source predicts.

    Inputs are taken as the numbers that they hold: uint8 images as 0 to 255.  Scale them as for the Keras model.

    Args:
        model: the checkpoint (model.json)
        inputs: an .npy file, the examples on axis 0; for a model with several inputs once for each, in their order
        labels: an .npy file: classes as integers, or one-hot; floats of the output's shape for a regression
        source_predictions: an .npy file: what the Keras model predicts, scores or classes
        batch_size: examples computed at once
        threads: number of threads; all that there can be unless given
        json: write the result into this file
    """
    from keydnn.evaluate import evaluate as evaluate_model
    from keydnn.model import load
    from keydnn.npy import read_npy
    from keydnn.progress import counting
    from keydnn.report.evaluation import evaluation_data, evaluation_text
    from keydnn.threads import get_num_threads

    if batch_size < 1:
        raise UsageError("--batch-size must be >= 1")
    check_target(json=json, model=model, labels=labels, source_predictions=source_predictions, **numbered(inputs))
    prepare(threads)
    loaded = load(model)
    arrays = [read_npy(path, mapped=True) for path in inputs]
    truth = read_npy(labels, mapped=True)
    source = None if source_predictions is None else read_npy(source_predictions, mapped=True)
    for path, array in zip(inputs, arrays, strict=True):
        if array.dtype.kind in "iub" and not array.dtype.hasobject:
            print(f"{path}: {array.dtype}, taken as the numbers that it holds, unscaled")
    start = time.perf_counter()
    with counting(len(truth) if truth.ndim else 0, "examples") as on_batch:
        found = evaluate_model(loaded, arrays, truth, source, batch_size, on_batch)
    seconds = time.perf_counter() - start
    print(f"{loaded.name}: {found.examples:,} examples in {seconds:.3f} s, threads {get_num_threads()}\n")
    print(evaluation_text(found))
    write_json(json, {"model": str(model), "name": loaded.name, **evaluation_data(found)})


def compare(
    first: Path,
    second: Path,
    input: tuple[Path, ...] = (),
    seed: int = 0,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    threads: int | None = None,
    json: Path | None = None,
) -> None:
    """Run two checkpoints or Keras files on the same input, and compare the outputs of their layers.

    The exit status is 1 if a layer, or an output, differs beyond atol + rtol times the largest number of the first.

    Args:
        first: a checkpoint, or a Keras file
        second: the other
        input: an .npy file, once for each input; without any, one seeded random example
        seed: of the random example
        rtol: difference allowed, relative to the largest absolute number of a layer's output
        atol: difference allowed, absolute
        threads: number of threads; all that there can be unless given
        json: write the result into this file
    """
    from keydnn.errors import DivergenceError
    from keydnn.examples import random_inputs
    from keydnn.npy import read_npy
    from keydnn.report.side_by_side import divergence_text, side_by_side_data, side_by_side_table
    from keydnn.verify.rows import Tolerance
    from keydnn.verify.side_by_side import side_by_side

    if seed < 0 or rtol < 0 or atol < 0:
        raise UsageError("--seed, --rtol and --atol must be >= 0")
    check_target(json=json, first=first, second=second, **numbered(input))
    prepare(threads)
    one, other = open_model(first).graph, open_model(second).graph
    fixed = min(one, other, key=lambda graph: sum(size is None for given in graph.given for size in given.shape))
    arrays = [read_npy(path) for path in input] or random_inputs(fixed, seed=seed)
    found = side_by_side(one, other, arrays, Tolerance(rtol, atol))
    print(side_by_side_table(f"{first} (first) and {second} (second)", found))
    tolerance = {"rtol": rtol, "atol": atol}
    write_json(json, {"first": str(first), "second": str(second), **tolerance, **side_by_side_data(found)})
    if found.divergent:
        raise DivergenceError(divergence_text(found.divergent))
    print(f"{first} and {second} agree (rtol {rtol:g}, atol {atol:g})")


def record(
    src: Path,
    out: Path,
    input: tuple[Path, ...] = (),  # the documented flag
    examples: int = 2,
    seed: int = 0,
    python: Path | None = None,
    keras: Literal["", "keras", "tf_keras", "tensorflow.keras"] = "",
    architecture: Path | None = None,
    force: bool = False,
) -> None:
    """Let Keras run a file once, and store what every layer gives: what a conversion is compared with, anywhere.

    Args:
        src: the .h5 or .keras file
        out: the recording to write, e.g. reference.npz
        input: an .npy file; once for every input of the model; without any, they are made up
        examples: number of examples that are made up
        seed: what they are made up from
        python: the Python of an environment that has Keras 3 or tf-keras; this one unless given
        keras: which of the two; what fits the file unless given
        architecture: the JSON file that says what a file of weights only belongs to (Keras' model.to_json())
        force: write over a file of that name
    """
    from keydnn.progress import show_status
    from keydnn.verify.record import record as record_file

    if examples < 1 or seed < 0:
        raise UsageError("--examples must be >= 1 and --seed >= 0")
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: give a name that ends in .npz")
    refuse_same(out=out, src=src, architecture=architecture)
    if out.exists() and not force:
        raise UsageError(f"--out {out}: there is such a file; --force writes over it")
    with show_status("starting Python") as show:
        done = record_file(
            src, out, inputs=input, examples=examples, seed=seed, python=python, keras=keras or None,
            architecture=architecture, progress=show,
        )  # fmt: skip
    print(f"{src} -> {out}: {done}")


def verify(
    model: Path,
    reference: Path | None = None,
    source: Path | None = None,
    python: Path | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    json: Path | None = None,
) -> None:
    """Prove a checkpoint right: by the check that it carries, or layer by layer beside Keras.

    Exit status 1 if anything is beyond what float32 roundings explain.

    Args:
        model: the checkpoint
        reference: what keydnn record stored of the Keras model; Keras is not needed
        source: the Keras file, which is recorded now
        python: a Python that has Keras, with --source; this one unless given
        rtol: allow this much more, relative to the largest number of a layer's output
        atol: allow this much more, absolute
        json: write the result into this file
    """
    from keydnn.model import load
    from keydnn.proof import beside_keras, beside_reference, beside_source
    from keydnn.verify.rows import Tolerance

    if reference is not None and source is not None:
        raise UsageError("--reference and --source say the same: give one of them")
    if python is not None and source is None:
        raise UsageError("--python goes with --source")
    if rtol < 0 or atol < 0:
        raise UsageError("--rtol and --atol must be >= 0")
    check_target(json=json, model=model, reference=reference, source=source)
    prepare(None)
    loaded, tolerance = load(model), Tolerance(rtol, atol)
    if reference is not None:
        proof = beside_keras(loaded, reference, tolerance)
    elif source is not None:
        proof = beside_source(loaded, source, python, tolerance)
    else:
        proof = beside_reference(loaded, str(model), tolerance)
    print(proof.text)
    write_json(json, proof.data)
    if proof.problem:
        raise DivergenceError(f"{model}: {proof.problem}")
