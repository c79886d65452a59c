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
from numba import prange

from jit_kernels._jit import kernel
from jit_kernels._launch import most_threads, start_threads

BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")  # what a user sets to decide this himself

_cores: frozenset[int] = frozenset()  # those that OpenMP's threads may use


@kernel("void(i8, f4[::1])", name="probe")
def _probe(count: Any, out: Any) -> None:
    """Write ``count`` zeros, a thread each."""
    for i in prange(count):
        out[i] = 0


def _tasks() -> set[int]:
    """Give the threads of this process, as the system numbers them."""
    return {int(name) for name in os.listdir("/proc/self/task")}


@functools.cache
def _workers() -> tuple[int, ...]:
    """Make OpenMP start its threads, and give them; none where they are not OpenMP's, or the user has bound them."""
    if sys.platform != "linux" or start_threads() != "omp" or any(name in os.environ for name in BINDING):
        return ()
    before = _tasks()
    _probe(most_threads(), np.empty(most_threads(), np.float32))
    ours = {thread.native_id for thread in threading.enumerate()}
    return tuple(_tasks() - before - ours)


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
    os.sched_setaffinity(0, {here})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _moved(workers: tuple[int, ...], cores: frozenset[int]) -> bool:
    """Let threads run on some cores only, unless they already do; tell whether it could be done."""
    global _cores
    if cores == _cores:
        return True
    try:
        for worker in workers:
            os.sched_setaffinity(worker, cores)
    except OSError:  # a thread has ended, or may not be moved
        return False
    _cores = cores
    return True
