"""A JSON value that knows its path: the way down into a checkpoint, on which every error names its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from keydnn import strict_json
from keydnn.errors import CheckpointError
from keydnn.strict_json import clip, extend_path

RANK_LIMIT = 32  # what every NumPy allows
WAY_OUT = "the file is damaged or was edited; save or convert the model again (keydnn convert --src ... --dst ...)"


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
        return {key: Spot(self.file, extend_path(self.path, key), item) for key, item in self.value.items()}

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


def show(value: object) -> str:
    """Write a JSON value as the file has it, short."""
    if isinstance(value, (list, dict)) and len(value) > 16:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return clip(json.dumps(value[:100] if isinstance(value, str) else value), 100)


def parse(file: str, data: bytes) -> Spot:
    """Parse a checkpoint's JSON as :mod:`keydnn.strict_json` does; CheckpointError for whatever is wrong with it."""
    return Spot(file, "", strict_json.parse(data, lambda path, problem: Spot(file, path, None).error(problem)))
