"""Bytes to KerasModel: decides what a source is and opens it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from keydnn.convert.read.archive import open_archive, open_folder
from keydnn.convert.read.document import NEWEST, Architecture, Given, architecture_in, parse_config, read_architecture
from keydnn.convert.read.hdf5.client import Library
from keydnn.convert.read.hdf5.file import H5File, open_h5
from keydnn.convert.read.kinds import kind_of
from keydnn.convert.read.legacy import attach_legacy
from keydnn.convert.read.limits import DEFAULT, Limits
from keydnn.convert.read.live import read_live
from keydnn.convert.read.record import KerasModel
from keydnn.convert.read.shards import Shards, open_shards
from keydnn.convert.read.v3 import LISTS, attach_v3
from keydnn.errors import KerasFileError, MissingArchitectureError, ParameterError, StoredArray

__all__ = ["Given", "Source", "open_keras"]

Source = str | os.PathLike[str] | Any  # a path, or a live keras.Model


@contextmanager
def open_keras(source: Source, given: Given | None = None, limits: Limits = DEFAULT) -> Iterator[KerasModel]:
    """Open a Keras model; its weights can be read while it is open.

    Parameters
    ----------
    source
        Path of an HDF5 file (``.h5``, ``.hdf5``), a ``.keras`` archive or folder or the index of sharded weights
        (``.weights.json``), told by what it holds; or a live ``keras.Model``.
    given
        The architecture of a file with weights only: path of a JSON file, or its text.  It comes before one in the
        file.
    limits
        What the file may ask for.

    Raises
    ------
    MissingArchitectureError
        The file has weights only, and no architecture is given.
    KerasFileError
        The file is missing, damaged, or no Keras file.
    KerasInteropError
        The file holds what KeyDNN cannot import.
    """
    if not isinstance(source, (str, os.PathLike)):
        if given is not None:
            raise ParameterError("an architecture goes with a file of weights, not with a live model")
        yield read_live(source)
        return
    path = Path(source)
    kind = kind_of(path)
    architecture = None if given is None else read_architecture(given)
    with closing(Library(limits)) as library:
        if kind == "zip":
            with open_archive(library, path, architecture, limits) as model:
                yield model
        elif kind == "folder":
            yield open_folder(library, path, architecture)
        elif kind == "shards":
            shards = open_shards(library, path)
            if architecture is None:
                raise _without_architecture(shards, path.name)
            yield attach_v3(architecture.model(path.name, NEWEST), shards)
        else:
            yield _read_h5(open_h5(library, str(path), path.name), path.name, architecture)


def _read_h5(file: H5File, source: str, given: Architecture | None) -> KerasModel:
    text = file.attribute("", "model_config")
    root = "model_weights" if "model_weights" in file.names("") else ""
    version = file.attribute(root, "keras_version") or file.attribute("", "keras_version")
    backend = file.attribute(root, "backend") or file.attribute("", "backend")
    architecture = given
    if architecture is None:
        if text is None:
            raise _without_architecture(file, source)
        architecture = architecture_in(parse_config(str(text), f"model_config of {source}"), version)
    model = architecture.model(source, version, backend)
    if text is None and file.names_attribute(root, "layer_names") is None and set(LISTS) & set(file.names("")):
        return attach_v3(model, file)
    return attach_legacy(model, file, root, by_order=given is not None)


def _without_architecture(file: H5File | Shards, source: str) -> KerasFileError | MissingArchitectureError:
    arrays = [StoredArray(tensor.name, tensor.shape, tensor.dtype) for tensor in file.arrays()]
    if not arrays:
        return KerasFileError(f"{source}: an HDF5 file, but not of Keras: it has no model_config and no weights")
    return MissingArchitectureError(source, arrays)
