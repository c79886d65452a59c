"""The scripts of this package in their short modes, each as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.faults.load import ROOT

SHORT = {
    "cache": ["--count", "3"],
    "kills": ["--times", "12"],
    "tamper": ["--count", "250", "--seed", "3"],
    "load": ["--threads", "16", "--predictions", "40", "--starts", "1", "--at_once", "4"],
    "soak": ["--minutes", "0.2", "--most", "1000"],
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no signals and forks to try")
@pytest.mark.parametrize(("script", "options"), SHORT.items())
def test_the_script_finds_no_fault(script, options):
    words = [sys.executable, "-m", f"tests.faults.{script}", *options]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
