"""The HDF5 library in a process of its own: what happens if it dies, hangs, lies, is forked or wanted by many."""

from __future__ import annotations

import json
import multiprocessing
import os
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing

import h5py
import numpy as np
import pytest

from keydnn.convert.read.hdf5 import client, process
from keydnn.convert.read.hdf5.client import Library
from keydnn.convert.read.hdf5.file import open_h5
from keydnn.convert.read.limits import PATIENCE, Limits
from keydnn.errors import KerasFileError

LIMITS = Limits(max_weights=1 << 20, timeout=0.5)
GREETING = "import json, os, struct, sys, time\n" + (
    "def say(data=b'', **said):\n"
    "    text = json.dumps(said).encode()\n"
    "    sys.stdout.buffer.write(struct.pack('<Q', len(text)) + text + data)\n"
    "    sys.stdout.buffer.flush()\n"
    "say(value='1.14')\n"
    "sys.stdin.readline()\n"
    "say(value=os.getpid())\n"
    "sys.stdin.readline()\n"
)
OPENED = GREETING + "say(value=0)\nsys.stdin.readline()\n"


@pytest.fixture(autouse=True)
def fresh():
    """Keep no process of another test, and leave none to others."""
    process.IDLE.close()
    yield
    process.IDLE.close()


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["w"] = np.arange(12, dtype="<f4").reshape(3, 4)
        file["big"] = np.arange(5, dtype=">i8")
        file["empty"] = np.zeros((0, 3), "f4")
        file["bytes"] = np.arange(1 << 20, dtype="u1")
        file.attrs["text"] = "grüß"
        file.attrs["list"] = [b"a", b"b"]
    return str(tmp_path / "w.h5")


def opened(library, path):
    return open_h5(library, path, "w.h5")


def read(path, name="w"):
    with closing(Library(LIMITS)) as library:
        return opened(library, path).tensor(name, name, None).read()


def serving(monkeypatch, tmp_path, program):
    """Put a program in the place of the library's process."""
    (tmp_path / "server.py").write_text(program)
    monkeypatch.setattr(process, "SERVER", tmp_path / "server.py")


def test_numbers_come_as_they_are(path):
    np.testing.assert_array_equal(read(path), np.arange(12, dtype="f4").reshape(3, 4))
    big = read(path, "big")
    assert (big.dtype, big.tolist()) == (np.dtype("int64"), [0, 1, 2, 3, 4])
    assert read(path, "empty").shape == (0, 3)


def test_attributes_kinds_and_names(path):
    with closing(Library(LIMITS)) as library:
        file = opened(library, path)
        assert file.attribute("", "text") == "grüß"
        assert file.attribute("", "list") == ["a", "b"]
        assert file.attribute("", "none") is None
        assert file.kind("w") == "dataset"
        assert file.kind("none") is None
        assert file.names("") == ["big", "bytes", "empty", "w"]


def test_a_file_in_memory_is_the_same(path):
    with open(path, "rb") as file:
        content = file.read()
    with closing(Library(LIMITS)) as library:
        array = open_h5(library, content, "w.h5").tensor("w", "w", None).read()
    np.testing.assert_array_equal(array, np.arange(12, dtype="f4").reshape(3, 4))


def test_what_is_refused_leaves_the_library_usable(path):
    with closing(Library(LIMITS)) as library:
        file = opened(library, path)
        with pytest.raises(KerasFileError, match=r"w.h5: 'w' is not a path that Keras writes|is not a dataset"):
            file.tensor("", "", None)
        assert file.kind("w") == "dataset"


def test_one_process_serves_many_models_each_in_its_own_copy(path):
    copies = set()
    for _ in range(3):
        with closing(Library(LIMITS)) as library:
            opened(library, path)
            copies.add(library._pid)
            parent = library._process
    assert len(copies) == 3
    with closing(Library(LIMITS)) as library:
        assert library._process is parent


def test_relative_paths_follow_the_caller(path, tmp_path, monkeypatch):
    read(path)
    monkeypatch.chdir(tmp_path)
    assert read("w.h5").shape == (3, 4)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit(3)", "died of it"),
        (GREETING + "os.abort()", "died of it"),
        (OPENED + "os.kill(os.getpid(), 11)", "died of it"),
        (GREETING + "say(ended=-11)", r"died of it \(signal 11\)"),
        (
            GREETING + "sys.stdout.buffer.write(struct.pack('<Q', 1 << 40)); sys.stdout.buffer.flush()",
            "bytes of answer",
        ),
        (GREETING + "sys.stdout.buffer.write(struct.pack('<Q', 3) + b'[[['); sys.stdout.buffer.flush()", "JSON"),
        (GREETING + "say(value='three')", "gives no number for the file"),
        (GREETING + "say(value=-1)", "gives no number for the file"),
        (GREETING + "say(other=1)", "died of it"),
        (GREETING + "say(refused='a\\nb' * 2000)", r"w.h5: a ba b.*\.\.\."),
        (GREETING + "say(value=0)\nsys.stdin.readline()\nsay(value={'a': 1})", "not a list of names"),
    ],
    ids=["starts not", "abort", "segfault", "ended", "long", "no json", "text", "negative", "key", "refused", "object"],
)
def test_a_process_that_dies_or_lies_is_a_typed_error(path, tmp_path, monkeypatch, program, said):
    with monkeypatch.context() as patch:
        serving(patch, tmp_path, program)
        with pytest.raises(KerasFileError, match=said):
            read(path)
        process.IDLE.close()
    assert read(path).shape == (3, 4)  # the next model gets a process that works


@pytest.mark.parametrize(
    "program", ["import time; time.sleep(60)", GREETING + "time.sleep(60)", OPENED + "time.sleep(60)"]
)
def test_a_process_that_hangs_is_ended_in_time(path, tmp_path, monkeypatch, program):
    with monkeypatch.context() as patch:
        serving(patch, tmp_path, program)
        patch.setattr(client, "STARTING", 0.5)
        begun = time.monotonic()
        with pytest.raises(KerasFileError, match=r"did not answer for \d+ s.*--timeout"):
            read(path)
        assert time.monotonic() - begun < 5
    assert read(path).shape == (3, 4)


HEADER = OPENED.replace("say(value=0)\n", "say(value=0)\nsys.stdin.readline()\nsay(value=['w'])\n") + (
    "say(value={'shape': [2], 'dtype': 'float32'})\nsys.stdin.readline()\n"
)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("say(value=4)", "another size than its header says"),
        ("say(b'12345678', value=8); say(value='part')", "its data end early"),
        ("say(b'1234', value=8); say(ended=-9)", "JSON|died of it|did not answer"),
        ("say(value=True)", "another size than its header says"),
    ],
    ids=["size", "trailer", "killed", "bool"],
)
def test_numbers_that_end_early_are_an_error(path, tmp_path, monkeypatch, answer, said):
    serving(monkeypatch, tmp_path, HEADER + answer + "\ntime.sleep(60)")
    with pytest.raises(KerasFileError, match=said):
        read(path)


@pytest.mark.parametrize(
    "header",
    [
        {"shape": [-1], "dtype": "float32"},
        {"shape": [2.0], "dtype": "float32"},
        {"shape": [True], "dtype": "float32"},
        {"shape": 2, "dtype": "float32"},
        {"shape": [2], "dtype": "object"},
        {"shape": [2]},
        {"shape": [1 << 62, 0, 1 << 62], "dtype": "float32"},
        {"shape": [1] * 33, "dtype": "float32"},
        {"shape": [2], "dtype": ["float32"]},
        [],
        3,
    ],
    ids=json.dumps,
)
def test_headers_are_checked(path, tmp_path, monkeypatch, header):
    program = HEADER.replace("{'shape': [2], 'dtype': 'float32'}", repr(header))
    serving(monkeypatch, tmp_path, program + "time.sleep(60)")
    with pytest.raises(KerasFileError, match="holds no numbers"):
        read(path)


def test_many_slow_answers_end_as_one_does(path, tmp_path, monkeypatch):
    slow = OPENED + "say(value=[])\nwhile sys.stdin.readline():\n    time.sleep(0.2)\n    say(value='group')\n"
    serving(monkeypatch, tmp_path, slow)
    begun = time.monotonic()
    with closing(Library(LIMITS)) as library:
        file = opened(library, path)
        for _ in range(10):
            file.kind("w")
        with pytest.raises(KerasFileError, match="did not answer"):
            list(map(file.kind, ["w"] * 100))
    assert PATIENCE * LIMITS.timeout - 0.5 < time.monotonic() - begun < 10


def test_the_process_ends_with_its_standard_input(path):
    """As it does where whoever has started it is killed; so do its copies, which have the same."""
    command = [sys.executable, "-P", str(process.SERVER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        said = [json.loads(started.stdout.read(*struct.unpack("<Q", started.stdout.read(8))))]
        for request in (["begin", 1 << 40, 1000], ["open", 0, path, 1 << 20, 1 << 20], ["names", 0, ""], ["end"]):
            started.stdin.write(json.dumps(request).encode() + b"\n")
            started.stdin.flush()
            said.append(json.loads(started.stdout.read(*struct.unpack("<Q", started.stdout.read(8)))))
        started.stdin.close()
        assert started.wait(30) == 0
    assert list(said[0]) == list(said[1]) == ["value"]
    assert said[2:] == [{"value": 0}, {"value": ["big", "bytes", "empty", "w"]}, {"ended": 0}]


def test_a_busy_copy_does_not_outlive_whoever_asks(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it takes until somebody writes
    command = [sys.executable, "-P", str(process.SERVER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        started.stdout.read(*struct.unpack("<Q", started.stdout.read(8)))
        started.stdin.write(b'["begin", 1099511627776, 1000]\n')
        started.stdin.flush()
        copy = json.loads(started.stdout.read(*struct.unpack("<Q", started.stdout.read(8))))["value"]
        started.stdin.write(json.dumps(["open", 0, str(tmp_path / "pipe"), 1 << 20, 1 << 20]).encode() + b"\n")
        started.stdin.flush()
        time.sleep(0.2)
        started.stdin.close()
        assert json.loads(started.stdout.read(*struct.unpack("<Q", started.stdout.read(8)))) == {"ended": -9}
        assert started.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(copy, 0)


def test_all_weights_together_are_bounded(path):
    with closing(Library(LIMITS)) as library:
        file = opened(library, path)
        assert file.tensor("bytes", "bytes", None).shape == (1 << 20,)
        with pytest.raises(
            KerasFileError, match=r"more than 1,048,576 bytes; --max-weights \(max_weights\) allows more"
        ):
            file.tensor("w", "w", None)


def test_one_dataset_is_bounded_in_the_process_too(path):
    with (
        closing(Library(Limits(max_weights=100))) as library,
        pytest.raises(KerasFileError, match="declares 1,048,576"),
    ):
        opened(library, path).tensor("bytes", "bytes", None)


def test_many_threads_have_a_process_each(path):
    found, errors = [], []

    def work():
        try:
            found.extend(read(path).sum() for _ in range(5))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert found == [66.0] * 40


def _in_a_copy(path, queue):
    queue.put(float(read(path).sum()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_copy_of_this_process_has_a_library_of_its_own(path):
    read(path)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    copies = [context.Process(target=_in_a_copy, args=(path, queue)) for _ in range(3)]
    for copy in copies:
        copy.start()
    assert [queue.get(timeout=30) for _ in copies] == [66.0] * 3
    for copy in copies:
        copy.join()
    assert read(path).sum() == 66


def test_nothing_is_left_running(path):
    with closing(Library(LIMITS)) as library:
        opened(library, path)
        pid = library._pid
    process.IDLE.close()
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the copy of the process still runs")


def test_the_memory_of_the_process_is_bounded():
    assert client.MEMORY + 2 * Limits().max_weights < 1 << 34
    assert struct.calcsize("<Q") == process.LENGTH.size
