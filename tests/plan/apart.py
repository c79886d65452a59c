"""Parts of the tests in processes of their own: other threads, other vectors, or a fault that ends the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_apart(name, package="tests.plan", **environment):
    """Run a module beside this one; give what it prints, line by line, as JSON."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", f"{package}.{name}"],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"after {done.stdout[-300:]}: {done.stderr[-2000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]
