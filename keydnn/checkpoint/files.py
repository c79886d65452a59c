"""Files: read whole and bounded, and said what they are if they are no checkpoints."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keydnn import atomic
from keydnn.door import open_regular
from keydnn.errors import CheckpointError

Buffer = npt.NDArray[np.uint8]

_CONVERT = "keydnn convert --src {path} --dst model.json"
_KINDS = (
    (b"\x89HDF\r\n\x1a\n", f"is an HDF5 file, as Keras writes them, and no checkpoint; convert it first: {_CONVERT}"),
    (b"\x93NUMPY", "is a NumPy array (.npy) and no checkpoint; give the model.json that keydnn convert wrote"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself; run: git lfs pull"),
)
INSTEAD = "give the model.json that keydnn convert wrote"
_ZIP = b"PK\x03\x04"


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; CheckpointError, saying what it is, if it cannot be JSON."""
    with open_regular(path, CheckpointError, instead=INSTEAD) as (file, size):
        if size > limit:
            raise CheckpointError(f"{path}: has {size} bytes; a checkpoint has at most {limit}")
        chunks: list[bytes] = []
        done = 0
        while done < size and (chunk := file.read(size - done)):
            chunks.append(chunk)
            done += len(chunk)
        _check_size(path, file, done == size)
    data = b"".join(chunks)  # no copy where there is one chunk
    kind = _kind(data[:256])
    if kind:
        raise CheckpointError(f"{path}: {kind.format(path=path)}")
    return data


def read_beside(path: Path, least: int, most: int) -> Buffer:
    """Read a regular file, no symbolic link, whose size must lie between two bounds, into a writable array."""
    with open_regular(path, CheckpointError, follow=False, instead=INSTEAD) as (file, size):
        if not least <= size <= most:
            raise CheckpointError(f"{path}: has {size} bytes, but the tensors that belong into it need {least}")
        data = np.empty(size, np.uint8)
        done = 0
        while done < size and (count := file.readinto(data.data[done:])):
            done += count
        _check_size(path, file, done == size)
    return data


def _check_size(path: Path, file: io.FileIO, complete: bool) -> None:
    if not complete or file.read(1):
        raise CheckpointError(f"{path}: changed while it was read; try again")


def _kind(head: bytes) -> str | None:
    """Say what a file is that is no JSON, if its first bytes tell."""
    if not head:
        return "is empty; a checkpoint was not written here, or not to its end: " + _CONVERT.replace("{path}", "...")
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    if head.startswith(_ZIP):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        if first.endswith(b".npy"):
            return "is a NumPy archive (.npz) and no checkpoint; give the model.json that keydnn convert wrote"
        return f"is a zip archive, as Keras writes .keras files, and no checkpoint; convert it first: {_CONVERT}"
    if head[8:9] == b"{" and head[3:8] == b"\0\0\0\0\0":
        return "holds the weights of a checkpoint (safetensors); give the .json file beside it"
    return None


def rename(pending: Path, path: Path) -> None:
    """Give a sidecar, on which the checkpoint beside it already relies, its final name."""
    try:
        os.replace(pending, path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written: {error.strerror}; the checkpoint is complete, with its weights in "
            f"{pending.name}; make way for {path.name} and rename that file"
        ) from error
    atomic.flush_folder(path, CheckpointError)
