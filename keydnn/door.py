"""The door for files from strangers: regular files, opened without waiting, and no links where none may be."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keydnn.errors import KeyDNNError


@contextmanager
def open_regular(
    path: Path, error: type[KeyDNNError], *, follow: bool = True, instead: str = ""
) -> Iterator[tuple[io.FileIO, int]]:
    """Open a regular file and give it with its size; nothing else is ever waited for or read.

    Parameters
    ----------
    path
        The file.
    error
        The class to raise.
    follow
        Whether the path itself, the last step of it, may be a symbolic link.
    instead
        What to give instead of a folder, a pipe or a device, for the message.

    Raises
    ------
    error
        Missing, no regular file, a link that may not be one, or unreadable, now or while it is open.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a named pipe would wait for its writer
    try:
        if not follow:
            flags |= getattr(os, "O_NOFOLLOW", 0)
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise error(f"{path}: is a symbolic link; put the file itself there")
        descriptor = os.open(path, flags)
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from None
    except ValueError as problem:  # a NUL in the name
        raise error(f"{str(path)!r}: cannot be read: {problem}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            kind = "is a folder" if stat.S_ISDIR(found.st_mode) else "is no regular file"
            raise error(f"{path}: {kind}{f'; {instead}' if instead else ''}")
        with io.FileIO(descriptor, closefd=False) as file:
            yield file, found.st_size
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from None
    finally:
        os.close(descriptor)


def read_most(path: Path, most: int, error: type[KeyDNNError], *, follow: bool = True) -> bytes:
    """Read a whole file; ``error`` if it is none that may be read, or has more bytes than ``most``."""
    with open_regular(path, error, follow=follow) as (file, size):
        content = b"" if size > most else io.BufferedReader(file).read(most + 1)
        if size > most or len(content) > most:
            raise error(f"{path}: has more than {most:,} bytes")
        return content
