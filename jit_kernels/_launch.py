"""When kernels run: one at a time, on the number of threads asked for; and how threads wait for each other.

numba keeps a number of threads for each thread of Python, and starts its own threads once for the process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numba
from numba.core import config as _config
from numba.np.ufunc import parallel as _parallel_module

config: Any = _config  # numba fills its attributes in from the environment
_parallel: Any = _parallel_module  # and these when it starts its threads

# Turns of libgomp's waiting loop before a thread goes to sleep, 0.03 to 0.1 ms.  Threads that start again within this
# time, as they do from one kernel to the next, stay awake: from 1000 turns on ResNet8 takes its 0.08 ms, at 500
# sometimes 0.5 ms.  libgomp's own number is 300,000: wherever another process or NumPy's threads want the same cores,
# each kernel then takes until the system takes the core away, 8 ms (measured once; docs/performance.md, Threads).
SPIN_COUNT = 2000
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # what a user sets to decide this himself


class Launch:
    """The lock that is held while kernels run; taking it gives the calling thread the chosen number of threads.

    The workqueue threading layer aborts the process when two threads launch parallel kernels at once, and layers may
    change from one machine to the next: one launch at a time, whatever the layer.

    Attributes
    ----------
    chosen
        The number of threads for the whole process; None as long as nobody has chosen one, and numba's own counts.
    """

    __slots__ = ("_given", "_lock", "chosen")

    def __init__(self) -> None:
        self._lock, self._given = threading.RLock(), threading.local()
        self.chosen: int | None = None

    def __enter__(self) -> None:
        """Wait until no other thread runs kernels."""
        self._lock.acquire()
        if self.chosen is not None and getattr(self._given, "count", None) != self.chosen:
            start_threads()
            numba.set_num_threads(self.chosen)
            self._given.count = self.chosen

    def __exit__(self, *_: object) -> None:
        """Let the next thread run kernels."""
        self._lock.release()


LAUNCH = Launch()


@functools.cache
def start_threads() -> str:
    """Start numba's threads, if they are not there yet; give the name of the threading layer, "" if there is none."""
    ours = sys.platform == "linux" and not any(name in os.environ for name in WAITING)
    if ours:
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)  # libgomp reads it once, when it is loaded, which is now
    try:
        numba.get_num_threads()
        return str(_parallel.threading_layer())
    except ValueError:  # no threading layer could be loaded: numba says so where one is needed
        return ""
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]


@functools.cache
def before_parallel() -> None:
    """Do once what comes before the first parallel kernel: start threads, and warn where they are slow to launch."""
    if start_threads() == "workqueue":
        warnings.warn(
            "parallel kernels are slow to launch (about 0.1 ms each): numba found neither OpenMP nor TBB and uses its "
            "workqueue layer; install libgomp (apt-get install libgomp1) or set NUMBA_NUM_THREADS=1",
            RuntimeWarning,
            stacklevel=2,
        )


def thread_count() -> int:
    """Give the number of threads that parallel kernels use when this thread calls them."""
    if LAUNCH.chosen is not None:
        return LAUNCH.chosen
    start_threads()
    return int(_parallel._get_num_threads())  # numba.get_num_threads without its checks, which cost half a microsecond


def most_threads() -> int:
    """Give the largest number of threads that can be chosen."""
    return int(config.NUMBA_NUM_THREADS)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let parallel kernels run on the calling thread alone; ``LAUNCH`` is held."""
    count = thread_count()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(count)


def choose_threads(count: int) -> None:
    """Choose the number of threads (from 1 to ``most_threads()``) for all threads of this process, from now on."""
    with LAUNCH:
        LAUNCH.chosen = count
