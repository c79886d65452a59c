"""Files: read whole and bounded, and said what they are if they are no checkpoints."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keydnn import atomic
from keydnn.errors import CheckpointError

Buffer = npt.NDArray[np.uint8]

_CONVERT = "keydnn convert --src {path} --dst model.json"
_KINDS = (
    (b"\x89HDF\r\n\x1a\n", f"is an HDF5 file, as Keras writes them, and no checkpoint; convert it first: {_CONVERT}"),
    (b"\x93NUMPY", "is a NumPy array (.npy) and no checkpoint; give the model.json that keydnn convert wrote"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself; run: git lfs pull"),
)
_ZIP = b"PK\x03\x04"


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes; CheckpointError, saying what it is, if it cannot be JSON."""
    with _opened(path, follow=True) as (file, size):
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
    with _opened(path, follow=False) as (file, size):
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


@contextmanager
def _opened(path: Path, follow: bool) -> Iterator[tuple[io.FileIO, int]]:
    """Open a regular file and give it with its size; nothing else is ever waited for or read."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a named pipe would wait for its writer
    try:
        if not follow:
            flags |= getattr(os, "O_NOFOLLOW", 0)
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise CheckpointError(f"{path}: is a symbolic link; put the file itself there")
        descriptor = os.open(path, flags)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                kind = "is a folder" if stat.S_ISDIR(found.st_mode) else "is no regular file"
                raise CheckpointError(f"{path}: {kind}; give the model.json that keydnn convert wrote")
            with io.FileIO(descriptor, closefd=False) as file:
                yield file, found.st_size
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file; check the path") from None
    except ValueError as error:  # a NUL in the name
        raise CheckpointError(f"{str(path)!r}: is no file name: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None


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
