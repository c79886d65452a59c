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
SHORTEST, LONGEST = 0.02, 1.0  # seconds of runs on one thread before several are tried again; doubled each time


class Pace:
    """Decides for each run of a plan whether it is made on one thread."""

    def __init__(self) -> None:
        self._runs, self._slow, self._left, self._rest = 0, 0, 0.0, SHORTEST
        self._alone = math.inf

    def alone(self) -> bool:
        """Tell whether the next run is to be made on one thread."""
        self._runs += 1
        return self._left > 0 or self._runs == PROBE

    def note(self, alone: bool, seconds: float) -> None:
        """Take down how long a run took."""
        if alone:
            self._alone, self._left = min(self._alone, seconds), self._left - seconds
        elif seconds <= SLOWER * self._alone:
            self._slow, self._rest = 0, SHORTEST
        else:
            self._slow += 1
            if self._slow >= PATIENCE:
                self._left, self._rest = self._rest, min(2 * self._rest, LONGEST)
