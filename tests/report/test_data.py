"""What a report says: layers, where weights come from, warnings, digests; the same as JSON and Markdown."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from keydnn.convert import FoundWeight, convert
from keydnn.errors import InputError
from keydnn.model import from_keras
from keydnn.report.data import FileDigest, file_digests, make_report
from keydnn.report.document import report_data, report_json
from keydnn.report.figures import rows_by_layer, summary_pairs, times_by_layer
from keydnn.report.markdown import report_markdown
from keydnn.report.weights import MOST_SORTED, Made, trace
from tests.convert import files
from tests.report.reports import ALL, DIGITS, HOSTILE, full_report, hostile_file, report_of, row


def layer(report, name):
    (found,) = [layer for layer in report.layers if layer.name == name]
    return found


def made(report, name):
    return {tensor.name: tensor.made for module in layer(report, name).modules for tensor in module.tensors}


# --- layers -----------------------------------------------------------------------------------------------------------


def test_every_node_stands_for_one_layer_and_parameters_are_counted_once():
    report = report_of()
    nodes = [module.name for entry in report.layers for module in entry.modules]
    assert sorted(nodes) == sorted(module.name for module in report.modules)
    assert report.parameters == 4_610
    assert [entry.name for entry in report.layers][:3] == ["digit", "conv1", "norm1"]


def test_a_layer_has_its_permutes_its_weights_and_keras_shape():
    report = report_of()
    conv = layer(report, "conv1")
    assert [module.type for module in conv.modules] == ["Permute", "Conv2d"]
    assert conv.output_shape == (None, 8, 8, 16)
    assert [(weight.shape, weight.dtype) for weight in conv.weights] == [((3, 3, 1, 16), "float32")]
    assert conv.rewrites == ("computed with channels first",)
    assert layer(report, "norm1").modules[0].options["eps"] == pytest.approx(1e-3)


def test_shared_layers_have_two_modules_and_their_parameters_once(tmp_path):
    report = report_of(hostile_file(tmp_path / "m.h5"))
    assert report.parameters == 20 * (len(HOSTILE) - 1)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_transpositions_are_found_in_the_values():
    report = report_of()
    assert made(report, "conv1")["conv1.weight"] == Made(("digits/conv1/kernel",), "transposed", (3, 2, 0, 1))
    assert made(report, "classes")["classes.weight"].order == (1, 0)
    assert made(report, "classes")["classes.bias"].how == "as stored"
    depthwise = made(report, "conv2")["conv2.depthwise.weight"]
    assert (depthwise.how, depthwise.order) == ("transposed", (2, 3, 0, 1))
    norm = made(report, "norm1")
    assert [norm[f"norm1.{name}"].sources[0].rpartition("/")[2] for name in ("weight", "running_var")] == [
        "gamma",
        "moving_variance",
    ]


def stored(**arrays):
    return [FoundWeight(name, array.shape, "float32", array.astype(np.float32)) for name, array in arrays.items()]


def tensors(**arrays):
    return {name: np.require(array, np.float32, "C") for name, array in arrays.items()}


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


CASES = {
    "as-stored": (random(3), lambda a: a, ("as stored", ())),
    "transposed": (random(3, 4), lambda a: a.T, ("transposed", (1, 0))),
    "square": (random(4, 4), lambda a: a.T, ("transposed", (1, 0))),
    "symmetric": (np.eye(3), lambda a: a.T, ("as stored", ())),
    "column": (random(5, 1), lambda a: a.T, ("transposed", (1, 0))),
    "cells-of-one": (random(1, 1, 3, 4), lambda a: np.moveaxis(a, (-1, -2), (0, 1)), ("transposed", (3, 2, 0, 1))),
    "undecided": (np.ones((2, 3, 3, 1)), lambda a: a.reshape(1, 3, 3, 2), ("transposed", ())),
    "reshaped": (random(2, 6), lambda a: a.reshape(3, 4), ("reshaped", ())),
    "both": (random(3, 3, 2, 4), lambda a: np.moveaxis(a, (-2, -1), (0, 1)).reshape(8, 1, 3, 3),
             ("transposed, reshaped", (2, 3, 0, 1))),
    "rearranged": (random(2, 6), lambda a: a[:, ::-1], ("rearranged", ())),
    "computed": (random(2, 6), lambda a: a + 1, ("computed", ())),
    "not-a-number": (np.array([[np.nan, -0.0], [0.0, 1.0]]), lambda a: a.T, ("transposed", (1, 0))),
    "scalar": (np.array(3.0), lambda a: a, ("as stored", ())),
    "empty": (np.zeros((0, 3)), lambda a: a.T, ("transposed", (1, 0))),
    "many-axes": (random(2, 1, 2, 1, 2, 1, 2), lambda a: a.transpose(6, 1, 2, 3, 4, 5, 0), ("rearranged", ())),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_how_a_tensor_was_made(case):
    array, change, wanted = CASES[case]
    assert trace(stored(a=array), tensors(t=change(array))) == {"t": Made(("a",), *wanted)}


def test_equal_weights_are_given_out_in_order_and_shared_ones_twice():
    zeros, ones = np.zeros(3), np.ones(3)
    found = trace(stored(beta=zeros, mean=zeros, gamma=ones), tensors(bias=zeros, running=zeros, tied=ones, again=ones))
    assert [found[name].sources for name in found] == [("beta",), ("mean",), ("gamma",), ("gamma",)]


def test_weights_made_of_several_name_all_that_is_left():
    a, b = random(3), random(3) + 9
    assert trace(stored(a=a, b=b), tensors(both=np.concatenate([b, a])))["both"] == Made(("a", "b"), "rearranged")
    assert trace(stored(a=a, b=b), tensors(sum=a + b))["sum"] == Made(("a", "b"), "computed")
    assert trace([], tensors(c=a))["c"] == Made((), "from the configuration")
    assert trace([FoundWeight("unread", (3,), "float32")], tensors(c=a))["c"].sources == ()


def test_very_many_numbers_are_not_sorted():
    many = np.arange(MOST_SORTED + 2)
    assert trace(stored(a=many), tensors(t=np.roll(many, 1)))["t"].how == "computed"


def test_without_the_weights_nothing_is_said_about_them():
    conversion = convert(DIGITS, ALL)
    assert all(weight.values is None for found in conversion.layers for weight in found.weights)
    assert made(make_report(conversion, conversion.require_graph()), "conv1")["conv1.weight"].sources == ()


# --- warnings, digests, verification, latency -------------------------------------------------------------------------


def test_there_is_nothing_to_warn_of_in_the_bundled_model():
    assert report_of().warnings == ()


def test_warnings_name_what_touches_numbers(tmp_path):
    weights = files.dense_weights()
    weights["kernel:0"] = weights["kernel:0"].astype(np.float64)
    weights["kernel:0"][0, 0] = np.nan
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights}, version=None)
    warnings = report_of(path, rows=[row("d", 1e-7), row("d@1", 1.0, agrees=False)]).warnings
    assert warnings == (
        "1 of 2 layers differ by more than allowed, d@1 first",
        "the file does not say which Keras wrote it; it is read by the rules of Keras 1",
        "kernel rounded from float64 to float32: d",
        "d.weight holds 1 numbers that are infinite or NaN",
    )


def test_files_and_folders_have_digests(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "b").write_bytes(b"2")
    (tmp_path / "f" / "a").write_bytes(b"")
    found = file_digests({"source": tmp_path / "f", "architecture": None, "checkpoint": tmp_path / "f" / "b"})
    assert [(file.role, file.name, file.bytes) for file in found] == [
        ("source", "f/a", 0), ("source", "f/b", 1), ("checkpoint", "b", 1),
    ]  # fmt: skip
    (tmp_path / "w.weights.json").write_text(json.dumps({"weight_map": {"/a": "a.h5", "/b": ["b.h5", "a.h5"]}}))
    (tmp_path / "a.h5").touch()
    (tmp_path / "b.h5").touch()
    names = [file.name for file in file_digests({"source": tmp_path / "w.weights.json"})]
    assert names == ["w.weights.json", "a.h5", "b.h5"]
    assert found[1].sha256 == hashlib.sha256(b"2").hexdigest()
    with pytest.raises(InputError, match="cannot be read"):
        file_digests({"source": tmp_path / "nothing"})


def test_digests_of_tensors_are_those_of_the_checkpoint(tmp_path):
    from_keras(DIGITS, strict=False).save(tmp_path / "m.json")
    weights = json.loads((tmp_path / "m.json").read_text())["weights"]
    found = {tensor.name: tensor.sha256 for module in report_of().modules for tensor in module.tensors}
    assert found == {name: entry["sha256"] for name, entry in weights.items()}


def test_errors_and_times_belong_to_layers():
    report = full_report(errors=(1e-7, float("nan"), 2e-3), agrees=(True, False, False))
    assert [name for name, rows in rows_by_layer(report).items() if not rows[0].agrees] == ["norm1", "relu1"]
    times = times_by_layer(report)
    assert times["conv1"].seconds == pytest.approx(3e-4)
    assert times["norm1"].within == "conv1"
    pairs = dict(summary_pairs(report))
    assert pairs["Verified"] == "no: 2 of 3 layers differ"
    assert pairs["Largest relative error"].startswith("nan, ")
    assert pairs["Latency"] == "0.320 ms a run"
    assert dict(summary_pairs(report_of()))["Verified"] == "not verified"


# --- JSON and Markdown ------------------------------------------------------------------------------------------------


def test_json_has_everything_and_numbers_that_it_cannot_write_as_text():
    report = full_report(errors=(float("inf"), 1e-7, 0.0), agrees=(False, True, True))
    report = dataclasses.replace(report, files=(FileDigest("source", "m.h5", 3, "ab"),))
    found = json.loads(report_json(report))
    assert found["verification"]["rows"][0]["max_rel_error"] == "inf"
    assert found["verification"]["agrees"] is False
    assert found["latency"]["operations"][0]["nodes"] == ["conv1.in0", "conv1", "norm1"]
    assert found["nodes"][1]["tensors"][0]["made_of"] == ["digits/conv1/kernel"]
    assert found["files"] == [{"role": "source", "name": "m.h5", "bytes": 3, "sha256": "ab"}]
    assert report_data(report_of())["verification"] is None


def test_markdown_has_a_section_for_everything():
    text = report_markdown(full_report())
    for heading in ("Modules", "Rewrites (6)", "Warnings (0)", "Weights", "Verification", "Latency", "Digests"):
        assert f"\n## {heading}\n" in text
    assert "| digits/conv1/kernel | float32 | (3, 3, 1, 16) | conv1.weight | (16, 1, 3, 3) |" in text
    assert "transposed (3, 2, 0, 1)" in text
    assert "Not verified." in report_markdown(report_of())
    assert "Not measured." in report_markdown(report_of())


def test_hostile_names_do_not_break_markdown(tmp_path):
    text = report_markdown(report_of(hostile_file(tmp_path / "m.h5")))
    assert "<script" not in text
    assert "<img" not in text
    assert not set(text) & {"\x1b", "\u202e", "\u2066", "\t"}
    assert max(map(len, text.splitlines())) < 2_000
