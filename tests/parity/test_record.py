"""Recordings of both Kerases beside KeyDNN's graphs: each output is found by its path and call, and has its values."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keydnn import RecordingError, from_keras
from keydnn.reference import evaluate
from keydnn.verify.record import record
from keydnn.verify.recorder.command import record_file
from keydnn.verify.recorder.inputs import make_input
from keydnn.verify.recorder.library import Library
from keydnn.verify.recorder.lines import Problem
from keydnn.verify.recorder.writing import FORMAT, Writer
from keydnn.verify.recorder.writing import record as run_and_record
from keydnn.verify.recording import read_recording
from tests.parity.kerases import FOLDER, KERASES, answer, filled, in_order, quiet
from tests.within import assert_within

pytestmark = pytest.mark.parity
NAMES = {"keras3": "keras", "keras2": "tf_keras"}


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, and what of it one side alone has.

    Attributes
    ----------
    build
        From the Keras to the model.
    kerases
        Which of the two can build it.
    inside
        Layers that have landmarks, but whose outputs Keras does not give as one tensor: those inside of wrappers.
    unseen
        Layers that are recorded, and of which the graph has no node: sizes, masks.
    sources
        Where from.
    """

    build: Callable[..., Any]
    kerases: tuple[str, ...] = ("keras3", "keras2")
    inside: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("h5", "keras")


CASES: dict[str, Case] = {}


def case(**options):
    def add(build):
        CASES[build.__name__.replace("_", "-")] = Case(build, **options)
        return build

    return add


@case()
def sequential(k):
    return k.Sequential(
        [
            k.Input((8, 8, 3)),
            k.layers.Conv2D(4, 3, padding="same", activation="relu", name="c"),
            k.layers.BatchNormalization(name="n"),
            k.layers.MaxPooling2D(name="p"),
            k.layers.Flatten(name="f"),
            k.layers.Dense(5, activation="softmax", name="d"),
        ]
    )


@case()
def free_sizes(k):
    x = k.Input((None, None, 3))
    return k.Model(x, k.layers.GlobalAveragePooling2D()(k.layers.Conv2D(4, 3, strides=2)(x)))


@case()
def much_cut_off(k):
    x = k.Input((None, None, 1), name="x")
    return k.Model(x, k.layers.Conv2D(2, 3, strides=4, name="c")(k.layers.Cropping2D(20)(x)))


@case()
def a_shared_layer_whose_second_call_runs_first(k):
    x = k.Input((4,), name="x")
    shared = k.layers.Dense(4, name="shared")
    deep = shared(k.layers.Dense(4, name="b")(k.layers.Dense(4, activation="tanh", name="a")(x)))
    return k.Model(x, k.layers.Concatenate(name="c")([deep, shared(x)]))


@case()
def a_nested_model_called_twice(k):
    a = k.Input((4,), name="i")
    dense = k.layers.Dense(4, name="d")
    inner = k.Model(a, dense(k.layers.Activation("tanh", name="t")(dense(a))), name="inner")
    x, y = k.Input((4,), name="x"), k.Input((4,), name="y")
    deep = inner(k.layers.Dense(4, name="e")(x))
    return k.Model([x, y], k.layers.Subtract(name="sum")([deep, inner(y)]))


@case(sources=("live",))
def models_in_models_called_here_and_there(k):
    a = k.Input((4,), name="i")
    dense = k.layers.Dense(4, name="d")
    inner = k.Model(a, dense(k.layers.Activation("tanh", name="t")(dense(a))), name="inner")
    tail = k.Sequential([k.Input((4,)), k.layers.Dense(3, name="d"), k.layers.ReLU(name="r")], name="tail")
    b = k.Input((4,), name="j")
    middle = k.Model(b, tail(inner(b)), name="middle")
    x, y = k.Input((4,), name="x"), k.Input((4,), name="y")
    return k.Model([x, y], k.layers.Add(name="sum")([middle(inner(x)), middle(y), tail(y)]))


@case(inside=("t/inside", "m/model/e", "m/model/r", "s/l", "s/g"))
def wrappers(k):
    x = k.Input((5, 6), name="x")
    b = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True, name="lstm"), name="b")(x)
    t = k.layers.TimeDistributed(k.layers.Dense(6, name="n"), name="plain")(b)
    t = k.layers.TimeDistributed(k.layers.Conv1D(4, 2, name="inside"), name="t")(
        k.layers.Reshape((5, 3, 2), name="shape")(t)
    )
    t = k.layers.Reshape((5, 8), name="back")(t)
    i = k.Input((8,), name="i")
    model = k.Model(i, k.layers.ReLU(name="r")(k.layers.Dense(4, name="e")(i)), name="model")
    t = k.layers.TimeDistributed(model, name="m")(t)
    r = k.layers.RNN(k.layers.GRUCell(3, name="cell"), return_sequences=True, name="r")(t)
    return k.Model(x, k.layers.RNN([k.layers.LSTMCell(2, name="l"), k.layers.GRUCell(3, name="g")], name="s")(r))


@case()
def several_outputs(k):
    x = k.Input((5, 4), name="x")
    y, h, c = k.layers.LSTM(3, return_sequences=True, return_state=True, name="l")(x)
    z, f, b = k.layers.Bidirectional(k.layers.GRU(3, return_state=True, name="g"), name="b")(y)
    a, scores = k.layers.MultiHeadAttention(2, 3, name="m")(y, y, return_attention_scores=True)
    return k.Model(x, [k.layers.Add(name="s")([h, c, f, b]), z, a, scores])


@case()
def inputs_and_outputs_by_keys(k):
    ids, more = k.Input((5,), dtype="int32", name="z_ids"), k.Input((3,), name="a_more")
    e = k.layers.GlobalAveragePooling1D(name="g")(k.layers.Embedding(7, 3, name="e")(ids))
    made = {"z": k.layers.Add(name="s")([e, more]), "a": k.layers.Subtract(name="t")([e, more])}
    return k.Model({"z_ids": ids, "a_more": more}, made)


@case(unseen=("not_equal", "any", "not_equal_1"), sources=("keras", "live"))
def masks(k):
    ids = k.Input((6,), dtype="int32", name="ids")
    e = k.layers.Embedding(3, 4, mask_zero=True, name="e")(ids)
    r = k.layers.LSTM(3, return_sequences=True, name="l")(e)
    return k.Model(ids, k.layers.GRU(2, name="g")(k.layers.Masking(name="m")(r)))


@case(kerases=("keras3",), sources=("keras",))
def operations_of_keras3(k):
    x = k.Input((4, 6), name="x")
    y = k.ops.relu(x[:, 1:3] * 2 - 1)
    a, b = k.ops.split(y, 2, axis=-1)
    return k.Model(x, [k.ops.concatenate([a, b], axis=1), k.ops.mean(x, axis=1), k.layers.Dense(2, name="d")(y)])


@case(kerases=("keras2",))
def operations_of_keras2(k):
    import tensorflow as tf

    x = k.Input((4, 6), name="x")
    y = tf.nn.relu(x[:, 1:3] * 2 - 1)
    a, b = tf.split(y, 2, axis=-1)
    return k.Model(x, [tf.concat([a, b], axis=1), tf.reduce_mean(x, axis=1), k.layers.Dense(2, name="d")(y)])


@case(sources=("keras",))
def half_precision(k):
    policy = {"dtype": "mixed_float16"}
    x = k.Input((6,), name="x")
    return k.Model(x, k.layers.Dense(3, name="d", **policy)(k.layers.Dense(4, name="c", **policy)(x)))


def saved(name, which, source):
    """Give the file of a case and its model."""
    path = FOLDER / f"record-{name}-{which}.{source}"
    library = KERASES[which]
    with quiet():
        library.backend.clear_session()
        model = filled(CASES[name].build(library), 7)
        if source != "live":
            model.save(path)
    return path, model


def recorded(path, which, **options):
    out = Path(f"{path}.npz")
    with quiet():
        record_file(str(path), str(out), options.get("inputs", []), 2, options.get("seed", 0), NAMES[which])
    return read_recording(out)


def recorded_live(model, which, path):
    """Record a model as it is, which Keras could not load again."""
    out = Path(f"{path}.npz")
    with quiet(), out.open("wb") as file:
        writer, library = Writer(file), Library(NAMES[which])
        arrays = [make_input(model, place, 2, 0) for place in range(len(model.inputs))]
        made = run_and_record(library, model, arrays, writer)
        writer.finish({"format": FORMAT, "source": {"file": "m", "sha256": "0" * 64}, "seed": 0, **made})
    return read_recording(out)


@pytest.mark.parametrize(
    ("name", "which", "source"),
    [
        pytest.param(name, which, source, id=f"{name}-{which}-{source}")
        for name, one in CASES.items()
        for which in one.kerases
        for source in one.sources
    ],
)
def test_every_recorded_output_is_where_its_landmark_is(name, which, source):
    one = CASES[name]
    path, model = saved(name, which, source)
    live = source == "live"
    recording = recorded_live(model, which, path) if live else recorded(path, which)
    graph = from_keras(model if live else path, strict=False).graph
    marks = {(mark.layer, mark.call, mark.tensor): mark for mark in graph.landmarks}
    seen = {(a.layer, a.call, a.tensor): a for a in recording.activations}
    assert {layer for layer, _, _ in marks.keys() - seen.keys()} <= {*one.inside, *model_inputs(graph)}
    assert {layer for layer, _, _ in seen.keys() - marks.keys()} <= {*one.unseen}
    common = sorted(marks.keys() & seen.keys())
    assert common
    found = evaluate(graph, list(recording.inputs.values()))
    for key in common:
        bounded = found[marks[key].value]
        order = marks[key].order or range(bounded.value.ndim)
        wanted, error = (np.transpose(array, order) for array in (bounded.value, bounded.error))
        if seen[key].dtype == "float16":
            error = error + 0.01 * np.abs(wanted).max()  # rounded to 11 bits, sums too
        assert seen[key].array.shape == wanted.shape, key
        assert_within(seen[key].array, wanted, error)


def model_inputs(graph):
    return [given.name for given in graph.inputs]


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("name", ["a-nested-model-called-twice", "inputs-and-outputs-by-keys", "several-outputs"])
def test_inputs_and_outputs_are_the_models_in_keydnns_order_and_nothing_stays_wrapped(name, which):
    path, model = saved(name, which, "keras")
    recording = recorded(path, which)
    graph = from_keras(path, strict=False).graph
    assert list(recording.inputs) == [given.name for given in graph.inputs]
    assert list(recording.outputs) == [output.name for output in graph.outputs]
    inputs = list(recording.inputs.values())
    with quiet():
        library = KERASES[which]
        model = library.models.load_model(path)
        wanted = answer(model, dict(recording.inputs) if "keys" in name else inputs if len(inputs) > 1 else inputs[0])
    for found, array in zip(recording.outputs.values(), in_order(wanted, graph), strict=True):
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("which", NAMES)
def test_digests_of_weights_find_one_bit_and_no_layout(which):
    path, model = saved("sequential", which, "keras")
    before = recorded(path, which).weights
    assert set(before) == {"c", "n", "d"}
    kernel, bias = model.get_layer("d").get_weights()
    model.get_layer("d").set_weights([kernel[::-1].copy(), bias])
    changed = model.get_layer("c").get_weights()
    changed[0].view(np.uint32)[0, 0, 0, 0] ^= 1
    model.get_layer("c").set_weights(changed)
    with quiet():
        model.save(path)
    after = recorded(path, which).weights
    assert [layer for layer in before if before[layer] != after[layer]] == ["c"]


@pytest.mark.parametrize("which", NAMES)
def test_given_inputs_are_taken_and_seeds_give_others(which, tmp_path):
    path, _ = saved("sequential", which, "keras")
    np.save(tmp_path / "x.npy", np.full((3, 8, 8, 3), 0.25))
    found = recorded(path, which, inputs=[str(tmp_path / "x.npy")])
    assert found.seed is None
    np.testing.assert_array_equal(next(iter(found.inputs.values())), np.full((3, 8, 8, 3), 0.25, np.float32))
    first, same, other = (recorded(path, which, seed=seed) for seed in (1, 1, 2))
    x, y, z = (next(iter(one.inputs.values())) for one in (first, same, other))
    np.testing.assert_array_equal(x, y)
    recorded(path, which, seed=1)
    before = Path(f"{path}.npz").read_bytes()
    recorded(path, which, seed=1)
    assert Path(f"{path}.npz").read_bytes() == before
    assert x.shape == (2, 8, 8, 3)
    assert -1 <= x.min() < -0.9 < 0.9 < x.max() < 1
    assert (x != z).mean() > 0.9


@pytest.mark.parametrize("which", NAMES)
def test_weights_only_with_their_architecture(which, tmp_path):
    path, model = saved("sequential", which, "keras")
    (tmp_path / "a.json").write_text(model.to_json())
    with quiet():
        model.save_weights(tmp_path / "m.weights.h5")
        arguments = [str(tmp_path / name) for name in ("m.weights.h5", "r.npz", "a.json")]
        record_file(*arguments[:2], [], 2, 0, NAMES[which], arguments[2])
    whole, weights = recorded(path, which), read_recording(tmp_path / "r.npz")
    assert weights.weights == whole.weights
    np.testing.assert_array_equal(weights.outputs["d"], whole.outputs["d"])


def test_a_file_that_is_two_at_once_is_refused(tmp_path):
    """What is searched for code must be what Keras opens."""
    zipped, _ = saved("sequential", "keras3", "keras")
    hdf5, _ = saved("sequential", "keras2", "h5")
    both = tmp_path / "both.h5"
    both.write_bytes(hdf5.read_bytes() + zipped.read_bytes())
    with pytest.raises(Problem, match="at once"):
        record_file(str(both), str(tmp_path / "r.npz"), [], 2, 0, None)


@pytest.mark.parametrize("which", NAMES)
def test_free_sizes_are_as_large_as_the_model_needs(which):
    path, _ = saved("much-cut-off", which, "keras")
    assert recorded(path, which).inputs["x"].shape == (2, 96, 96, 1)


@pytest.mark.parametrize("which", NAMES)
def test_from_another_environment(which, tmp_path, monkeypatch):
    """As ``--python OTHER/bin/python`` does it: nothing of this process reaches the other but the words."""
    path, _ = saved("sequential", which, "h5")
    (tmp_path / "numpy.py").write_text("raise ImportError('this is not NumPy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    out = tmp_path / "r.npz"
    shown: list[str] = []
    done = record(path, out, python=Path(sys.executable), examples=3, progress=shown.append)
    assert done.startswith(
        "5 outputs of 5 layers, 3 examples, by " + ("keras 3" if which == "keras3" else "tf-keras 2")
    )
    assert "running d" in shown
    recording = read_recording(out)
    assert recording.source == path.name
    assert [a.layer for a in recording.activations] == ["c", "n", "p", "f", "d"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["numpy.py", "r.npz"]


def test_a_lambda_is_refused_before_any_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for which, library in KERASES.items():
        for source in ("h5", "keras"):
            path = tmp_path / f"{which}.{source}"
            with quiet():
                x = library.Input((2,))
                code = library.layers.Lambda(
                    lambda x: __import__("os").makedirs("ran", exist_ok=True) or x, (2,), name="f"
                )
                library.Model(x, library.layers.Dense(1)(code(x))).save(path)
            shutil.rmtree("ran", ignore_errors=True)  # Keras may have run it here
            with pytest.raises(RecordingError, match="the Lambda 'f' is Python code from the file"):
                record(path, tmp_path / "r.npz", python=Path(sys.executable))
            assert not Path("ran").exists()
