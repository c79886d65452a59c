"""Bytes -> JSON values, strictly, and the way down into them that remembers where it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from keydnn.errors import CheckpointError

DEPTH_LIMIT = 64  # a checkpoint needs 6; a document that a stranger nests deeper ends the parser's stack
STRUCTURE_LIMIT = 8 << 20  # bytes outside of text: 20,000 nodes fit; "[],[],..." takes 21 times as much memory parsed
TEXT_LIMIT = 1 << 20  # pieces of text, for the same reason
DIGITS_LIMIT = 19  # as many as 2**63 - 1 has
RANK_LIMIT = 32  # what every NumPy allows
WAY_OUT = "the file is damaged or was edited; save or convert the model again (keydnn convert --src ... --dst ...)"

_STEPS = np.zeros(256, np.int8)  # how each byte outside of text changes the depth
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
_PLAIN = {int, float, bool, type(None)}


@dataclass(frozen=True, slots=True)
class Spot:
    """A value in a JSON document, with the file's name and its JSON path: what every error message begins with."""

    file: str
    path: str
    value: Any

    def fail(self, problem: str) -> NoReturn:
        """Raise CheckpointError for this place."""
        raise self.error(problem)

    def error(self, problem: str) -> CheckpointError:
        """Make the error for this place."""
        place = f"{self.file}: {clip(self.path, 200)}" if self.path else self.file
        return CheckpointError(f"{place}: {clip(problem, 400)}; {WAY_OUT}")

    def entries(self) -> dict[str, Spot]:
        """Go down into an object with free keys."""
        if not isinstance(self.value, dict):
            self.fail(f"must be an object, got {show(self.value)}")
        return {key: Spot(self.file, self.path + _step(key, self.path), item) for key, item in self.value.items()}

    def members(self, *required: str, optional: tuple[str, ...] = ()) -> dict[str, Spot]:
        """Go down into an object whose keys are known; a missing or an unknown key is an error."""
        found = self.entries()
        for key in required:
            if key not in found:
                self.fail(f"key {key!r} is missing")
        for key, spot in found.items():
            if key not in required and key not in optional:
                spot.fail(f"unknown key; known here: {', '.join((*required, *optional)) or 'none'}")
        return found

    def items(self) -> Iterator[Spot]:
        """Go down into a list."""
        if not isinstance(self.value, list):
            self.fail(f"must be a list, got {show(self.value)}")
        return (Spot(self.file, f"{self.path}[{index}]", item) for index, item in enumerate(self.value))

    def text(self) -> str:
        """Give a text."""
        if not isinstance(self.value, str):
            self.fail(f"must be text, got {show(self.value)}")
        return str(self.value)

    def integer(self, least: int) -> int:
        """Give an integer (true and false are none)."""
        if type(self.value) is not int or self.value < least:
            self.fail(f"must be an integer >= {least}, got {show(self.value)}")
        return int(self.value)

    def sizes(self) -> tuple[int, ...]:
        """Give the shape of an array."""
        sizes = tuple(item.integer(0) for item in self.items())
        if len(sizes) > RANK_LIMIT:
            self.fail(f"has {len(sizes)} axes; at most {RANK_LIMIT} are possible")
        return sizes

    def digest(self) -> str:
        """Give a SHA-256, as 64 hexadecimal digits in lower case."""
        text = self.text()
        if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            self.fail(f"must be a SHA-256 of 64 lower-case hexadecimal digits, got {show(text)}")
        return text


def clip(text: str, length: int) -> str:
    """Cut what a stranger wrote to a length that fits into a message, and keep it on one line."""
    text = " ".join(text.split()) if "\n" in text or "\r" in text else text
    return text if len(text) <= length else f"{text[: length - 3]}..."


def show(value: object) -> str:
    """Write a JSON value as the file has it, short."""
    if isinstance(value, (list, dict)) and len(value) > 16:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return clip(json.dumps(value[:100] if isinstance(value, str) else value), 100)


def _step(key: str | int, before: str) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f"[{json.dumps(key)}]" if not key.isidentifier() else f".{key}" if before else key


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


def parse(file: str, data: bytes) -> Spot:
    """Parse a JSON document that a stranger wrote.

    Parameters
    ----------
    file
        Name of the file, for messages.
    data
        The document; the caller should hold no other reference, so that it can be freed on the way.

    Returns
    -------
    The document's root: objects, lists, text, finite floats, integers of at most 19 digits, booleans and None.

    Raises
    ------
    CheckpointError
        Not UTF-8, not JSON, nested deeper than 64, too large, a key twice in one object, NaN or an infinity, an
        integer that is too long, or half of a surrogate pair.
    """
    root = Spot(file, "", None)
    _check_structure(root, data)
    try:
        text = data.decode("utf-8")
        del data
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
        )
        del text
    except UnicodeDecodeError as error:
        raise root.error(f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise root.error(f"is not valid JSON, or only its beginning: {error.msg} at {where}") from None
    found = _find_refused(value)
    if found is not None:
        problem, steps = found
        path = ""
        for step in reversed(steps):
            path += _step(step, path)
        raise Spot(file, path, None).error(problem)
    return Spot(file, "", value)


def _check_structure(root: Spot, data: bytes) -> None:
    """Bound the depth and what the parser would have to build, before it builds it."""
    if data.count(b'"') > 2 * TEXT_LIMIT:
        root.fail(f"holds more than {TEXT_LIMIT} pieces of text")
    if b"\\" in data:  # takes the escapes of quotes out, and before that the backslashes that are escaped themselves
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    pieces = data.split(b'"')
    outside = b"".join(pieces[::2])
    del pieces
    if len(outside) > STRUCTURE_LIMIT:
        root.fail(f"has {len(outside)} bytes outside of text; at most {STRUCTURE_LIMIT} are possible")
    depth = np.cumsum(_STEPS[np.frombuffer(outside, np.uint8)], dtype=np.int32).max(initial=0)
    if depth > DEPTH_LIMIT:
        root.fail(f"is nested {depth} deep; at most {DEPTH_LIMIT} levels are possible")


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
