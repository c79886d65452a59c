"""Bytes to KerasModel: decides what a source is and opens it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keydnn.convert.read.architecture import model_from, parse_config, parse_version
from keydnn.convert.read.archive import open_archive
from keydnn.convert.read.h5 import H5File, open_h5
from keydnn.convert.read.live import read_live
from keydnn.convert.read.record import KerasModel
from keydnn.convert.read.weights import attach_legacy
from keydnn.errors import KerasFileError, KerasInteropError

Source = str | os.PathLike[str] | Any  # a path, or a live keras.Model

# What the first bytes say a file is, whatever its name ends in.
MAGIC = {
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"PK\x03\x04": "zip",
    b"version https://git-lfs": "a git-lfs pointer, not the file itself; run git lfs pull",
    b"\x93NUMPY": "a NumPy array",
    b"\x80": "a pickle, perhaps of PyTorch or joblib; KeyDNN never unpickles",
    b"{": "JSON: an architecture without weights, or a KeyDNN checkpoint (keydnn run, keydnn inspect)",
    b"TFL3": "a TensorFlow Lite model",
}


@contextmanager
def open_keras(source: Source) -> Iterator[KerasModel]:
    """Open a Keras model; its weights can be read while it is open.

    Parameters
    ----------
    source
        Path of an HDF5 file (``.h5``, ``.hdf5``) or a ``.keras`` archive, told by the first bytes; or a live
        ``keras.Model``.

    Raises
    ------
    KerasFileError
        The file is missing, damaged, or no Keras file.
    KerasInteropError
        The file holds what KeyDNN cannot import.
    """
    if not isinstance(source, (str, os.PathLike)):
        yield read_live(source)
        return
    path = Path(source)
    kind = _kind(path)
    if kind == "zip":
        with open_archive(path) as model:
            yield model
    else:
        with open_h5(str(path), path.name) as file:
            yield _read_h5(file, path.name)


def _kind(path: Path) -> str:
    try:
        if path.is_dir():
            raise KerasFileError(f"{path}: a folder; give a .h5 or .keras file")
        with path.open("rb") as file:
            head = file.read(32)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise KerasFileError(f"{path}: cannot be read: {reason}") from None
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            if kind in ("hdf5", "zip"):
                return kind
            raise KerasFileError(f"{path}: no Keras file, but {kind}")
    raise KerasFileError(f"{path}: {'an empty file' if not head else 'neither HDF5 nor a .keras archive'}")


def _read_h5(file: H5File, source: str) -> KerasModel:
    text = file.attribute("", "model_config")
    if text is None:
        if file.attribute("", "layer_names") is not None or file.names("layers"):
            raise KerasInteropError(f"{source}: weights without an architecture: save the whole model, not its weights")
        raise KerasFileError(f"{source}: an HDF5 file, but not of Keras: it has no model_config")
    config = parse_config(str(text), f"model_config of {source}")
    version = file.attribute("model_weights", "keras_version") or file.attribute("", "keras_version")
    backend = file.attribute("model_weights", "backend") or file.attribute("", "backend")
    model = dataclasses.replace(model_from(config, parse_version(version), source), backend=str(backend or ""))
    return attach_legacy(model, file, "model_weights")
