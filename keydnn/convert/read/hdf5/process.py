"""The process that the HDF5 library runs in: started when it is first wanted, kept for the next file."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from keydnn.errors import KerasFileError

SERVER = Path(__file__).with_name("server.py")
LENGTH = struct.Struct("<Q")
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class Ended(Exception):
    """The process, or the copy of it that has the files open, is no more."""


class Process:
    """``server.py``, running.

    Raises
    ------
    KerasFileError
        It cannot be started.
    Ended
        By every method: it has ended.
    """

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=os.environ | ENVIRONMENT, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise KerasFileError(f"the HDF5 reader cannot be started with {sys.executable!r}: {error}") from None
        self.greeted = False

    def send(self, request: Sequence[str | int], data: bytes = b"") -> None:
        """Send a request, and the bytes that belong to it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError:
            raise Ended from None

    def length(self) -> int:
        """Give how many bytes the next answer has."""
        size = bytearray(LENGTH.size)
        self.fill(memoryview(size))
        return int(LENGTH.unpack(size)[0])

    def fill(self, view: memoryview) -> None:
        """Fill a buffer with bytes of the answer."""
        assert self._process.stdout is not None
        place = 0
        while place < len(view):
            count = self._process.stdout.readinto(view[place:])  # type: ignore[attr-defined]  # a BufferedReader
            if not count:
                raise Ended
            place += count

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it now; it closes its pipes, so that whoever waits for an answer gets none."""
        self._process.kill()

    def close(self) -> None:
        """End it, and let nothing of it stay."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    def forget(self) -> None:
        """Let it be, in a copy of the process that has started it."""
        self._process.returncode = 0


class _Idle:
    """At most one process that waits for the next model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Process | None = None
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def take(self) -> Process:
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.alive():
            return process
        return Process()

    def keep(self, process: Process) -> None:
        with self._lock:
            spare, self._process = self._process, process
        if spare is not None:
            spare.close()

    def close(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        if self._process is not None:
            self._process.forget()
        self._process = None


IDLE = _Idle()
