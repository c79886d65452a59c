"""Reading hostile files runs, imports and opens nothing else, here and in the process of the HDF5 library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Put before Python's own start of every process: the process of the library writes down what it does.
SITE = """
import os, sys
if sys.argv[:1] and "KEYDNN_AUDIT" in os.environ and any(part.endswith("server.py") for part in sys.orig_argv):
    log = os.open(os.environ["KEYDNN_AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    def hook(event, arguments):
        if event.startswith(("open", "import", "subprocess", "os.", "socket", "ctypes.dlopen", "pickle")):
            said = repr(arguments[0]) if arguments else ""
            os.write(log, f"{os.getpid()} {event} {said}\\n".encode())
    sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What the watched process printed, and what the one of the library did once it was ready."""
    folder = tmp_path_factory.mktemp("audit")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    path = os.pathsep.join([str(folder / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "KEYDNN_AUDIT": str(folder / "log")}
    command = [sys.executable, "-m", "tests.hostile.audit", str(folder)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300)
    assert found.returncode == 0, found.stderr[-2000:]
    return folder, found.stdout.splitlines(), (folder / "log").read_text().splitlines()


def test_nothing_is_run_imported_or_opened(done):
    _, printed, _ = done
    assert [line for line in printed if line.startswith("forbidden")] == []


def test_no_module_is_imported_for_a_file(done):
    """The first time everything may be imported that the package needs: nothing that files name."""
    _, printed, _ = done
    first, second = (line.split()[2:] for line in printed if line.startswith("modules"))
    named = {"os", "subprocess", "pickle", "marshal", "webbrowser", "socket", "keras", "tensorflow", "torch", "h5py"}
    assert not named & {name.partition(".")[0] for name in first} - {"pickle"}
    assert second == []


def test_only_the_process_of_the_library_is_started(done):
    _, printed, _ = done
    assert "processes 1" in printed


def test_the_process_of_the_library_opens_the_file_and_nothing_else(done):
    folder, _, log = done
    events = [line.split(" ", 2) for line in log]
    servers = {process for process, event, said in events if event == "import" and said == "'h5py'"}
    copies = [found for found in events if found[0] not in servers]
    assert len({process for process, _, _ in copies}) > 300
    own = (str(folder / "files"), "/proc/self/statm", sys.prefix, sys.base_prefix, str(ROOT / "keydnn"))
    bad = [(event, said) for _, event, said in copies if event != "import" and not said.strip("'b\"").startswith(own)]
    assert bad == []
    # Python's own parts may be imported late; what a file names never is.
    imported = {said.strip("'").partition(".")[0] for _, event, said in copies if event == "import"}
    assert imported <= {"encodings", "traceback", "linecache", "tokenize", "token", "textwrap", "ast", "resource"}
