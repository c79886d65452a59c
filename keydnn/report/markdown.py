"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keydnn.modules.base import shape_text
from keydnn.report.data import ModuleEntry, Report
from keydnn.report.escape import markdown
from keydnn.report.figures import bounds_text, error_text, made_text, ms_text, summary_pairs


def report_markdown(report: Report) -> str:
    """Give the report as Markdown."""
    ends = [
        f"- {kind} {_code(end.name)}: {shape_text(end.shape)}"
        for kind, given in (("input", report.inputs), ("output", report.outputs))
        for end in given
    ]
    sections = [
        [f"# {markdown(report.model)}"],
        [f"Converted from {_code(report.source)} (Keras {markdown(report.keras_version)}) by KeyDNN {report.keydnn}."],
        ends,
        _table(("", ""), summary_pairs(report)),
        ["## Modules"],
        _table(("Keras layer", "class", "module", "output shape", "parameters"), map(_module, report.modules)),
        [f"## Rewrites ({len(report.rewrites)})"],
        _table(("Keras layer", "class", "what"), ((r.layer, r.class_name, r.what) for r in report.rewrites)),
        [f"## Warnings ({len(report.warnings)})"],
        [f"- {markdown(warning, 300)}" for warning in report.warnings] or ["None."],
        ["## Weights"],
        _table(("in the file", "type", "shape", "tensor", "shape", "how"), _weights(report)),
        ["## Verification"],
        _verification(report),
        ["## Latency"],
        _latency(report),
        ["## Digests"],
        _table(("SHA-256", "bytes", "what"), _digests(report)),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _code(text: str) -> str:
    """Write a name as code, with quotes that it cannot hold taken out."""
    return f"`{markdown(text.replace('`', chr(39)))}`"


def _module(entry: ModuleEntry) -> Sequence[str]:
    layer = entry.keras_layer if entry.keras_layer is not None else f"({entry.name})"
    module = f"`{entry.module.replace('`', chr(39))}`"
    return layer, entry.keras_class or "", module, shape_text(entry.output_shape), f"{entry.parameters:,}"


def _weights(report: Report) -> Iterable[Sequence[str]]:
    for layer in report.layers:
        stored = {weight.name: weight for weight in layer.weights}
        used: set[str] = set()
        for module in layer.modules:
            for tensor in module.tensors:
                sources = [stored[name] for name in tensor.made.sources]
                used.update(tensor.made.sources)
                yield (
                    ", ".join(weight.name for weight in sources),
                    ", ".join(dict.fromkeys(weight.dtype for weight in sources)),
                    ", ".join(str(weight.shape) for weight in sources),
                    tensor.name,
                    str(tensor.shape),
                    made_text(tensor),
                )
        for name, weight in stored.items():
            if name not in used:
                yield name, weight.dtype, str(weight.shape), "", "", "plays no part at inference"


def _verification(report: Report) -> list[str]:
    if report.verification is None:
        return ["Not verified."]
    rows = (
        (row.layer, row.class_name, shape_text(row.shape), error_text(row.max_abs_error),
         error_text(row.max_rel_error), bounds_text(row.bounds), "yes" if row.agrees else "**no**")
        for row in report.verification.rows
    )  # fmt: skip
    head = ("Keras layer", "class", "output shape", "largest error", "relative", "bounds", "agrees")
    problem = [f"**{markdown(report.verification.problem)}**", ""] if report.verification.problem else []
    return [f"Compared with {markdown(report.verification.against)}.", "", *problem, *_table(head, rows)]


def _latency(report: Report) -> list[str]:
    if report.latency is None:
        return ["Not measured."]
    rows = ((timing.layers, timing.computed, ms_text(timing.seconds)) for timing in report.latency.operations)
    whole = f"{ms_text(report.latency.seconds)} a run, batch {report.latency.batch}, threads {report.latency.threads}."
    return [whole, "", *_table(("layers", "computed as", "median"), rows)]


def _digests(report: Report) -> Iterable[Sequence[str]]:
    for file in report.files:
        yield f"`{file.sha256}`", f"{file.bytes:,}", f"{file.role} {file.name}"
    for module in report.modules:
        for tensor in module.tensors:
            size = 4
            for length in tensor.shape:
                size *= length
            yield f"`{tensor.sha256}`", f"{size:,}", tensor.name


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[markdown(cell, 300) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *cells)]
