"""The HDF5 library, in a process of its own: damaged files can make it crash or run without end.

A program that needs nothing but h5py.  On its standard input it gets requests, a line of JSON each, and
behind ``hold`` the bytes of a file; every answer is JSON, its length before it (8 bytes, little endian), and behind the
answer to ``read`` the numbers as they are.  It loads the library once, and serves each model in a copy of itself.

Only hard links are followed, step by step, each group and dataset under one name; datasets whose bytes lie elsewhere
(external storage, virtual datasets) or need a plugin are refused by their header, before any data is read.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # before the import: no plugin is loaded, whatever a file asks for

import h5py  # after the line above
import numpy as np  # as h5py

ROOM = 4  # times the largest attribute: as much memory may an answer take that has no numbers in it
MAX_RATIO = 1032  # deflate cannot compress further, so a dataset that claims more was never written
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}
BFLOAT16 = np.dtype("V2")  # h5py has no type of its own for it; nothing else that Keras writes is opaque
RAISED = (OSError, KeyError, ValueError, RuntimeError, TypeError, UnicodeError, MemoryError)  # by h5py, for damage
LENGTH = struct.Struct("<Q")


class Refused(Exception):
    """What is wrong with a file, in a line."""


class Reader:
    """One open file: groups, attributes and datasets by path."""

    def __init__(self, file: str | BinaryIO, max_attribute: int, max_tensor: int) -> None:
        try:
            self._file = h5py.File(file, "r")
        except RAISED as error:
            raise Refused(f"damaged HDF5 file: {_first_line(error)}") from None
        self.max_attribute, self._max_tensor = max_attribute, max_tensor
        self._seen: dict[int, str] = {}

    def kind(self, path: str) -> str | None:
        """Tell a group from a dataset; None if there is neither."""
        found = self._find(path)
        return None if found is None else "group" if isinstance(found, h5py.Group) else "dataset"

    def names(self, path: str) -> list[str]:
        """Give the names in a group, in HDF5's order; empty if there is no such group."""
        group = self._find(path)
        with _guard(path):
            if not isinstance(group, h5py.Group):
                return []
            self._once(group, path)
            return list(group)

    def attribute(self, path: str, name: str) -> Any:
        """Give an attribute as text, list of texts or number; None if there is none."""
        owner = self._find(path)
        if owner is None:
            return None
        where = f"{path}@{name}"
        with _guard(where):
            if name not in owner.attrs:
                return None
            header = owner.attrs.get_id(name)
            if math.prod(header.shape or ()) * header.dtype.itemsize > self.max_attribute:
                raise Refused(f"the attribute {where!r} is larger than {self.max_attribute >> 20} MiB")
            return _plain(owner.attrs[name])

    def header(self, path: str) -> dict[str, Any] | None:
        """Give shape and type of a dataset, once it is clear that it may be read; None if there is none."""
        dataset = self._find(path)
        if dataset is None:
            return None
        if not isinstance(dataset, h5py.Dataset):
            raise Refused(f"{path!r} is not a dataset")
        with _guard(path):
            self._check(dataset, path)
            dtype = "bfloat16" if dataset.dtype == BFLOAT16 else dataset.dtype.name
            return {"shape": [int(size) for size in dataset.shape], "dtype": dtype}

    def read(self, path: str) -> np.ndarray[Any, Any]:
        """Give the numbers of a dataset, in C order, as this machine has them."""
        dataset = self._find(path)
        with _guard(path):
            self._check(dataset, path)
            array = np.ascontiguousarray(dataset[()])
            return array.astype(array.dtype.newbyteorder("="), copy=False)

    def _find(self, path: str) -> Any:
        """Follow hard links, one step after the other; None if one is missing."""
        found: Any = self._file
        for name in path.split("/") if path else ():
            if name in ("", ".", ".."):
                raise Refused(f"{path!r} is not a path that Keras writes")
            with _guard(path):
                link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):
                    kind = "an external link" if isinstance(link, h5py.ExternalLink) else "a soft link"
                    raise Refused(f"{path!r} is {kind}; a Keras file has none, and KeyDNN follows none")
                found = found[name]
        return found

    def _once(self, found: Any, path: str) -> None:
        """Refuse what is reached under two names: Keras links nothing twice, and links can form circles."""
        address = h5py.h5o.get_info(found.id).addr
        if self._seen.setdefault(address, path) != path:
            what = "dataset" if isinstance(found, h5py.Dataset) else "group"
            raise Refused(f"{path!r} and {self._seen[address]!r} are the same {what} under two names")

    def _check(self, dataset: Any, path: str) -> None:
        self._once(dataset, path)
        if dataset.is_virtual or dataset.external:
            raise Refused(f"{path!r} takes its data from another file; KeyDNN reads none")
        number = dataset.dtype.kind in "fiu" and dataset.dtype.itemsize <= 8
        if dataset.shape is None or not (number or dataset.dtype == BFLOAT16):
            raise Refused(f"{path!r} holds no numbers, but {dataset.dtype}")
        settings = dataset.id.get_create_plist()
        for index in range(settings.get_nfilters()):
            code = settings.get_filter(index)[0]
            if code not in FILTERS:
                known = ", ".join(FILTERS.values())
                raise Refused(f"{path!r} is compressed with filter {code}; only {known} are read")
        declared = math.prod(int(size) for size in dataset.shape) * dataset.dtype.itemsize
        if declared > self._max_tensor:
            way = "--max-weights (max_weights) allows more"
            raise Refused(f"{path!r} declares {declared:,} bytes, more than {self._max_tensor:,}; {way}")
        stored = dataset.id.get_storage_size()
        if declared > MAX_RATIO * stored or stored > self._file.id.get_filesize():
            raise Refused(f"{path!r} declares {declared:,} bytes but holds {stored:,}")


QUESTIONS: dict[str, Callable[..., Any]] = {
    "kind": Reader.kind,
    "names": Reader.names,
    "attribute": Reader.attribute,
    "header": Reader.header,
}


@contextlib.contextmanager
def _guard(path: str) -> Iterator[None]:
    """Turn whatever h5py raises on a damaged file into one error."""
    try:
        yield
    except RAISED as error:
        raise Refused(f"damaged at {path or 'the root'!r}: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _plain(value: Any) -> Any:
    """Give an attribute as Python has it: bytes and NumPy texts as str, arrays as lists."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel()]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(f"neither text nor a number, but {type(value).__name__}")


class Connection:
    """Requests and answers.

    Parameters
    ----------
    requests, answers
        Standard input, read no further than to the end of a request, and standard output.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests, self._answers = requests, answers

    def next(self) -> list[Any]:
        """Give the next request; an empty one where there are no more."""
        line = self.requests.readline()
        return list(json.loads(line)) if line else []

    def answer(self, data: bytes | memoryview = b"", **said: Any) -> None:
        """Give an answer, and the bytes that belong to it."""
        text = json.dumps(said).encode()
        self._answers.write(LENGTH.pack(len(text)) + text)
        self._answers.write(data)
        self._answers.flush()

    def serve(self) -> None:
        """Answer requests about files, until one that is empty or says that this is the end."""
        readers: list[Reader] = []
        while (request := self.next()) and request[0] != "end":
            what, place, *arguments = request
            try:
                if what in ("open", "hold"):
                    source, *limits = arguments
                    file = source if what == "open" else io.BytesIO(self.requests.read(source))
                    readers.append(Reader(file, *limits))
                    self.answer(value=len(readers) - 1)
                elif what == "read":
                    array = readers[place].read(*arguments)
                    self.answer(memoryview(array).cast("B") if array.size else b"", value=array.nbytes)
                    self.answer(value="whole")
                else:
                    with small(ROOM * readers[place].max_attribute):
                        self.answer(value=QUESTIONS[what](readers[place], *arguments))
            except Refused as error:
                self.answer(refused=str(error))


def limit(memory: int, seconds: int) -> None:
    """Bound the memory and the processor time of this process, where that can be."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def small(room: int) -> Iterator[None]:
    """Let this process have so much memory more than it has, for as long as this lasts, where that can be said.

    A text of variable length may be small in the file and stand in an attribute a million times.
    """
    try:
        import resource

        limits = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm", "rb") as file:
            has = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (has + room if limits[1] < 0 else min(has + room, limits[1]), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def wait_for(child: int) -> int:
    """Wait for the end of a process, and give its status; end it where nobody is left to ask for it."""
    if hasattr(os, "pidfd_open"):
        ended, poll = os.pidfd_open(child), select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(sys.stdin.fileno(), 0)  # nothing but that the other end is closed
        if all(file != ended for file, _ in poll.poll()):
            os.kill(child, signal.SIGKILL)
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Serve one model after the other, each in a copy of this process; in this one itself where it cannot be copied."""
    unbuffered = open(sys.stdin.fileno(), "rb", 0, closefd=False)  # noqa: SIM115  # standard input stays open
    connection = Connection(unbuffered, sys.stdout.buffer)
    connection.answer(value=h5py.version.hdf5_version)
    while request := connection.next():
        _, memory, seconds = request
        child = os.fork() if hasattr(os, "fork") else 0
        if child:
            status = wait_for(child)
            connection.answer(ended=status)
            continue
        limit(memory, seconds)
        connection = Connection(sys.stdin.buffer, sys.stdout.buffer)
        connection.answer(value=os.getpid())
        connection.serve()
        os._exit(0)


if __name__ == "__main__":
    main()
