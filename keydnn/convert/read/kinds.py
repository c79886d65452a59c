"""What a path holds, told by its first bytes, never by its name; and the way out where it is no Keras file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from keydnn.door import open_regular
from keydnn.errors import KerasFileError

Kind = Literal["hdf5", "zip", "folder", "shards"]

SAVED_MODEL = (
    "a TensorFlow SavedModel, which holds compiled operations and no layers; if Keras 2 wrote it, "
    'tf_keras.models.load_model(...).save("model.h5") there gives a file that KeyDNN opens; '
    'if Keras 3 exported it, model.save("model.keras") there does'
)
# What stands at a place near the beginning of a file.  In the order in which they are tried.
MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a git-lfs pointer, not the file itself; run git lfs pull"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x80", "a pickle, perhaps of PyTorch or joblib; KeyDNN never unpickles"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it first"),
    (0, b"<", "an HTML or XML page; the download went wrong"),
    (
        4,
        b"TFL3",
        "a TensorFlow Lite model, which has no Keras layers any more; convert the Keras file that it came from",
    ),
    (8, b'{"', "a safetensors file: arrays without an architecture"),
)
SUFFIXES = {
    ".pb": SAVED_MODEL,
    ".onnx": "an ONNX model, which has no Keras layers",
    ".ckpt": "a TensorFlow checkpoint: arrays without an architecture",
    ".index": "a TensorFlow checkpoint: arrays without an architecture",
}
MAX_HEAD = 4096


def kind_of(path: Path) -> Kind:
    """Tell what a path holds.

    Raises
    ------
    KerasFileError
        It cannot be read, or is nothing of Keras; the message says what it is.
    """
    if os.path.isdir(path):
        return _folder(path)
    with open_regular(path, KerasFileError) as (file, _):
        head = file.read(MAX_HEAD)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.lstrip().startswith((b"{", b'"')):
        if b'"weight_map"' in head or b'"total_size"' in head:
            return "shards"
        raise KerasFileError(
            f"{path}: no Keras file, but JSON: an architecture without weights (it goes with a weights file: "
            "--architecture), or a KeyDNN checkpoint (keydnn run, keydnn inspect)"
        )
    for place, magic, what in MAGIC:
        if head[place : place + len(magic)] == magic:
            raise KerasFileError(f"{path}: no Keras file, but {what}")
    if path.suffix in SUFFIXES:
        raise KerasFileError(f"{path}: no Keras file, but {SUFFIXES[path.suffix]}")
    raise KerasFileError(f"{path}: {'an empty file' if not head else 'neither HDF5 nor a .keras archive'}")


def _folder(path: Path) -> Kind:
    if os.path.exists(path / "saved_model.pb"):
        raise KerasFileError(f"{path}: no Keras model, but {SAVED_MODEL}")
    if not os.path.exists(path / "config.json"):
        raise KerasFileError(f"{path}: a folder without config.json; give a .h5 or .keras file, or a .keras folder")
    return "folder"


def zip_without_config(names: list[str]) -> str:
    """Say what a zip archive is that has no ``config.json``."""
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch file; KeyDNN reads Keras files only, and never unpickles"
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz): arrays without an architecture"
    if any(name.endswith("saved_model.pb") for name in names):
        return f"{SAVED_MODEL}, here in a zip archive"
    return f"a zip archive without config.json, which holds {', '.join(json.dumps(name) for name in names[:5])}"
