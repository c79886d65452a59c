"""The number of threads that predictions run on."""

from __future__ import annotations

import operator
from typing import SupportsIndex

from jit_kernels._launch import choose_threads, most_threads, thread_count
from keydnn.errors import ParameterError


def set_num_threads(n: SupportsIndex) -> None:
    """Set the number of threads for every prediction of this process from now on, whichever thread of Python makes it.

    It does not change the results.  Models that were made before use the new number too.

    Parameters
    ----------
    n
        From 1 to ``NUMBA_NUM_THREADS``, an environment variable that is read when KeyDNN is imported; unless it is set,
        it is the number of cores.

    Raises
    ------
    ParameterError
        Any other number.
    """
    most = most_threads()
    try:
        count = 0 if isinstance(n, bool) else operator.index(n)
    except TypeError:
        count = 0
    if not 1 <= count <= most:
        raise ParameterError(
            f"the number of threads must be a whole number from 1 to {most}, got {n!r}; "
            "NUMBA_NUM_THREADS, set before KeyDNN is imported, allows more"
        )
    choose_threads(count)


def get_num_threads() -> int:
    """Give the number of threads that predictions run on."""
    return thread_count()
