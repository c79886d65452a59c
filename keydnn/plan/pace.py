"""One thread instead of several, for as long as another process wants the cores.

Kernels deal their work out to threads beforehand, so that each number is summed in one order.  Where a thread has to
wait for its core, all the others wait for it at the end of each kernel, and several threads are slower than one.  The
results are the same bits for any number of threads, so a plan may change it from run to run.
"""

from __future__ import annotations

import math

PROBE = 3  # the run that shows how long one thread takes: by then everything is in memory
SLOWER = 1.15  # times what one thread takes: a slow run
PATIENCE = 2  # slow runs one behind the other before one thread takes over
SHORTEST, LONGEST = 0.02, 1.0  # seconds until several threads are tried again: twice as many each time they are slow


class Pace:
    """Decides for each run of a plan whether it is made on one thread."""

    def __init__(self) -> None:
        self._runs, self._slow, self._until, self._rest = 0, 0, 0.0, SHORTEST
        self._alone = math.inf

    def alone(self, now: float) -> bool:
        """Tell whether the run that begins at ``now``, in seconds of any clock, is to be made on one thread."""
        self._runs += 1
        return now < self._until or self._runs == PROBE

    def note(self, alone: bool, start: float, end: float) -> None:
        """Take down when a run began and ended."""
        seconds = end - start
        if alone:
            self._alone = min(self._alone, seconds)
        elif seconds <= SLOWER * self._alone:
            self._slow, self._rest = 0, SHORTEST
        else:
            self._slow += 1
            if self._slow >= PATIENCE:
                self._until, self._rest = end + self._rest, min(2 * self._rest, LONGEST)
