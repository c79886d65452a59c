"""The command line: one function a verb.  Fire finds and calls them; ``commandline.py`` keeps its traps away."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np

from keydnn.arguments import (
    check_checkpoint,
    check_target,
    numbered,
    open_model,
    prepare,
    refuse_same,
    save_checked,
    show_plan,
    show_results,
    starts_like_json,
    write_json,
)
from keydnn.errors import DivergenceError, UsageError


def convert(
    src: Path,
    dst: Path,
    strict: bool = True,
    allow_non_linear_activation: bool = False,
    channels_last: Literal["", "transpose"] = "",
    weights: Literal["inline", "sidecar"] = "inline",
    report: Path | None = None,
    profile: bool = False,
    architecture: Path | None = None,
    check: bool = True,
    reference: Path | None = None,
) -> None:
    """Convert a Keras file into a JSON checkpoint.

    Args:
        src: the .h5, .hdf5 or .keras file, or a file of weights only
        dst: the checkpoint to write, e.g. model.json
        strict: refuse every rewrite that is not allowed by name; --nostrict allows both of the next
        allow_non_linear_activation: allow Dense(..., activation="relu") and its like
        channels_last: "transpose" allows data_format="channels_last"
        weights: "inline" (base64 in the JSON) or "sidecar" (model.safetensors beside it)
        report: write what became of each layer into this .html, .md or .json file
        profile: measure latency for the report
        architecture: the JSON file that says what a file of weights only belongs to (Keras' model.to_json())
        check: store an example and what a float64 reference computes of it, for keydnn verify; --nocheck does not
        reference: what keydnn record stored of the file, to be compared with in the report
    """
    from keydnn.convert import Options
    from keydnn.convert import convert as convert_file
    from keydnn.model import Model, source_record
    from keydnn.profile import latency_of
    from keydnn.proof import of_report
    from keydnn.report.data import file_digests, make_report
    from keydnn.report.write import WRITERS, write_report

    if report is not None and report.suffix not in WRITERS:
        raise UsageError(f"--report {report}: give a name that ends in .html, .md or .json")
    if (profile or reference is not None) and report is None:
        raise UsageError(f"--{'profile' if profile else 'reference'} goes with --report")
    refuse_same(dst=dst, src=src, architecture=architecture)
    check_checkpoint(dst)
    check_target(report=report, src=src, dst=dst, architecture=architecture, reference=reference)
    conversion = convert_file(
        src,
        Options(
            allow_non_linear_activation=allow_non_linear_activation or not strict,
            channels_last=channels_last == "transpose" or not strict,
        ),
        architecture,
        keep_weights=report is not None,
    )
    graph = conversion.require_graph()
    prepare(None)
    latency = latency_of(graph) if profile else None
    model = Model(graph, name=conversion.name, source=source_record(conversion))
    verified = of_report(model, reference) if reference is not None else None
    save_checked(model, dst, weights, check)
    if report is not None:
        sidecar = dst.with_suffix(".safetensors") if weights == "sidecar" else None
        files = {"source": src, "architecture": architecture, "checkpoint": dst, "weights": sidecar}
        verified = verified or of_report(model, None)
        digests = file_digests(files)
        write_report(report, make_report(conversion, graph, files=digests, verification=verified, latency=latency))
    listed = f", listed in {report}" if report else ""
    print(
        f"{src} -> {dst}: {len(conversion.layers)} Keras layers became {len(graph.nodes)} modules "
        f"(rewrites: {len(conversion.rewrites)}{listed})"
    )
    if verified and verified.problem:
        raise DivergenceError(f"{dst}: {verified.problem}")


def run(
    model: Path,
    *inputs: Path,
    output: Path | None = None,
    top: int = 0,
    batch_size: int = 32,
    threads: int | None = None,
) -> None:
    """Run a checkpoint on .npy inputs.

    Args:
        model: the checkpoint (model.json)
        inputs: one .npy file an input of the model, the batch on axis 0
        output: write the result into this .npy file (several outputs: one file each, OUTPUT.<name>.npy)
        top: show the k largest scores of each example
        batch_size: examples computed at once
        threads: number of threads; all that there can be unless given
    """
    from keydnn.model import load
    from keydnn.npy import read_npy

    if not inputs:
        raise UsageError("run needs the checkpoint and at least one input: keydnn run model.json input.npy")
    if top < 0 or batch_size < 1:
        raise UsageError("--top must be >= 0 and --batch-size >= 1")
    prepare(threads)
    refuse_same(output=output, model=model, **numbered(inputs))
    loaded = load(model)
    loaded.graph.check_count(len(inputs))
    arrays = [read_npy(path) for path in inputs]
    start = time.perf_counter()
    found = loaded.predict(arrays[0] if len(arrays) == 1 else list(arrays), batch_size)
    seconds = time.perf_counter() - start
    results = list(found) if isinstance(found, list) else [found]
    show_results([end.name for end in loaded.graph.results], [*map(np.asarray, results)], output, top)
    print(f"{len(arrays[0])} examples in {seconds:.3f} s, compiling or loading kernels included")


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


def inspect(
    file: Path,
    plan: bool = False,
    batch_size: int | None = None,
    threads: int | None = None,
    architecture: Path | None = None,
) -> None:
    """Show what a Keras file or a checkpoint holds: layers, shapes, parameters, and all that would be rejected.

    Args:
        file: a .h5, .hdf5 or .keras file, a file of weights only, or a checkpoint
        plan: show what predict makes of it: what is computed together, by which algorithm
        batch_size: examples computed at once, with --plan; 1 unless given
        threads: number of threads, with --plan; all that there can be unless given
        architecture: the JSON file that says what a file of weights only belongs to (Keras' model.to_json())
    """
    if plan:
        show_plan(file, 1 if batch_size is None else batch_size, threads, architecture)
        return
    if batch_size is not None or threads is not None:
        raise UsageError("--batch-size and --threads go with --plan")
    from keydnn.convert import Options
    from keydnn.convert import convert as convert_file
    from keydnn.errors import MissingArchitectureError
    from keydnn.model import load
    from keydnn.report.conversion import arrays_table, inspection_table

    if starts_like_json(file):
        loaded = load(file)
        print(loaded.summary())
        return
    try:
        conversion = convert_file(file, Options(), architecture)
    except MissingArchitectureError as error:
        print(arrays_table(file.name, error.arrays))
        print(f"{file}: needs its architecture: keydnn convert --src {file} --dst model.json --architecture arch.json")
        return
    print(inspection_table(conversion))
    if conversion.graph is None:
        print(f"{file}: cannot be converted; the table says what stands in the way")
        return
    flags = sorted({obstacle.flag for obstacle in conversion.obstacles if obstacle.flag})
    needs = f"needs {' '.join(flags)} (or --nostrict)" if flags else "converts without any switch"
    more = f"{f' --architecture {architecture}' if architecture else ''}{' --nostrict' if flags else ''}"
    print(f"{file}: {needs}: keydnn convert --src {file} --dst model.json{more}")


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


def profile(
    model: Path,
    input: tuple[Path, ...] = (),  # the documented flag
    repeat: int = 50,
    modules: bool = False,
    threads: int | None = None,
    json: Path | None = None,
    plot: Path | None = None,
) -> None:
    """Show the latency of every operation that predict runs, under the names of its Keras layers.

    Args:
        model: the checkpoint
        input: an .npy file, once for each input; without any, one seeded random example
        repeat: number of runs, of which the median counts
        modules: run the modules one by one instead, which predict does not
        threads: number of threads; all that there can be unless given
        json: write the latencies into this file
        plot: draw them as bars into this .png, .svg or .pdf file; needs matplotlib
    """
    from keydnn.examples import random_inputs
    from keydnn.model import load
    from keydnn.npy import read_npy
    from keydnn.peak import measure_peak
    from keydnn.profile import (
        latency_data,
        latency_table,
        measure,
        measure_plan,
        plan_latency_data,
        plan_latency_table,
    )
    from keydnn.report.bars import Bar, require_plot, time_text, write_bars
    from keydnn.report.tables import layer_of
    from keydnn.threads import get_num_threads

    if repeat < 1:
        raise UsageError("--repeat must be >= 1")
    check_target(json=json, model=model, **numbered(input))
    check_target(plot=plot, json=json, model=model, **numbered(input))
    if plot is not None:
        require_plot(plot)
    prepare(threads)
    loaded = load(model)
    arrays = [read_npy(path) for path in input] or random_inputs(loaded.graph)
    loaded.graph.check_count(len(arrays))
    title = f"{loaded.name}, batch {len(arrays[0])}, threads {get_num_threads()}"
    about = {"model": str(model), "name": loaded.name, "batch": len(arrays[0]), "threads": get_num_threads()}
    if modules:
        title += ", module by module"
        latencies = measure(loaded.graph, arrays, repeat)
        print(latency_table(title, latencies))
        data = latency_data(latencies)
        bars = [Bar(layer_of(entry.node), entry.seconds) for entry in latencies]
    else:
        latency = measure_plan(loaded.graph, arrays, repeat)
        peak = measure_peak()
        print(plan_latency_table(title, latency, peak))
        data = {**plan_latency_data(latency), "peak_gflops": {"one_thread": peak.one, "all_threads": peak.all}}
        bars = [Bar(entry.row.layers, entry.seconds) for entry in latency.operations]
    write_json(json, {**about, **data})
    if plot is not None:
        write_bars(plot, title, bars, f"{time_text(data['seconds'])} a run")
        print(f"written to {plot}")


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


def info() -> None:
    """Show versions, the CPU, threads and threading layer, and where compiled kernels are kept."""
    import keydnn
    from jit_kernels._jit import describe

    print(f"keydnn {keydnn.__version__}, Python {platform.python_version()} on {platform.platform()}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "h5py", "fire")))
    for name, value in describe().items():
        print(f"{name}: {value}")


def warmup(*models: Path, batch_size: int = 1, threads: int | None = None) -> None:
    """Compile the kernels that checkpoints run on, so that later processes only load them.

    Args:
        models: checkpoints; without any, the bundled digits model
        batch_size: examples computed at once, as later
        threads: number of threads; all that there can be unless given
    """
    from keydnn.demo import digits
    from keydnn.model import load
    from keydnn.threads import get_num_threads
    from keydnn.warmup import warm_up

    if batch_size < 1:
        raise UsageError("--batch-size must be >= 1")
    prepare(threads)
    for model in [load(path) for path in models] or [digits()]:
        done = warm_up(model, batch_size)
        for name, new in done.kernels.items():
            print(f"  {name}: {'compiled' if new else 'was in the cache'}")
        print(
            f"{model.name}, batch {batch_size}, threads {get_num_threads()}: {len(done.kernels)} kernels in "
            f"{done.seconds:.2f} s, {done.compiled} compiled"
        )
    folder = done.folder
    print(f"kernel cache: {f'{folder}, {done.cached_bytes / 1e6:.1f} MB' if folder else 'none: each process compiles'}")


def demo(threads: int | None = None) -> None:
    """Convert the bundled digits model, run it on the bundled test digits, show the result.

    Args:
        threads: number of threads; all that there can be unless given
    """
    from keydnn.demo import show

    prepare(threads)
    show()


VERBS: dict[str, Callable[..., None]] = {
    verb.__name__: verb
    for verb in (convert, run, evaluate, compare, inspect, profile, record, verify, warmup, info, demo)
}
