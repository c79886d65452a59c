"""``.npy`` files from strangers, and results written at one stroke."""

from __future__ import annotations

import io
import math
import tokenize
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from keydnn.atomic import replace_file
from keydnn.door import open_regular
from keydnn.errors import InputError

MAGIC = b"\x93NUMPY"
MAX_HEADER = 64 << 10  # bytes; NumPy's own headers have some hundred
MAX_RANK = 32


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
    """Give shape, order, dtype and where the data starts."""
    version = head[6:8]
    wide = version in (b"\x02\x00", b"\x03\x00")
    if version not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise InputError(f"{where}: .npy version {list(version)} is not known")
    stream = io.BytesIO(head[8:] + rest)
    try:
        read = np.lib.format.read_array_header_2_0 if wide else np.lib.format.read_array_header_1_0
        shape, fortran, dtype = read(stream, max_header_size=MAX_HEADER)
    except (
        ValueError,
        TypeError,
        SyntaxError,
        KeyError,
        EOFError,
        RecursionError,
        MemoryError,
        tokenize.TokenError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{where}: damaged .npy header: {reason}") from None
    if dtype.hasobject:
        raise InputError(f"{where}: holds Python objects, neither real numbers nor text; nothing is ever unpickled")
    if dtype.kind not in "fiubUS" or not dtype.itemsize:
        raise InputError(f"{where}: holds {dtype}, neither real numbers nor text")
    if len(shape) > MAX_RANK or any(type(size) is not int or size < 0 for size in shape):
        raise InputError(f"{where}: damaged .npy header: shape {shape}")
    return shape, bool(fortran), dtype, 8 + stream.tell()


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
