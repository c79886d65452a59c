"""Every hostile file ends in one typed error, soon; no file but its own is opened."""

from __future__ import annotations

import ctypes
import os
import re
import select
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.hostile import make
from tests.hostile.kind import BOMBS, NPY, read

OPENED = 0x20  # IN_OPEN


@contextmanager
def watched(*paths):
    """Give a list of events: one for every time that any process opens one of some files."""
    if not sys.platform.startswith("linux"):
        yield []
        return
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert descriptor >= 0
    try:
        for path in paths:
            assert libc.inotify_add_watch(descriptor, os.fsencode(path), OPENED) >= 0
        events = []
        yield events
        if select.select([descriptor], [], [], 0)[0]:
            events += [struct.unpack_from("<iI", os.read(descriptor, 4096))]
    finally:
        os.close(descriptor)


@pytest.fixture
def secret(tmp_path):
    """A file that nothing may open: HDF5, so that whatever looks into it finds what it looks for."""
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "secret"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.ones((4, 3), "f4")
    return path


@pytest.mark.parametrize("name", make.FILES)
def test_a_hostile_file_is_refused_and_nothing_else_is_opened(name, tmp_path, secret, monkeypatch):
    hostile = make.FILES[name]
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    path = make.write(name, tmp_path / "own", secret)
    begun, used = time.monotonic(), time.process_time()
    with watched(secret) as events:
        try:
            read(path, hostile.options)
            found = None
        except hostile.error as error:
            found = str(error)
    if hostile.says is None:
        assert found is None or found
    else:
        assert found is not None, "it was read"
        assert re.search(hostile.says, found), found
        assert len(found) < 5000
    assert not events
    assert not Path("keydnn-was-here").exists()
    # A busy machine makes waiting long, not the work.
    assert time.process_time() - used < (0.1 if hostile.row == NPY else 1.5)
    assert time.monotonic() - begun < 11


def test_what_watches_sees_what_is_opened(secret):
    """Without it, the test above would see nothing whatever is opened, by this process or another one."""
    if not sys.platform.startswith("linux"):
        pytest.skip("inotify is Linux's")
    with watched(secret) as events:
        subprocess.run(["head", "-c", "1", secret], check=True, capture_output=True)
    assert events


@pytest.mark.parametrize("name", [name for name, hostile in make.FILES.items() if "external" in name and hostile.says])
def test_hdf5_itself_would_open_what_they_name(name, tmp_path, secret):
    """The files are what they are said to be."""
    if not sys.platform.startswith("linux"):
        pytest.skip("inotify is Linux's")
    path = make.write(name, tmp_path, secret)
    with watched(secret) as events, h5py.File(path) as file, suppress(OSError, KeyError):
        file["model_weights/d/d/kernel:0"][()]
    assert events


def test_the_script_writes_all_of_them(tmp_path, capsys):
    make.main(str(tmp_path / "all"))
    assert capsys.readouterr().out.startswith(f"{len(make.FILES)} hostile files")
    assert len(list((tmp_path / "all").iterdir())) >= len(make.FILES)


MEMORY = """
import resource, sys
from pathlib import Path
from keydnn.convert.read.hdf5.process import IDLE
from keydnn.errors import KeyDNNError
from tests.hostile import make
from tests.hostile.kind import read

def peaks():
    IDLE.close()  # so that it is waited for, and counted
    return [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]

folder, names = Path(sys.argv[1]), sys.argv[2:]
paths = []
for place, name in enumerate(names):
    (folder / str(place)).mkdir()
    paths.append(make.write(name, folder / str(place), folder / "secret"))
before = None
for path in [paths[0], *paths]:  # the first one twice: what is loaded for any file does not count
    try: read(path)
    except KeyDNNError: pass
    else: raise SystemExit(f"{path} was read")
    before = before or peaks()
print(*(after - first for after, first in zip(peaks(), before)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux")
def test_bombs_take_no_memory_here_or_in_the_process_of_the_library(tmp_path):
    bombs = [name for name, hostile in make.FILES.items() if hostile.row == BOMBS]
    names = [
        "archives-metadata-of-17-mib", *(name for name in bombs if "mib" not in name and "text" not in name),
        "archives-config-of-17-mib", "archives-weights-a-thousandfold", "archives-list-of-5-mib", "archives-zip64-list",
    ]  # fmt: skip
    command = [sys.executable, "-c", MEMORY, str(tmp_path), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    here, there = map(int, done.stdout.split())
    assert here < 50 << 10
    assert there < 50 << 10


def test_a_text_that_is_there_4000_times_takes_no_gigabytes(tmp_path):
    """4 GiB out of 1 MiB: texts of variable length have no size before they are read."""
    command = [sys.executable, "-c", MEMORY, str(tmp_path), "hdf5-one-array-twice", "hdf5-text-4000-times"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    here, there = map(int, done.stdout.split())
    assert here < 50 << 10
    assert there < 300 << 10
