"""Plots of the report as SVG: the error of every layer, the latency of every operation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from keydnn.report.escape import visible
from keydnn.report.latency import Timing
from keydnn.verify.rows import LayerRow

WIDTH, HEIGHT = 960.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 12.0, 14.0, 30.0
MOST_MARKS = 8  # on an axis
DECADES = 3  # that the axis spans at least


def error_plot(rows: Sequence[LayerRow]) -> str:
    """Draw the relative error of every layer, in order, on a logarithmic axis on which 0 and infinity have places."""
    errors = [row.max_rel_error for row in rows]
    finite = [math.log10(error) for error in errors if 0 < error < math.inf]
    low = math.floor(min(finite, default=-7)) - 1
    high = max(math.ceil(max(finite, default=-6)), low + DECADES)
    has_infinite = any(not math.isfinite(error) for error in errors)
    top = high + 1 if has_infinite else high

    def y(error: float) -> float:
        level = low if error == 0 else top if not math.isfinite(error) else math.log10(error)
        return TOP + (top - level) / (top - low) * (HEIGHT - TOP - BOTTOM)

    step = max(1, -(-(high - low) // MOST_MARKS))
    parts = [_begin(f"relative error of {len(rows)} layers, in order", "relative error")]
    for level in range(low, top + 1):
        name = "0" if level == low else "∞" if has_infinite and level == top else f"1e{level}"
        if (level - low) % step == 0 or name == "∞":
            parts.append(_mark(y(10.0**level) if name not in ("0", "∞") else y(0 if name == "0" else math.inf), name))
    points = [(_x(place, len(rows)), y(error)) for place, error in enumerate(errors)]
    line = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
    parts.append(f'<polyline class="trend" points="{line}"/>')
    for row, (x, height) in zip(rows, points, strict=True):
        bounds = f", {row.bounds:.3g} bounds" if row.bounds is not None else ""
        title = f"{visible(row.layer)}: absolute {row.max_abs_error:.3g}, relative {row.max_rel_error:.3g}{bounds}"
        shape = (
            f'<circle class="good" cx="{x:.1f}" cy="{height:.1f}" r="3">'
            if row.agrees
            else f'<path class="bad" d="M{x - 5:.1f} {height - 5:.1f}l10 10m0 -10l-10 10">'
        )
        parts.append(f"{shape}<title>{escape(title)}</title></{'circle' if row.agrees else 'path'}>")
    return "".join([*parts, *_places(len(rows), "layers compared, in order"), "</svg>"])


def latency_plot(timings: Sequence[Timing]) -> str:
    """Draw the latency of every operation, in order, as bars."""
    most = max((timing.seconds for timing in timings), default=0.0) * 1e3
    step = _nice(most / 5)
    top = max(step, math.ceil(most / step) * step)
    scale = (HEIGHT - TOP - BOTTOM) / top
    parts = [_begin(f"milliseconds of {len(timings)} operations, in order", "ms")]
    for number in range(round(top / step) + 1):
        parts.append(_mark(HEIGHT - BOTTOM - number * step * scale, f"{number * step:.3g}"))
    room = (WIDTH - LEFT - RIGHT) / max(1, len(timings))
    bar = min(24.0, max(1.0, room * 0.75))
    for place, timing in enumerate(timings):
        height = timing.seconds * 1e3 * scale
        x = _x(place, len(timings)) - bar / 2
        title = f"{visible(timing.layers)}: {timing.seconds * 1e3:.4g} ms, {visible(timing.computed)}"
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{bar:.1f}" '
            f'height="{height:.1f}"><title>{escape(title)}</title></rect>'
        )
    return "".join([*parts, *_places(len(timings), "operations, in order"), "</svg>"])


def _begin(title: str, axis: str) -> str:
    x, y = 12, TOP + (HEIGHT - TOP - BOTTOM) / 2
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img">'
        f"<title>{escape(title)}</title>"
        f'<text class="place" transform="rotate(-90 {x} {y:g})" x="{x}" y="{y:g}">{axis}</text>'
    )


def _x(place: int, count: int) -> float:
    return LEFT + (place + 0.5) / max(1, count) * (WIDTH - LEFT - RIGHT)


def _mark(y: float, text: str) -> str:
    return (
        f'<path class="grid" d="M{LEFT:g} {y:.1f}H{WIDTH - RIGHT:g}"/>'
        f'<text class="mark" x="{LEFT - 8:g}" y="{y + 4:.1f}">{text}</text>'
    )


def _places(count: int, what: str) -> Iterable[str]:
    """Write numbers below the axis, and what they count."""
    step = _nice(count / 10) if count > 10 else 1
    for place in range(0, count, max(1, round(step))):
        yield f'<text class="place" x="{_x(place, count):.1f}" y="{HEIGHT - BOTTOM + 15:g}">{place + 1}</text>'
    yield f'<text class="mark" x="{WIDTH - RIGHT:g}" y="{HEIGHT - 2:g}">{what}</text>'


def _nice(value: float) -> float:
    """Give the next of 1, 2, 5, 10, 20, ... (or of 0.1, 0.2, ...)."""
    if value <= 0:
        return 1.0
    base = 10.0 ** math.floor(math.log10(value))
    return next(base * factor for factor in (1, 2, 5, 10) if base * factor >= value * (1 - 1e-9))
