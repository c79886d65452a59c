"""The scripts in perf/: what they make of times, without the peers and without measuring anything."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keydnn import get_num_threads, set_num_threads

PERF = Path(__file__).parents[1] / "perf"


@pytest.fixture
def perf(monkeypatch):
    monkeypatch.syspath_prepend(PERF)
    return importlib.import_module


@pytest.fixture
def race(perf):
    return perf("race")


def record(model="resnet8", threads=1, batch=1, **seconds):
    errors = dict.fromkeys(seconds, 1e-7)
    return {"model": model, "threads": threads, "batch": batch, "seconds": seconds, "errors": errors, "failures": {}}


def test_the_ratio_is_to_the_peer_with_the_lower_median_round_by_round(race):
    # The rounds get slower together: the ratio of medians would be 3, too; the quotients are 2, 3 and 4.
    given = record(keydnn=[2.0, 6.0, 16.0], onnxruntime=[1.0, 2.0, 4.0], openvino=[0.5, 9.0, 9.0])
    assert race.ratio(given) == 3.0


def test_one_slow_round_does_not_move_the_ratio(race):
    assert race.ratio(record(keydnn=[1.0, 1.0, 50.0], onnxruntime=[2.0, 2.0, 2.0])) == 0.5


@pytest.mark.parametrize("there", [{"keydnn": [1.0]}, {"onnxruntime": [1.0], "openvino": [1.0]}, {}])
def test_without_keydnn_or_without_peers_there_is_no_ratio(race, there):
    given = record(**there)
    assert race.ratio(given) is None
    assert "-" in race.cells(given, with_keras=False)


def test_keras_is_no_peer(race):
    assert race.ratio(record(keydnn=[1.0], onnxruntime=[2.0], keras=[0.1])) == 0.5


def test_the_mean_of_ratios_is_geometric_and_of_one_setting(race):
    records = [
        record("a", keydnn=[2.0], onnxruntime=[1.0]),
        record("b", keydnn=[1.0], onnxruntime=[8.0]),
        record("c", openvino=[1.0]),
        record("a", threads=2, keydnn=[9.0], onnxruntime=[1.0]),
    ]
    assert race.settings(records) == [(1, 1), (2, 1)]
    assert race.mean_ratio(records, (1, 1)) == pytest.approx(0.5)
    assert math.isnan(race.geometric_mean([]))


def test_tables_have_a_row_a_model_and_every_time_in_milliseconds(race):
    records = [
        record("first", keydnn=[0.002], onnxruntime=[0.001], openvino=[0.004], keras=[0.1]),
        record("second", threads=2, batch=32, keydnn=[0.5]),
    ]
    text = race.tables(records)
    assert "1 thread, batch 1" in text
    assert "2 threads, batch 32" in text
    row = next(line.split() for line in text.splitlines() if "first" in line)
    assert row == ["first", "2.000", "1.000", "4.000", "100.0", "2.00", "1e-07", "1e-07", "1e-07", "1"]
    page = race.markdown(records, ["a machine"])
    assert page.startswith("- a machine\n\n### 1 thread, batch 1\n\n| model |")
    assert "| second | 500.000 | - | - | - | - | 1e-07 - - | 1 |" in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(race.header(records)) + 1}


def test_growth_with_a_product_between(race):
    assert race.between_rows([record(alone=[0.001, 0.001], between=[0.003, 0.001])])[0][-1] == "2.00"


def test_the_error_is_relative_to_the_largest_output(race):
    assert race.error_of(np.float32([1, -9.5]), np.float32([1, -10])) == pytest.approx(0.05)


def test_all_run_the_same_number_of_times_in_turns(race):
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("x", "y", "z")}
    taken = race.race(calls, rounds=7, seconds=60, pause=0)
    assert [len(taken[name]) for name in calls] == [7, 7, 7]
    assert list(taken) == ["x", "y", "z"]
    turns = [name for before, name in zip([None, *order], order, strict=False) if name != before]
    assert turns[3:9] == ["x", "y", "z", "y", "z", "x"]  # behind the calls that warm up


def test_a_race_that_takes_too_long_has_a_few_rounds_all_the_same(race):
    taken = race.race({"x": lambda: None}, rounds=1000, seconds=0, pause=0)
    assert len(taken["x"]) == race.LEAST_ROUNDS


def test_a_section_is_replaced_between_its_marks_only(race, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- race -->\nold\n<!-- /race -->\nafter\n", encoding="utf-8")
    for text in ("one", "a \\1 b"):
        race.put_section(page, "race", text)
    assert page.read_text(encoding="utf-8") == "before\n<!-- race -->\n\na \\1 b\n\n<!-- /race -->\nafter\n"
    with pytest.raises(SystemExit, match="no marks"):
        race.put_section(page, "start", "x")


def test_the_page_has_the_marks_of_both_scripts():
    text = (PERF.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    for name in ("race", "between", "start"):
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->") == 1


@pytest.mark.parametrize(
    ("given", "wanted"), [(None, ["a", "b", "c"]), ("c,a", ["c", "a"]), (("a", "b"), ["a", "b"]), ("b", ["b"])]
)
def test_models_are_named_as_fire_gives_them(perf, given, wanted):
    assert perf("models").names_of(given, ["a", "b", "c"]) == wanted


def test_an_unknown_model_is_refused_with_the_names_that_there_are(perf):
    with pytest.raises(SystemExit, match=r"no such model: d; there are a, b"):
        perf("models").names_of("a,d", ["a", "b"])


@pytest.mark.parametrize(("given", "wanted"), [(1, [1]), ("1,2", [1, 2]), ((1, 32), [1, 32])])
def test_numbers_as_fire_gives_them(race, given, wanted):
    assert race.numbers_of(given) == wanted


def test_numbers_below_one_are_refused(race):
    with pytest.raises(SystemExit, match="from 1"):
        race.numbers_of("0,1")


def test_a_model_whose_file_is_not_there_is_left_out_with_a_message(perf, monkeypatch, tmp_path, capsys):
    models = perf("models")
    monkeypatch.setitem(models.RECIPES, "gone", models.Recipe(tmp_path / "gone.h5"))
    assert models.prepare(["gone"], tmp_path) == []
    assert "gone: left out" in capsys.readouterr().err


def test_examples_repeat_beyond_those_that_are_kept(perf, tmp_path):
    models = perf("models")
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", np.arange(models.EXAMPLES))
    x, y = models.Made("any", tmp_path).examples(models.EXAMPLES + 2)
    assert x[-2:].tolist() == [0, 1]
    assert np.array_equal(x, y)


def test_rows_of_start_have_dashes_where_nothing_was_measured(perf):
    start = perf("start")
    there = {"name": "A", "seconds": 0.5, "least": 0.4, "most": 0.6, "megabytes": 100.4}
    missing = {"name": "B", "failure": "no such module"}
    assert start.rows([there, missing], memory=False) == [["A", "0.50", "0.40-0.60", "100"], ["B", "-", "-", "-"]]
    assert start.rows([there, missing], memory=True) == [["A", "100", "0.50"], ["B", "-", "-"]]


@pytest.mark.parametrize("modules", [False, True])
def test_layers_shows_the_plan_or_the_modules_of_a_keras_file(perf, modules, capsys):
    before = get_num_threads()
    try:
        perf("layers").main(
            PERF.parent / "keydnn" / "data" / "digits.h5", batch=2, repeat=2, threads=1, modules=modules
        )
    finally:
        set_num_threads(before)
    out = capsys.readouterr().out
    assert "digits.h5, batch 2, threads 1" in out
    assert ("conv1 (Conv2D)" if modules else "conv1 + norm1 + relu1") in out


@pytest.mark.parametrize("engine", ["keydnn", "onnxruntime", "openvino", "keras"])
def test_the_programs_of_start_are_python(perf, engine):
    compile(perf("start").program(engine, Path("a model"), Path("x.npy")), engine, "exec")


# --- recurrent layers -------------------------------------------------------------------------------------------------


def test_a_row_of_recurrent_layers_has_a_cell_for_each_column(perf):
    recurrent = perf("recurrent")
    record = {
        "setting": ["LSTM", 64, 20, 1, 2],
        "seconds": {"keydnn": [0.001, 0.003], "onnxruntime": [0.002, 0.002]},
        "difference": 3e-7,
    }
    row = recurrent.row(record)
    assert len(row) == len(recurrent.COLUMNS)
    assert row == ["LSTM", "64", "20", "1", "2", "2.000", "2.000", "1.00", "3e-07"]


def test_models_of_recurrent_layers_have_the_weights_that_are_raced(perf):
    recurrent = perf("recurrent")
    for cell in recurrent.CELLS:
        weights = recurrent.weights_of(cell, 3, 5)
        model = recurrent.keydnn_model(cell, weights)
        assert model.predict(np.zeros((2, 4, 3), np.float32)).shape == (2, 5)
        for name, array in model.state_dict().items():
            np.testing.assert_array_equal(array, weights[name.rpartition(".")[2]])


def test_what_proof_costs_is_printed_for_a_model_that_passes_its_check():
    script = Path(__file__).parents[1] / "perf" / "verify.py"
    command = [sys.executable, str(script), "--repeat", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if "digits.h5" in line]
    assert len(row) == 9
    assert 0 < float(row[-1]) <= 1


def test_what_checking_costs_is_printed():
    script = Path(__file__).parents[1] / "perf" / "checks.py"
    command = [sys.executable, str(script), "--rounds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if "digits.h5" in line]
    assert all(float(row[place]) > 0 for place in (2, 3, 5, 6))
    assert "import h5py beside NumPy alone" in done.stdout
