"""What the report says in words and figures, the same in every form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keydnn.report.data import LayerEntry, Report, TensorEntry
from keydnn.report.plan import bytes_text
from keydnn.verify.rows import LayerRow


def made_text(tensor: TensorEntry) -> str:
    """Say how a tensor was made of what the file stores."""
    made = tensor.made
    if made.how.startswith("transposed"):
        order = f"({', '.join(map(str, made.order))})" if made.order else "(which way the numbers do not tell)"
        return made.how.replace("transposed", f"transposed {order}", 1)
    return made.how


def summary_pairs(report: Report) -> list[tuple[str, str]]:
    """Give what the report begins with, as name and value."""
    pairs = [
        ("Keras version", report.keras_version),
        ("Keras layers", f"{len(report.layers):,}"),
        ("Modules", f"{len(report.modules):,}"),
        ("Parameters", f"{report.parameters:,}"),
        ("Weights as float32", bytes_text(4 * report.parameters)),
        ("Rewrites", f"{len(report.rewrites):,}"),
        ("Warnings", f"{len(report.warnings):,}"),
        ("Verified", verified_text(report)),
    ]
    worst = worst_row(report)
    if worst is not None:
        pairs.append(("Largest relative error", f"{error_text(worst.max_rel_error)}, {worst.layer}"))
    if report.latency is not None:
        pairs.append(("Latency", f"{latency_text(report)} a run"))
    return pairs


def verified_text(report: Report) -> str:
    """Say whether the model was verified, and by what."""
    if report.verification is None:
        return "not verified"
    wrong = sum(not row.agrees for row in report.verification.rows)
    if wrong:
        return f"no: {wrong} of {len(report.verification.rows)} layers differ"
    return "no: see below" if report.verification.problem else f"yes, by {report.verification.against}"


def worst_row(report: Report) -> LayerRow | None:
    """Give the row with the largest relative error; None if there is none."""
    rows = report.verification.rows if report.verification else ()
    return max(rows, key=lambda row: _order(row.max_rel_error), default=None)


def _order(error: float) -> float:
    return math.inf if math.isnan(error) else error


def latency_text(report: Report) -> str:
    """Write the time of a run; empty if it was not measured."""
    return ms_text(report.latency.seconds) if report.latency else ""


def ms_text(seconds: float) -> str:
    """Write a time in milliseconds, with three digits that count."""
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms" if ms >= 10 else f"{ms:.3f} ms"


def error_text(error: float | None) -> str:
    """Write an error; nothing where there is none."""
    return "" if error is None else "0" if error == 0 else f"{error:.1e}" if math.isfinite(error) else str(error)


def bounds_text(bounds: float | None) -> str:
    """Write a difference in units of its bound."""
    return "" if bounds is None else f"{bounds:.2f}" if bounds < 100 else error_text(bounds)


def rows_by_layer(report: Report) -> dict[str, list[LayerRow]]:
    """Give the rows of the comparison by layer, those of all its calls together."""
    names = {layer.name for layer in report.layers}
    found: dict[str, list[LayerRow]] = {}
    for row in report.verification.rows if report.verification else ():
        name = row.layer if row.layer in names else row.layer.rpartition("@")[0]
        found.setdefault(name, []).append(row)
    return found


@dataclass(frozen=True)
class Share:
    """The time of a layer: of the operation that it begins, or the layer in whose operation it is computed."""

    seconds: float
    within: str = ""


def times_by_layer(report: Report) -> dict[str, Share]:
    """Give the time of every layer that is computed; an operation's time counts for the first layer in it."""
    owner = {module.name: layer.name for layer in report.layers for module in layer.modules}
    found: dict[str, Share] = {}
    for timing in report.latency.operations if report.latency else ():
        layers = list(dict.fromkeys(owner[name] for name in timing.nodes if name in owner))
        for place, layer in enumerate(layers):
            if not place:
                before = found.get(layer)
                found[layer] = Share(timing.seconds + (before.seconds if before and not before.within else 0.0))
            elif layer not in found:
                found[layer] = Share(0.0, layers[0])
    return found


def grouped_rewrites(report: Report) -> Mapping[str, Sequence[str]]:
    """Give what was rewritten, and the layers that it concerns, in order."""
    found: dict[str, list[str]] = {}
    for rewrite in report.rewrites:
        found.setdefault(rewrite.what, []).append(rewrite.layer)
    return found


def tensors_of(layer: LayerEntry) -> list[TensorEntry]:
    """Give the tensors of a layer's modules."""
    return [tensor for module in layer.modules for tensor in module.tensors]
