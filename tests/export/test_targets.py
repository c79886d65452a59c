"""Exporting: what a file's ending stands for, what is put in place and when, and what is said if it is not tried."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from keydnn.errors import DivergenceError, ExportError, ParameterError
from keydnn.export import targets, torch, trial
from keydnn.export.runner import MARK
from keydnn.export.targets import Files, Request, Target, export
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Linear

GRAPH = Graph(
    [Input("x", (None, 3))],
    [Node("dense", Linear(3, 2, weight=np.ones((2, 3)), bias=np.ones(2)), ("x",))],
    [Output("dense", "dense")],
)


@pytest.fixture
def stand_in(monkeypatch):
    """A target whose file is four bytes."""
    target = Target("Stand-in", "onnxruntime", lambda request: Files({request.to.name: b"made"}))
    monkeypatch.setitem(targets.TARGETS, ".onnx", target)


def python_that(tmp_path, body):
    """Give a program that stands in for a Python that runs the runner."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport sys\nimport numpy as np\n{body}\n")
    program.chmod(0o755)
    return program


SAME = """
with np.load(sys.argv[4]) as given:
    np.savez(sys.argv[5], **{"0": given["0"] @ np.ones((3, 2), np.float32) + 1})
print("Some library greets you")
print("keydnn: ran stand-in 1.2")
"""


def request(tmp_path, name="m.onnx", **more):
    return Request(GRAPH, "model", None, tmp_path / name, **more)


def test_what_agrees_is_put_in_place(tmp_path, stand_in):
    done = export(request(tmp_path), python=python_that(tmp_path, SAME))
    assert (tmp_path / "m.onnx").read_bytes() == b"made"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "python"]
    assert done.trial is not None
    assert done.trial.ran == "stand-in 1.2"
    assert done.trial.differences["dense"] < 1e-6
    assert "stand-in 1.2 gives the same" in str(done)


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (SAME.replace("+ 1", "+ 1.001"), DivergenceError, "stand-in 1.2 gives another dense: .* nothing was written"),
        (SAME.replace("+ 1", "* np.nan"), DivergenceError, "gives another dense: inf"),
        (SAME.replace('given["0"]', 'given["0"][:1]'), DivergenceError, r"of shape \(1, 2\), not \(2, 2\)"),
        (SAME.replace('"0": given["0"] @ np.ones((3, 2), np.float32) + 1', ""), DivergenceError, "0 outputs, not 1"),
        (f"print({MARK!r} + 'missing onnxruntime')", ExportError, "has no onnxruntime, so m.onnx cannot be tried"),
        (
            f"print({MARK!r} + 'failed ValueError: no such operator')",
            ExportError,
            "not take m.onnx: ValueError: no such",
        ),
        ("sys.exit('Segmentation fault')", ExportError, "not take m.onnx: it ended with status 1: Segmentation fault"),
        ("sys.exit(3)", ExportError, "not take m.onnx: it ended with status 3"),
    ],
    ids=["off", "nan", "shape", "no output", "missing", "refused", "crash", "silent"],
)
def test_what_does_not_agree_leaves_the_old_file(tmp_path, stand_in, body, error, said):
    (tmp_path / "m.onnx").write_bytes(b"old")
    with pytest.raises(error, match=said):
        export(request(tmp_path), python=python_that(tmp_path, body))
    assert (tmp_path / "m.onnx").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "python"]


def test_without_the_library_it_is_said_that_nothing_was_tried(tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr(targets, "library_is_here", lambda library: False)
    done = export(request(tmp_path))
    assert (done.trial, done.untried) == (
        None,
        "no onnxruntime here; install it, or name a Python that has it (--python)",
    )
    assert "not tried: no onnxruntime here" in str(done)


def test_a_check_that_was_asked_for_is_not_left_out(tmp_path, stand_in):
    python = python_that(tmp_path, f"print({MARK!r} + 'missing onnxruntime')")
    with pytest.raises(ExportError, match=r"install it, or --nocheck"):
        export(request(tmp_path), check=True, python=python)


def test_no_check_says_so(tmp_path, stand_in):
    assert export(request(tmp_path), check=False).untried == "as asked"


def test_a_python_that_is_none_is_named(tmp_path, stand_in):
    with pytest.raises(
        ExportError, match="cannot be run: No such file or directory; give a Python that has onnxruntime"
    ):
        export(request(tmp_path), python=tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "m.tflite",
            r"the ending says what the file is for: .pt \(PyTorch\), .py \(PyTorch, code only\), .onnx \(ONNX\), ",
        ),
        ("m.pth", "the ending says what the file is for"),
        ("m.PT", "the ending says what the file is for"),
        ("m", "the ending says what the file is for"),
        ("m.weights.h5", "Keras 3 looks for its own layout in .weights.h5"),
    ],
)
def test_endings_that_stand_for_nothing_are_named(tmp_path, name, said):
    with pytest.raises(ExportError, match=said):
        export(request(tmp_path, name))


@pytest.fixture
def without_torch(monkeypatch):
    """What is written into a .pt needs no PyTorch."""
    monkeypatch.setattr(torch, "pt_bytes", lambda state: b"weights")
    monkeypatch.setattr(targets, "library_is_here", lambda library: False)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("model.pt", "model.py"),
        ("my-model.pt", "my_model.py"),
        ("my model.v2.pt", "my_model_v2.py"),
        ("2021.pt", "model_2021.py"),
        ("größe.pt", "gr__e.py"),
        ("class.pt", "class_model.py"),
        ("torch.pt", "torch_model.py"),
        ("code.pt", "code_model.py"),
    ],
)
def test_the_code_beside_weights_can_be_imported(tmp_path, without_torch, name, code):
    assert export(request(tmp_path, name)).files == (tmp_path / name, tmp_path / code)
    assert f"def load(path={name!r})".replace("'", '"') in (tmp_path / code).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my-model.py", "a file of this name cannot be imported; give another, my_model.py for one"),
        ("torch.py", "would be imported in place of Python's own; give another, torch_model.py for one"),
        ("code.py", "would be imported in place of Python's own"),
    ],
)
def test_code_under_a_name_that_python_cannot_import_is_refused(tmp_path, name, said):
    with pytest.raises(ExportError, match=said):
        export(request(tmp_path, name))
    assert list(tmp_path.iterdir()) == []


BY_STATE = """
with np.load(sys.argv[3].removesuffix("m.py") + "state.npz") as state, np.load(sys.argv[4]) as given:
    weight, bias = state["arr_0"], state["arr_1"]
    assert state["names"].tolist() == ["dense.weight", "dense.bias"]
    np.savez(sys.argv[5], **{"0": given["0"] @ weight.T + bias})
print("keydnn: ran stand-in 1.2")
"""


def test_code_alone_is_tried_where_pytorch_is_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "library_is_here", lambda library: False)
    done = export(request(tmp_path, "m.py"), python=python_that(tmp_path, BY_STATE))
    assert done.trial is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.py", "python"]


def test_a_file_that_was_not_named_is_not_written_over(tmp_path, without_torch):
    (tmp_path / "train.py").write_text("my own")
    with pytest.raises(ExportError, match=r"train.py belongs to train.pt, but is there already and is another file"):
        export(request(tmp_path, "train.pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    assert (tmp_path / "train.py").read_text() == "my own"


def test_the_same_model_is_exported_again(tmp_path, without_torch):
    first = export(request(tmp_path, "m.pt"))
    assert export(request(tmp_path, "m.pt")) == first


@pytest.mark.parametrize("options", [{"check": True}, {"python": sys.executable}], ids=["check", "python"])
def test_a_check_that_weights_alone_cannot_have_is_refused(tmp_path, options):
    with pytest.raises(ParameterError, match="nothing runs weights alone: they cannot be tried"):
        export(request(tmp_path, "m.h5"), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rtol", [0.0, -1.0, float("nan")])
def test_a_difference_that_nothing_can_meet_is_refused(tmp_path, stand_in, rtol):
    with pytest.raises(ParameterError, match="rtol must be > 0"):
        export(request(tmp_path), rtol=rtol)


def test_input_layout_is_for_pytorch(tmp_path):
    with pytest.raises(ParameterError, match="input_layout is for PyTorch"):
        export(request(tmp_path, input_layout="nchw"))


def test_a_folder_that_is_not_there_is_named(tmp_path, stand_in):
    with pytest.raises(ExportError, match=r"cannot be written: No such file or directory"):
        export(request(tmp_path, "none/m.onnx"), check=False)


def test_inputs_are_given_in_the_order_of_axes_that_the_file_takes(tmp_path, monkeypatch):
    turned = Files({"m.onnx": b"made"}, orders={"x": (1, 0)})
    monkeypatch.setitem(targets.TARGETS, ".onnx", Target("Stand-in", "onnxruntime", lambda request: turned))
    python = python_that(tmp_path, SAME.replace('given["0"]', 'given["0"].T'))
    assert export(request(tmp_path), python=python).trial is not None


def test_a_library_that_is_here_is_found():
    assert trial.library_is_here("numpy")
    assert not trial.library_is_here("no_such_library")
