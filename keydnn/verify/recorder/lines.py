"""What the program says: one line each, on standard output, that begins with ``MARK``; other lines are Keras' own."""

from __future__ import annotations

import re

MARK = "keydnn-record:"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
WAY_OUT = "give a Python that has: --python OTHER/bin/python"


class Problem(Exception):
    """What stands in the way, in one line."""


def say(kind: str, text: str) -> None:
    """Say something of a kind: progress, a note, an error, or what was done."""
    print(MARK, kind, " ".join(text.split()), flush=True)


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message that says something."""
    lines = [line.strip() for line in COLOURS.sub("", str(error)).splitlines() if line.strip()]
    inner = [line for line in lines if line.startswith("Exception encountered:")]  # Keras says it after all else
    said = inner[:1] or lines[: 2 if lines and lines[0].startswith("Exception encountered when") else 1]
    text = ": ".join([type(error).__name__, *said])
    return text if len(text) <= 300 else text[:297] + "..."
