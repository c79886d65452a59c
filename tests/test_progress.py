"""Who is told that kernels are compiled, and where."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from keydnn.progress import MESSAGE, CompileProgress, counting

WATCHED = """
import sys, time
from keydnn.progress import CompileProgress
progress = CompileProgress()
for kernel in ("conv", "pool"):
    with progress(kernel):
        time.sleep(0.3)
print("done")
"""
COUNTED = """
import time
from keydnn.progress import CompileProgress, counting
with counting(40, "examples") as on_batch:
    on_batch(20)
    with CompileProgress()("conv"):
        time.sleep(0.3)
    on_batch(40)
    time.sleep(0.3)
print("done")
"""


def test_a_library_is_silent_where_nobody_watches(capsys):
    with CompileProgress()("conv"):
        pass
    assert capsys.readouterr() == ("", "")


def test_the_command_line_says_it_once_on_standard_error(capsys):
    progress = CompileProgress(command=True)
    for kernel in ("conv", "pool"):
        with progress(kernel):
            pass
    assert capsys.readouterr() == ("", f"keydnn: {MESSAGE}\n")


def test_without_standard_error_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with CompileProgress()("conv"):
        pass


def test_a_bar_is_silent_where_nobody_watches(capsys):
    with counting(2, "examples") as on_batch:
        on_batch(2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        pytest.param(WATCHED, [f"{MESSAGE}: 1, conv", f"{MESSAGE}: 2, pool"], id="kernels"),
        pytest.param(COUNTED, ["20/40", f"{MESSAGE}: 1, conv", "examples", "40/40"], id="bar"),
    ],
)
def test_a_terminal_shows_what_is_done_and_is_left_clean(program, wanted):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert done.stdout == "done\n"
    for words in wanted:
        assert words in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the line is erased
