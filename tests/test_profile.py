"""Latencies of a plan: within whole runs, under the names of layers, beside what the machine can do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from keydnn.commandline import execute
from keydnn.errors import ShapeError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.model import Model
from keydnn.modules import Add, Conv2d, Flatten, Linear, ReLU
from keydnn.modules.lookup import ToFloat
from keydnn.peak import Peak, measure_peak
from keydnn.profile import OperationLatency, PlanLatency, latency_of, measure_plan, plan_latency_table
from keydnn.report.bars import Bar, chosen, shown, time_text, write_bars
from keydnn.report.plan import Row
from tests.plan.graphs import Maker, arrays_for


def graph():
    make = Maker(x=(4, 8, 8))
    make("conv", Conv2d(4, 16, 3), "x")
    make("relu", ReLU(), "conv")
    make("flat", Flatten(), "relu")
    make("dense", Linear(576, 10), "flat")
    return make.graph("dense")


def test_every_operation_has_a_time_and_runs_are_whole():
    made = graph()
    found = measure_plan(made, arrays_for(made), repeat=5)
    names = [entry.row.layers for entry in found.operations]
    assert names[0] == "(inputs)"
    assert names[-1] == "(outputs)"
    assert "conv (Conv2d) + relu (ReLU)" in names
    assert all(entry.seconds > 0 for entry in found.operations)
    assert found.seconds > max(entry.seconds for entry in found.operations)
    assert found.free == 1
    assert sum(entry.row.macs for entry in found.operations) == 2 * (16 * 6 * 6 * 4 * 9 + 576 * 10)


@pytest.mark.parametrize("shape", [(4, 8, 8), (2, 4, 9, 8), (0, 4, 8, 8)])
def test_wrong_inputs_are_refused(shape):
    with pytest.raises(ShapeError, match="'x'"):
        measure_plan(graph(), [np.zeros(shape, np.float32)], repeat=1)


def latency():
    rows = [Row("a + b", "", (), "direct convolution", (1,), 500_000, 0), Row("c", "", (), "pooling", (1,), 0, 1)]
    return PlanLatency(
        [OperationLatency(row, seconds) for row, seconds in zip(rows, (3e-5, 1e-5), strict=True)], 5e-5, 3
    )


def test_the_table_has_rates_where_they_mean_something():
    text = plan_latency_table("m", latency(), Peak(50.0, 66.7, 2))
    cells = {line.split("  ")[1].strip(): line.split() for line in text.splitlines() if line.startswith("  ")}
    assert cells["a + b"][-4:] == ["0.0300", "75.0%", "33.3", "50%"]
    assert cells["c"][-2:] == ["0.0100", "25.0%"]
    assert "0.0500 ms a run (median; sum of the rows 0.0400 ms), 20.0 GFLOP/s; modules that cost nothing: 3" in text
    assert text.endswith("peak measured here: 1 thread 50 GFLOP/s, 2 threads 67")


def test_a_busy_machine_is_pointed_out():
    assert "other work takes the cores" in plan_latency_table("m", latency(), Peak(50.0, 40.0, 2))
    for quiet in (Peak(50.0, 90.0, 2), Peak(50.0, 50.0, 1)):
        assert "other work" not in plan_latency_table("m", latency(), quiet)


def test_without_a_peak_there_is_no_share_of_it():
    assert "peak" not in plan_latency_table("m", latency())


def test_the_peak_is_that_of_the_faster_one():
    assert Peak(100.0, 50.0, 2).most == 100
    found = measure_peak()
    assert found.most >= found.one > 0
    assert found.threads > 1 or found.all == found.one


# --- JSON and pictures ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Model(graph(), name="few").save("m.json")
    return tmp_path


def test_latencies_are_written_as_json(folder):
    assert execute(["profile", "m.json", "--repeat=2", "--json=o.json"]) == 0
    found = json.loads(Path("o.json").read_text())
    assert (found["name"], found["batch"]) == ("few", 1)
    operations = found["operations"]
    assert operations[0]["layers"] == "(inputs)"
    assert ["conv", "relu"] in [entry["nodes"] for entry in operations]
    assert sum(entry["share"] for entry in operations) == pytest.approx(1)
    assert sum(entry["seconds"] for entry in operations) == pytest.approx(found["sum_of_operations"])
    assert found["peak_gflops"]["one_thread"] > 0
    assert execute(["profile", "m.json", "--repeat=2", "--modules", "--json=o.json"]) == 0
    modules = json.loads(Path("o.json").read_text())["modules"]
    assert [entry["module"] for entry in modules] == ["Conv2d(4, 16, 3)", "ReLU()", "Flatten()", "Linear(576, 10)"]
    assert modules[0]["macs"] == 16 * 6 * 6 * 4 * 9


def test_a_model_with_two_inputs_is_given_two_files(folder):
    make = Maker(a=(4,), b=(4,))
    make("both", Add(), "a", "b")
    Model(make.graph("both")).save("two.json")
    for name in "ab":
        np.save(f"{name}.npy", np.ones((3, 4), np.float32))
    assert execute(["profile", "two.json", "--input=a.npy", "--input", "b.npy", "--repeat=1"]) == 0
    assert execute(["profile", "two.json", "--input=a.npy", "--repeat=1"]) == 1


def test_few_bars_keep_their_order_of_many_the_slowest_come_first():
    bars = [Bar(str(place), 1.0 + place % 7) for place in range(50)]
    assert chosen(bars[:40]) == (bars[:40], [])
    drawn, others = chosen(bars)
    assert [bar.seconds for bar in drawn] == sorted((bar.seconds for bar in bars), reverse=True)[:40]
    assert sorted([*drawn, *others], key=lambda bar: int(bar.label)) == bars


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("conv + relu", "conv + relu"),
        (f"{'a' * 20} + {'b' * 20} + {'c' * 20}", f"{'a' * 20} + … + {'c' * 20}"),
        ("x" * 30 + "y" * 30, "x" * 27 + "…" + "y" * 28),
        ("two\nlines", "two lines"),
    ],
)
def test_long_labels_keep_both_ends(label, text):
    assert shown(label) == text


def test_times_have_a_fitting_unit():
    assert list(map(time_text, (2.5, 0.0123, 0.123, 4.5e-5))) == ["2.50 s", "12.3 ms", "123 ms", "45.0 µs"]


def test_bars_are_drawn_with_names_as_they_are(folder):
    pytest.importorskip("matplotlib")
    bars = [Bar("cost $x^2$ <b>", 2e-3), Bar("層", 1e-3)]
    write_bars(folder / "p.svg", "m_1 $a$", bars, "3 ms a run")
    text = (folder / "p.svg").read_text()
    for words in ("cost $x^2$ &lt;b&gt;", "m_1 $a$", "2.00 ms  66.7%", "1.00 ms  33.3%", "in the order of the model"):
        assert words in text


@pytest.mark.parametrize(("name", "magic"), [("p.png", b"\x89PNG"), ("p.SVG", b"<?xml"), ("p.pdf", b"%PDF")])
def test_pictures_of_three_kinds_are_written(folder, name, magic):
    pytest.importorskip("matplotlib")
    for more in ([], ["--modules"]):
        assert execute(["profile", "m.json", "--repeat=1", "--plot", name, *more]) == 0
        assert Path(name).read_bytes().startswith(magic)
        Path(name).unlink()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plot=p.jpg"], "ends in .png, .svg or .pdf"),
        (["--plot=none/p.png"], "no folder none"),
        (["--json=none.json"], "json and model are both"),
        (["--plot=p.svg", "--json=p.svg"], "plot and json are both"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_anything_is_timed(folder, capsys, words, message):
    assert execute(["profile", "none.json", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_matplotlib_one_line_says_how_to_get_it(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert execute(["profile", "m.json", "--plot=p.png"]) == 2
    assert capsys.readouterr().err == 'keydnn: --plot needs matplotlib: pip install "keydnn[plot]"\n'
    assert not Path("p.png").exists()


def test_reports_get_operations_with_their_nodes_or_lookups_one_by_one():
    found = latency_of(graph(), repeat=3)
    assert {"conv", "relu", "dense"} <= {node for timing in found.operations for node in timing.nodes}
    assert (found.batch, found.seconds > 0) == (1, True)
    given = Input("ids", (None, 3), "int64")
    lookup = Graph([given], [Node("float", ToFloat(), ("ids",))], [Output("y", "float")])
    assert [timing.nodes for timing in latency_of(lookup, repeat=2).operations] == [("float",)]
