"""HDF5 from strangers.

Only hard links are followed, step by step, each group and dataset under one name; datasets whose bytes lie elsewhere
(external storage, virtual datasets) or need a plugin are refused by their header, before any data is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

import h5py
import numpy as np
import numpy.typing as npt

from keydnn.convert.read.record import StoredTensor
from keydnn.errors import KerasFileError

MAX_ATTRIBUTE = 64 << 20  # bytes; the largest model_config of keras.applications is below 2 MB
MAX_WEIGHTS = 4 << 30  # bytes of one tensor
MAX_RATIO = 1032  # deflate cannot compress further, so a dataset that claims more was never written
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}
BFLOAT16 = np.dtype("V2")  # h5py has no type of its own for it; nothing else that Keras writes is opaque
NOT_OF_THE_MODEL = ("optimizer", "metrics")  # beginnings of the names of groups that keep the state of training


Asset = Callable[[], bytes]
Assets = Callable[[str], Asset | None]  # files beside the HDF5 file in its archive, by path


def no_assets(path: str) -> Asset | None:
    """Give the files beside an HDF5 file that stands alone."""
    return None


class H5File:
    """An open HDF5 file: groups by path, attributes, datasets as StoredTensor; and the assets beside it."""

    def __init__(self, file: h5py.File, source: str, assets: Assets = no_assets) -> None:
        self._file, self._source, self._assets = file, source, assets
        self._seen: dict[int, str] = {}

    def _fail(self, what: str) -> KerasFileError:
        return KerasFileError(f"{self._source}: {what}")

    def _step(self, parent: Any, name: str, path: str) -> Any:
        """Follow one hard link; None if there is nothing of that name."""
        link = parent.get(name, getlink=True) if isinstance(parent, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            kind = "an external link" if isinstance(link, h5py.ExternalLink) else "a soft link"
            raise self._fail(f"{path!r} is {kind}; a Keras file has none, and KeyDNN follows none")
        return parent[name]

    def find(self, path: str) -> Any:
        """Give the group or dataset at a path, or None."""
        found: Any = self._file
        for name in path.split("/") if path else ():
            if name in ("", ".", ".."):
                raise self._fail(f"{path!r} is not a path that Keras writes")
            with self._guard(path):
                found = self._step(found, name, path)
            if found is None:
                return None
        return found

    @contextmanager
    def _guard(self, path: str) -> Iterator[None]:
        """Turn whatever h5py raises on a damaged file into one typed error."""
        try:
            yield
        except KerasFileError:
            raise
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, UnicodeError, MemoryError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise self._fail(f"damaged at {path or 'the root'!r}: {first}") from None

    def names(self, path: str) -> list[str]:
        """Give the names in a group, in HDF5's order; empty if there is no such group."""
        group = self.find(path)
        with self._guard(path):
            if not isinstance(group, h5py.Group):
                return []
            self._once(group, path)
            return list(group)

    def attribute(self, path: str, name: str) -> Any:
        """Give an attribute as text, list of texts or number; None if there is none."""
        owner = self.find(path)
        if owner is None:
            return None
        where = f"{path}@{name}"
        with self._guard(where):
            if name not in owner.attrs:
                return None
            header = owner.attrs.get_id(name)
            if math.prod(header.shape or ()) * header.dtype.itemsize > MAX_ATTRIBUTE:
                raise self._fail(f"the attribute {where!r} is larger than {MAX_ATTRIBUTE >> 20} MiB")
            return _plain(owner.attrs[name])

    def names_attribute(self, path: str, name: str) -> list[str] | None:
        """Give a list of names, which Keras splits into ``name0``, ``name1``, ... above 64512 bytes."""
        whole = self.attribute(path, name)
        if whole is None and self.attribute(path, f"{name}0") is not None:
            whole, part = [], 0
            while (chunk := self.attribute(path, f"{name}{part}")) is not None:
                whole += chunk if isinstance(chunk, list) else [chunk]
                part += 1
        if whole is None:
            return None
        if not isinstance(whole, list) or not all(isinstance(item, str) for item in whole):
            raise self._fail(f"the attribute {path}@{name} is not a list of names")
        return whole

    def tensor(self, path: str, name: str, role: str | None, within: tuple[str, ...] = ()) -> StoredTensor | None:
        """Give the dataset at a path, its header checked and nothing read; None if there is none."""
        dataset = self.find(path)
        if dataset is None:
            return None
        if not isinstance(dataset, h5py.Dataset):
            raise self._fail(f"{path!r} is not a dataset")
        with self._guard(path):
            self._check(dataset, path)
            shape = tuple(int(size) for size in dataset.shape)
            dtype = "bfloat16" if dataset.dtype == BFLOAT16 else dataset.dtype.name
            return StoredTensor(name, role, shape, dtype, lambda: self._read(dataset, path), within)

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
                tensor = self.tensor(below, below, None) if isinstance(self.find(below), h5py.Dataset) else None
                found += self.arrays(below) if tensor is None else [tensor]
        return found

    def _once(self, found: Any, path: str) -> None:
        """Refuse what is reached under two names: Keras links nothing twice, and links can form circles."""
        address = h5py.h5o.get_info(found.id).addr
        if self._seen.setdefault(address, path) != path:
            what = "dataset" if isinstance(found, h5py.Dataset) else "group"
            raise self._fail(f"{path!r} and {self._seen[address]!r} are the same {what} under two names")

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

    def _check(self, dataset: Any, path: str) -> None:
        self._once(dataset, path)
        if dataset.is_virtual or dataset.external:
            raise self._fail(f"{path!r} takes its data from another file; KeyDNN reads none")
        number = dataset.dtype.kind in "fiu" and dataset.dtype.itemsize <= 8
        if dataset.shape is None or not (number or dataset.dtype == BFLOAT16):
            raise self._fail(f"{path!r} holds no numbers, but {dataset.dtype}")
        settings = dataset.id.get_create_plist()
        for index in range(settings.get_nfilters()):
            code = settings.get_filter(index)[0]
            if code not in FILTERS:
                raise self._fail(
                    f"{path!r} is compressed with filter {code}; only {', '.join(FILTERS.values())} are read"
                )
        declared = math.prod(int(size) for size in dataset.shape) * dataset.dtype.itemsize
        if declared > MAX_WEIGHTS:
            raise self._fail(f"{path!r} declares {declared:,} bytes, more than {MAX_WEIGHTS >> 30} GiB")
        if declared > MAX_RATIO * dataset.id.get_storage_size():
            raise self._fail(f"{path!r} declares {declared:,} bytes but holds {dataset.id.get_storage_size():,}")

    def _read(self, dataset: Any, path: str) -> npt.NDArray[np.generic]:
        with self._guard(path):
            array = np.asarray(dataset[()])
            if array.dtype == BFLOAT16:  # the upper half of a float32
                return (array.view("<u2").astype(np.uint32) << 16).view(np.float32)
            return array


class BackslashFile(H5File):
    """A file of the v3 layout that Keras 2 wrote on Windows: a group's whole path is the name of one in the root."""

    def find(self, path: str) -> Any:
        """Give the group or dataset at a path, or None."""
        group, before, rest = path.partition("/vars")
        return super().find(group.replace("/", "\\") + before + rest)

    def names(self, path: str) -> list[str]:
        """Give the names in a group, as if it were in the group that its name says."""
        if path.endswith("/vars"):
            return super().names(path)
        start = f"{path}/".replace("/", "\\") if path else ""
        inside = [name.removeprefix(start).partition("\\")[0] for name in super().names("") if name.startswith(start)]
        own = ["vars"] if path and self.find(f"{path}/vars") is not None else []
        return list(dict.fromkeys([*own, *inside]))


def _plain(value: Any) -> Any:
    """Give an attribute as Python has it: bytes and NumPy texts as str, arrays as lists."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel()]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.generic):
        return value.item()
    return value


@contextmanager
def open_h5(file: str | BinaryIO, source: str, assets: Assets = no_assets) -> Iterator[H5File]:
    """Open an HDF5 file, by path or from memory."""
    try:
        opened = h5py.File(file, "r")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first = (str(error).splitlines() or ["unknown"])[0]
        raise KerasFileError(f"{source}: damaged HDF5 file: {first}") from None
    with opened:
        found = H5File(opened, source, assets)
        on_windows = any(name.startswith(("layers\\", "_layer_checkpoint_dependencies\\")) for name in found.names(""))
        yield BackslashFile(opened, source, assets) if on_windows else found
