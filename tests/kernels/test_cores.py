"""The calling thread and OpenMP's threads on cores of their own, and everything as it was afterwards."""

from __future__ import annotations

import os
import sys
import threading
from types import SimpleNamespace

import numba
import pytest

from jit_kernels import _cores
from jit_kernels._launch import LAUNCH

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="cores are chosen on Linux only"),
    pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only"),
]


def test_the_calling_thread_stays_on_a_core_that_the_others_leave_to_it():
    before = os.sched_getaffinity(0)
    with LAUNCH, _cores.apart():
        workers = _cores._workers()
        if not workers or len(before) <= len(workers):
            pytest.skip("no threads of OpenMP's, or fewer cores than threads")
        assert threading.get_native_id() not in workers
        assert all(os.path.exists(f"/proc/self/task/{worker}") for worker in workers)
        (mine,) = os.sched_getaffinity(0)
        assert all(mine not in os.sched_getaffinity(worker) for worker in workers)
        assert all(os.sched_getaffinity(worker) <= before for worker in workers)
    assert os.sched_getaffinity(0) == before


def test_the_cores_are_as_they_were_after_an_error():
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), LAUNCH, _cores.apart():
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


def test_nothing_is_moved_where_there_are_fewer_cores_than_threads(monkeypatch):
    monkeypatch.setattr(_cores, "_workers", lambda: tuple(range(1000, 1000 + len(os.sched_getaffinity(0)))))
    monkeypatch.setattr(os, "sched_setaffinity", lambda *arguments: pytest.fail("a thread was moved"))
    with LAUNCH, _cores.apart():
        pass


def test_a_thread_that_may_not_be_moved_leaves_all_where_they_are(monkeypatch):
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one core only")

    def refuse(thread, cores):
        raise PermissionError

    monkeypatch.setattr(_cores, "_workers", lambda: (1,))
    monkeypatch.setattr(_cores, "_known", SimpleNamespace(cores=frozenset()))
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with LAUNCH, _cores.apart():
        assert os.sched_getaffinity(0) == before


def test_each_thread_of_python_knows_its_own_workers():
    found = {}

    def look(name):
        with LAUNCH:
            found[name] = _cores._workers()

    for name in ("one", "other"):
        thread = threading.Thread(target=look, args=(name,))
        thread.start()
        thread.join()
    if not found["one"]:
        pytest.skip("no threads of OpenMP's")
    assert len(found["one"]) == len(found["other"]) >= 1


def test_a_calling_thread_that_may_not_be_moved_computes_where_it_is(monkeypatch):
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one core only")

    def refuse(thread, cores):
        if thread == 0:
            raise PermissionError

    monkeypatch.setattr(_cores, "_workers", lambda: (1,))
    monkeypatch.setattr(_cores, "_known", SimpleNamespace(cores=frozenset()))
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with LAUNCH, _cores.apart():
        assert os.sched_getaffinity(0) == before
