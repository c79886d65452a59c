"""JSON from strangers: bounded, without duplicate keys, with finite numbers and integers of a sane length."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.errors import KeyDNNError

Json = Any  # what json gives: dict, list, str, int, float, bool, None
Refuse = Callable[[str, str], KeyDNNError]

DEPTH_LIMIT = 64  # a checkpoint needs 6, Keras some 12 for each model in a model
STRUCTURE_LIMIT = 8 << 20  # bytes outside of text: 20,000 nodes fit; "[],[],..." takes 21 times as much memory parsed
TEXT_LIMIT = 1 << 20  # pieces of text, for the same reason
DIGITS_LIMIT = 19  # as many as 2**63 - 1 has

_STEPS = np.zeros(256, np.int8)  # how each byte outside of text changes the depth
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
_PLAIN = {int, float, bool, type(None)}


def clip(text: str, length: int) -> str:
    """Cut what a stranger wrote to a length that fits into a message, and keep it on one line."""
    text = " ".join(text.split()) if "\n" in text or "\r" in text else text
    return text if len(text) <= length else f"{text[: length - 3]}..."


def extend_path(before: str, key: str | int) -> str:
    """Give the JSON path of a member of what stands at a path."""
    if isinstance(key, int):
        return f"{before}[{key}]"
    if not key.isidentifier():
        return f"{before}[{json.dumps(key)}]"
    return f"{before}.{key}" if before else key


@dataclass(frozen=True, slots=True)
class _Refused:
    """What the parser's hooks put in place of a value that must not be there; the walk afterwards finds its path."""

    problem: str


def _integer(digits: str) -> int | _Refused:
    if len(digits.lstrip("-")) > DIGITS_LIMIT:
        return _Refused(f"an integer of {len(digits)} digits; at most {DIGITS_LIMIT} are possible")
    return int(digits)


def _real(digits: str) -> float | _Refused:
    value = float(digits)
    return value if math.isfinite(value) else _Refused(f"the number {clip(digits, 40)} is not finite")


def _constant(name: str) -> _Refused:
    return _Refused(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                made[key] = _Refused("the key stands here twice")
            seen.add(key)
    return made


def parse(data: bytes, refuse: Refuse) -> Json:
    """Parse a JSON document that a stranger wrote.

    Parameters
    ----------
    data
        The document; the caller should hold no other reference, so that it can be freed on the way.
    refuse
        Makes the error to raise, from a JSON path (empty for the document) and what is wrong there.

    Returns
    -------
    The document's root: objects, lists, text, finite floats, integers of at most 19 digits, booleans and None.

    Raises
    ------
    What ``refuse`` makes
        Not UTF-8, not JSON, nested deeper than 64, too large, a key twice in one object, NaN or an infinity, an
        integer that is too long, or half of a surrogate pair.
    """
    _check_structure(data, refuse)
    try:
        text = data.decode("utf-8")
        del data
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
        )
        del text
    except UnicodeDecodeError as error:
        raise refuse("", f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise refuse("", f"is not valid JSON, or only its beginning: {error.msg} at {where}") from None
    found = _find_refused(value)
    if found is not None:
        problem, steps = found
        path = ""
        for step in reversed(steps):
            path = extend_path(path, step)
        raise refuse(path, problem)
    return value


def _check_structure(data: bytes, refuse: Refuse) -> None:
    """Bound the depth and what the parser would have to build, before it builds it."""
    if data.count(b'"') > 2 * TEXT_LIMIT:
        raise refuse("", f"holds more than {TEXT_LIMIT} pieces of text")
    if b"\\" in data:  # takes the escapes of quotes out, and before that the backslashes that are escaped themselves
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    pieces = data.split(b'"')
    outside = b"".join(pieces[::2])
    del pieces
    if len(outside) > STRUCTURE_LIMIT:
        raise refuse("", f"has {len(outside)} bytes outside of text; at most {STRUCTURE_LIMIT} are possible")
    depth = np.cumsum(_STEPS[np.frombuffer(outside, np.uint8)], dtype=np.int32).max(initial=0)
    if depth > DEPTH_LIMIT:
        raise refuse("", f"is nested {depth} deep; at most {DEPTH_LIMIT} levels are possible")


def _find_refused(value: Any) -> tuple[str, list[str | int]] | None:
    """Look for what must not be there; give the problem and the way to it, last step first."""
    if isinstance(value, _Refused):
        return value.problem, []
    if isinstance(value, str):
        return None if _encodable(value) else ("half of a surrogate pair stands alone in this text", [])
    if not isinstance(value, (dict, list)):
        return None
    for step, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(step, str) and not _encodable(step):
            return f"half of a surrogate pair stands alone in the key {json.dumps(step)}", []
        if type(item) in _PLAIN:
            continue
        found = _find_refused(item)
        if found is not None:
            found[1].append(step)
            return found
    return None


def _encodable(text: str) -> bool:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return False
    return True
