"""Latencies drawn as horizontal bars, by matplotlib (the extra ``plot``), which is imported when it is needed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keydnn.atomic import replace_file
from keydnn.errors import InputError, UsageError

KINDS = (".png", ".svg", ".pdf")
IN_ORDER = 40  # so many bars fit on a page, in the order of the model; of more, so many of the slowest are shown
LABEL = 56  # letters
BLUE, GREY, INK, FAINT = "#3b6ea5", "#b3b9c1", "#1f2933", "#7b8794"


@dataclass(frozen=True)
class Bar:
    """A bar: what it is the time of, and the time in seconds."""

    label: str
    seconds: float


def require_plot(path: Path) -> None:
    """Raise UsageError unless a plot can be made: the file's name ends in a known kind, and matplotlib is there."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"--plot {path}: give a name that ends in {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    try:
        import matplotlib.figure  # noqa: F401  # only looked for
    except ImportError:
        raise UsageError('--plot needs matplotlib: pip install "keydnn[plot]"') from None


def chosen(bars: Sequence[Bar], most: int = IN_ORDER) -> tuple[list[Bar], list[Bar]]:
    """Give the bars to draw, and the others: all in their order if they fit on a page, else the slowest first."""
    if len(bars) <= most:
        return list(bars), []
    slowest = sorted(bars, key=lambda bar: -bar.seconds)
    return slowest[:most], slowest[most:]


def shown(label: str, most: int = LABEL) -> str:
    """Write a label on one line, cut in its middle if it is long: between two layers, where there are several."""
    label = " ".join(label.split())
    parts = label.split(" + ")
    if len(label) > most and len(parts) > 2:
        label = f"{parts[0]} + … + {parts[-1]}"
    if len(label) <= most:
        return label
    head = (most - 1) // 2
    return f"{label[:head]}…{label[len(label) - (most - 1 - head) :]}"


def time_text(seconds: float) -> str:
    """Write a time with three digits that count."""
    scale, unit = next(((s, u) for s, u in ((1, "s"), (1e3, "ms")) if seconds * s >= 1), (1e6, "µs"))
    value = seconds * scale
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def write_bars(path: Path, title: str, bars: Sequence[Bar], footer: str = "") -> None:
    """Draw bars with their times and shares, and write the picture.

    Parameters
    ----------
    path
        A ``.png``, ``.svg`` or ``.pdf`` file.
    title, footer
        Above the bars, in large and in small letters.
    bars
        At least one.

    Raises
    ------
    UsageError
        There is no matplotlib.
    InputError
        The file cannot be written.
    """
    require_plot(path)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks is drawn as a box
        kind = path.suffix.lower()[1:]
        _figure(title, bars, footer).savefig(buffer, format=kind, dpi=150, bbox_inches="tight", pad_inches=0.2)
    replace_file(path, [buffer.getbuffer()], InputError)


def _figure(title: str, bars: Sequence[Bar], footer: str) -> Any:
    from matplotlib.figure import Figure

    drawn, others = chosen(bars)
    total, rest = sum(bar.seconds for bar in bars), sum(bar.seconds for bar in others)
    longest = max(bar.seconds for bar in drawn)
    scale, unit = (1e3, "ms") if longest >= 1e-4 else (1e6, "µs")
    digits = 2 if longest * scale < 10 else 1
    figure: Any = Figure(figsize=(10, 1.1 + 0.24 * len(drawn)))
    axes = figure.add_subplot()
    places = range(len(drawn))
    axes.barh(places, [bar.seconds * scale for bar in drawn], height=0.72, color=BLUE)
    for place, bar in enumerate(drawn):
        words = f" {bar.seconds * scale:.{digits}f} {unit}  {bar.seconds / total:.1%}"
        axes.text(bar.seconds * scale, place, words, va="center", fontsize=7.5, color=INK)
    for tick in axes.set_yticks(places, [shown(bar.label) for bar in drawn], fontsize=8):
        tick.label1.set_parse_math(False)  # a $ in a name is a $
    axes.set_ylim(len(drawn) - 0.4, -0.6)  # the first on top
    axes.set_xlim(0, longest * scale * 1.18)
    axes.set_xlabel(f"{unit} (median)", fontsize=8, color=FAINT)
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.tick_params(axis="x", labelsize=8, colors=FAINT)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    order = f"the {len(drawn)} slowest of {len(bars)}" if others else "in the order of the model"
    more = f"; the others: {time_text(rest)}, {rest / total:.1%}" if others else ""
    axes.set_title(f"{title}\n", loc="left", fontsize=11, color=INK, parse_math=False)
    below = f"{footer}; {order}{more}\n"
    axes.text(0, 1.0, below, transform=axes.transAxes, fontsize=8, color=FAINT, parse_math=False)
    return figure
