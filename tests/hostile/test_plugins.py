"""HDF5 looks for filters in folders that a file cannot name, but the environment can: here it must not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.hostile import make
from tests.hostile.test_files import watched

READ = """
import sys
import h5py
try: h5py.File(sys.argv[1])["model_weights/d/d/kernel:0"][()]
except OSError: pass
"""
CONVERT = """
import sys
from keydnn import KerasFileError, from_keras
try: from_keras(sys.argv[1])
except KerasFileError as error: assert "compressed with filter" in str(error), error
else: raise SystemExit("it was read")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
@pytest.mark.parametrize(("program", "looks"), [(READ, True), (CONVERT, False)], ids=["h5py", "keydnn"])
def test_no_plugin_is_looked_for(tmp_path, program, looks):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "libfilter.so").write_bytes(b"\x7fELF")
    path = make.write("hdf5-filter-unknown", tmp_path, tmp_path)
    environment = os.environ | {"HDF5_PLUGIN_PATH": str(plugins)}
    with watched(plugins / "libfilter.so") as events:
        subprocess.run([sys.executable, "-c", program, path], env=environment, check=True, timeout=60)
    assert bool(events) == looks
