"""What a hostile file is: who writes it, how it is read, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keydnn import KerasFileError, from_keras, load
from keydnn.errors import CheckpointError, InputError, KeyDNNError
from keydnn.npy import read_npy

# The rows of the table of threats.
CODE, READS, LINKS, BOMBS, CYCLES, FILTERS = "code", "file reads", "links", "shape bombs", "cycles", "filters"
CRASHES, ZIP, JSON, BASE64, NPY = "crashes and hangs", "zip", "JSON", "base64", ".npy"


@dataclass(frozen=True)
class Hostile:
    """A file that somebody made to do harm.

    Attributes
    ----------
    row
        The threat.
    write
        Writes it; gets its path and that of a file that nothing must open.
    name
        The file's name.
    says
        What the error says, as a regular expression.  None: what is hostile stands where nobody looks, and the file may
        be read.
    error
        Of what class.
    options
        For the reader.
    """

    row: str
    write: Callable[[Path, Path], object]
    name: str
    says: str | None
    error: type[KeyDNNError] = KerasFileError
    options: Mapping[str, Any] | None = None


def read(path: Path, options: Mapping[str, Any] | None = None) -> object:
    """Read a file with the reader that its name asks for."""
    if path.suffix == ".npy":
        return read_npy(path)
    if path.suffixes == [".json"]:
        return load(path)
    return from_keras(path, strict=False, **(options or {}))


READERS = {".npy": InputError, ".json": CheckpointError}
