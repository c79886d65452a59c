"""Weights <-> bytes: base64, the sidecar (safetensors) and their digests."""

from __future__ import annotations

import binascii
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keydnn.checkpoint import files
from keydnn.checkpoint.spot import WAY_OUT, Spot, parse, show
from keydnn.errors import CheckpointError
from keydnn.modules.base import Array
from keydnn.strict_json import STRUCTURE_LIMIT

DTYPE = "<f4"
WEIGHTS_LIMIT = 4 << 30  # bytes: 1.07e9 weights, seven times VGG16; what a checkpoint may make a reader allocate
_ALIGNMENT = 8  # safetensors pads its header, so that the tensors behind it are aligned

Sizes = tuple[int, ...]


def size_in_bytes(shape: Sizes) -> int:
    """Count the bytes of a tensor, without overflow."""
    return 4 * math.prod(shape)


def digest(array: Array) -> str:
    """Give the SHA-256 of a tensor's bytes: float32, little endian, C order."""
    return hashlib.sha256(_little_endian(array)).hexdigest()


def to_base64(array: Array) -> bytes:
    """Encode a tensor's bytes: float32, little endian, C order."""
    return binascii.b2a_base64(_little_endian(array), newline=False)


def _little_endian(array: Array) -> memoryview:
    return np.ascontiguousarray(array, DTYPE).reshape(-1).view(np.uint8).data


def _native(buffer: files.Buffer, shape: Sizes) -> Array:
    """See bytes as a tensor; without a copy on little-endian machines."""
    return buffer.view(DTYPE).astype(np.float32, copy=False).reshape(shape)


def from_base64(spot: Spot, shape: Sizes) -> Array:
    """Decode a tensor, once its length has been found to be the right one.

    Parameters
    ----------
    spot
        The base64 text.
    shape
        The shape that the module's parameters demand.

    Returns
    -------
    A writable array.
    """
    text, wanted = spot.text(), size_in_bytes(shape)
    if len(text) != (wanted + 2) // 3 * 4:
        spot.fail(f"must be the base64 of {wanted} bytes, {(wanted + 2) // 3 * 4} characters; got {len(text)}")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error among them
        spot.fail(f"is not base64: {error}")
    tail = data[len(data) // 3 * 3 - 3 * (len(data) % 3 == 0) :]
    if len(data) != wanted or not text.endswith(binascii.b2a_base64(tail, newline=False).decode()):
        spot.fail("is not the base64 that an encoder writes: its last characters hold bits that belong to no byte")
    buffer = np.empty(wanted, np.uint8)
    buffer[:] = np.frombuffer(data, np.uint8)
    return _native(buffer, shape)


def pack(tensors: Mapping[str, Array]) -> bytes:
    """Make the bytes of a sidecar."""
    from safetensors.numpy import save

    return bytes(save(dict(tensors)))


def read_sidecar(folder: Path, name: Spot, wanted_digest: str, shapes: Mapping[str, Sizes]) -> dict[str, Array]:
    """Read a sidecar, or, where a crash kept it from getting its name, the complete one under its pending name.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    name
        The sidecar's name in the checkpoint.
    wanted_digest
        SHA-256 of the whole file.
    shapes
        Every tensor's shape, as the modules' parameters demand it.

    Returns
    -------
    Writable arrays by name: views of one buffer, so that the weights are in memory once.
    """
    check_name(name)
    total = sum(map(size_in_bytes, shapes.values()))
    problem: CheckpointError | None = None
    for path in (folder / name.text(), folder / pending_name(name.text(), wanted_digest)):
        try:
            buffer = files.read_beside(path, 8 + total, 8 + total + STRUCTURE_LIMIT)
            if hashlib.sha256(buffer.data).hexdigest() == wanted_digest:
                return _unpack(str(path), buffer, shapes)
            raise CheckpointError(
                f"{path}: its SHA-256 is not the one that {name.file} gives: it belongs to another checkpoint, or is "
                f"damaged; put the right one there, or {WAY_OUT.partition('; ')[2]}"
            )
        except CheckpointError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def check_name(name: Spot) -> None:
    """Refuse the name of a sidecar that is not a plain name in the checkpoint's own folder."""
    text = name.text()
    plain = text.isprintable() and not set(text) & set('/\\:"*?<>|') and text not in ("", ".", "..")
    if not plain or not text.endswith(".safetensors") or len(text.encode()) > 255:
        name.fail(f"must be the bare name of a .safetensors file in the same folder, got {show(text)}")


def pending_name(name: str, sidecar_digest: str) -> str:
    """Give the name that a new sidecar has until the checkpoint that needs it is in place."""
    return f"{name}.{sidecar_digest[:16]}"


def _unpack(file: str, buffer: files.Buffer, shapes: Mapping[str, Sizes]) -> dict[str, Array]:
    """See a sidecar's bytes as tensors.

    safetensors' own ``load`` copies every tensor; these are views, and the header is held to more: exactly the tensors
    wanted, float32, of the shapes wanted, that fill the file without gaps or overlaps.
    """
    total = sum(map(size_in_bytes, shapes.values()))
    length = int.from_bytes(buffer[:8].tobytes(), "little")
    if length + 8 + total != buffer.size or length % _ALIGNMENT:
        raise CheckpointError(f"{file}: its header of {length} bytes and its tensors of {total} do not make the file")
    header = parse(file, buffer[8 : 8 + length].tobytes())
    found = header.members(*shapes)
    begins: dict[str, int] = {}
    for name, shape in shapes.items():
        entry = found[name].members("dtype", "shape", "data_offsets")
        if entry["dtype"].text() != "F32":
            entry["dtype"].fail(f'must be "F32", got {show(entry["dtype"].value)}')
        if entry["shape"].sizes() != shape:
            entry["shape"].fail(f"must be {list(shape)}, got {show(entry['shape'].value)}")
        offsets = [offset.integer(0) for offset in entry["data_offsets"].items()]
        if len(offsets) != 2 or offsets[1] - offsets[0] != size_in_bytes(shape):
            entry["data_offsets"].fail(f"must span {size_in_bytes(shape)} bytes, got {show(offsets)}")
        begins[name] = offsets[0]
    tensors: dict[str, Array] = {}
    end = 0
    for name in sorted(shapes, key=lambda name: (begins[name], size_in_bytes(shapes[name]))):  # empty ones first
        if begins[name] != end:
            found[name].fail("begins where no other tensor ends: tensors overlap or leave gaps")
        end += size_in_bytes(shapes[name])
        tensors[name] = _native(buffer[8 + length + begins[name] : 8 + length + end], shapes[name])
    return tensors
