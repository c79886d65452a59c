"""``.keras`` archives: a zip of ``config.json``, ``metadata.json`` and ``model.weights.h5``.

Source of the layout: ``keras/src/saving/saving_lib.py``.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keydnn.convert.read.architecture import model_from, parse_config, parse_version
from keydnn.convert.read.h5 import MAX_WEIGHTS, open_h5
from keydnn.convert.read.record import KerasModel
from keydnn.convert.read.weights import attach_v3
from keydnn.errors import KerasFileError, KerasInteropError

MAX_CONFIG = 16 << 20  # bytes
MAX_MEMBERS = 10_000
MAX_RATIO, RATIO_FROM = 100, 64 << 20  # weights do not compress a hundredfold; small members may hold zeros
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@contextmanager
def open_archive(path: Path) -> Iterator[KerasModel]:
    """Open a ``.keras`` archive; nothing is unpacked to disk, and members are taken by their exact names only.

    Raises
    ------
    KerasFileError
        A damaged or hostile archive: duplicate or overlapping members, other compression, wrong sizes or checksums.
    """
    source = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, source)
            config = parse_config(
                _read(archive, members, "config.json", MAX_CONFIG, source), f"config.json of {source}"
            )
            metadata = {}
            if "metadata.json" in members:
                raw = _read(archive, members, "metadata.json", MAX_CONFIG, source)
                metadata = parse_config(raw, f"metadata.json of {source}")
            if "model.weights.h5" not in members:
                found = ", ".join(sorted(members)[:8])
                raise KerasInteropError(f"{source}: no model.weights.h5 in the archive, which holds {found}")
            weights = _read(archive, members, "model.weights.h5", MAX_WEIGHTS, source)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise KerasFileError(f"{source}: damaged zip archive: {error}") from None
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    model = model_from(config, parse_version(version or "3"), source)
    with open_h5(io.BytesIO(weights), f"model.weights.h5 of {source}") as file:
        yield attach_v3(model, file)


def _members(archive: zipfile.ZipFile, source: str) -> dict[str, zipfile.ZipInfo]:
    """Give the members by name, once they are checked."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise KerasFileError(f"{source}: {len(infos)} members in the archive, more than {MAX_MEMBERS}")
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise KerasFileError(f"{source}: two members of the archive have the same name")
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.compress_type not in METHODS or info.flag_bits & 0x1:
            raise KerasFileError(
                f"{source}: {info.filename!r} is encrypted or compressed in a way that Keras never writes"
            )
        if info.header_offset < end:
            raise KerasFileError(f"{source}: members of the archive overlap")
        end = info.header_offset + 30 + info.compress_size
    return members


def _read(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, most: int, source: str) -> bytes:
    """Read one member, whose size is bounded both by what it declares and by what comes out."""
    info = members.get(name)
    if info is None:
        raise KerasFileError(f"{source}: a zip archive, but not of Keras: it has no {name}")
    if info.file_size > most:
        raise KerasFileError(f"{source}: {name} declares {info.file_size:,} bytes, more than {most:,}")
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
        raise KerasFileError(f"{source}: {name} declares {info.file_size:,} bytes, but holds {info.compress_size:,}")
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise KerasFileError(f"{source}: {name} has not the size that it declares")
    return content
