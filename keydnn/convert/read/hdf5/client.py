"""Asks the HDF5 library in its own process, within time and memory, and believes nothing that comes back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.convert.read.hdf5.process import IDLE, Ended
from keydnn.convert.read.limits import MAX_ATTRIBUTE, PATIENCE, Limits
from keydnn.errors import KerasFileError, KeyDNNError
from keydnn.strict_json import Json, clip, parse

MAX_ANSWER = 2 * MAX_ATTRIBUTE  # JSON may escape what an attribute holds
MEMORY = 2 << 30  # bytes of address space that Python, NumPy and the HDF5 library take, beside the weights
RATE = 16 << 20  # bytes a second: slower is no reading
STARTING = 60.0  # seconds until the process is there, on a machine that has much else to do
CHECKS = 0.05  # seconds between two looks at the clock


class _Refused(KeyDNNError):
    """What the library does not give; it can be asked for something else."""


class Library:
    """The HDF5 library, for the files of one model.

    Parameters
    ----------
    limits
        What files may ask for.

    Raises
    ------
    KerasFileError
        By every method: the library refused what was asked, did not answer in time, or died.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._spent = limits, 0
        self._left = PATIENCE * limits.timeout  # seconds
        self._process = IDLE.take()
        self._pid: int | None = None  # of the copy of the process that serves this model
        self._answered = True  # whether there is an answer to every request, so that the process can serve others
        self._late = False
        self._deadline: float | None = None
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._kill_when_late, daemon=True)
        self._watch.start()

    def close(self) -> None:
        """End the copy of the process that has the files open."""
        try:
            if self._pid is not None and self._answered:
                with self._in_time("", 0):
                    self._process.send(["end"])
                    self._answer()
        except (Ended, KerasFileError):
            self._answered = False
        finally:
            self._closed.set()
            self._watch.join()
            if self._answered:
                IDLE.keep(self._process)
            else:
                self._kill()
                self._process.close()

    def open(self, source: str, file: str | bytes) -> int:
        """Open a file, by its path or by the bytes in it, and give its number."""
        data = file if isinstance(file, bytes) else b""
        limits = MAX_ATTRIBUTE, self._limits.max_weights
        if self._pid is None:
            with self._in_time(source, STARTING):
                self._begin()
        with self._in_time(source, len(data) / RATE):
            if isinstance(file, bytes):
                self._process.send(["hold", 0, len(data), *limits], data)
            else:
                self._process.send(["open", 0, file, *limits])
            found = self._answer()
        if type(found) is not int or found < 0:
            raise KerasFileError(f"{source}: the HDF5 library gives no number for the file")
        return found

    def spend(self, source: str, count: int) -> None:
        """Count bytes of weights; KerasFileError if there are more than there may be."""
        self._spent += count
        if self._spent > self._limits.max_weights:
            most = f"{self._limits.max_weights:,} bytes"
            raise KerasFileError(
                f"{source}: its weights have more than {most}; --max-weights (max_weights) allows more"
            )

    def ask(self, source: str, what: str, file: int, *arguments: str) -> Json:
        """Ask for something, and give the answer: what JSON can say, within its limits.

        Parameters
        ----------
        source
            The file's name, for messages.
        what, file, arguments
            As in ``server.py``.
        """
        with self._in_time(source, 0):
            self._process.send([what, file, *arguments])
            return self._answer()

    def read(self, source: str, file: int, path: str, shape: Sequence[int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Give a dataset of the shape and type that its header had."""
        array: npt.NDArray[Any] = np.empty(tuple(shape), dtype)
        with self._in_time(source, array.nbytes / RATE):
            self._process.send(["read", file, path])
            if self._answer() != array.nbytes:
                raise KerasFileError(f"{source}: damaged at {path!r}: its data have another size than its header says")
            if array.size:
                self._process.fill(array.reshape(-1).view(np.uint8).data)
            if self._answer() != "whole":
                raise KerasFileError(f"{source}: damaged at {path!r}: its data end early")
        return array

    @contextmanager
    def _in_time(self, source: str, more: float) -> Iterator[None]:
        """Let nothing take longer than it may, and so many seconds more; say so if it does, or if the library dies."""
        begun = time.monotonic()
        seconds = min(self._limits.timeout, self._left) + more
        self._deadline, self._answered = begun + seconds, False
        try:
            yield
            self._answered = True
        except _Refused as error:
            self._answered = True
            raise KerasFileError(f"{source}: {clip(str(error), 1000)}") from None
        except Ended as end:
            what = f"did not answer for {seconds:.0f} s" if self._late else f"died of it{end}"
            way = "; --timeout (timeout) allows more seconds" if self._late else ""
            raise KerasFileError(
                f"{source}: the HDF5 library {what}: the file is damaged, or made to do that{way}"
            ) from None
        finally:
            self._deadline = None
            self._left -= max(0.0, time.monotonic() - begun - more)

    def _kill_when_late(self) -> None:
        while not self._closed.wait(CHECKS):
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                self._late = True
                self._kill()
                return

    def _kill(self) -> None:
        if self._pid:
            with suppress(OSError):
                os.kill(self._pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        self._process.kill()

    def _begin(self) -> None:
        """Let the process make a copy of itself, which serves this model."""
        if not self._process.greeted:
            self._answer()
            self._process.greeted = True
        seconds = 10 + 10 * int(self._limits.timeout) + self._limits.max_weights // RATE
        self._process.send(["begin", MEMORY + 2 * self._limits.max_weights, seconds])
        pid = self._answer()
        if type(pid) is not int or pid <= 1:
            raise Ended
        self._pid = pid

    def _answer(self) -> Json:
        length = self._process.length()
        if length > MAX_ANSWER:
            raise Ended(f" ({length:,} bytes of answer, of {MAX_ANSWER:,} that are possible)")
        text = bytearray(length)
        self._process.fill(memoryview(text))
        answer = parse(bytes(text), lambda path, problem: _Refused(problem))
        kind, said = next(iter(answer.items())) if isinstance(answer, dict) and len(answer) == 1 else ("", None)
        if kind == "refused":
            raise _Refused(str(said))
        if kind == "ended" and said == 0:
            return None
        if kind != "value":
            raise Ended(f" ({f'signal {-said}' if isinstance(said, int) and said < 0 else clip(repr(said), 40)})")
        return said
