"""A full disk, a real one: a small file system of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keydnn import checkpoint
from keydnn.commandline import execute
from keydnn.errors import KeyDNNError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Linear
from keydnn.npy import write_npy

SIZE = 256 << 10  # bytes


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system of SIZE bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here: that takes Linux and root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def graph(features: int) -> Graph:
    """A graph with weights of so many numbers."""
    module = Linear(features, 1, weight=np.ones((1, features)), bias=np.zeros(1))
    return Graph([Input("x", (None, features))], [Node("dense", module, ("x",))], [Output("y", "dense")])


@pytest.mark.parametrize("weights", ["inline", "sidecar"])
def test_a_checkpoint_that_does_not_fit_leaves_the_old_one(disk, weights):
    path = disk / "m.json"
    checkpoint.write(graph(10), path, weights=weights)
    before = {file.name: file.read_bytes() for file in disk.iterdir()}
    with pytest.raises(KeyDNNError, match=r"No space left on device.*untouched"):
        checkpoint.write(graph(SIZE), path, weights=weights)
    assert {file.name: file.read_bytes() for file in disk.iterdir()} == before
    checkpoint.write(graph(20), path, weights=weights)  # there is room for this
    assert checkpoint.read(path).graph.nodes[0].module.in_features == 20


def test_results_that_do_not_fit_are_one_line_and_leave_the_old_file(disk, tmp_path, capsys):
    checkpoint.write(graph(4), tmp_path / "m.json")
    write_npy(tmp_path / "x.npy", np.ones((SIZE, 4), np.float32))
    (disk / "y.npy").write_bytes(b"old")
    status = execute(["run", str(tmp_path / "m.json"), str(tmp_path / "x.npy"), "--output", str(disk / "y.npy")])
    *_, said = capsys.readouterr().err.splitlines()  # before it, perhaps, that kernels are compiled
    assert status == 1
    assert "No space left on device" in said
    assert [(file.name, file.read_bytes()) for file in disk.iterdir()] == [("y.npy", b"old")]


def test_converting_onto_a_full_disk_says_so(disk, capsys):
    source = Path(__file__).parents[2] / "keydnn" / "data" / "digits.h5"
    (disk / "full").write_bytes(bytes(SIZE - (8 << 10)))
    assert execute(["convert", str(source), str(disk / "m.json"), "--nostrict"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert [file.name for file in disk.iterdir()] == ["full"]
