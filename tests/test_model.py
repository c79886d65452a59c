"""Model and Sequential: prediction, weights, saving."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import keydnn
from keydnn import Graph, Input, MissingWeightsError, Node, Output, ParameterError, Sequential, ShapeError, load
from keydnn.model import Model
from keydnn.modules import Add, Conv2d, Flatten, Linear, ReLU, Softmax, Subtract, Upsample2d

RANDOM = np.random.default_rng(3)


def random(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.fixture
def model():
    made = Sequential(Conv2d(3, 4, 3), ReLU(), Flatten(), Linear(64, 5), Softmax(), input_shape=(None, 3, 6, 6))
    shapes = {f"{n}.{t}": s for n, m in made.graph.modules() for t, s in m.tensor_shapes().items()}
    made.load_state_dict({name: random(*shape) for name, shape in shapes.items()})
    return made


@pytest.fixture
def two_inputs():
    nodes = [Node("sum", Add(), ("a", "b")), Node("gap", Subtract(), ("a", "b"))]
    return Model(Graph([Input("a", (None, 3)), Input("b", (None, 3))], nodes, [Output("s", "sum"), Output("d", "gap")]))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 8, 100])
def test_predict_in_batches_gives_the_bits_of_one_call(model, batch_size):
    x = random(7, 3, 6, 6)
    np.testing.assert_array_equal(model.predict(x, batch_size), model(x))


def test_an_empty_batch_gives_an_empty_result(model):
    assert model.predict(np.zeros((0, 3, 6, 6))).shape == (0, 5)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x.astype(np.float64), id="float64"),
        pytest.param(np.asfortranarray, id="fortran-order"),
        pytest.param(lambda x: x.astype(">f4"), id="big-endian"),
        pytest.param(lambda x: x[:, ::-1][:, ::-1], id="strided"),
        pytest.param(lambda x: x.tolist(), id="lists"),
        pytest.param(
            lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view("f4").reshape(x.shape), id="unaligned"
        ),
        pytest.param(lambda x: np.broadcast_to(x, x.shape), id="read-only"),
    ],
)
def test_other_kinds_of_arrays_give_the_same_bits(model, change):
    x = random(2, 3, 6, 6)
    np.testing.assert_array_equal(model.predict(change(x)), model.predict(x))


def test_integers_are_converted(model):
    x = RANDOM.integers(0, 255, (2, 3, 6, 6), dtype=np.uint8)
    np.testing.assert_array_equal(model.predict(x), model.predict(x.astype(np.float32)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        pytest.param(
            np.zeros((3, 6, 6)), r"input 'input' must have shape \(N, 3, 6, 6\), got \(3, 6, 6\)", id="no-batch"
        ),
        pytest.param(np.zeros((1, 3, 6, 7)), r"got \(1, 3, 6, 7\)", id="wrong-size"),
        pytest.param(np.array(["a"]), "array of numbers", id="text"),
        pytest.param(np.array([object()]), "array of numbers", id="objects"),
        pytest.param([[1, 2], [3]], "array of numbers", id="ragged"),
        pytest.param(np.float32(3), r"got \(\)", id="scalar"),
        pytest.param({"image": np.zeros((1, 3, 6, 6))}, "the inputs are named input; got image", id="wrong-name"),
    ],
)
def test_wrong_inputs_are_named(model, x, message):
    with pytest.raises(ShapeError, match=message):
        model.predict(x)


def test_several_inputs_and_outputs_by_order_and_by_name(two_inputs):
    a, b = random(4, 3), random(4, 3)
    total, gap = two_inputs.predict([a, b], batch_size=3)
    np.testing.assert_array_equal(total, a + b)
    np.testing.assert_array_equal(gap, a - b)
    named = two_inputs.predict({"b": b, "a": a}, batch_size=3)
    assert list(named) == ["s", "d"]
    np.testing.assert_array_equal(named["d"], gap)


def test_several_inputs_must_fit_together(two_inputs):
    with pytest.raises(ShapeError, match="different numbers of examples: a 2, b 3"):
        two_inputs.predict([random(2, 3), random(3, 3)])
    with pytest.raises(ShapeError, match=r"has 2 input\(s\) \(a, b\), but 1 array\(s\)"):
        two_inputs.predict(random(2, 3))


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, None])
def test_bad_batch_sizes_are_refused(model, batch_size):
    with pytest.raises(ParameterError, match="batch_size"):
        model.predict(random(1, 3, 6, 6), batch_size)


def test_state_dict_round_trip(model):
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    x = random(2, 3, 6, 6)
    before = model.predict(x)
    model.load_state_dict({name: 2 * array for name, array in state.items()})
    assert not np.array_equal(model.predict(x), before)
    model.load_state_dict(state)
    np.testing.assert_array_equal(model.predict(x), before)


def test_state_dicts_that_do_not_fit_change_nothing(model):
    state = model.state_dict()
    for change, error in (
        ({"9.weight": np.zeros(3)}, ParameterError),
        ({"0.bias": np.zeros(5)}, ShapeError),
    ):
        with pytest.raises(error):
            model.load_state_dict({**state, **change})
    with pytest.raises(MissingWeightsError, match=r"No weights found for module Linear.*: 3\.weight"):
        model.load_state_dict({name: state[name] for name in state if name != "3.weight"})
    np.testing.assert_array_equal(model.state_dict()["0.bias"], state["0.bias"])


def test_a_model_without_weights_says_so(tmp_path):
    model = Sequential(Linear(2, 2), input_shape=(None, 2))
    for use in (lambda: model.predict(np.zeros((1, 2))), lambda: model.save(tmp_path / "m.json")):
        with pytest.raises(MissingWeightsError, match="No weights found for module Linear"):
            use()
    assert not (tmp_path / "m.json").exists()


def test_a_sequential_whose_modules_do_not_fit_names_the_node():
    with pytest.raises(ShapeError, match="node '1'"):
        Sequential(Linear(4, 3), Linear(4, 3), input_shape=(None, 4))


@pytest.mark.parametrize("factor", [1 << 32, 10**7], ids=["beyond-any-memory", "beyond-the-limit"])
def test_an_output_that_fits_into_no_memory_is_a_shape_error(factor):
    model = Sequential(Upsample2d((factor, 1)), input_shape=(None, 3, 32, 32))
    with pytest.raises(ShapeError, match=r"node '0': Upsample2d.* does not fit into memory"):
        model.predict(np.zeros((1, 3, 32, 32)))


def test_summary_names_modules_shapes_and_parameters(model):
    text = model.summary()
    for word in ("Conv2d(3, 4, 3)", "(N, 4, 4, 4)", "112", "Linear(64, 5)", "437 parameters"):
        assert word in text


@pytest.mark.parametrize("weights", ["inline", "sidecar"])
def test_save_and_load_give_the_same_bits(model, tmp_path, weights):
    x = random(2, 3, 6, 6)
    model.save(tmp_path / "m.json", weights=weights)
    np.testing.assert_array_equal(load(tmp_path / "m.json").predict(x), model.predict(x))


def test_the_names_of_the_earlier_package_work(model, tmp_path):
    model.save_json(tmp_path / "m.json")
    x = random(1, 3, 6, 6)
    np.testing.assert_array_equal(Model.load_json(tmp_path / "m.json").predict(x), model.predict(x))


def test_running_a_checkpoint_imports_neither_h5py_nor_keras(model, tmp_path):
    model.save(tmp_path / "m.json")
    code = (
        "import sys, numpy, keydnn\n"
        f"keydnn.load({str(tmp_path / 'm.json')!r}).predict(numpy.zeros((1, 3, 6, 6)))\n"
        "print([name for name in ('h5py', 'keras', 'tensorflow', 'fire') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exported_names_exist():
    assert all(hasattr(keydnn, name) for name in keydnn.__all__)
