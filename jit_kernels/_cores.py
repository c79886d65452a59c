"""Keeps OpenMP's threads and the thread that calls a kernel on cores of their own.

Linux wakes a thread on the core of the one that wakes it when the others look busy.  Where two threads then take turns
faster than the system balances its queues, they share a core for seconds while another one is idle: MobileNetV2 then
takes 8.5 ms on two threads instead of 1.9 (ONNX Runtime's threads in the same process are enough to start it).  So the
calling thread stays on its core while kernels run, and those that OpenMP made may go to any other.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba import prange, types

from jit_kernels._jit import kernel
from jit_kernels._launch import start_threads, thread_count

BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")  # what a user sets to decide this himself

_own_number = types.ExternalFunction("gettid", types.int32())
_known = threading.local()  # for each thread of Python: OpenMP's threads that work for it, and the cores they may use


@kernel("void(i8, i8[::1])", name="threads")
def _numbers(count: Any, out: Any) -> None:
    """Write the number that the system knows each thread by, for ``count`` threads."""
    for i in prange(count):
        out[i] = _own_number()


def _workers() -> tuple[int, ...]:
    """Give the threads that OpenMP has for the calling one; none where the layer is another or the user has bound them.

    OpenMP makes threads anew for each thread that calls it.
    """
    count = thread_count()
    if getattr(_known, "count", None) != count:  # a larger team has new threads, a smaller one ends some
        _known.count, _known.workers, _known.cores = count, _found_workers(count), frozenset()
    workers: tuple[int, ...] = _known.workers
    return workers


def _found_workers(count: int) -> tuple[int, ...]:
    able = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gettid")
    if not able or any(name in os.environ for name in BINDING) or start_threads() != "omp":
        return ()
    numbers = np.zeros(count, np.int64)
    _numbers(count, numbers)
    return tuple(sorted({int(number) for number in numbers} - {threading.get_native_id()}))


@functools.cache
def _system() -> Callable[[], int]:
    """Give the C library's function that names the core of the calling thread."""
    function: Callable[[], int] = ctypes.CDLL(None).sched_getcpu
    return function


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Let the calling thread stay on its core and the other threads run on any other; ``LAUNCH`` is held.

    Nothing is done where there are fewer cores than threads, nor where threads may not be moved.
    """
    workers = _workers()
    cores = os.sched_getaffinity(0) if workers else set()
    here = _system()() if workers else -1
    others = frozenset(cores - {here})
    if not workers or len(others) < len(workers) or not _moved(workers, others):
        yield
        return
    with contextlib.suppress(OSError):  # cores may have been taken from the process meanwhile
        os.sched_setaffinity(0, {here})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)


def _moved(workers: tuple[int, ...], cores: frozenset[int]) -> bool:
    """Let threads run on some cores only, unless they already do; tell whether it could be done."""
    if cores == _known.cores:
        return True
    try:
        for worker in workers:
            os.sched_setaffinity(worker, cores)
    except OSError:  # a thread has ended, or may not be moved
        return False
    _known.cores = cores
    return True
