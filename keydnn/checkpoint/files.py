"""Files: read whole, bounded; written so that a crash leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
    with _Opened(path, follow=True) as opened:
        if opened.size > limit:
            raise CheckpointError(f"{path}: has {opened.size} bytes; a checkpoint has at most {limit}")
        data = opened.read().tobytes()
    kind = _kind(data[:256])
    if kind:
        raise CheckpointError(f"{path}: {kind.format(path=path)}")
    return data


def read_beside(path: Path, least: int, most: int) -> Buffer:
    """Read a regular file, no symbolic link, whose size must lie between two bounds, into a writable array."""
    with _Opened(path, follow=False) as opened:
        if not least <= opened.size <= most:
            raise CheckpointError(f"{path}: has {opened.size} bytes, but the tensors that belong into it need {least}")
        return opened.read()


class _Opened:
    """A regular file, open for reading; nothing else is ever waited for or read."""

    def __init__(self, path: Path, follow: bool) -> None:
        self._path, self._follow = path, follow

    def __enter__(self) -> _Opened:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_NONBLOCK", 0)  # a named pipe would wait for its writer
        try:
            if not self._follow and stat.S_ISLNK(os.lstat(self._path).st_mode):
                raise CheckpointError(f"{self._path}: is a symbolic link; put the file itself there")
            self._file = os.open(self._path, flags if self._follow else flags | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            raise CheckpointError(f"{self._path}: there is no such file; check the path") from None
        except ValueError as error:  # a NUL in the name
            raise CheckpointError(f"{str(self._path)!r}: is no file name: {error}") from None
        except OSError as error:
            raise CheckpointError(f"{self._path}: cannot be opened: {error.strerror}") from None
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._file)
            kind = "is a folder" if stat.S_ISDIR(found.st_mode) else "is no regular file"
            raise CheckpointError(f"{self._path}: {kind}; give the model.json that keydnn convert wrote")
        self.size = found.st_size
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self) -> Buffer:
        """Read all ``size`` bytes."""
        data = np.empty(self.size, np.uint8)
        try:
            with open(self._file, "rb", buffering=0, closefd=False) as raw:
                done = 0
                while done < self.size and (count := raw.readinto(data.data[done:])):
                    done += count
                if done < self.size or raw.read(1):
                    raise CheckpointError(f"{self._path}: changed while it was read; try again")
        except OSError as error:
            raise CheckpointError(f"{self._path}: cannot be read: {error.strerror}") from None
        return data


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


def stage(path: Path, chunks: Iterable[bytes]) -> Path:
    """Write a new file beside ``path``, under a name nobody can guess, and flush it to the disk; give its name."""
    temporary = path.with_name(f".keydnn-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(temporary, flags, 0o666)  # the umask takes its part
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        remove(temporary)
        raise _cannot_write(path, error) from error
    except BaseException:
        remove(temporary)
        raise
    return temporary


def put(temporary: Path, path: Path) -> None:
    """Move a staged file to its place: what was there is replaced at one stroke, or untouched."""
    try:
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


def rename(pending: Path, path: Path) -> None:
    """Give a sidecar, on which the checkpoint beside it already relies, its final name."""
    try:
        os.replace(pending, path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written: {error.strerror}; the checkpoint is complete, with its weights in "
            f"{pending.name}; make way for {path.name} and rename that file"
        ) from error
    flush_folder(path)


def _cannot_write(path: Path, error: OSError | ValueError) -> CheckpointError:
    reason = error.strerror if isinstance(error, OSError) else error
    if isinstance(error, FileNotFoundError):
        reason = f"there is no folder {path.parent}"
    return CheckpointError(
        f"{str(path)!r}: cannot be written: {reason}; what was there is untouched; choose another place, or make room"
    )


def flush_folder(path: Path) -> None:
    """Make the renames in a file's folder survive a power cut."""
    if not hasattr(os, "O_DIRECTORY"):  # only POSIX opens folders
        return
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that flushes no folders
            return
        raise CheckpointError(
            f"{path}: its folder could not be flushed to the disk: {error.strerror}; the file may not survive a power "
            "cut; write it again"
        ) from error


def remove(path: Path) -> bool:
    """Remove a file if that can be done; tell whether it was."""
    try:
        os.unlink(path)
    except (OSError, ValueError):
        return False
    return True
