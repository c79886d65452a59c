"""Zip archives from strangers: members are taken by their exact names, checked and bounded, and nothing is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from keydnn.errors import KeyDNNError

MAX_MEMBERS = 10_000
MAX_RATIO, RATIO_FROM = 100, 64 << 20  # numbers do not compress a hundredfold; small members may hold zeros
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@contextmanager
def guard_zip(source: str, kind: type[KeyDNNError]) -> Iterator[None]:
    """Turn whatever zipfile raises on a damaged archive into one typed error."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise kind(f"{source}: damaged zip archive: {error}") from None


class ZipMembers:
    """The members of a zip archive, once they are checked.

    Parameters
    ----------
    archive
        The archive, open.
    source
        Its name, for messages.
    kind
        The class of error to raise where something is wrong.
    methods
        The ways of compression that whoever writes such archives uses.
    """

    def __init__(
        self, archive: zipfile.ZipFile, source: str, kind: type[KeyDNNError], methods: Collection[int] = METHODS
    ) -> None:
        self.source, self._archive, self._error = source, archive, kind
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
            if info.header_offset < end:
                raise kind(f"{source}: members of the archive overlap")
            end = info.header_offset + 30 + info.compress_size

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
