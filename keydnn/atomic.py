"""Files written at one stroke: a crash leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keydnn.errors import KeyDNNError

PREFIX = ".keydnn-"
OLD = 3600.0  # seconds: nobody writes for so long without a byte more


def stage(path: Path, chunks: Iterable[Any], error: type[KeyDNNError]) -> Path:
    """Write a new file beside ``path``, under a name nobody can guess, and flush it to the disk; give its name.

    Parameters
    ----------
    path
        Where the file is to stand in the end.
    chunks
        Bytes-like objects.
    error
        The class to raise if it cannot be written.
    """
    remove_old(path, f"{PREFIX}*.tmp")
    temporary = path.with_name(f"{PREFIX}{secrets.token_hex(8)}.tmp")
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
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        remove(temporary)
        raise _cannot_write(path, problem, error) from problem
    except BaseException:
        remove(temporary)
        raise
    return temporary


def put(temporary: Path, path: Path, error: type[KeyDNNError]) -> None:
    """Move a staged file to its place: what was there is replaced at one stroke, or untouched."""
    try:
        os.replace(temporary, path)
    except (OSError, ValueError) as problem:
        raise _cannot_write(path, problem, error) from problem


def replace_file(path: Path, chunks: Iterable[Any], error: type[KeyDNNError]) -> None:
    """Write a file: stage it, put it in its place, flush the folder."""
    temporary = stage(path, chunks, error)
    try:
        put(temporary, path, error)
    except BaseException:
        remove(temporary)
        raise
    flush_folder(path, error)


def _cannot_write(path: Path, problem: OSError | ValueError, error: type[KeyDNNError]) -> KeyDNNError:
    reason = problem.strerror if isinstance(problem, OSError) else problem
    if isinstance(problem, FileNotFoundError):
        reason = f"there is no folder {path.parent}"
    return error(
        f"{str(path)!r}: cannot be written: {reason}; what was there is untouched; choose another place, or make room"
    )


def flush_folder(path: Path, error: type[KeyDNNError]) -> None:
    """Make the renames in a file's folder survive a power cut."""
    if not hasattr(os, "O_DIRECTORY"):  # only POSIX opens folders
        return
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as problem:
        if problem.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that flushes no folders
            return
        raise error(
            f"{path}: its folder could not be flushed to the disk: {problem.strerror}; "
            "the file may not survive a power cut; write it again"
        ) from problem


def remove_old(path: Path, pattern: str) -> None:
    """Remove what lies beside a file, matches a pattern and is an hour old: whoever wrote it was killed meanwhile."""
    with contextlib.suppress(OSError, ValueError):
        for name in glob.iglob(pattern, root_dir=path.parent):
            found = path.with_name(name)
            if found.lstat().st_mtime < time.time() - OLD and not remove(found) and name.startswith(PREFIX):
                shutil.rmtree(found, ignore_errors=True)


def remove(path: Path) -> bool:
    """Remove a file if that can be done; tell whether it was."""
    try:
        os.unlink(path)
    except (OSError, ValueError):
        return False
    return True
