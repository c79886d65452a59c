"""Compiled kernels on disk: loaded without compiling, compiled again where something is wrong with them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

from jit_kernels import _cache, _jit


def add_one(x, out):
    for i in range(out.size):
        out[i] = x[i] + 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setattr(_jit, "cache_folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def watched(monkeypatch):
    """The names of the kernels that are compiled."""
    names = []

    def watch(name):
        names.append(name)
        return contextlib.nullcontext()

    monkeypatch.setattr(_jit, "_watcher", [])
    _jit.watch_compiling(watch)
    return names


def run(name="test_add_one"):
    """Make the kernel as a new process would, and run it."""
    x, out = np.arange(3, dtype=np.float32), np.empty(3, np.float32)
    _jit.kernel("void(f4[::1], f4[::1])", name=name, parallel=False)(add_one)(x, out)
    np.testing.assert_array_equal(out, x + 1)


def test_what_was_compiled_is_loaded(folder, watched):
    run()
    run()
    assert watched == ["test_add_one-serial"]
    assert _jit.READY["test_add_one-serial"] is False


def test_compiling_works_after_loading(folder, watched):
    run()
    run()
    run("test_add_one_more")
    assert watched == ["test_add_one-serial", "test_add_one_more-serial"]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_entry_is_compiled_again_and_replaced(folder, watched, suffix):
    run()
    for file in folder.glob(f"*.{suffix}"):
        file.write_bytes(file.read_bytes()[:50])
    run()
    run()
    assert len(watched) == 2


def test_code_that_needs_what_is_not_there_is_compiled_again(folder, watched, monkeypatch):
    """LLVM would end the process at the first unknown name."""
    with monkeypatch.context() as patch:
        patch.setattr(
            _cache._KernelCacheImpl, "reduce", lambda self, result: (("no_such_name",), reduced(self, result))
        )
        run()
    run()
    assert len(watched) == 2


def reduced(cache, result):
    return super(_cache._KernelCacheImpl, cache).reduce(result)


def test_without_a_folder_every_process_compiles(watched, monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda: None)
    run()
    run()
    assert len(watched) == 2


def test_a_folder_that_others_may_write_into_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("KEYDNN_CACHE_DIR", str(tmp_path))
    fresh = _cache.cache_folder.__wrapped__
    made = fresh()
    assert made.parent == tmp_path
    made.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="chmod 700"):
        assert fresh() is None


LOADS = """
import sys
import numpy as np
from jit_kernels._jit import READY
from keydnn import load
load("m.json").predict(np.ones((2, 8), np.float32))
print(sorted(set(READY.values())), [name for name in ("scipy.linalg", "rich", "fire", "h5py") if name in sys.modules])
"""


def test_a_later_process_compiles_nothing_and_imports_nothing_for_it(tmp_path):
    from keydnn import Sequential
    from keydnn.modules import Linear, Softmax

    modules = Linear(8, 3, weight=np.ones((3, 8)), bias=np.ones(3)), Softmax()
    Sequential(*modules, input_shape=(None, 8)).save(tmp_path / "m.json")
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KEYDNN_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": path}
    command = [sys.executable, "-c", LOADS]
    for _ in range(2):
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[False]", "[]"]


def test_importing_the_package_imports_nothing_heavy():
    heavy = ("numpy", "numba", "rich", "fire", "h5py")
    code = f"import sys, keydnn; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


TWO_KERNELS = """
import itertools, sys
import numpy as np
from numba.core.bytecode import FunctionIdentity
from keydnn import Sequential, modules

FunctionIdentity._unique_ids = itertools.repeat(1)  # so that processes count alike
x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(4, 16)
for name in sys.argv[1:]:
    linear = modules.Linear(16, 16, weight=np.eye(16, dtype=np.float32), bias=np.zeros(16, np.float32))
    print(*Sequential(linear, getattr(modules, name)(), input_shape=(None, 16))(x).ravel().tolist())
"""


def test_kernels_with_functions_of_one_name_call_their_own(tmp_path):
    """Numba gives closures that were compiled in different processes one name."""
    environment = os.environ | {"KEYDNN_CACHE_DIR": str(tmp_path), "PYTHONHASHSEED": "0"}

    def answers(*names):
        command = [sys.executable, "-c", TWO_KERNELS, *names]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
        return [np.array(line.split(), np.float32) for line in done.stdout.splitlines()]

    alone = [*answers("SiLU"), *answers("Tanh")]
    np.testing.assert_array_equal(answers("SiLU", "Tanh"), alone)
    np.testing.assert_allclose(alone[1], np.tanh(np.linspace(-1, 1, 64, dtype=np.float32)), rtol=1e-6)
