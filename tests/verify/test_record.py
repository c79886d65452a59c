"""``keydnn record`` without Keras: how the program is started, heard and refused; with Keras: tests/parity."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from keydnn import RecordingError
from keydnn.cli import VERBS
from keydnn.commandline import bind, execute
from keydnn.errors import UsageError
from keydnn.verify import recorder
from keydnn.verify.record import record
from tests.convert import files

SOURCES = sorted(Path(recorder.__file__).parent.glob("*.py"))
FOREIGN = {"numpy", "h5py", "keras"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_recorder_runs_on_python_3_8_and_needs_nothing_of_keydnn(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [] if node.level == 1 else [node.module]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.partition(".")[0] in FOREIGN | sys.stdlib_module_names, name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_h5("m.h5", files.sequential(files.dense()), {"d": files.dense_weights()})
    return tmp_path


def stub(folder, *lines):
    """Give something that is started as another environment's Python."""
    path = folder / "python"
    path.write_text("\n".join([f"#!{sys.executable}", "import os, sys", *lines]))
    path.chmod(0o755)
    return path


def test_what_the_program_says_is_heard(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    python = stub(
        folder,
        "print('Keras says something')",
        "print('keydnn-record: progress loading', os.environ.get('PYTHONPATH'))",
        "print('keydnn-record: note one'), print('keydnn-record: note two')",
        "print('keydnn-record: done', *sys.argv[2:])",
    )
    shown: list[str] = []
    options = {"inputs": [Path("a.npy"), Path("-b.npy")], "examples": 3, "seed": 4, "keras": "tf_keras"}
    options["architecture"] = Path("a.json")
    done = record(Path("m.h5"), Path("r.npz"), python=python, progress=shown.append, **options)
    assert shown == ["loading None"]
    words = "--src=m.h5 --out=r.npz --examples=3 --seed=4 --input=a.npy --input=-b.npy --keras=tf_keras"
    assert done == f"{words} --architecture=a.json (one; two)"


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        pytest.param(["print('keydnn-record: error m.h5: no')", "sys.exit(1)"], "^m.h5: no$", id="says-why"),
        pytest.param(["print('a'); print('last words')", "sys.exit(3)"], "ended with status 3: last words", id="fails"),
        pytest.param(["os.abort()"], "ended with status -6", id="crashes"),
        pytest.param([], "ended with status 0", id="is-no-python"),
    ],
)
def test_failures_are_told_in_one_line(folder, lines, word):
    with pytest.raises(RecordingError, match=word) as caught:
        record(Path("m.h5"), Path("r.npz"), python=stub(folder, *lines))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_started_or_is_not_there(folder):
    for python in (folder / "none", folder, Path("a\0b")):
        with pytest.raises(RecordingError, match="cannot be run"):
            record(Path("m.h5"), Path("r.npz"), python=python)
    with pytest.raises(RecordingError, match="no such file"):
        record(Path("n.h5"), Path("r.npz"))


def test_an_exception_on_the_way_ends_the_program(folder):
    def show(text):
        raise KeyError(text)

    with pytest.raises(KeyError):
        record(
            Path("m.h5"),
            Path("r.npz"),
            python=stub(
                folder,
                "import time; print('keydnn-record: progress', os.getpid(), flush=True); time.sleep(60)",
            ),
            progress=show,
        )


@pytest.mark.skipif(any(map(importlib.util.find_spec, ("keras", "tf_keras", "tensorflow"))), reason="there is a Keras")
def test_without_keras_the_way_out_is_said(folder, capsys):
    assert execute(["record", "m.h5", "r.npz"]) == 1
    error = capsys.readouterr().err
    assert "has no Keras; give a Python that has: --python OTHER/bin/python" in error
    assert len(error.splitlines()) == 1
    assert os.listdir() == ["m.h5"]


def test_words_are_checked_before_anything_is_done(folder, capsys):
    Path("r.npz").write_bytes(b"old")
    for words, word in (
        (["m.h5", "r.json"], "ends in .npz"),
        (["m.h5", "r.npz"], "--force writes over it"),
        (["m.h5", "n.npz", "--examples", "0"], "--examples must be >= 1"),
        (["m.h5", "n.npz", "--seed", "-1"], "--seed >= 0"),
        (["m.h5", "n.npz", "--keras", "theano"], "--keras must be keras or tf_keras"),
        (["m.h5", "n.npz", "--input="], "--input must not be empty"),
        (["r.npz", "r.npz", "--force"], "give out another name"),
    ):
        assert execute(["record", *words]) == 2
        assert word in capsys.readouterr().err
    assert Path("r.npz").read_bytes() == b"old"


def test_a_flag_may_be_given_once_for_every_input(folder, capsys):
    words = bind("record", VERBS["record"], ["m.h5", "--input", "a.npy", "r.npz", "--input=2024"])
    assert sorted(words) == ["--input_0=a.npy", "--input_1=2024", "--out=r.npz", "--src=m.h5"]
    with pytest.raises(UsageError, match="given twice"):
        bind("record", VERBS["record"], ["m.h5", "r.npz", "--seed=1", "--seed=2"])
    python = stub(folder, "print('keydnn-record: done', *(word for word in sys.argv if 'input' in word))")
    assert execute(["record", "m.h5", "r.npz", "--input", "a.npy", "--input", "None", f"--python={python}"]) == 0
    assert capsys.readouterr().out == "m.h5 -> r.npz: --input=a.npy --input=None\n"
    assert execute(["record", "--help"]) == 0
    assert "[--input=INPUT ...]" in capsys.readouterr().out
