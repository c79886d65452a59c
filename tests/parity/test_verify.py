"""``keydnn verify`` beside both Kerases: untouched conversions agree layer by layer, and faults are named."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keydnn
from keydnn import from_keras
from keydnn.commandline import execute
from keydnn.model import Model
from keydnn.verify.comparison import compare
from keydnn.verify.rows import Tolerance
from tests.parity.alarms import (
    FOLDED,
    NAMES,
    cases_of,
    compared,
    compared_case,
    compared_random,
    unexplained,
)
from tests.parity.kerases import KERASES, filled, quiet
from tests.parity.test_record import CASES, recorded, saved
from tests.verify.test_faults import FAULTS, option

pytestmark = pytest.mark.parity

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = Path(__file__).parents[3] / "shared" / "data" / "models"
HALF = "half-precision"


def assert_no_alarm(found, recording):
    assert found.problem == ""
    assert found.agrees
    assert found.rows
    assert unexplained(found, recording) == []


# --- untouched conversions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "which"),
    [
        pytest.param(name, which, id=f"{name}-{which}")
        for name, one in CASES.items()
        for which in one.kerases
        if "keras" in one.sources and name != HALF
    ],
)
def test_converted_files_agree(name, which):
    path, _ = saved(name, which, "keras")
    recording = recorded(path, which)
    found = compare(from_keras(path, strict=False).graph, recording, Tolerance())
    assert found.problem == ""
    assert {*found.unmatched} <= {*CASES[name].unseen, *folded(recording)}


def folded(recording):
    return [one.layer for one in recording.activations if one.class_name == FOLDED]


@pytest.mark.parametrize("which", NAMES)
def test_half_precision_agrees_within_its_own_roundings(which):
    path, _ = saved(HALF, which, "keras")
    recording, graph = recorded(path, which), from_keras(path, strict=False).graph
    found = compare(graph, recording, Tolerance())
    assert found.agrees
    assert max(row.bounds for row in found.rows) > 1  # float32 would not explain it
    odd = [dataclasses.replace(one, array=one.array * np.float32(1.1)) for one in recording.activations]
    assert not compare(graph, dataclasses.replace(recording, activations=tuple(odd)), Tolerance()).agrees


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("*.h5")) + sorted(GOLDEN.glob("*.keras")), ids=lambda path: path.name
)
def test_golden_files_agree(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    recording = recorded(copy, path.name.split("_")[0])
    assert_no_alarm(compare(from_keras(path, strict=False).graph, recording, Tolerance()), recording)


CHOSEN = ("test_states", "test_text")


@pytest.mark.parametrize(
    ("case", "which"),
    [
        pytest.param(case, which, id=f"{case.id}-{which}")
        for file in CHOSEN
        for case in cases_of(file)
        for which in case.kerases
    ],
)
def test_models_of_other_tests_agree(case, which):
    assert_no_alarm(*compared_case(case, which))


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_random_models_agree(seed, which):
    assert_no_alarm(*compared_random(seed, which))


@pytest.mark.parametrize("which", NAMES)
def test_sequences_of_all_kinds_agree(which):
    """Recurrent layers forwards, backwards and in both directions, stacked cells, attention and what masks reach."""
    k = KERASES[which]
    layers = k.layers
    with quiet():
        ids, x = k.Input((6,), dtype="int32", name="ids"), k.Input((6, 4), name="x")
        e = layers.Embedding(5, 4, mask_zero=True, name="e")(ids)
        e = layers.Concatenate(name="both")([layers.LSTM(4, return_sequences=True, name="l")(e), x])
        g = layers.GRU(4, return_sequences=True, go_backwards=True, reset_after=False, name="g")(x)
        g = layers.GRU(4, return_sequences=True, reset_after=True, name="h")(g)
        b, *states = layers.Bidirectional(layers.LSTM(2, return_sequences=True, return_state=True), name="b")(e)
        s = layers.RNN([layers.LSTMCell(4), layers.GRUCell(4)], return_sequences=True, name="s")(b)
        a = layers.MultiHeadAttention(2, 3, name="m")(g, s, use_causal_mask=True)
        d = layers.Attention(name="d")([a, s])
        t = layers.TimeDistributed(layers.Dense(3, activation="tanh"), name="t")(layers.Add(name="r")([a, d]))
        model = filled(k.Model([ids, x], [t, layers.Concatenate(name="z")(states)]), 3)
    random = np.random.default_rng(0)
    arrays = [
        np.array([[1, 2, 3, 0, 0, 0], [4, 1, 1, 2, 2, 1]], np.int32),
        random.standard_normal((2, 6, 4)).astype("f4"),
    ]
    found, recording = compared(model, which, arrays)
    assert_no_alarm(found, recording)
    assert {row.layer for row in found.rows} >= {
        "e",
        "l",
        "g",
        "h",
        "b",
        "b [1]",
        "b [4]",
        "s",
        "m",
        "d",
        "t",
        "r",
        "z",
    }


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("invert", [False, True], ids=["forward", "back"])
def test_deviations_are_no_other_weights(which, invert):
    """Keras stores variances."""
    (case,) = [
        one for one in cases_of("test_standardize") if one.id == f"Normalization-adapted-rank-2{'-invert' * invert}"
    ]
    assert_no_alarm(*compared_case(case, which))


def test_a_name_with_a_slash_that_is_also_a_path_is_left_out():
    k = KERASES["keras2"]  # Keras 3 forbids the slash
    with quiet():
        a, x = k.Input((3,)), k.Input((3,))
        inner = k.Model(a, k.layers.Dense(3, name="b")(a), name="a")
        model = k.Model(x, k.layers.ReLU(name="r")(k.layers.Dense(3, name="a/b")(inner(x))))
    found, _ = compared(filled(model, 2), "keras2", np.ones((2, 3), np.float32))
    assert found.problem == ""
    assert found.unmatched == ["a/b (1 of 2)", "a/b (2 of 2)"]


# --- faults, through files and the command line -----------------------------------------------------------------------


def residual(k):
    """Give a small network of Keras that has what the faults of ``tests/verify`` need, under the same names."""
    layers = k.layers
    x = k.Input((12, 12, 3), name="x")
    a = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    b = layers.BatchNormalization(name="norm")(a)
    c = layers.Conv2D(3, 3, padding="same", name="conv_2")(layers.Activation("hard_sigmoid", name="gate")(b))
    d = layers.AveragePooling2D(3, 2, padding="same", name="pool")(layers.Add(name="add")([c, b]))
    e = layers.Dense(9, name="dense")(layers.Flatten(name="flatten")(d))
    return k.Model(x, layers.Softmax(name="softmax")(layers.Reshape((3, 3), name="rows")(e)))


@pytest.fixture(scope="module", params=NAMES)
def converted(request, tmp_path_factory):
    """Give the folder of a Keras file, its checkpoint and its recording."""
    folder = tmp_path_factory.mktemp(request.param)
    with quiet():
        KERASES[request.param].backend.clear_session()
        filled(residual(KERASES[request.param]), 11).save(folder / "model.h5")
    assert execute(["convert", str(folder / "model.h5"), str(folder / "model.json"), "--nostrict"]) == 0
    recorded(folder / "model.h5", request.param)
    return folder, request.param


def other_gate(graph, which):
    """Put the other Keras' hard sigmoid in."""
    numbers = {"slope": 0.2, "offset": 0.5} if which == "keras3" else {"slope": 1 / 6, "offset": 0.5}
    return option(graph, "gate", top=1.0, **numbers)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_checkpoint_is_named_first(converted, name, capsys, tmp_path):
    folder, which = converted
    fault, layer, _, _ = FAULTS[name]
    good = keydnn.load(folder / "model.json").graph
    bad = other_gate(good, which) if name.startswith("hard_sigmoid") else fault(good)
    Model(bad, name="bad").save(tmp_path / "bad.json")
    words = ["verify", str(tmp_path / "bad.json"), "--reference", str(folder / "model.h5.npz"), "--json"]
    capsys.readouterr()
    assert execute([*words, str(tmp_path / "found.json")]) == 1
    said = capsys.readouterr()
    assert f"layer {layer!r} (" in said.err
    assert f"first divergent layer: {layer} (" in said.out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["first_divergent_layer"] == layer
    assert [row["layer"] for row in found["layers"] if not row["agrees"]] == [layer]


def test_an_untouched_checkpoint_agrees(converted, capsys):
    folder, _ = converted
    assert execute(["verify", str(folder / "model.json"), "--reference", str(folder / "model.h5.npz")]) == 0
    assert "10 of 10 outputs of layers agree with Keras" in capsys.readouterr().out
    assert execute(["verify", str(folder / "model.json")]) == 0


def test_real_models_agree_and_one_wrong_number_is_found(tmp_path, capsys):
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: real files are not compared")
    source = tmp_path / "resnet8.h5"
    source.write_bytes((DATA / "pretrainedResnet.h5").read_bytes())
    recorded(source, "keras2")
    words = ["--reference", str(source) + ".npz"]
    assert execute(["convert", str(source), str(tmp_path / "m.json"), "--nostrict"]) == 0
    assert execute(["verify", str(tmp_path / "m.json"), *words]) == 0
    model = keydnn.load(tmp_path / "m.json")
    weights = model.state_dict()
    name = [key for key in weights if key.endswith(".weight")][3]
    changed = weights[name].copy()
    changed.view(np.uint32).flat[7] ^= 1
    model.load_state_dict({**weights, name: changed})
    model.save(tmp_path / "bad.json")
    capsys.readouterr()
    assert execute(["verify", str(tmp_path / "bad.json"), *words]) == 1
    assert f"layer {name.partition('.')[0]!r} (" in capsys.readouterr().err


# --- another Python ---------------------------------------------------------------------------------------------------

BLOCKED = """
import sys
for name in ("keras", "tf_keras", "tensorflow"): sys.modules[name] = None
from keydnn.commandline import execute
sys.exit(execute(sys.argv[1:]))
"""


def without_keras(*words):
    """Run a command in a process that cannot import Keras."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *map(str, words)], capture_output=True, text=True, timeout=240, check=False
    )


def test_beside_keras_of_another_environment(converted, tmp_path):
    folder, which = converted
    python = ("--python", sys.executable)
    done = without_keras("verify", folder / "model.json", "--source", folder / "model.h5", *python)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 of 10 outputs of layers agree with Keras" in done.stdout
    done = without_keras("record", folder / "model.h5", tmp_path / "r.npz", *python)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("keras 3" if which == "keras3" else "tf-keras 2") in done.stdout
    Model(option(keydnn.load(folder / "model.json").graph, "norm", eps=1e-2)).save(tmp_path / "bad.json")
    done = without_keras("verify", tmp_path / "bad.json", "--reference", tmp_path / "r.npz")
    assert done.returncode == 1
    assert "layer 'norm' (BatchNormalization)" in done.stderr.splitlines()[-1]
