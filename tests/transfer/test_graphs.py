"""Weights of Keras files in graphs of KeyDNN's modules: the same, bit for bit, as those of the converted model."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import keydnn
from keydnn import Model, Sequential, from_keras, load_keras_weights
from keydnn.errors import (
    KerasFileError,
    KerasInteropError,
    MissingArchitectureError,
    MissingWeightsError,
    ParameterError,
    WeightsMismatchError,
)
from keydnn.modules import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Permute, ReLU, Softmax
from tests.convert.test_golden import MODELS
from tests.transfer.files import assert_same_weights, emptied, numbers, without_rules, write_legacy

DIGITS = Path(keydnn.__file__).parent / "data" / "digits.h5"
DATA = Path(__file__).parents[3] / "shared" / "data"
REAL = sorted([*DATA.glob("*/*.h5"), *DATA.glob("*/*.keras")])


def digits(*, flattened_by_cell):
    """Give the digits model as somebody would write it: with channels first."""
    turn = [Permute((0, 2, 3, 1))] if flattened_by_cell else []
    return Sequential(
        Conv2d(1, 16, 3, padding="same", use_bias=False),
        BatchNorm2d(16, eps=1e-3),
        ReLU(),
        Conv2d(16, 16, 3, padding="same", groups=16, use_bias=False),
        Conv2d(16, 24, 1),
        ReLU(),
        MaxPool2d(2),
        *turn,
        Flatten(),
        Linear(384, 10),
        Softmax(-1),
        input_shape=(None, 1, 8, 8),
    )


@pytest.fixture(scope="module")
def images():
    with np.load(DIGITS.with_name("digits_test.npz"), allow_pickle=False) as file:
        name = next(name for name in file.files if file[name].ndim > 1)
        return file[name][:40].astype(np.float32).reshape(-1, 8, 8, 1)


def test_a_model_built_by_hand_computes_what_the_converted_one_does(images):
    wanted = from_keras(DIGITS, strict=False).predict(images)
    x = images.transpose(0, 3, 1, 2)
    for model, fc, sizes in (
        (digits(flattened_by_cell=False), "8", (4, 4, 24)),
        (digits(flattened_by_cell=True), "9", None),
    ):
        loaded = load_keras_weights(model, DIGITS, flatten={fc: sizes})
        assert loaded.model is model
        assert loaded.warnings == ()
        np.testing.assert_allclose(model.predict(x), wanted, rtol=0, atol=1e-5)


def test_an_order_that_was_not_spoken_of_is_warned_of_with_the_way_out(images):
    model = digits(flattened_by_cell=False)
    (warning,) = load_keras_weights(model, DIGITS).warnings
    assert warning.startswith("8 reads 384 features: 16 cells of the 24 channels of 4 before it.")
    assert 'flatten={"8": (4, 4, 24)}' in warning
    wanted = from_keras(DIGITS, strict=False).predict(images)
    assert np.abs(model.predict(images.transpose(0, 3, 1, 2)) - wanted).max() > 0.1  # the warning is about something


@MODELS
@pytest.mark.parametrize("renamed", [False, True], ids=["by name", "by order"])
def test_golden_files_give_a_graph_the_weights_that_conversion_gives_it(path, renamed):
    wanted = from_keras(path, strict=False).graph
    graph = emptied(wanted, renamed=renamed)
    if not any(module.tensor_shapes() for _, module in graph.modules()):
        with pytest.raises(KerasFileError, match="no weights in it"):
            load_keras_weights(graph, path)
        return
    others = dict.fromkeys(without_rules(graph))
    assert_same_weights(load_keras_weights(graph, path, others, partial=bool(others)).model, wanted)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
@pytest.mark.parametrize("renamed", [False, True], ids=["by name", "by order"])
def test_real_files_give_a_graph_the_weights_that_conversion_gives_it(path, renamed):
    beside = path.with_suffix(".json")
    architecture = beside if beside.exists() else None
    try:
        wanted = from_keras(path, strict=False, architecture=architecture).graph
    except KerasInteropError:
        pytest.skip("is not converted")
    graph = emptied(wanted, renamed=renamed)
    if not any(module.tensor_shapes() for _, module in graph.modules()):
        pytest.skip("has no weights")
    others = dict.fromkeys(without_rules(graph))
    loaded = load_keras_weights(graph, path, others, partial=bool(others), architecture=architecture)
    assert_same_weights(loaded.model, wanted)


# What weights alone do not say: the order of a model's layers within a model, frozen ones of which come last; and of
# three vectors, which is missing.
UNTOLD = {
    "by name": {"keras2_nested_h5", "keras2_nested_keras", "keras3_norms_keras"},
    "by order": {
        "keras2_nested_h5", "keras2_nested_keras", "keras3_nested_h5", "keras3_nested_keras", "keras3_norms_keras",
    },
}  # fmt: skip


@MODELS
@pytest.mark.parametrize("how", UNTOLD)
def test_weights_alone_give_the_same_or_are_refused(path, how, monkeypatch):
    def without_architecture(source, given):
        raise MissingArchitectureError(source.name, [])

    wanted = from_keras(path, strict=False).graph
    graph = emptied(wanted, renamed=how == "by order")
    if not any(module.tensor_shapes() for _, module in graph.modules()):
        return
    monkeypatch.setattr("keydnn.transfer.sources.open_keras", without_architecture)
    others = dict.fromkeys(without_rules(graph))
    if path.stem in UNTOLD[how]:
        with pytest.raises(WeightsMismatchError, match=r"is not in the file|does not say whether"):
            load_keras_weights(graph, path, others, partial=bool(others))
        return
    assert_same_weights(load_keras_weights(graph, path, others, partial=bool(others)).model, wanted)


def test_a_model_gets_a_new_graph_and_loses_its_check(tmp_path):
    model = from_keras(DIGITS, strict=False)
    model.save(tmp_path / "model.json", check=True)
    before = model.graph
    assert model.check is not None
    load_keras_weights(model, DIGITS)
    assert model.graph is not before
    assert model.check is None
    assert_same_weights(model.graph, before)


def test_a_graph_stays_as_it_is_and_the_result_has_a_new_one():
    wanted = from_keras(DIGITS, strict=False).graph
    graph = emptied(wanted, renamed=False)
    loaded = load_keras_weights(graph, DIGITS)
    assert loaded.model is not graph
    assert not any(array.any() for _, module in graph.modules() for array in module.tensors().values())
    assert_same_weights(loaded.model, wanted)


def test_modules_without_weights_can_be_filled(tmp_path):
    write_legacy(tmp_path / "w.h5", {"d": {"kernel": numbers((4, 3)), "bias": numbers(3, 1)}})
    model = Sequential(Linear(4, 3), input_shape=(None, 4))
    with pytest.raises(MissingWeightsError):
        model.graph.forward([np.zeros((1, 4))])
    load_keras_weights(model, tmp_path / "w.h5")
    np.testing.assert_array_equal(model.state_dict()["0.weight"], numbers((4, 3)).T)
    np.testing.assert_array_equal(model.predict(np.zeros((1, 4))), numbers(3, 1)[np.newaxis])


def test_weights_alone_give_what_the_whole_file_gives(tmp_path):
    with h5py.File(DIGITS) as whole, h5py.File(tmp_path / "weights.h5", "w") as weights:
        for name, group in whole["model_weights"].items():
            whole.copy(group, weights, name)
        weights.attrs.update(whole["model_weights"].attrs)
    wanted = digits(flattened_by_cell=False)
    load_keras_weights(wanted, DIGITS)
    found = digits(flattened_by_cell=False)
    loaded = load_keras_weights(found, tmp_path / "weights.h5")
    assert_same_weights(found.graph, wanted.graph)
    assert [warning[:20] for warning in loaded.warnings] == ["8 reads 384 features"]


def test_what_is_no_model_is_refused():
    with pytest.raises(ParameterError, match=r"a keydnn\.Model, a keydnn\.Graph or a torch\.nn\.Module, got builtins"):
        load_keras_weights({"0.weight": np.zeros(3)}, DIGITS)


def test_the_table_says_where_every_tensor_came_from():
    text = str(load_keras_weights(digits(flattened_by_cell=False), DIGITS, flatten={"8": (4, 4, 24)}))
    lines = {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}
    assert lines["digits.h5"] == "digits.h5 into Sequential"
    assert lines["0.weight"] == "0.weight 16 x 1 x 3 x 3 conv1 kernel 3 x 3 x 1 x 16 channels in front by shape"
    assert lines["1.running_var"] == "1.running_var 16 norm1 moving_variance 16 as it is"
    assert lines["8.weight"].startswith("8.weight 10 x 384 classes kernel 384 x 10 transposed; flattened")
    assert lines["5"] == "5 layers of the file, 10 tensors"


def test_a_model_is_still_a_model():
    model = digits(flattened_by_cell=False)
    assert isinstance(load_keras_weights(model, DIGITS).model, Model)
