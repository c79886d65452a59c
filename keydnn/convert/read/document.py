"""Keras' JSON documents, in a file or beside one: parsed, with the version of Keras that wrote them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from keydnn.convert.read.architecture import model_from
from keydnn.convert.read.limits import MAX_CONFIG
from keydnn.convert.read.record import KerasModel
from keydnn.door import read_most
from keydnn.errors import KerasFileError
from keydnn.strict_json import Json, clip, parse

Given = str | os.PathLike[str]  # an architecture beside a weights file: a path, or the JSON text itself


def parse_config(raw: bytes | str, where: str) -> Json:
    """Parse one of Keras' JSON documents; KerasFileError, naming the place, for whatever is wrong with it.

    A document that is nothing but a text is parsed once more: ``json.dump(model.to_json(), file)`` writes such ones.
    """

    def refuse(path: str, problem: str) -> KerasFileError:
        return KerasFileError(f"{where}{f', {clip(path, 200)}' if path else ''}: {problem}")

    value = parse(raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass"), refuse)
    return parse(value.encode(), refuse) if isinstance(value, str) else value


NEWEST = "3.15"  # of the Keras that a file is of which names no version, but is written as Keras 3 does


def parse_version(text: object) -> tuple[int, ...]:
    """Give ``"2.2.4-tf"`` as (2, 2, 4); files without a version are Keras 1's, other words ("nightly") the newest's."""
    numbers: list[int] = []
    for part in str(text or "1").split(".")[:3]:
        digits = part.partition("-")[0]
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 4):
            break
        numbers.append(int(digits))
    return tuple(numbers) or parse_version(NEWEST)


@dataclass(frozen=True)
class Architecture:
    """An architecture as JSON.

    Attributes
    ----------
    config
        ``{"class_name": ..., "config": ...}``.
    version
        Of the Keras that wrote it, where that is known.
    """

    config: Json
    version: str | None = None

    def model(self, source: str, weights_version: object = None, backend: object = None) -> KerasModel:
        """Give the model without weights, by the rules of the version that wrote the architecture, or else the weights.

        Raises
        ------
        KerasInteropError, KerasFileError
            As :func:`model_from`.
        """
        version = self.version or weights_version
        return model_from(self.config, parse_version(version), source, str(backend or self._said("backend") or ""))

    def _said(self, key: str) -> Json:
        return self.config.get(key) if isinstance(self.config, dict) else None


def architecture_in(config: Json, version: object = None) -> Architecture:
    """Give the architecture that a parsed document holds; its own version counts first.

    Those that write ``module`` without a version beside it (``config.json``, and Keras 3's ``model.to_json()``) are
    told apart by a word of Keras 2; of Keras 3, the newest is assumed.
    """
    said = config.get("keras_version") if isinstance(config, dict) else None
    guess = None
    if isinstance(config, dict) and "module" in config:
        guess = "2.15" if _mentions(config, "batch_input_shape") else NEWEST
    found = said or version or guess
    return Architecture(config, str(found) if found else None)


def _mentions(value: Json, key: str) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, dict) and key in value) or any(_mentions(item, key) for item in items)


def read_architecture(given: Given) -> Architecture:
    """Read an architecture that the caller gives: the path of a JSON file, or its text."""
    if isinstance(given, str) and given.lstrip().startswith(("{", '"')):
        return architecture_in(parse_config(given, "the architecture"))
    path = Path(given)
    text = read_most(path, MAX_CONFIG, KerasFileError)
    return architecture_in(parse_config(text.removeprefix(b"\xef\xbb\xbf"), f"the architecture {path.name}"))
