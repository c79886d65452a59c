"""JSON from strangers: bounded, without duplicate keys, with finite numbers and integers of a sane length."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from keydnn.errors import KeyDNNError

Json = Any  # what json gives: dict, list, str, int, float, bool, None

MAX_DEPTH = 64
MAX_DIGITS = 19  # 64-bit integers; Python refuses to parse 4,300 digits and takes long before that
_NOT_DEPTH = re.compile(r'"(?:[^"\\]|\\.)*"|[^"\[\]{}]+')


def parse(raw: bytes | str, where: str, error: type[KeyDNNError]) -> Json:
    """Parse a JSON document.

    Parameters
    ----------
    raw
        UTF-8 bytes, or text.
    where
        What is being read, for the error: ``"model_config of m.h5"``.
    error
        The class to raise, with a one-line message, for whatever is wrong.
    """

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise error(f"{where}: the key {twice[:80]!r} stands twice in one object")
        return found

    def integer(text: str) -> int:
        if len(text.lstrip("-")) > MAX_DIGITS:
            raise error(f"{where}: an integer of {len(text)} digits")
        return int(text)

    def real(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise error(f"{where}: the number {text[:40]} is not finite")
        return number

    def constant(text: str) -> float:
        raise error(f"{where}: the number {text} is not JSON")

    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        depth = deepest = 0
        for bracket in _NOT_DEPTH.sub("", text):
            depth += 1 if bracket in "[{" else -1 if bracket in "]}" else 0
            deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            raise error(f"{where}: nested {deepest} deep, more than {MAX_DEPTH}")
        return json.loads(text, object_pairs_hook=unique, parse_int=integer, parse_float=real, parse_constant=constant)
    except UnicodeDecodeError as problem:
        raise error(f"{where}: not UTF-8 at byte {problem.start}") from None
    except json.JSONDecodeError as problem:
        raise error(f"{where}: not JSON: {problem.msg} at line {problem.lineno}, column {problem.colno}") from None
