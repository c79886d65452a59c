"""Verbs that read Keras files: convert, inspect."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from keydnn.arguments import (
    MAX_WEIGHTS,
    Bytes,
    check_checkpoint,
    check_target,
    limits_of,
    prepare,
    refuse_same,
    run_hooks,
    save_checked,
    show_plan,
    starts_like_json,
    statements_of,
)
from keydnn.errors import DivergenceError, UsageError, quoted


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
    max_weights: Bytes = MAX_WEIGHTS,
    timeout: float = 10.0,
    lambda_: tuple[str, ...] = (),
    hooks: tuple[Path, ...] = (),
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
        max_weights: bytes that all weights may have together, e.g. 16GiB
        timeout: seconds that the HDF5 library may take for one answer, beside what reading numbers takes
        lambda_: what a Lambda, whose code is never run, stands for: 'name=x/255'; once for each
        hooks: a Python file of your own, which is run: it registers readers of custom layers
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
    lambdas = statements_of(lambda_)
    refuse_same(dst=dst, src=src, architecture=architecture)
    check_checkpoint(dst)
    check_target(report=report, src=src, dst=dst, architecture=architecture, reference=reference)
    run_hooks(hooks)
    conversion = convert_file(
        src,
        Options(
            allow_non_linear_activation=allow_non_linear_activation or not strict,
            channels_last=channels_last == "transpose" or not strict,
            lambdas=lambdas,
        ),
        architecture,
        keep_weights=report is not None,
        limits=limits_of(max_weights, timeout),
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


def inspect(
    file: Path,
    plan: bool = False,
    batch_size: int | None = None,
    threads: int | None = None,
    architecture: Path | None = None,
    max_weights: Bytes = MAX_WEIGHTS,
    timeout: float = 10.0,
    lambda_: tuple[str, ...] = (),
    hooks: tuple[Path, ...] = (),
) -> None:
    """Show what a Keras file or a checkpoint holds: layers, shapes, parameters, and all that would be rejected.

    Args:
        file: a .h5, .hdf5 or .keras file, a file of weights only, or a checkpoint
        plan: show what predict makes of it: what is computed together, by which algorithm
        batch_size: examples computed at once, with --plan; 1 unless given
        threads: number of threads, with --plan; all that there can be unless given
        architecture: the JSON file that says what a file of weights only belongs to (Keras' model.to_json())
        max_weights: bytes that all weights may have together, e.g. 16GiB
        timeout: seconds that the HDF5 library may take for one answer, beside what reading numbers takes
        lambda_: what a Lambda, whose code is never run, stands for: 'name=x/255'; once for each
        hooks: a Python file of your own, which is run: it registers readers of custom layers
    """
    lambdas = statements_of(lambda_)
    run_hooks(hooks)
    if plan:
        limits = limits_of(max_weights, timeout)
        show_plan(file, 1 if batch_size is None else batch_size, threads, architecture, limits, lambdas)
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
        conversion = convert_file(file, Options(lambdas=lambdas), architecture, limits=limits_of(max_weights, timeout))
    except MissingArchitectureError as error:
        print(arrays_table(file.name, error.arrays))
        print(f"{file}: needs its architecture: keydnn convert --src {file} --dst model.json --architecture arch.json")
        return
    print(inspection_table(conversion))
    if conversion.graph is None:
        if all(obstacle.flag for obstacle in conversion.obstacles):
            print(f"{file}: cannot be converted until --lambda says what its code stands for")
        else:
            print(f"{file}: cannot be converted; the table says what stands in the way")
        return
    flags = sorted({obstacle.flag for obstacle in conversion.obstacles if obstacle.flag})
    needs = f"needs {' '.join(flags)} (or --nostrict)" if flags else "converts without any switch"
    more = f" --architecture {architecture}" if architecture else ""
    more += "".join(f" --lambda {quoted(text)}" for text in lambda_) + "".join(
        f" --hooks {shlex.quote(str(path))}" for path in hooks
    )
    more += " --nostrict" if flags else ""
    print(f"{file}: {needs}: keydnn convert --src {file} --dst model.json{more}")
