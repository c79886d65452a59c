"""The number of threads: what may be chosen, that it holds everywhere, and that results do not depend on it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest

import keydnn
from jit_kernels import _launch
from keydnn.commandline import execute
from keydnn.errors import ParameterError
from keydnn.modules import Linear, ReLU

MOST = numba.config.NUMBA_NUM_THREADS


@pytest.fixture(autouse=True)
def numbas_own_number():
    """Leave the number to numba again."""
    yield
    _launch.choose_threads(MOST)
    with _launch.LAUNCH:
        _launch.LAUNCH.chosen = None


@pytest.fixture
def model():
    random = np.random.default_rng(0)
    weight = random.standard_normal((257, 301)).astype(np.float32)
    return keydnn.Sequential(Linear(301, 257, weight=weight, use_bias=False), ReLU(), input_shape=(None, 301))


@pytest.fixture
def x():
    return np.random.default_rng(1).standard_normal((33, 301)).astype(np.float32)


def test_unless_chosen_it_is_numbas():
    assert keydnn.get_num_threads() == numba.get_num_threads() == MOST


@pytest.mark.parametrize("count", [1, MOST, np.int64(1)])
def test_what_is_chosen_is_given_back(count):
    keydnn.set_num_threads(count)
    assert keydnn.get_num_threads() == count


@pytest.mark.parametrize("count", [0, -1, MOST + 1, True, 1.0, "1", None], ids=repr)
def test_other_numbers_are_refused_in_one_line(count):
    with pytest.raises(ParameterError, match=f"from 1 to {MOST}, got .*NUMBA_NUM_THREADS") as caught:
        keydnn.set_num_threads(count)
    assert "\n" not in str(caught.value)
    assert keydnn.get_num_threads() == MOST


def test_any_number_gives_the_same_bits_and_holds_for_models_made_before(model, x):
    wanted = model.predict(x)
    for count in range(1, MOST + 1):
        keydnn.set_num_threads(count)
        np.testing.assert_array_equal(model.predict(x), wanted)


def test_it_holds_for_kernels_launched_by_any_thread():
    found = []

    def look():
        with _launch.LAUNCH:
            found.append((numba.get_num_threads(), keydnn.get_num_threads()))

    for count in (1, MOST):
        keydnn.set_num_threads(count)
        other = threading.Thread(target=look)
        other.start()
        other.join()
        look()
    assert found == [(1, 1), (1, 1), (MOST, MOST), (MOST, MOST)]


def test_a_thread_that_lives_on_follows_the_next_choice():
    chosen, looked, found = threading.Event(), threading.Event(), []

    def look():
        with _launch.LAUNCH:
            found.append(numba.get_num_threads())
        looked.set()
        chosen.wait(60)
        with _launch.LAUNCH:
            found.append(numba.get_num_threads())

    keydnn.set_num_threads(1)
    other = threading.Thread(target=look)
    other.start()
    looked.wait(60)
    keydnn.set_num_threads(MOST)
    chosen.set()
    other.join()
    assert found == [1, MOST]


@pytest.mark.parametrize("words", [["run", "m.json", "x.npy"], ["profile", "m.json"], ["warmup", "m.json"], ["demo"]])
def test_the_flag_sets_it_and_bad_numbers_are_wrong_usage(model, x, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model.save("m.json")
    np.save("x.npy", x)
    assert execute([*words, "--threads", "1"]) == 0
    assert keydnn.get_num_threads() == 1
    for count in (0, MOST + 1):
        capsys.readouterr()
        assert execute([*words, f"--threads={count}"]) == 2
        assert capsys.readouterr().err.startswith("keydnn: --threads: the number of threads must be")


def python(code, **environment):
    """Run a program; give the process."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2", **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)


TWO_PARALLEL_KERNELS = """
import numpy as np
from jit_kernels.dense import linear_f32
x, bias = np.ones((2, 2), np.float32), np.ones(2, np.float32)
linear_f32(x, x, bias, np.empty((2, 2), np.float32))
linear_f32(x, x, bias, np.empty((2, 2), np.float32))
"""


def test_the_slow_layer_is_named_once_with_the_way_out():
    done = python(TWO_PARALLEL_KERNELS, NUMBA_THREADING_LAYER="workqueue", PYTHONWARNINGS="always")
    assert done.stderr.count("RuntimeWarning") == 1
    assert "workqueue" in done.stderr
    assert "install libgomp" in done.stderr


def test_other_layers_are_not_warned_of():
    if _launch.start_threads() == "workqueue":
        pytest.skip("there is no other layer here")
    assert python(TWO_PARALLEL_KERNELS).stderr == ""


@pytest.mark.parametrize(
    "mine", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "passive"}], ids=["", "spin", "policy"]
)
def test_the_environment_stays_as_the_user_made_it(mine):
    code = "import keydnn, os; keydnn.get_num_threads(); print(os.environ.get('GOMP_SPINCOUNT'))"
    assert python(code, **mine).stdout.strip() == mine.get("GOMP_SPINCOUNT", "None")
