"""Keras' files as bytes: the archive and both formats of weights.  The same arguments give the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from keydnn.convert.read.v3 import snake_case

Arrays = Mapping[str, npt.NDArray[Any]]

DATE = (1980, 1, 1, 0, 0, 0)


def zip_file(files: Mapping[str, bytes]) -> bytes:
    """Give a zip archive of files by name, stored as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content)
    return buffer.getvalue()


def weights_file(name: str, layers: Sequence[tuple[str, str, Arrays]]) -> bytes:
    """Give ``model.weights.h5`` of a functional model.

    Parameters
    ----------
    name
        The model's.
    layers
        Class, name and weights of each layer, in Keras' order: the place among those of the class is the address.

    Source: ``_save_state`` in ``keras/src/saving/saving_lib.py``.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _labelled(file, "vars", name)
        counts: Counter[str] = Counter()
        for class_name, label, weights in layers:
            stem = snake_case(class_name)
            path = f"layers/{stem}_{counts[stem]}" if counts[stem] else f"layers/{stem}"
            counts[stem] += 1
            _labelled(file, f"{path}/vars", label)
            places: Counter[str] = Counter()
            for weight, array in weights.items():
                *folders, _ = weight.split("/")
                group = "/".join([path, *folders, "vars"])
                file.require_group(group).create_dataset(str(places[group]), data=array)
                places[group] += 1
    return buffer.getvalue()


def _labelled(file: h5py.File, path: str, name: str) -> None:
    file.create_group(path).attrs["name"] = name


def legacy_file(version: str, layers: Mapping[str, Arrays]) -> bytes:
    """Give an HDF5 file of weights by layer, as Keras 2 writes it.

    Parameters
    ----------
    version
        Of Keras.
    layers
        For each layer its weights by name (``dense/kernel:0``), in order.

    Source: ``save_weights_to_hdf5_group`` in ``keras/src/legacy/saving/legacy_h5_format.py``.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["backend"] = np.bytes_(b"tensorflow")
        file.attrs["keras_version"] = np.bytes_(version.encode())
        _names(file, "layer_names", list(layers))
        for layer in sorted(layers):
            group = file.create_group(layer)
            _names(group, "weight_names", list(layers[layer]))
            for name, array in layers[layer].items():
                group.create_dataset(name, data=array)
    return buffer.getvalue()


LIMIT = 64512  # bytes of an attribute, Keras' HDF5_OBJECT_HEADER_LIMIT


def _names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """Write names as an attribute, or as several, numbered, if they are too long for one."""
    array = np.array([name.encode() for name in names], np.bytes_) if names else np.zeros(0, "S1")
    parts, chunks = 1, [array]
    while any(chunk.nbytes > LIMIT for chunk in chunks):
        parts += 1
        chunks = np.array_split(array, parts)
    for place, chunk in enumerate(chunks):
        group.attrs[attribute if parts == 1 else f"{attribute}{place}"] = chunk
