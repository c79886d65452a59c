"""``.keras``: ``config.json``, ``metadata.json`` and ``model.weights.h5``, in a zip archive or in a folder.

Source of the layout: ``keras/src/saving/saving_lib.py``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from keydnn.convert.read.document import NEWEST, Architecture, architecture_in, parse_config
from keydnn.convert.read.hdf5.client import Library
from keydnn.convert.read.hdf5.file import Asset, H5File, open_h5
from keydnn.convert.read.kinds import zip_without_config
from keydnn.convert.read.limits import MAX_ASSET, MAX_CONFIG, Limits
from keydnn.convert.read.record import KerasModel
from keydnn.convert.read.v3 import attach_v3
from keydnn.door import read_most
from keydnn.errors import KerasFileError, KerasInteropError
from keydnn.zipped import open_zip

WEIGHTS = "model.weights.h5"


class Members(Protocol):
    """The files of a ``.keras``, by the names that Keras gives them."""

    source: str

    def names(self) -> Collection[str]:
        """Give the names of all members, or of those that are not in folders."""

    def has(self, name: str) -> bool:
        """Tell whether there is a member of a name."""

    def read(self, name: str, most: int) -> bytes:
        """Read one member; KerasFileError if it is larger than ``most`` bytes or damaged."""


@contextmanager
def open_archive(library: Library, path: Path, given: Architecture | None, limits: Limits) -> Iterator[KerasModel]:
    """Open a ``.keras`` archive; nothing is unpacked to disk, and members are taken by their exact names only.

    Raises
    ------
    KerasFileError
        A damaged or hostile archive: duplicate or overlapping members, other compression, wrong sizes or checksums.
    """
    with open_zip(path, KerasFileError) as members:
        if not members.has("config.json"):
            raise KerasFileError(f"{path.name}: no Keras file, but {zip_without_config(sorted(members.names()))}")
        architecture = given or _architecture(members)
        _require_weights(members)
        file = weights_in(library, members, limits)
        yield attach_v3(architecture.model(path.name, NEWEST), file, labelled=given is None)


def weights_in(library: Library, members: Members, limits: Limits) -> H5File:
    """Open the weights of an archive."""
    content = members.read(WEIGHTS, limits.max_weights + MAX_CONFIG)
    return open_h5(library, content, f"{WEIGHTS} of {members.source}", partial(_asset, members))


def _asset(members: Members, name: str) -> Asset | None:
    """Give what reads a file that Keras keeps for a layer beside its weights; None if there is none."""
    name = f"assets/{name}"
    return partial(members.read, name, MAX_ASSET) if members.has(name) else None


def open_folder(library: Library, path: Path, given: Architecture | None) -> KerasModel:
    """Open a ``.keras`` folder (``keras.saving.save_model(model, folder, zipped=False)``)."""
    members = FolderMembers(path)
    architecture = given or _architecture(members)
    _require_weights(members)
    file = open_h5(library, members.place(WEIGHTS), f"{WEIGHTS} of {path.name}", partial(_asset, members))
    return attach_v3(architecture.model(path.name, NEWEST), file, labelled=given is None)


def _architecture(members: Members) -> Architecture:
    """Read the architecture, and the version that the metadata have beside it."""
    version = None
    if members.has("metadata.json"):
        where = f"metadata.json of {members.source}"
        metadata = parse_config(members.read("metadata.json", MAX_CONFIG), where)
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    config = parse_config(members.read("config.json", MAX_CONFIG), f"config.json of {members.source}")
    return architecture_in(config, version)


def _require_weights(members: Members) -> None:
    if members.has(WEIGHTS):
        return
    if members.has("model.weights.npz"):
        raise KerasInteropError(
            f"{members.source}: model.weights.npz holds Python pickles, which KeyDNN never reads and Keras cannot load "
            "either; save the model again, without weights_format"
        )
    found = ", ".join(sorted(members.names())[:8])
    raise KerasInteropError(f"{members.source}: no {WEIGHTS}, only {found}")


class FolderMembers:
    """The files of a ``.keras`` folder."""

    def __init__(self, path: Path) -> None:
        self.source, self._path = path.name, path

    def names(self) -> Collection[str]:
        """Give the names of the files right in the folder."""
        try:
            return {entry.name for entry in self._path.iterdir()}
        except OSError as error:
            raise KerasFileError(f"{self.source}: cannot be read: {error.strerror}") from None

    def has(self, name: str) -> bool:
        """Tell whether there is a file of a name, which may lie in a folder below."""
        return os.path.isfile(self._path / name)

    def read(self, name: str, most: int) -> bytes:
        """Read a file."""
        return read_most(Path(self.place(name)), most, KerasFileError, follow=False)

    def place(self, name: str) -> str:
        """Give the path of a file, which lies in this folder: no link leads to it."""
        place = os.path.join(os.path.realpath(self._path), *name.split("/"))
        if os.path.realpath(place) != place:
            raise KerasFileError(f"{self.source}: a symbolic link leads to {name}; put the file itself there")
        return place
