"""Verbs that run checkpoints: run, profile, warmup, info, demo."""

from __future__ import annotations

import platform
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from keydnn.arguments import (
    check_target,
    numbered,
    prepare,
    refuse_same,
    show_results,
    write_json,
)
from keydnn.errors import UsageError


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


def info() -> None:
    """Show versions, the CPU, threads and threading layer, and where compiled kernels are kept."""
    import keydnn
    from jit_kernels._jit import describe

    print(f"keydnn {keydnn.__version__}, Python {platform.python_version()} on {platform.platform()}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "h5py", "fire")))
    for name, value in describe().items():
        print(f"{name}: {value}")


def demo(threads: int | None = None) -> None:
    """Convert the bundled digits model, run it on the bundled test digits, show the result.

    Args:
        threads: number of threads; all that there can be unless given
    """
    from keydnn.demo import show

    prepare(threads)
    show()
