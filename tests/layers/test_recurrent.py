"""LSTM, GRU and SimpleRNN against float64, step by step; Steps against NumPy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keydnn import from_keras, reference
from keydnn.errors import KerasInteropError, MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import GRU, LSTM, SimpleRNN, Steps
from keydnn.reference import exact
from tests.convert import files
from tests.properties import assert_any_thread_count
from tests.within import assert_informative, assert_within

KINDS = {"lstm": LSTM, "gru": GRU, "gru-reset-before": partial(GRU, reset_after=False), "simple": SimpleRNN}
HARD = ("HardSigmoid", 0.2, 0.5, 1.0)


def random(seed, *shape, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def filled(module, seed=0, scale=0.5):
    """Give a module with random weights."""
    shapes = module.tensor_shapes()
    return module.with_tensors(
        {name: random(seed + i, *shape, scale=scale) for i, (name, shape) in enumerate(shapes.items())}
    )


def inputs_of(module, batch, steps, seed=10):
    """Give random inputs, the mask among them."""
    made = [random(seed, batch, steps, module.input_size)]
    if module.has_mask:
        made.append((np.random.default_rng(seed + 1).random((batch, steps)) < 0.6).astype(np.float32))
    count = module.state_count * module.has_state
    return made + [random(seed + 2 + i, batch, module.hidden_size) for i in range(count)]


def check(module, inputs, relative=1e-3):
    wanted = reference.RULES[type(module).__name__](module, *map(exact, inputs))
    assert_informative(wanted, relative)
    found = module(*inputs)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(*(x.shape for x in inputs))
    assert_within(found, wanted.value, wanted.error)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_layers_agree_with_float64_for_any_sizes_and_options(data):
    flags = (
        "return_sequences",
        "return_state",
        "go_backwards",
        "zero_output_for_mask",
        "has_mask",
        "has_state",
        "use_bias",
    )
    options = {name: data.draw(st.booleans(), name) for name in flags}
    make = KINDS[data.draw(st.sampled_from(sorted(KINDS)), "kind")]
    module = filled(make(data.draw(st.integers(1, 5)), data.draw(st.integers(1, 19)), **options), scale=0.2)
    # a single unit may give next to nothing, beside which a bound is wide
    check(module, inputs_of(module, data.draw(st.integers(0, 3)), data.draw(st.integers(1, 6))), relative=0.1)


@pytest.mark.parametrize(
    ("kind", "functions"),
    [
        pytest.param(
            "lstm", {"activation": "ReLU", "recurrent_activation": HARD}, id="lstm-relu-hard-sigmoid-of-keras-2"
        ),
        pytest.param("lstm", {"recurrent_activation": "HardSigmoid"}, id="lstm-hard-sigmoid-of-keras-3"),
        pytest.param("gru", {"activation": "Identity", "recurrent_activation": "Softsign"}, id="gru-linear-softsign"),
        pytest.param("simple", {"activation": ("GELU", "tanh")}, id="simple-with-a-word"),
        pytest.param("lstm", {"activation": "Softmax", "has_mask": True, "has_state": True}, id="lstm-softmax"),
        pytest.param("gru", {"activation": "Softmax", "return_state": True}, id="gru-softmax-of-the-state"),
        pytest.param("gru-reset-before", {"recurrent_activation": "Softmax", "go_backwards": True}, id="gru-softmax"),
        pytest.param(
            "simple",
            {"activation": ("Softmax", -1), "zero_output_for_mask": True, "has_mask": True},
            id="simple-softmax",
        ),
    ],
)
def test_layers_agree_with_float64_for_other_activations(kind, functions):
    module = filled(KINDS[kind](3, 18, return_sequences=True, **functions), scale=0.2)
    check(module, inputs_of(module, 2, 4))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_long_sequences_do_not_drift(kind):
    """With weights so small that each step forgets more than it rounds, the bound stays small over 300 steps."""
    module = filled(KINDS[kind](4, 24, return_sequences=True), scale=0.05)
    check(module, inputs_of(module, 2, 300))


def test_a_masked_step_is_as_if_it_were_not_there():
    module = filled(LSTM(3, 5, return_sequences=True, return_state=True))
    masked = filled(LSTM(3, 5, return_sequences=True, return_state=True, has_mask=True))
    x, mask = random(1, 2, 6, 3), np.array([[0, 1, 0, 1, 1, 0]] * 2)
    short, long = module(x[:, [1, 3, 4]]), masked(x, mask)
    np.testing.assert_array_equal(long[:, :6], np.stack([0 * short[:, 0], *(short[:, i] for i in (0, 0, 1, 2, 2))], 1))
    np.testing.assert_array_equal(long[:, 6:], short[:, 3:])


def test_nothing_of_a_masked_step_comes_through():
    x, mask = random(1, 1, 3, 3), np.array([[1, 0, 1]])
    x[0, 1] = np.nan
    assert np.isfinite(filled(GRU(3, 5, has_mask=True))(x, mask)).all()


def test_nan_stays_in_its_sequence():
    x = random(1, 2, 3, 3)
    x[0, 1, 2] = np.nan
    found = filled(LSTM(3, 5, return_sequences=True))(x)
    assert np.isnan(found[0, 1:]).all()
    assert np.isfinite(found[0, 0]).all()
    assert np.isfinite(found[1]).all()


def test_backwards_is_forwards_on_the_reversed_sequence():
    module, other = (filled(GRU(3, 5, go_backwards=way, return_sequences=True)) for way in (True, False))
    x = random(2, 2, 6, 3)
    np.testing.assert_array_equal(module(x), other(x[:, ::-1]))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_any_thread_count_gives_the_same_bits(kind):
    module = filled(KINDS[kind](7, 33, return_sequences=True, has_mask=True))
    assert_any_thread_count(module, *inputs_of(module, 5, 9))


def test_free_sizes_stay_free():
    assert LSTM(3, 5).output_shape((None, None, 3)) == (None, 5)
    assert LSTM(3, 5, return_sequences=True).output_shape((None, None, 3)) == (None, None, 5)
    assert LSTM(3, 5, return_sequences=True, return_state=True).output_shape((None, 7, 3)) == (None, 9, 5)
    assert GRU(3, 5, return_state=True).output_shape((None, None, 3)) == (None, 2, 5)


def test_macs_are_those_of_both_products():
    assert LSTM(3, 5).macs((2, 7, 3)) == 2 * 7 * 4 * 5 * (3 + 5)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: LSTM(0, 5), "input_size", id="no-features"),
        pytest.param(lambda: GRU(3, 2.5), "hidden_size", id="half-a-unit"),
        pytest.param(lambda: LSTM(3, 5, activation="GLU"), "activation", id="glu-halves-the-units"),
        pytest.param(lambda: LSTM(3, 5, activation="Linear"), "activation", id="a-module-that-is-no-activation"),
        pytest.param(lambda: LSTM(3, 5, activation=("Softmax", 0)), "activation", id="softmax-of-the-batch"),
        pytest.param(lambda: LSTM(3, 5, activation="tangent"), "activation", id="unknown-activation"),
        pytest.param(lambda: LSTM(3, 5, activation=()), "activation", id="no-activation"),
        pytest.param(lambda: LSTM(3, 5, activation=("Tanh", 1)), "activation", id="too-many-parameters"),
        pytest.param(lambda: GRU(3, 5, recurrent_activation=3), "recurrent_activation", id="a-number-for-a-function"),
        pytest.param(lambda: GRU(3, 5, reset_after=1), "reset_after", id="int-for-bool"),
        pytest.param(lambda: SimpleRNN(3, 5, has_mask="yes"), "has_mask", id="text-for-bool"),
        pytest.param(lambda: GRU(3, 5, reset_after=False, bias_hh=np.zeros(15)), "bias_hh", id="a-bias-too-many"),
        pytest.param(lambda: Steps(0.5), "start", id="half-a-step"),
        pytest.param(lambda: Steps(0, "last"), "stop", id="unknown-word"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


@pytest.mark.parametrize(
    ("options", "shapes", "words"),
    [
        pytest.param({}, [(2, 3)], r"\(N, T, 3\), got", id="one-step-without-its-axis"),
        pytest.param({}, [(2, 7, 4)], r"\(N, T, 3\), got", id="wrong-features"),
        pytest.param({}, [(2, 0, 3)], "one step or more", id="no-step"),
        pytest.param({"has_mask": True}, [(2, 7, 3), (2, 6)], "mask", id="short-mask"),
        pytest.param({"has_mask": True}, [(2, 7, 3), (2, 7, 1)], "mask", id="mask-of-rank-3"),
        pytest.param({"has_state": True}, [(2, 7, 3), (2, 5), (2, 4)], "state", id="wrong-state"),
        pytest.param({"has_state": True}, [(2, 7, 3), (1, 5), (2, 5)], "state", id="state-of-another-batch"),
        pytest.param({"has_state": True}, [(2, 7, 3), (2, 5)], "3 inputs", id="a-state-is-missing"),
    ],
)
def test_wrong_inputs_are_refused_before_any_kernel_runs(options, shapes, words):
    with pytest.raises(ShapeError, match=words):
        filled(LSTM(3, 5, **options))(*map(np.zeros, shapes))


def test_weights_must_be_there_and_fit():
    with pytest.raises(MissingWeightsError, match="weight_hh"):
        LSTM(3, 5, weight_ih=np.zeros((20, 3)), bias_ih=np.zeros(20))(np.zeros((1, 1, 3)))
    with pytest.raises(ShapeError, match="weight_ih"):
        GRU(3, 5, weight_ih=np.zeros((20, 3)))


@pytest.mark.parametrize("arguments", [(0,), (-1,), (0, -2), (-2, "end"), (1, 3), (4, 2), (-9, 9)])
def test_steps_are_numpys(arguments):
    x, start, *stop = random(3, 2, 5, 3), *arguments
    wanted = x[:, slice(start, None if stop == ["end"] else stop[0])] if stop else x[:, start]
    module = Steps(*arguments)
    np.testing.assert_array_equal(module(x), wanted)
    assert module.output_shape(x.shape) == wanted.shape
    assert module.output_shape((None, None, 3)) == ((None, None, 3) if stop else (None, 3))


def test_a_step_that_is_not_there_is_refused():
    with pytest.raises(ShapeError, match="such a step"):
        Steps(5)(np.zeros((2, 5, 3)))


# --- from files that no installed Keras writes ------------------------------------------------------------------------


def file_of(path, class_name, version, bias=None, **options):
    """Write a layer of 5 units on sequences of 3 features, as an old Keras did, and convert it."""
    gates = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[class_name.removeprefix("CuDNN")]
    shapes = {"kernel:0": (3, 5 * gates), "recurrent_kernel:0": (5, 5 * gates), "bias:0": bias or (5 * gates,)}
    weights = {name: random(place, *shape) for place, (name, shape) in enumerate(shapes.items())}
    config = files.sequential((class_name, {"name": "r", "trainable": True, "units": 5, **options}), shape=(None, 4, 3))
    return from_keras(files.write_h5(path / "m.h5", config, {"r": weights}, version), strict=False)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("2.2.4", ("HardSigmoid", 0.2, 0.5, 1.0)), ("2.3.0", "Sigmoid"), ("3.0.0", "Sigmoid")],
)
def test_the_gates_function_that_is_not_named_depends_on_the_version(tmp_path, version, wanted):
    (node,) = file_of(tmp_path, "LSTM", version).graph.nodes
    assert node.module.recurrent_activation == wanted
    assert node.module.activation == "Tanh"


@pytest.mark.parametrize(("version", "bias", "wanted"), [("2.1.6", None, False), ("3.0.0", (2, 15), True)])
def test_reset_after_that_is_not_named_depends_on_the_version(tmp_path, version, bias, wanted):
    (node,) = file_of(tmp_path, "GRU", version, bias).graph.nodes
    assert node.module.reset_after is wanted


@pytest.mark.parametrize("class_name", ["LSTMV1", "LSTMV2", "UnifiedLSTM", "GRUV1", "GRUV2", "UnifiedGRU"])
def test_older_class_names_are_understood(tmp_path, class_name):
    plain = class_name.removeprefix("Unified").removesuffix("V1").removesuffix("V2")
    config = files.sequential((class_name, {"name": "r", "units": 5, "use_bias": False}), shape=(None, 4, 3))
    rows = 5 * (4 if plain == "LSTM" else 3)
    weights = {"kernel:0": np.zeros((3, rows)), "recurrent_kernel:0": np.zeros((5, rows))}
    model = from_keras(files.write_h5(tmp_path / "m.h5", config, {"r": weights}), strict=False)
    assert type(model.graph.nodes[0].module).__name__ == plain


@pytest.mark.parametrize(
    ("class_name", "options", "words"),
    [
        pytest.param("LSTM", {"time_major": True}, "time_major=True", id="time-major"),
        pytest.param("LSTM", {"activation": "glu"}, "activation='glu'", id="glu"),
        pytest.param("GRU", {"recurrent_activation": "wave"}, "recurrent_activation='wave'", id="unknown-function"),
        pytest.param("GRU", {"units": 0}, "units=0", id="no-units"),
        pytest.param("SimpleRNN", {"window": 3}, "window=3", id="unknown-option"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(tmp_path, class_name, options, words):
    with pytest.raises(KerasInteropError, match=f"{class_name} with {words}"):
        file_of(tmp_path, class_name, "2.4.0", **options)


def test_masked_outputs_that_keras_sets_to_zero_in_another_order_are_refused(tmp_path):
    options = {"unroll": True, "go_backwards": True, "return_sequences": True, "zero_output_for_mask": True}
    layers = ("Masking", {"name": "m"}), ("LSTM", {"name": "r", "units": 5, **options})
    path = files.write_h5(tmp_path / "m.h5", files.sequential(*layers, shape=(None, 4, 3)), {})
    with pytest.raises(KerasInteropError, match="LSTM with unroll=True"):
        from_keras(path, strict=False)


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4"])
def test_a_stateful_layer_of_an_old_sequential_file_fixes_the_batch(tmp_path, version):
    options = {"name": "r", "stateful": True, "batch_input_shape": [2, None, 3]}
    options |= {"units": 5} if version > "2" else {"output_dim": 5}
    entry = {"class_name": "SimpleRNN", "config": options}
    weights = {"kernel:0": random(0, 3, 5), "recurrent_kernel:0": random(1, 5, 5), "bias:0": random(2, 5)}
    if version < "2":
        weights = dict(zip(("r_W", "r_U", "r_b"), weights.values(), strict=True))
    config = {"class_name": "Sequential", "config": [entry]}
    model = from_keras(files.write_h5(tmp_path / "m.h5", config, {"r": weights}, version), strict=False)
    assert [given.shape for given in model.graph.inputs] == [(2, None, 3), (2, 5)]
    x = random(3, 2, 4, 3)
    whole = model.predict(x)
    model.reset_states()
    for t in range(4):
        last = model.predict(x[:, t : t + 1])
    np.testing.assert_array_equal(last, whole)


def test_a_stateful_layer_without_a_batch_size_is_refused(tmp_path):
    with pytest.raises(KerasInteropError, match="SimpleRNN with stateful=True, without a fixed batch size"):
        file_of(tmp_path, "SimpleRNN", "2.2.4", stateful=True)
