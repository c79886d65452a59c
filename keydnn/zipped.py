"""Zip archives from strangers: members are taken by their exact names, checked and bounded, and nothing is unpacked."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from keydnn.door import open_regular
from keydnn.errors import KeyDNNError

MAX_MEMBERS = 10_000
MAX_DIRECTORY = 4 << 20  # bytes of the list of members, which Python reads at once: 400 for each
MAX_RATIO, RATIO_FROM = 100, 64 << 20  # numbers do not compress a hundredfold; small members may hold zeros
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@contextmanager
def open_zip(path: Path, kind: type[KeyDNNError], methods: Collection[int] = METHODS) -> Iterator[ZipMembers]:
    """Open a zip archive and check it.

    Parameters
    ----------
    path
        The archive.
    kind
        The class of error to raise where something is wrong.
    methods
        The ways of compression that whoever writes such archives uses.
    """
    with open_regular(path, kind) as (file, size):
        bounded = _Bounded(file)
        with guard_zip(path.name, kind):
            archive = zipfile.ZipFile(bounded)
        bounded.most = None
        with archive:
            yield ZipMembers(archive, path.name, kind, methods, size)


class _Bounded(io.BufferedReader):
    """A file of which nothing large can be read at once, as long as the list of members is not known."""

    most: int | None = MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as every file does."""
        if self.most is None:
            return super().read(size)
        content = super().read(self.most + 1 if size is None or size < 0 else min(size, self.most + 1))
        if len(content) > self.most:
            raise zipfile.BadZipFile(f"its list of members has more than {self.most:,} bytes")
        return content


@contextmanager
def guard_zip(source: str, kind: type[KeyDNNError]) -> Iterator[None]:
    """Turn whatever zipfile raises on a damaged archive into one typed error."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise kind(f"{source}: damaged zip archive: {error}") from None


class ZipMembers:
    """The members of a zip archive, once they are checked: made by :func:`open_zip`.

    Attributes
    ----------
    source
        The archive's name, for messages.
    size
        Its bytes.
    """

    def __init__(
        self, archive: zipfile.ZipFile, source: str, kind: type[KeyDNNError], methods: Collection[int], size: int
    ) -> None:
        self.source, self.size, self._archive, self._error = source, size, archive, kind
        infos = archive.infolist()
        if len(infos) > MAX_MEMBERS:
            raise kind(f"{source}: {len(infos)} members in the archive, more than {MAX_MEMBERS}")
        self._members = {info.filename: info for info in infos}
        if len(self._members) != len(infos):
            raise kind(f"{source}: two members of the archive have the same name")
        end = 0
        for info in sorted(infos, key=lambda info: info.header_offset):
            if info.compress_type not in methods or info.flag_bits & 0x1:
                raise kind(f"{source}: {info.filename!r} is encrypted or compressed in a way that is never written")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise kind(f"{source}: {info.filename!r} is a symbolic link")
            if info.header_offset < end or (not end and info.header_offset):
                raise kind(f"{source}: members of the archive overlap, or do not begin where it does")
            end = info.header_offset + 30 + info.compress_size
            if end > size:
                raise kind(f"{source}: {info.filename!r} ends behind the archive")
            with guard_zip(source, kind), archive.open(info):
                pass  # what stands before its content calls it as the list of members does

    def names(self) -> Collection[str]:
        """Give the names of all members."""
        return self._members.keys()

    def has(self, name: str) -> bool:
        """Tell whether there is a member of a name."""
        return name in self._members

    def read(self, name: str, most: int) -> bytes:
        """Read one member, whose size is bounded both by what it declares and by what comes out."""
        info = self._members[name]
        if info.file_size > most:
            raise self._error(f"{self.source}: {name} declares {info.file_size:,} bytes, more than {most:,}")
        if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
            raise self._error(
                f"{self.source}: {name} declares {info.file_size:,} bytes, but holds {info.compress_size:,}"
            )
        with guard_zip(self.source, self._error), self._archive.open(info) as member:
            content = member.read(info.file_size + 1)
        if len(content) != info.file_size:
            raise self._error(f"{self.source}: {name} has not the size that it declares")
        return content
