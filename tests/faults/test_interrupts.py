"""Ctrl-C, readers that go away, closed standard files, strange names: one line, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keydnn import load
from keydnn.commandline import execute
from tests.convert import files
from tests.faults.load import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")

MOST = 5  # seconds, on a machine that has much else to do
KEYDNN = [sys.executable, "-m", "keydnn"]
SLOW = """
import sys, time
from keydnn import commandline
{slow}
print("ready", flush=True)
sys.exit(commandline.execute(sys.argv[1:]))
"""
# What takes long, in the place of what takes long for a large model.
SLOWLY = {
    "predict": (
        "from keydnn.plan import Program; run = Program.run\n"
        "def slow(*given):\n"
        "    for _ in range(10**9): run(*given)\n"
        "Program.run = slow",
        ["run", "m.json", "x.npy", "--output", "y.npy"],
    ),
    "check": (
        "from keydnn.verify import selfcheck\ndef slow(*given): time.sleep(60)\nselfcheck.make = slow",
        ["convert", "m.h5", "new.json", "--nostrict"],
    ),
    "export": (
        "from keydnn.export import keras\ndef slow(*given): time.sleep(60)\nkeras.translate = slow",
        ["export", "m.json", "new.keras"],
    ),
    "hdf5": (
        "from keydnn.convert.read.hdf5 import client, process\n"
        "process.SERVER = process.Path('server.py').absolute()",
        ["convert", "m.h5", "new.json", "--nostrict", "--timeout", "60"],
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a Keras file, a checkpoint, an input, and an HDF5 process that answers no question."""
    monkeypatch.chdir(tmp_path)
    files.write_h5("m.h5", files.sequential(files.dense(activation="relu")), {"d": files.dense_weights()})
    np.save("x.npy", np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
    assert execute(["convert", "m.h5", "m.json", "--nostrict"]) == 0
    code = (ROOT / "keydnn/convert/read/hdf5/server.py").read_text()
    slow = 'import time\nQUESTIONS["attribute"] = lambda *_: time.sleep(60)\nif __name__'
    Path("server.py").write_text(code.replace("if __name__", slow))
    return tmp_path


def started(words, folder, **more):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen(words, cwd=folder, env=environment, text=True, **pipes)


def running_in(folder):
    """Give the processes whose working directory is a folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and os.readlink(process / "cwd") == str(folder):
                found.append(process.name)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("kind", SLOWLY)
def test_ctrl_c_ends_everything(folder, kind):
    slow, words = SLOWLY[kind]
    before, processes = sorted(folder.iterdir()), running_in(folder)
    with started([sys.executable, "-c", SLOW.format(slow=slow), *words], folder) as process:
        process.stdout.readline()
        time.sleep(3)  # it is well in the middle of it
        assert process.poll() is None
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        seconds = time.monotonic() - begun
    assert (process.returncode, said) == (130, "keydnn: interrupted\n")
    assert seconds < MOST
    assert sorted(folder.iterdir()) == before
    assert running_in(folder) == processes


@pytest.mark.parametrize(
    "words",
    [["inspect", "m.h5"], ["inspect", "m.json"], ["run", "m.json", "x.npy", "--top", "3"], ["info"], ["--help"]],
    ids=" ".join,
)
def test_a_reader_that_has_gone_is_no_error_message(folder, words):
    read, write = os.pipe()
    os.close(read)
    with started([*KEYDNN, *words], folder, stdout=write) as process:
        os.close(write)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_files_lose_no_work(folder, closed):
    command = f"{sys.executable} -m keydnn convert m.h5 new.json --nostrict {closed}"
    with started(["bash", "-c", command], folder) as process:
        said = process.communicate(timeout=60)
    assert "Traceback" not in "".join(said)
    assert load(folder / "new.json").predict(np.load("x.npy")).shape == (3, 3)


NAMES = ["a b", "ü 画", "2024", "1e5", "-leading", "new\nline", os.fsdecode(b"\xff\xfe"), "'q'\"$(x)"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_strange_names_for_every_verb_that_takes_files(folder, name, capsys):
    place = folder / name
    place.mkdir()
    for file in ("m.h5", "x.npy"):
        (place / name).with_suffix(Path(file).suffix).write_bytes(Path(file).read_bytes())
    os.chdir(place)
    keras, json, x, y, to = (name + suffix for suffix in (".h5", ".json", ".npy", ".y.npy", ".keras"))
    assert execute(["convert", "--nostrict", "--report", "r.html", "--", keras, json]) == 0
    for words in (["inspect", "--", keras], ["inspect", "--", json], ["run", f"--output={y}", "--", json, x],
                  ["warmup", "--", json], ["profile", "--repeat=1", "--", json], ["verify", "--", json],
                  ["export", "--", json, to]):  # fmt: skip
        assert execute(words) == 0, (words, capsys.readouterr())
    np.testing.assert_array_equal(np.load(y), load(json).predict(np.load(x)))


@pytest.mark.parametrize(
    "settings",
    [{"HOME": None, "XDG_CACHE_HOME": None}, {"HOME": "/nowhere", "XDG_CACHE_HOME": None}, {"TMPDIR": "/nowhere"},
     {"KEYDNN_CACHE_DIR": "/proc/none"}],
    ids=["no-home", "home-missing", "no-tmpdir", "no-cache"],
)  # fmt: skip
def test_odd_surroundings(folder, settings, monkeypatch):
    for name, value in settings.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with started([*KEYDNN, "inspect", "m.h5"], folder) as process:
        said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said[1]
