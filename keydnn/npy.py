"""``.npy`` files from strangers, and results written at one stroke."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from keydnn.atomic import replace_file
from keydnn.door import open_regular
from keydnn.errors import InputError
from keydnn.strict_json import clip

MAGIC = b"\x93NUMPY"
MAX_HEADER = 64 << 10  # bytes; NumPy's own headers have some hundred
MAX_RANK = 32
MAX_SIZE = (1 << 63) - 1  # bytes, axes of size 0 left out: NumPy makes no larger array
ITEM = r"\s*+['\"](\w++)['\"]\s*+:\s*+('[^']*+'|\"[^\"]*+\"|\[[^\[\]]*+\]|\w++|\([\d\s,]*+\))\s*+"
HEADER = re.compile(rf"\s*+\{{{ITEM},{ITEM},{ITEM},?\s*+\}}\s*+")  # as NumPy writes it, and everybody else
SHAPE = re.compile(r"\(\s*+(?:\d{1,19}+\s*+(?:,\s*+|(?=\))))*+\)")
DESCR = re.compile(r"['\"]([<>|=][fiubUS][1-9]\d{0,9})['\"]")


def read_npy(path: Path, mapped: bool = False) -> npt.NDArray[np.generic]:
    """Read an array of numbers or text.

    Parameters
    ----------
    path
        The file.
    mapped
        Map the file into memory: what is not looked at is not read.

    Raises
    ------
    InputError
        Missing, no ``.npy`` file, neither real numbers nor text (objects are never unpickled), or not exactly as long
        as its header says.
    """
    with open_regular(path, InputError) as (file, size):
        return _read(str(path), io.BufferedReader(file), size, mapped)


def parse_npy(content: bytes, where: str) -> npt.NDArray[np.generic]:
    """Give the array in the content of a ``.npy`` file, as :func:`read_npy` does; it cannot be written into."""
    try:
        return _read(where, io.BytesIO(content), len(content))
    except ValueError as error:
        raise InputError(f"{where}: damaged .npy: {error}") from None


def _read(where: str, file: BinaryIO, total: int, mapped: bool = False) -> npt.NDArray[np.generic]:
    head = file.read(12)
    if not head.startswith(MAGIC):
        raise InputError(f"{where}: {_kind(head)}; give an array that numpy.save wrote")
    shape, fortran, dtype, start = _header(where, head, file.read(MAX_HEADER))
    size = math.prod(shape) * dtype.itemsize
    have = total - start
    if have != size:
        raise InputError(f"{where}: its header says {size:,} bytes of data, but there are {have:,}")
    order: Literal["F", "C"] = "F" if fortran else "C"
    if mapped and size:
        return np.memmap(file, dtype, "r", start, shape, order)
    file.seek(start)
    data = np.frombuffer(file.read(size), dtype)
    if len(data) != math.prod(shape):
        raise InputError(f"{where}: ends before its data does")
    return data.reshape(shape, order=order)


def _kind(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive (perhaps an .npz)"
    return "not a .npy file"


def _header(where: str, head: bytes, rest: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Give shape, order, dtype and where the data starts; the text is taken to pieces, and never given to Python."""
    version = head[6:8]
    if version not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise InputError(f"{where}: .npy version {list(version)} is not known")
    begin = 10 if version == b"\x01\x00" else 12
    length = int.from_bytes(head[8:begin], "little")
    text = (head + rest)[begin : begin + length].decode("latin-1")
    if length > MAX_HEADER or len(text) < length:
        raise InputError(f"{where}: damaged .npy header: {length:,} bytes; there are {len(text):,} that may be read")
    found = HEADER.fullmatch(text)
    said = dict(zip(found.groups()[::2], found.groups()[1::2], strict=True)) if found else {}
    if said.keys() != {"descr", "fortran_order", "shape"} or said["fortran_order"] not in ("True", "False"):
        raise InputError(f"{where}: damaged .npy header: {clip(text.strip(), 100)!r}")
    dtype = _dtype(where, said["descr"])
    sizes = re.findall(r"\d+", said["shape"]) if SHAPE.fullmatch(said["shape"]) else ["-1"]
    shape = tuple(map(int, sizes))
    sane = len(shape) <= MAX_RANK and all(0 <= size <= MAX_SIZE for size in shape)
    if not sane or math.prod(size for size in shape if size) * dtype.itemsize > MAX_SIZE:
        raise InputError(f"{where}: damaged .npy header: shape {clip(said['shape'], 100)}")
    return shape, said["fortran_order"] == "True", dtype, begin + length


def _dtype(where: str, descr: str) -> np.dtype[Any]:
    """Give the dtype that a header names in quotation marks."""
    found = DESCR.fullmatch(descr)
    if descr.strip("'\"|") == "O":
        raise InputError(f"{where}: holds Python objects, neither real numbers nor text; nothing is ever unpickled")
    if found is None:
        raise InputError(f"{where}: holds {clip(descr, 60)}, neither real numbers nor text")
    try:
        return np.dtype(found[1])
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: damaged .npy header: {clip(str(error), 100)}") from None


def write_npy(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write an array; a crash leaves the old file or the new one.

    Raises
    ------
    InputError
        It cannot be written.
    """
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    replace_file(path, [buffer.getbuffer()], InputError)
