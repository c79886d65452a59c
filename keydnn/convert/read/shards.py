"""Several HDF5 files as one: Keras 3's sharded weights (``name.weights.json``, ``name_00000.weights.h5``, ...).

Source: ``ShardedH5IOStore`` in ``keras/src/saving/saving_lib.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from keydnn.convert.read.document import parse_config
from keydnn.convert.read.hdf5.client import Library
from keydnn.convert.read.hdf5.file import H5File, open_h5
from keydnn.convert.read.limits import MAX_CONFIG, MAX_SHARDS
from keydnn.convert.read.record import StoredTensor
from keydnn.door import open_regular, read_most
from keydnn.errors import KerasFileError


class Shards:
    """Groups of several files; the weights of one layer may lie in two of them."""

    def __init__(self, files: Sequence[H5File]) -> None:
        self._files = files

    def names(self, path: str) -> list[str]:
        """Give the names in a group, over all files."""
        return list(dict.fromkeys(name for file in self._files for name in file.names(path)))

    def tensor(self, path: str, name: str, role: str | None, within: tuple[str, ...] = ()) -> StoredTensor | None:
        """Give the dataset at a path from the file that has it."""
        found = [file for file in self._files if file.kind(path) is not None]
        if len(found) > 1:
            raise KerasFileError(f"{path!r} lies in {len(found)} of the sharded files")
        return found[0].tensor(path, name, role, within) if found else None

    def vocabulary(self, path: str) -> None:
        """Sharded files keep no vocabularies."""

    def label(self, path: str) -> str | None:
        """Give the name of the layer whose group is at a path, from the first file that says it."""
        return next((name for file in self._files if (name := file.label(path))), None)

    def arrays(self) -> list[StoredTensor]:
        """Give all arrays, of every file."""
        return [tensor for file in self._files for tensor in file.arrays()]


def shard_files(path: Path) -> list[Path]:
    """Give the files that the index ``name.weights.json`` lists, which lie beside it.

    Raises
    ------
    KerasFileError
        No such index, or a file of it lies elsewhere.
    """
    index = parse_config(read_most(path, MAX_CONFIG, KerasFileError), path.name)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict):
        raise KerasFileError(f"{path.name}: no index of sharded weights: it has no weight_map")
    listed = [name for files in places.values() for name in (files if isinstance(files, list) else [files])]
    names = list(dict.fromkeys(listed))
    if len(names) > MAX_SHARDS:
        raise KerasFileError(f"{path.name}: {len(names)} files, more than {MAX_SHARDS}")
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[^/\\\0]+\.h5", name):
            raise KerasFileError(f"{path.name}: the weights lie in {name!r}, which is no name of a file beside it")
    return [path.with_name(name) for name in names]


def open_shards(library: Library, path: Path) -> Shards:
    """Open the files that an index lists.

    Raises
    ------
    KerasFileError
        No such index, or a file of it is missing, damaged, or elsewhere.
    """
    files = shard_files(path)
    for file in files:
        with open_regular(file, KerasFileError, follow=False):
            pass  # a link may lead elsewhere, a pipe may have no other end
    return Shards([open_h5(library, str(file), file.name) for file in files])
