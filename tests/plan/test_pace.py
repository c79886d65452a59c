"""One thread takes over where several are slower, several are tried again, and the bits stay the same."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from keydnn import set_num_threads
from keydnn.modules import Conv2d
from keydnn.plan import Program
from keydnn.plan.pace import LONGEST, PATIENCE, PROBE, SHORTEST, Pace
from tests.plan.graphs import filled, one, random


class Clock:
    """Seconds that pass as runs are made."""

    now = 0.0


def runs(pace, seconds_alone, seconds_together, count, clock):
    """Make runs of given durations; give for each whether it was made on one thread."""
    made = []
    for _ in range(count):
        start = clock.now
        alone = pace.alone(start)
        clock.now += seconds_alone if alone else seconds_together
        pace.note(alone, start, clock.now)
        made.append(alone)
    return made


def test_a_quiet_machine_has_one_run_on_one_thread_and_no_more():
    made = runs(Pace(), 2e-3, 1e-3, 1000, Clock())
    assert [place for place, alone in enumerate(made, 1) if alone] == [PROBE]


def test_one_slow_run_changes_nothing():
    pace, clock = Pace(), Clock()
    runs(pace, 2e-3, 1e-3, 10, clock)
    assert not any(runs(pace, 2e-3, 9e-3, PATIENCE - 1, clock) + runs(pace, 2e-3, 1e-3, 100, clock))


def test_slow_runs_hand_over_to_one_thread_which_several_rarely_disturb():
    pace, clock = Pace(), Clock()
    runs(pace, 2e-3, 1e-3, 10, clock)
    made = runs(pace, 2e-3, 9e-3, 5000, clock)
    assert made[:PATIENCE] == [False] * PATIENCE
    assert np.mean(made) > 0.99
    assert not all(made[-round(2 * LONGEST / 2e-3) :])  # still tried


def test_several_threads_come_back_when_they_are_faster_again():
    pace, clock = Pace(), Clock()
    runs(pace, 2e-3, 1e-3, 10, clock)
    runs(pace, 2e-3, 9e-3, PATIENCE, clock)
    made = runs(pace, 2e-3, 1e-3, 1000, clock)
    assert sum(made) == pytest.approx(SHORTEST / 2e-3, abs=1)
    assert not any(made[sum(made) :])


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only")
def test_the_bits_are_the_same_on_one_thread_and_the_count_is_what_it_was():
    set_num_threads(2)
    graph = one(filled(Conv2d(24, 40, 3, padding="same"), 1), 24, 40, 40)
    x, program = random(2, 1, 24, 40, 40), Program(graph)
    found = [program.run([x])[0] for _ in range(PROBE + 2)]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    assert numba.get_num_threads() == 2


def test_a_program_that_waits_between_runs_tries_several_threads_again():
    pace, clock = Pace(), Clock()
    runs(pace, 2e-3, 1e-3, 10, clock)
    runs(pace, 2e-3, 9e-3, 500, clock)
    clock.now += LONGEST
    assert not any(runs(pace, 2e-3, 1e-3, 100, clock))
