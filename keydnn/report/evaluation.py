"""What a model does on labelled examples: as text for the terminal, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keydnn.evaluate import TOP, Classified, Counts, Evaluation
from keydnn.report.tables import Align, table_text


def share_text(part: int, whole: int) -> str:
    """Write a count as people want it: ``742 of 846, 87.71 %``; never 100 % unless it is all, nor 0 % unless none."""
    percent = f"{100 * part / whole:.2f}"
    if part < whole and percent == "100.00":
        percent = "> 99.99"
    elif part and percent == "0.00":
        percent = "< 0.01"
    return f"{part:,} of {whole:,}, {percent} %"


def evaluation_text(found: Evaluation) -> str:
    """Give what was counted as lines, and the confusion matrix as a table."""
    rows: list[tuple[str, str]] = []
    whole = found.examples
    if found.classified:
        seen = found.classified
        rows.append(("right" if seen.classes == 2 else "top-1", share_text(seen.right, whole)))
        if seen.right_in_5 is not None:
            rows.append((f"top-{TOP}", share_text(seen.right_in_5, whole)))
        if seen.undecided:
            rows.append(("with scores that are NaN", share_text(seen.undecided, whole)))
    if found.measured:
        errors = found.measured
        rows += [("mean absolute error", f"{errors.mae:.6g}"), ("root mean square error", f"{errors.rmse:.6g}")]
        rows.append(("largest absolute error", f"{errors.largest:.6g}"))
    if found.agreement:
        other = found.agreement
        if other.same is not None:
            rows.append(("agreement with the source", share_text(other.same, whole)))
        if other.largest is not None:
            rows.append(("largest difference to the source", f"{other.largest:.3g}"))
        if other.source_right is not None:
            rows.append(("right in the source", share_text(other.source_right, whole)))
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {text}" for name, text in rows]
    if found.classified and found.classified.confusion is not None:
        lines += ["", confusion_table(found.classified.confusion)]
    return "\n".join(lines)


def confusion_table(counts: Counts) -> str:
    """Give a confusion matrix: true classes down, predicted ones across, and how many of each are right."""
    columns: list[tuple[str, Align]] = [("true", "right"), *((str(place), "right") for place in range(len(counts)))]
    rows: list[Sequence[str]] = []
    for place, row in enumerate(counts.tolist()):
        whole = sum(row)
        cells = [str(count) if count else "·" for count in row]
        rows.append([str(place), *cells, f"{row[place] / whole:.1%}" if whole else ""])
    table = table_text("", [*columns, ("right", "right")], rows)
    return f"confusion: rows true, columns predicted\n{table}"


def evaluation_data(found: Evaluation) -> dict[str, Any]:
    """Give what was counted as plain data."""
    data: dict[str, Any] = {"examples": found.examples}
    if found.classified:
        data |= _classified_data(found.classified, found.examples)
    if found.measured:
        errors = found.measured
        data |= {"mae": errors.mae, "rmse": errors.rmse, "largest_error": errors.largest}
    if found.agreement:
        other = found.agreement
        data["source"] = {"largest_difference": other.largest}
        if other.same is not None and other.source_right is not None:
            data["source"] |= {
                "same": other.same,
                "agreement": other.same / found.examples,
                "right": other.source_right,
            }
    return data


def _classified_data(seen: Classified, examples: int) -> dict[str, Any]:
    top5 = None if seen.right_in_5 is None else {"right": seen.right_in_5, "share": seen.right_in_5 / examples}
    return {
        "classes": seen.classes,
        "top1": {"right": seen.right, "share": seen.right / examples},
        "top5": top5,
        "undecided": seen.undecided,
        "confusion": None if seen.confusion is None else seen.confusion.tolist(),
    }
