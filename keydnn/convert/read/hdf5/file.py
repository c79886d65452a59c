"""An HDF5 file as the readers see it: groups by path, attributes, datasets as StoredTensor, the assets beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from keydnn.convert.read.hdf5.client import Library
from keydnn.convert.read.limits import MAX_DEPTH, MAX_RANK, MOST_WEIGHTS
from keydnn.convert.read.record import StoredTensor
from keydnn.errors import KerasFileError
from keydnn.strict_json import Json, clip

BFLOAT16 = "bfloat16"  # the upper half of a float32, which NumPy has no type for
NUMBERS = ("float16", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
STORED = {name: np.dtype(name) for name in NUMBERS} | {BFLOAT16: np.dtype("uint16")}
NOT_OF_THE_MODEL = ("optimizer", "metrics")  # beginnings of the names of groups that keep the state of training

Asset = Callable[[], bytes]
Assets = Callable[[str], Asset | None]  # files beside the HDF5 file in its archive, by path


def no_assets(path: str) -> Asset | None:
    """Give the files beside an HDF5 file that stands alone."""
    return None


class H5File:
    """An open HDF5 file.

    Parameters
    ----------
    library
        The process that has it open.
    file
        Its number there.
    source
        Its name, for messages.
    assets
        The files beside it in its archive.
    """

    def __init__(self, library: Library, file: int, source: str, assets: Assets = no_assets) -> None:
        self._library, self._file, self._source, self._assets = library, file, source, assets

    def _fail(self, what: str) -> KerasFileError:
        return KerasFileError(f"{self._source}: {what}")

    def _ask(self, what: str, path: str, *more: str) -> Json:
        return self._library.ask(self._source, what, self._file, self._at(path), *more)

    def _at(self, path: str) -> str:
        """Give a path as it is in the file."""
        if path.count("/") >= MAX_DEPTH:
            raise self._fail(f"{clip(path, 60)!r} lies deeper than {MAX_DEPTH} groups")
        return path

    def kind(self, path: str) -> Literal["group", "dataset"] | None:
        """Tell what is at a path; None if there is nothing."""
        found = self._ask("kind", path)
        return "group" if found == "group" else "dataset" if found == "dataset" else None

    def names(self, path: str) -> list[str]:
        """Give the names in a group, in HDF5's order; empty if there is no such group."""
        return self._texts(self._ask("names", path), path)

    def attribute(self, path: str, name: str) -> Any:
        """Give an attribute as text, list of texts or number; None if there is none."""
        return self._ask("attribute", path, name)

    def names_attribute(self, path: str, name: str) -> list[str] | None:
        """Give a list of names, which Keras splits into ``name0``, ``name1``, ... above 64512 bytes."""
        whole = self.attribute(path, name)
        if whole is None and self.attribute(path, f"{name}0") is not None:
            whole, part = [], 0
            while (chunk := self.attribute(path, f"{name}{part}")) is not None:
                whole += chunk if isinstance(chunk, list) else [chunk]
                part += 1
        return None if whole is None else self._texts(whole, f"{path}@{name}")

    def _texts(self, found: Json, where: str) -> list[str]:
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self._fail(f"the attribute {where} is not a list of names")
        return found

    def tensor(self, path: str, name: str, role: str | None, within: tuple[str, ...] = ()) -> StoredTensor | None:
        """Give the dataset at a path, its header checked and nothing read; None if there is none."""
        found = self._ask("header", path)
        if found is None:
            return None
        sizes, dtype = (found.get("shape"), found.get("dtype")) if isinstance(found, dict) else (None, None)
        if not isinstance(sizes, list) or not _is_shape(sizes) or not isinstance(dtype, str) or dtype not in STORED:
            raise self._fail(f"{path!r} holds no numbers, but {clip(repr(found), 60)}")
        shape = tuple(sizes)
        self._library.spend(self._source, math.prod(shape) * STORED[dtype].itemsize)
        return StoredTensor(name, role, shape, dtype, partial(self._read, path, shape, dtype), within)

    def _read(self, path: str, shape: tuple[int, ...], dtype: str) -> npt.NDArray[np.generic]:
        array = self._library.read(self._source, self._file, self._at(path), shape, STORED[dtype])
        return (array.astype(np.uint32) << 16).view(np.float32) if dtype == BFLOAT16 else array

    def label(self, path: str) -> str | None:
        """Give the name of the layer whose group is at a path (v3 layout); None if the file does not say it."""
        name = self.attribute(f"{path}/vars", "name")
        return name if isinstance(name, str) else None

    def arrays(self, path: str = "") -> list[StoredTensor]:
        """Give all arrays below a group, but for the state of training."""
        found = []
        for name in self.names(path):
            below = f"{path}/{name}".lstrip("/")
            if path or not name.startswith(NOT_OF_THE_MODEL):
                tensor = self.tensor(below, below, None) if self.kind(below) == "dataset" else None
                found += self.arrays(below) if tensor is None else [tensor]
        return found

    def vocabulary(self, path: str) -> Callable[[], tuple[str, ...]] | None:
        """Give what reads the vocabulary of the layer at a path; None if it has none."""
        name = f"{path}/vocabulary.txt"
        asset = self._assets(name)
        return partial(self._lines, asset, name) if asset else None

    def _lines(self, asset: Asset, name: str) -> tuple[str, ...]:
        """Give the lines of a text file; on Windows, Keras ends them its way."""
        try:
            text = asset().decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._fail(f"assets/{name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
        if text.count("\n") == text.count("\r\n"):
            text = text.replace("\r\n", "\n")
        return tuple(text.split("\n"))


def _is_shape(sizes: list[Json]) -> bool:
    """Tell a shape; one without numbers may have no sizes either that are too large for NumPy."""
    if len(sizes) > MAX_RANK or any(type(n) is not int or n < 0 for n in sizes):
        return False
    return math.prod([int(n) for n in sizes if n]) < MOST_WEIGHTS


class BackslashFile(H5File):
    """A file of the v3 layout that Keras 2 wrote on Windows: a group's whole path is the name of one in the root."""

    def _at(self, path: str) -> str:
        group, before, after = super()._at(path).partition("/vars")
        return group.replace("/", "\\") + before + after

    def names(self, path: str) -> list[str]:
        """Give the names in a group, as if it were in the group that its name says."""
        if path.endswith("/vars"):
            return super().names(path)
        own = ["vars"] if path and self.kind(f"{path}/vars") is not None else []
        return list(dict.fromkeys([*own, *self._inside.get(path, ())]))

    @cached_property
    def _inside(self) -> dict[str, dict[str, None]]:
        """The names in every group that the names in the root tell of."""
        found: dict[str, dict[str, None]] = {}
        for name in super().names(""):
            path = ""
            for step in name.split("\\")[: MAX_DEPTH + 1]:  # what lies deeper is refused where it is asked for
                found.setdefault(path, {})[step] = None
                path = f"{path}/{step}" if path else step
        return found


def open_h5(library: Library, file: str | bytes, source: str, assets: Assets = no_assets) -> H5File:
    """Open an HDF5 file, by its path or by the bytes in it.

    Raises
    ------
    KerasFileError
        It is damaged.
    """
    number = library.open(source, file if isinstance(file, bytes) else os.path.abspath(file))
    found = H5File(library, number, source, assets)
    on_windows = any(name.startswith(("layers\\", "_layer_checkpoint_dependencies\\")) for name in found.names(""))
    return BackslashFile(library, number, source, assets) if on_windows else found
