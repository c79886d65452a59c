"""Right answers counted: what labels are, top-1 and top-5, confusion, agreement with a source; real images."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from keydnn import Graph, Input, Model, Node, Output, Sequential, load
from keydnn.commandline import execute
from keydnn.errors import ShapeError
from keydnn.evaluate import evaluate, kind_of
from keydnn.modules import Flatten, Identity, Sigmoid, Subtract
from keydnn.report.evaluation import confusion_table, evaluation_data, evaluation_text, share_text
from keydnn.report.plain import json_text

DATA = Path(__file__).parents[2] / "shared" / "data"
INT, FLOAT = np.int64, np.float32


def scores_model(classes, *modules):
    """Give a model whose scores are its inputs."""
    return Sequential(*(modules or (Identity(),)), input_shape=(None, classes))


def judged(scores, labels, source=None, batch_size=2, modules=()):
    scores = np.asarray(scores, FLOAT)
    return evaluate(
        scores_model(scores.shape[1], *modules),
        [scores],
        np.asarray(labels),
        None if source is None else np.asarray(source),
        batch_size,
    )


def by_hand(scores, labels, best):
    """Count examples whose class is among the best, of equal scores the first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :best]
    return int((order == labels[:, None]).any(1).sum())


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("classes", [2, 5, 6, 20, 21])
def test_counts_are_those_made_by_hand(classes, batch_size):
    random = np.random.default_rng(classes)
    scores = random.integers(0, 4, (50, classes)).astype(FLOAT)  # many are equal
    labels = random.integers(0, classes, 50)
    found = judged(scores, labels, batch_size=batch_size).classified
    assert (found.classes, found.right, found.undecided) == (classes, by_hand(scores, labels, 1), 0)
    assert found.right_in_5 == (by_hand(scores, labels, 5) if classes > 5 else None)
    if classes > 20:
        assert found.confusion is None
        return
    wanted = np.zeros((classes, classes), int)
    for true, guess in zip(labels, scores.argmax(1), strict=True):
        wanted[true, guess] += 1
    np.testing.assert_array_equal(found.confusion, wanted)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(np.array([2, 0, 1]), id="integers"),
        pytest.param(np.array([[2], [0], [1]], np.uint8), id="column"),
        pytest.param(np.array([2.0, 0.0, 1.0]), id="whole-floats"),
        pytest.param(np.eye(3)[[2, 0, 1]], id="one-hot-floats"),
        pytest.param(np.eye(3, dtype=bool)[[2, 0, 1]], id="one-hot-booleans"),
        pytest.param(np.asfortranarray(np.eye(3, dtype=INT)[[2, 0, 1]]), id="one-hot-integers"),
    ],
)
def test_classes_may_be_integers_or_one_hot(labels):
    found = judged([[0, 1, 2], [3, 1, 0], [1, 0, 0]], labels).classified
    assert found.right == 2
    np.testing.assert_array_equal(found.confusion, [[1, 0, 0], [1, 0, 0], [0, 0, 1]])


def test_scores_that_are_nan_are_wrong_and_counted():
    found = judged([[math.nan, 0, 0, 0, 0, 0], [math.inf, 0, 0, 0, 0, 0]], [0, 0])
    assert (found.classified.right, found.classified.right_in_5, found.classified.undecided) == (1, 1, 1)
    assert found.classified.confusion.sum() == 1
    assert "with scores that are NaN  1 of 2, 50.00 %" in evaluation_text(found)


@pytest.mark.parametrize(
    "labels", [np.array([1, 0, 1]), np.array([[1.0], [0.0], [1.0]]), np.array([True, False, True])]
)
def test_one_sigmoid_is_on_one_side_of_a_half(labels):
    found = judged([[2.0], [-1.0], [0.0]], labels, modules=(Sigmoid(),))
    assert found.classified.classes == 2
    assert found.classified.right == 2  # a score of just 0.5 is class 0, as in Keras
    np.testing.assert_array_equal(found.classified.confusion, [[1, 0], [1, 1]])


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 4), (3, 1), (3, 2, 5)])
def test_floats_of_the_outputs_shape_are_a_regression(shape):
    random = np.random.default_rng(0)
    x, wanted = random.normal(size=shape).astype(FLOAT), random.normal(size=shape)
    model = Sequential(Identity(), input_shape=(None, *shape[1:]))
    found = evaluate(model, [x], wanted, (x + 0.5).astype(FLOAT), 2)
    assert found.classified is None
    error = np.abs(x - wanted)
    assert found.measured.mae == pytest.approx(error.mean())
    assert found.measured.rmse == pytest.approx(np.sqrt((error**2).mean()))
    assert found.measured.largest == pytest.approx(error.max())
    assert found.agreement.largest == pytest.approx(0.5, rel=1e-6)
    assert (found.agreement.same, found.agreement.source_right) == (None, None)
    assert "mean absolute error" in evaluation_text(found)


def test_one_number_an_example_needs_no_second_axis():
    assert judged([[1.0], [2.0]], [1.5, 2.5]).measured.mae == 0.5


def test_errors_that_are_nan_are_not_hidden():
    found = judged([[math.nan], [1.0]], [0.0, 0.0], batch_size=1)
    assert math.isnan(found.measured.largest)
    assert json.loads(json_text(evaluation_data(found)))["mae"] == "nan"


# --- beside the source ------------------------------------------------------------------------------------------------


def test_scores_and_classes_of_the_source_are_compared():
    scores, labels = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], FLOAT), [0, 1, 1]
    theirs = np.array([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    found = judged(scores, labels, theirs).agreement
    assert (found.same, found.source_right) == (2, 1)
    assert found.largest == pytest.approx(0.5)
    for classes in (theirs.argmax(1), theirs.argmax(1)[:, None].astype(np.uint8)):
        found = judged(scores, labels, classes).agreement
        assert (found.same, found.source_right, found.largest) == (2, 1, None)


def test_the_source_of_one_sigmoid_may_be_scores_or_classes():
    x, labels = [[2.0], [-1.0], [-0.1]], [1, 0, 1]
    for source, largest in (([0.9, 0.1, 0.6], pytest.approx(0.169, abs=0.02)), ([1, 0, 1], None)):
        found = judged(x, labels, source, modules=(Sigmoid(),)).agreement
        assert (found.same, found.source_right, found.largest) == (2, 3, largest)


# --- what is not clear ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        pytest.param((None, 3), np.array([0, 3]), r"from 0 to 2, .* int64 from 0 to 3", id="too-large"),
        pytest.param((None, 3), np.array([-1, 2]), "whole numbers from 0 to 2", id="negative"),
        pytest.param((None, 3), np.array([0.5, 2]), "whole numbers from 0 to 2", id="halves"),
        pytest.param((None, 3), np.array([[1, 1, 0]]), "one-hot", id="several-classes"),
        pytest.param((None, 3), np.array([[1, 0]]), "do not go with", id="one-hot-of-others"),
        pytest.param((None, 1), np.array([0, 1]), "no sigmoid", id="integers-for-a-number"),
        pytest.param((None, 4, 4, 2), np.zeros((2, 4, 4), INT), "do not go with", id="pixels"),
        pytest.param((None, 4, 2), np.zeros((2, 4, 2), INT), "floats of the output's shape", id="integers-for-numbers"),
    ],
)
def test_labels_that_could_be_anything_are_refused(shape, labels, message):
    with pytest.raises(ShapeError, match=message) as caught:
        kind_of(shape, labels, sigmoid=False)
    assert "\n" not in str(caught.value)


def test_a_sigmoid_has_no_class_2():
    with pytest.raises(ShapeError, match="0 and 1"):
        kind_of((None, 1), np.array([0, 2]), sigmoid=True)
    assert kind_of((None, 1), np.array([0.25, 1.0]), sigmoid=True) == "numbers"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"labels": np.zeros(3, INT)}, "input 'input' 4, labels 3", id="labels"),
        pytest.param({"source": np.zeros((5, 2), FLOAT)}, "predictions 5", id="source"),
        pytest.param({"source": np.zeros((4, 3), FLOAT)}, r"must have shape \(N, 2\)", id="source-classes"),
        pytest.param({"source": np.zeros(4, FLOAT)}, "or integers", id="source-floats"),
        pytest.param({"source": np.array(["a"] * 4)}, "not numbers", id="source-text"),
        pytest.param({"labels": np.array(["a"] * 4)}, "whole numbers from 0", id="text"),
        pytest.param({"labels": np.array(1)}, "one number", id="scalar"),
        pytest.param({"inputs": [np.zeros((4, 3), FLOAT)]}, "must have shape", id="input"),
        pytest.param({"inputs": []}, r"1 input\(s\)", id="no-input"),
        pytest.param({"inputs": [np.zeros((0, 2), FLOAT)], "labels": np.zeros(0, INT)}, "no examples", id="nothing"),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes, message):
    given = {"inputs": [np.zeros((4, 2), FLOAT)], "labels": np.zeros(4, INT), "source": None, **changes}
    with pytest.raises(ShapeError, match=message):
        evaluate(scores_model(2), given["inputs"], given["labels"], given["source"])


def test_batches_are_told():
    told = []
    evaluate(scores_model(2), [np.zeros((5, 2), FLOAT)], np.zeros(5, INT), None, 2, told.append)
    assert told == [2, 4, 5]


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (742, 846, "742 of 846, 87.71 %"),
        (49_999_999, 50_000_000, "49,999,999 of 50,000,000, > 99.99 %"),
        (1, 50_000_000, "1 of 50,000,000, < 0.01 %"),
        (5, 5, "5 of 5, 100.00 %"),
        (0, 5, "0 of 5, 0.00 %"),
    ],
)
def test_all_is_said_of_all_only(part, whole, text):
    assert share_text(part, whole) == text


def test_a_confusion_matrix_has_headings():
    lines = [line.split() for line in confusion_table(np.array([[3, 1], [0, 0]])).splitlines()]
    assert lines[0] == ["confusion:", "rows", "true,", "columns", "predicted"]
    assert ["true", "0", "1", "right"] in lines
    assert ["0", "3", "1", "75.0%"] in lines
    assert ["1", "·", "·"] in lines


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Sequential(Flatten(), input_shape=(None, 1, 3)).save("m.json")
    np.save("x.npy", np.array([[[0, 1, 200]], [[9, 1, 0]], [[5, 6, 5]]], np.uint8))
    np.save("y.npy", np.array([2, 0, 0]))
    return tmp_path


def test_the_command_prints_counts_and_writes_json(folder, capsys):
    np.save("p.npy", np.array([[0, 1, 200], [9, 1, 0], [7, 6, 5]], np.float32))
    words = ["evaluate", "m.json", "--inputs", "x.npy", "--labels=y.npy", "--source-predictions=p.npy", "--json=o.json"]
    assert execute([*words, "--batch-size=2"]) == 0
    out = capsys.readouterr().out
    assert "x.npy: uint8, taken as the numbers that it holds" in out
    assert "2 of 3, 66.67 %" in out
    assert "largest difference to the source  2\n" in out
    found = json.loads(Path("o.json").read_text())
    assert found["top1"] == {"right": 2, "share": 2 / 3}
    assert found["source"] == {"largest_difference": 2.0, "same": 2, "agreement": 2 / 3, "right": 3}
    assert found["confusion"] == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_a_model_with_two_inputs_is_given_two_files_in_order(folder, capsys):
    nodes = [Node("difference", Subtract(), ("a", "b"))]
    graph = Graph([Input("a", (None, 2)), Input("b", (None, 2))], nodes, [Output("scores", "difference")])
    Model(graph).save("two.json")
    np.save("a.npy", np.array([[3, 1], [0, 0], [5, 4]]))
    np.save("b.npy", np.array([[2, 1], [0, -1], [2, 0]]))
    np.save("l.npy", np.array([0, 1, 1]))
    for order, right in ((("a", "b"), 3), (("b", "a"), 0)):
        inputs = [word for name in order for word in ("--inputs", f"{name}.npy")]
        assert execute(["evaluate", "two.json", *inputs, "--labels=l.npy", "--batch-size=2"]) == 0
        assert f"right  {right} of 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        pytest.param(["--inputs", "x.npy"], 2, "needs --labels", id="no-labels"),
        pytest.param(["--inputs=x.npy", "--labels=y.npy", "--json=y.npy"], 2, "json and labels are both", id="over-it"),
        pytest.param(["--inputs=x.npy", "--labels=y.npy", "--json=no/o.json"], 2, "no folder no", id="no-folder"),
        pytest.param(["--inputs=x.npy", "--labels=y.npy", "--batch-size=0"], 2, "--batch-size", id="no-batch"),
        pytest.param(["--inputs=x.npy", "--inputs=x.npy", "--labels=y.npy"], 1, "1 input(s)", id="two-inputs"),
        pytest.param(["--inputs=x.npy", "--labels=none.npy"], 1, "none.npy: cannot be read", id="no-file"),
    ],
)
def test_what_the_command_refuses(folder, capsys, words, status, message):
    assert execute(["evaluate", "m.json", *words]) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


# --- real images ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: real images are not counted")
def test_resnet8_gets_742_of_846_right(tmp_path, capsys):
    with np.load(DATA / "cifar10_test_846.npz") as file:
        np.save(tmp_path / "x.npy", file["images"])
        np.save(tmp_path / "y.npy", file["labels"])
    source, target = str(DATA / "models" / "pretrainedResnet.h5"), str(tmp_path / "m.json")
    assert execute(["convert", source, target, "--nostrict"]) == 0
    words = ["evaluate", target, "--inputs", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy")]
    assert execute(words) == 0
    assert "742 of 846, 87.71 %" in capsys.readouterr().out
    with np.load(DATA / "models" / "pretrainedResnet_reference.npz") as file:
        x, y = file["x"], file["y"]
    found = evaluate(load(target), [x], y.argmax(1), y)
    assert found.agreement.same == found.classified.right == len(x)
