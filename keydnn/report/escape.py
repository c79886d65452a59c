"""Text that strangers wrote, made safe to show."""

from __future__ import annotations

import unicodedata
from html import escape

MOST = 120  # characters of a name that are shown
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, direction, half characters, none at all, line ends


def visible(text: str, most: int = MOST) -> str:
    """Give text on one line, of bounded length, with characters that cannot be seen written as escapes."""
    cut = text if len(text) <= most else f"{text[: most * 2 // 3]}…{text[len(text) - most // 4 :]}"
    shown = "".join(_shown(character) for character in cut)
    return shown if len(text) <= most else f"{shown} ({len(text):,} characters)"


def _shown(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else f"\\x{ord(character):02x}"
    return character if unicodedata.category(character) not in UNSEEN else f"\\u{ord(character):04x}"


def html(text: object, most: int = MOST) -> str:
    """Give text as HTML."""
    return escape(visible(str(text), most))


def name(text: str, most: int = MOST) -> str:
    """Give a name as HTML that keeps its direction of writing to itself."""
    return f"<bdi>{html(text, most)}</bdi>"


def markdown(text: object, most: int = MOST) -> str:
    """Give text for a cell of a Markdown table."""
    shown = visible(str(text), most).replace("\\", "\\\\").replace("|", "\\|")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fitted(text: str, most: int) -> str:
    """Give a name cut to a number of characters: of a path the end, else begin and end."""
    kept = text if len(text) <= 2 * MOST else f"{text[:MOST]}…{text[len(text) - MOST :]}"
    shown = "".join(map(_shown, kept))
    if len(shown) <= most:
        return shown
    tail = shown.rpartition("/")[2]
    if "/" in shown and len(tail) + 2 <= most:
        return f"…/{tail}"
    return f"{shown[: most * 2 // 3]}…{shown[len(shown) - (most - most * 2 // 3 - 1) :]}"
