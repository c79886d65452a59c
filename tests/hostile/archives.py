"""``.keras`` of strangers: zip archives that are not what they say, and folders with links in them."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from keydnn.errors import KerasFileError, KerasInteropError
from tests.convert import files
from tests.hostile.kind import READS, ZIP, Hostile

CONFIG = json.dumps(files.keras3_sequential(files.dense()))
WEIGHTS = files.archive_weights({"layers/dense": list(files.dense_weights().values())})
MEMBERS = {"metadata.json": '{"keras_version": "3.7.0"}', "config.json": CONFIG, "model.weights.h5": WEIGHTS}
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def archive(method: int = zipfile.ZIP_STORED, **more: bytes | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in {**MEMBERS, **more}.items():
            made.writestr(name, content)
    return buffer.getvalue()


def content(data: bytes | Callable[[], bytes], path: Path, secret: Path) -> None:
    path.write_bytes(data if isinstance(data, bytes) else data())


def twice(name: str) -> bytes:
    buffer = io.BytesIO(archive())
    with zipfile.ZipFile(buffer, "a") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are two of them is what is wanted
        made.writestr(name, "{}")
    return buffer.getvalue()


def fields(name: str, at: int, form: str, value: int, header: bytes = CENTRAL) -> bytes:
    """Change a number in a member's entry in the list of members, or in the header before its content."""
    data = bytearray(archive())
    size = 46 if header == CENTRAL else 30
    start = next(
        place
        for place in range(len(data))
        if data.startswith(header, place) and data.startswith(name.encode(), place + size)
    )
    struct.pack_into(form, data, start + at, value)
    return bytes(data)


def renamed(old: bytes, new: bytes, header: bytes) -> bytes:
    """Give a member another name in one of the two places that name it."""
    data = archive()
    start = data.index(header) if header == LOCAL else data.index(CENTRAL)
    place = data.index(old, start)
    return data[:place] + new + data[place + len(old) :]


def overlapping() -> bytes:
    """The list of members gives one more name to the content of another one."""
    data = archive()
    start, end = data.index(CENTRAL), data.index(END)
    entry = bytearray(data[start : data.index(CENTRAL, start + 4)])
    entry[46 : 46 + len(b"metadata.json")] = b"metadata.jsom"
    made = bytearray(data[:end] + entry + data[end:])
    at = end + len(entry)
    count, size = struct.unpack_from("<HI", made, at + 10)
    struct.pack_into("<HHI", made, at + 8, count + 1, count + 1, size + len(entry))
    return bytes(made)


def polyglot() -> bytes:
    """A member that no list knows stands before the archive; the magic bytes are right."""
    return LOCAL + bytes(26) + b"#!/bin/sh\n" + archive()


def zip64(records: int, size: int) -> bytes:
    """Say in the records of large archives that there are more members, or longer lists, than there are bytes."""
    data = archive()
    end = data.index(END)
    count, length, start = struct.unpack_from("<HII", data, end + 10)
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count + records, count + records, length + size, start
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    tail = bytearray(data[end:])
    struct.pack_into("<HHII", tail, 8, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return data[:end] + record + locator + bytes(tail)


def large_sizes(size: int) -> bytes:
    """Give a member's sizes in the extra field of large ones."""
    info = zipfile.ZipInfo("config.json")
    data = archive()
    start = data.index(CENTRAL, data.index(CENTRAL) + 4)
    assert data[start + 46 :].startswith(info.filename.encode())
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    entry = bytearray(data[start : start + 46 + 11])
    struct.pack_into("<II", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, len(extra))
    made = bytearray(data[:start] + entry + extra + data[start + 46 + 11 :])
    end = made.index(END)
    struct.pack_into("<I", made, end + 12, struct.unpack_from("<I", made, end + 12)[0] + len(extra))
    return bytes(made)


def many_members() -> bytes:
    buffer = io.BytesIO(archive())
    with zipfile.ZipFile(buffer, "a") as made:
        for number in range(10_000):
            made.writestr(f"{number}", b"")
    return buffer.getvalue()


def long_list() -> bytes:
    """80 members, each with a comment of 64 KiB."""
    buffer = io.BytesIO(archive())
    with zipfile.ZipFile(buffer, "a") as made:
        for number in range(80):
            info = zipfile.ZipInfo(f"{number}")
            info.comment = bytes(65_000)
            made.writestr(info, b"")
    return buffer.getvalue()


def linked(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for member, data in MEMBERS.items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16 if member == name else 0o644 << 16
            made.writestr(info, "/etc/passwd" if member == name else data)
    return buffer.getvalue()


def folder(change: Callable[[Path, Path], object], path: Path, secret: Path) -> None:
    """Write a ``.keras`` folder, and change it."""
    path.mkdir()
    for name, data in MEMBERS.items():
        (path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    change(path, secret)


def link(name: str, path: Path, secret: Path) -> None:
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(secret)


def pipe(name: str, path: Path, secret: Path) -> None:
    (path / name).unlink()
    os.mkfifo(path / name)


def linked_assets(path: Path, secret: Path) -> None:
    """The vocabulary of a layer lies in a folder elsewhere."""
    entry = "StringLookup", {"name": "l", "max_tokens": None, "num_oov_indices": 1, "mask_token": None,
                             "oov_token": "[UNK]", "output_mode": "int"}  # fmt: skip
    (path / "config.json").write_text(json.dumps(files.keras3_sequential(entry, shape=(None, 1))))
    (path / "model.weights.h5").write_bytes(files.archive_weights({}))
    (path / "assets" / "layers").mkdir(parents=True)
    (path / "assets" / "layers" / "string_lookup").symlink_to(secret.parent)
    (secret.parent / "vocabulary.txt").write_text("secret")


def sharded(name: str, path: Path, secret: Path) -> None:
    """The index of sharded weights names a file that is something else."""
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": {"/layers/dense/vars": "w.h5"}}))
    shard = path.with_name("w.h5")
    if name == "link":
        shard.symlink_to(secret)
    else:
        os.mkfifo(shard)


def a_pipe(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def _files() -> Iterator[tuple[str, Hostile]]:
    def zipped(data: bytes | Callable[[], bytes], says: str | None, error: Any = KerasFileError) -> Hostile:
        return Hostile(ZIP, partial(content, data), "m.keras", says, error)

    yield "bz2", zipped(partial(archive, zipfile.ZIP_BZIP2), "compressed in a way")
    yield "lzma", zipped(partial(archive, zipfile.ZIP_LZMA), "compressed in a way")
    yield "unknown-method", zipped(partial(fields, "config.json", 10, "<H", 99), "compressed in a way")
    yield "encrypted", zipped(partial(fields, "config.json", 8, "<H", 1), "is encrypted")
    for name in MEMBERS:
        yield f"twice-{name}", zipped(partial(twice, name), "have the same name")
        yield f"link-{name}", zipped(partial(linked, name), "is a symbolic link")
        yield f"crc-{name}", zipped(partial(fields, name, 16, "<I", 1), "damaged zip")
        for size in (0, 1, 1 << 24, 0xFFFFFFF0):
            says = "damaged zip|declares|has not the size|overlap|ends behind|not valid JSON|not UTF-8"
            yield f"size-{size}-{name}", zipped(partial(fields, name, 24, "<I", size), says)
            yield f"compressed-size-{size}-{name}", zipped(partial(fields, name, 20, "<I", size), says)
        yield f"offset-{name}", zipped(partial(fields, name, 42, "<I", 7), "damaged zip|overlap")
        old = name.encode()
        for header, where in ((LOCAL, "header"), (CENTRAL, "list")):
            new = b"n" + old[1:]
            says = "damaged zip|without config|no model.weights.h5|overlap"
            yield f"renamed-in-{where}-{name}", zipped(partial(renamed, old, new, header), says)
    yield "overlapping", zipped(overlapping, "overlap")
    yield "prefixed", zipped(lambda: b"#!/bin/sh\n" + archive(), "neither HDF5 nor")
    yield "prefixed-by-a-zip", zipped(polyglot, "begin where it does|damaged zip")
    yield "zip64-members", zipped(partial(zip64, 1 << 40, 0), None)  # nobody counts on the number
    yield "zip64-list", zipped(partial(zip64, 0, 1 << 40), "damaged zip")
    yield "zip64-size", zipped(partial(large_sizes, 1 << 60), "declares|damaged|overlap|ends behind")
    yield "members-10003", zipped(many_members, "more than 10000")
    yield "list-of-5-mib", zipped(long_list, "list of members has more than")
    yield (
        "config-of-17-mib",
        zipped(lambda: archive(zipfile.ZIP_DEFLATED, **{"config.json": b" " * (17 << 20)}), r"config\.json declares"),
    )
    yield (
        "metadata-of-17-mib",
        zipped(
            lambda: archive(zipfile.ZIP_DEFLATED, **{"metadata.json": b" " * (17 << 20)}), r"metadata\.json declares"
        ),
    )
    yield (
        "weights-a-thousandfold",
        zipped(lambda: archive(zipfile.ZIP_DEFLATED, **{"model.weights.h5": bytes(65 << 20)}), "but holds"),
    )
    yield "zip-in-weights", zipped(lambda: archive(**{"model.weights.h5": archive()}), "damaged HDF5")
    yield (
        "npz",
        zipped(
            lambda: archive(**{"model.weights.npz": b""}).replace(b"weights.h5", b"weights.h6"),
            "no model.weights.h5|npz",
            KerasInteropError,
        ),
    )

    def unpacked(change: Callable[[Path, Path], object], says: str) -> Hostile:
        return Hostile(READS, partial(folder, change), "m.keras", says)

    for name in MEMBERS:
        yield f"folder-link-{name}", unpacked(partial(link, name), "symbolic link")
    yield "folder-link-assets", unpacked(linked_assets, "symbolic link")
    for name in ("config.json", "model.weights.h5"):
        yield (
            f"folder-pipe-{name}",
            Hostile(
                READS,
                partial(folder, partial(pipe, name)),
                "m.keras",
                "no regular file|no model.weights.h5",
                KerasInteropError,
            ),
        )
    yield "pipe", Hostile(READS, a_pipe, "m.h5", "is no regular file")
    yield "shard-link", Hostile(READS, partial(sharded, "link"), "m.weights.json", "symbolic link")
    yield "shard-pipe", Hostile(READS, partial(sharded, "pipe"), "m.weights.json", "no regular file")


FILES = dict(_files())
