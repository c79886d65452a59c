"""Text and integers through the whole product: graph, plan, model, checkpoint, command line, file."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

import keydnn.checkpoint as checkpoint
from keydnn import Graph, Input, Model, Node, Output, ParameterError, Sequential, ShapeError, from_keras, load
from keydnn.commandline import execute
from keydnn.convert.read import archive
from keydnn.errors import CheckpointError, KerasFileError, KerasInteropError
from keydnn.examples import random_inputs
from keydnn.modules import (
    Concatenate,
    Count,
    Embedding,
    Flatten,
    HashedCross,
    Identity,
    IntegerLookup,
    InverseIntegerLookup,
    InverseStringLookup,
    Linear,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    StringLookup,
    TextVectorization,
    ToFloat,
)
from keydnn.plan.stages import Stages
from keydnn.profile import measure, measure_plan
from tests.checkpoint.samples import edited, filled, same
from tests.convert import files

WORDS = ("a", "b", "é", "hello")


def reader():
    """Read sentences and give two numbers for each."""
    return Sequential(
        TextVectorization(WORDS, output_length=3),
        filled(Embedding(6, 4)),
        Flatten(),
        filled(Linear(12, 2)),
        input_shape=(None, 1),
        input_dtype="string",
    )


def both_ends():
    """Lookups before and behind what is planned, and beside it; outputs of every type."""
    nodes = [
        Node("word", StringLookup(WORDS, 1), ("words",)),
        Node("number", IntegerLookup([1000, 7], 1), ("numbers",)),
        Node("cross", HashedCross(50), ("words", "numbers")),
        Node("float", ToFloat(), ("numbers",)),
        Node("scaled", Multiply(), ("word", "factor")),
        Node("relu", ReLU(), ("scaled",)),
        Node("back", InverseStringLookup(WORDS, "?", None, 1), ("relu",)),
        Node("integer", InverseIntegerLookup([5, 1 << 60], -1, None, 1), ("number",)),
        Node("again", StringLookup(WORDS, 1), ("back",)),
        Node("sum", Multiply(), ("again", "relu")),
    ]
    inputs = [Input("words", (None, 2), "string"), Input("numbers", (None, 2), "int64"), Input("factor", (None, 1))]
    names = ("back", "integer", "sum", "cross", "float", "numbers", "words", "relu")
    return Graph(inputs, nodes, [Output(name, name) for name in names])


X = {
    "words": np.array([["a", "zz"], ["hello", "é"], ["b", ""]]),
    "numbers": np.array([[7, 1000], [0, 7], [(1 << 24), -1]]),
    "factor": np.array([[1.0], [-1.0], [0.5]], np.float32),
}


# --- graph and plan ---------------------------------------------------------------------------------------------------


def test_every_value_has_a_dtype():
    found = both_ends().dtypes
    assert {name for name, dtype in found.items() if dtype == "string"} == {"words", "back"}
    assert {name for name, dtype in found.items() if dtype == "int64"} == {"numbers", "integer"}


def test_modules_refuse_other_dtypes():
    for module, dtype, message in (
        (ReLU(), "string", r"takes float32, got string"),
        (Embedding(5, 2), "int64", r"takes float32, got int64"),
        (StringLookup(["a"]), "float32", r"takes string, got float32"),
        (IntegerLookup([1]), "string", r"takes int64 or float32, got string"),
    ):
        with pytest.raises(ShapeError, match=f"node 'n': .*{message}"):
            Graph([Input("x", (None, 3), dtype)], [Node("n", module, ("x",))], [Output("y", "n")])
    with pytest.raises(ParameterError, match="dtype of input 'x' must be one of"):
        Graph([Input("x", (None,), "float16")], [], [Output("y", "x")])


def test_text_is_moved_as_numbers_are():
    nodes = [
        Node("flat", Flatten(), ("x",)),
        Node("same", Identity(), ("flat",)),
        Node("twice", Concatenate(1), ("same", "flat")),
        Node("square", Reshape((2, -1)), ("twice",)),
        Node("turned", Permute((0, 2, 1)), ("square",)),
        Node("ids", StringLookup(WORDS), ("turned",)),
    ]
    outputs = [Output("text", "turned"), Output("ids", "ids")]
    model = Model(Graph([Input("x", (None, 3, 1), "string")], nodes, outputs))
    text, ids = model([[["a"], ["b"], ["zz"]]])
    np.testing.assert_array_equal(text, [[["a", "a"], ["b", "b"], ["zz", "zz"]]])
    np.testing.assert_array_equal(ids, [[[1, 1], [2, 2], [0, 0]]])
    assert Flatten()([[1, 2]]).dtype == np.float32
    with pytest.raises(ShapeError, match="takes float32, got string"):
        Graph([Input("x", (None, 3)), Input("y", (None, 3), "string")], [Node("n", Concatenate(1), ("x", "y"))],
              [Output("n", "n")])  # fmt: skip


def test_the_plan_stands_between_lookups():
    stages = Stages(both_ends())
    names = [[node.name for node in part.nodes] for part in (stages.ahead, stages.program.graph, stages.behind)]
    assert names == [["word", "number", "cross", "float", "integer"], ["scaled", "relu"], ["back", "again", "sum"]]


def test_all_stages_give_what_the_graph_gives():
    graph = both_ends()
    model = Model(graph)
    wanted = graph.forward([X[given.name] for given in graph.inputs])
    for found in (model(X), model.predict(X, batch_size=1), model.predict(X, batch_size=2)):
        for output, array in zip(graph.outputs, wanted, strict=True):
            np.testing.assert_array_equal(found[output.name], array)
    assert model(X)["back"].dtype.kind == "U"
    assert model(X)["integer"].dtype == model(X)["numbers"].dtype == np.int64
    np.testing.assert_array_equal(model(X)["back"], [["a", "?"], ["?", "?"], ["a", "?"]])


def test_floats_alone_are_planned_as_ever():
    model = Sequential(ReLU(), input_shape=(None, 3))
    assert Stages(model.graph).program.graph is model.graph


def test_texts_without_a_word_are_no_plan():
    model = Sequential(TextVectorization(WORDS, padding_index=5, first_index=0), Count(5), ReLU(),
                       input_shape=(None, 1), input_dtype="string")  # fmt: skip
    np.testing.assert_array_equal(model([[""], [" "]]), np.zeros((2, 5)))
    assert model.predict(np.zeros((0, 1), "U1")).shape == (0, 5)


def test_batches_of_different_lengths_are_refused_with_the_way_out():
    model = Sequential(TextVectorization(WORDS), input_shape=(None,), input_dtype="string")
    x = ["a", "a b", "a b a"]
    with pytest.raises(ShapeError, match=r"different shapes, .*batch_size=len\(x\)"):
        model.predict(x, batch_size=1)
    np.testing.assert_array_equal(model.predict(x, batch_size=3), [[2, 0, 0], [2, 3, 0], [2, 3, 2]])


def test_inputs_of_another_type_are_refused_by_name():
    model = Model(both_ends())
    for name, value, message in (
        ("words", np.zeros((3, 2)), "input 'words' must be an array of text"),
        ("numbers", X["words"], "input 'numbers' must be an array of integers"),
        ("numbers", np.array([[0.5, 1]] * 3), "input 'numbers' must be an array of integers: it holds fractions"),
        ("numbers", np.array([[np.nan, 1]] * 3), "it holds fractions, NaN"),
        ("numbers", np.array([[1 << 63, 1]] * 3, np.uint64), "is beyond int64"),
        ("factor", X["words"][:, :1], "input 'factor' must be an array of numbers"),
        ("numbers", np.array([[(1 << 24) + 1, 1]] * 3), "node 'float': .* integers that float32 can hold"),
    ):
        with pytest.raises(ShapeError, match=message):
            model({**X, name: value})
    assert model({**X, "numbers": np.full((3, 2), (1 << 24) - 1)})["float"][0, 0] == (1 << 24) - 1
    whole = {**X, "numbers": X["numbers"].astype(np.float64)}
    np.testing.assert_array_equal(model(whole)["integer"], model(X)["integer"])


def test_random_inputs_are_words_and_ids_of_the_model():
    for graph in (both_ends(), reader().graph):
        arrays = random_inputs(graph)
        Model(graph)(arrays)
        assert len(measure(graph, arrays, 1)) == len(graph.nodes)
    latency = measure_plan(reader().graph, random_inputs(reader().graph), 2)
    assert latency.operations[0].row.computed == "looked up, and copied"


# --- checkpoint -------------------------------------------------------------------------------------------------------


def test_checkpoints_keep_dtypes_and_vocabularies(tmp_path):
    path = tmp_path / "m.json"
    for graph in (both_ends(), reader().graph):
        checkpoint.write(graph, path)
        assert same(checkpoint.read(path).graph, graph)
    Model(both_ends()).save(path)
    found = load(path)(X)
    for name, array in Model(both_ends())(X).items():
        np.testing.assert_array_equal(found[name], array)
    inputs = json.loads(path.read_text())["inputs"]
    assert [entry.get("dtype") for entry in inputs] == ["string", "int64", None]


def test_float32_is_not_written(tmp_path):
    path = tmp_path / "m.json"
    Sequential(ReLU(), input_shape=(None, 3)).save(path)
    assert json.loads(path.read_text())["inputs"] == [{"name": "input", "shape": [None, 3]}]


def parameter(node, name, value):
    def edit(content):
        content["nodes"][node]["parameters"][name] = value

    return edit


def dtype(value):
    def edit(content):
        content["inputs"][0]["dtype"] = value

    return edit


HOSTILE = {
    "dtype-float32": (dtype("float32"), r"inputs\[0\].dtype: must be one of int64, string"),
    "dtype-object": (dtype("object"), r"inputs\[0\].dtype: must be one of int64, string"),
    "dtype-number": (dtype(3), r"inputs\[0\].dtype: must be text"),
    "another-dtype": (dtype("int64"), "takes string, got int64"),
    "words-of-numbers": (parameter(0, "vocabulary", [1, 2]), "vocabulary must hold str only"),
    "nested-words": (parameter(0, "vocabulary", [["a"]]), "vocabulary must hold str only"),
    "word-twice": (parameter(0, "vocabulary", ["a", "b", "a"]), "vocabulary holds 'a' twice"),
    "no-words": (parameter(0, "vocabulary", []), "vocabulary must hold a token"),
    "text": (parameter(0, "vocabulary", "abc"), "vocabulary must be a list"),
    "object": (parameter(0, "vocabulary", {"a": 1}), "vocabulary"),
    "oov": (parameter(0, "num_oov_indices", 1 << 60), "num_oov_indices"),
    "oov-negative": (parameter(0, "num_oov_indices", -1), "num_oov_indices"),
    "salt": (parameter(0, "salt", [1]), "salt"),
    "salt-not-canonical": (parameter(0, "salt", 5), r"salt: must be \[5, 5\]"),
    "huge-integer": (parameter(1, "vocabulary", [9223372036854775808]), "int64"),
    "real": (parameter(1, "vocabulary", [1.0]), "vocabulary must hold int only"),
    "oov-token": (parameter(6, "oov_token", None), "vocabulary must hold str only"),
    "bins": (parameter(2, "num_bins", 1 << 40), "num_bins must be an integer <="),
}


@pytest.mark.parametrize(("edit", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_checkpoints_are_refused(tmp_path, edit, message):
    path = tmp_path / "m.json"
    checkpoint.write(both_ends(), path)
    edited(path, edit)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.read(path)


# --- command line -----------------------------------------------------------------------------------------------------


def test_the_command_line_reads_and_writes_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Model(both_ends()).save("m.json")
    for name, array in X.items():
        np.save(f"{name}.npy", array)
    assert execute(["run", "m.json", "words.npy", "numbers.npy", "factor.npy", "--output", "y.npy"]) == 0
    np.testing.assert_array_equal(np.load("y.back.npy"), Model(both_ends())(X)["back"])
    assert "back: <U1 (3, 2)" in capsys.readouterr().out
    np.save("bytes.npy", np.char.encode(X["words"], "utf-8"))
    assert execute(["run", "m.json", "bytes.npy", "numbers.npy", "factor.npy", "--top", "1"]) == 0
    assert "--top needs scores of shape (N, classes), not <U1 (3, 2)" in capsys.readouterr().out
    assert execute(["run", "m.json", "numbers.npy", "words.npy", "factor.npy"]) == 1
    assert "input 'words' must be an array of text" in capsys.readouterr().err
    np.save("objects.npy", X["words"].astype(object), allow_pickle=True)
    assert execute(["run", "m.json", "objects.npy", "numbers.npy", "factor.npy"]) == 1
    assert "nothing is ever unpickled" in capsys.readouterr().err


def test_the_command_line_shows_models_that_read_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reader().save("m.json")
    for words in (["inspect", "m.json"], ["inspect", "m.json", "--plan"], ["profile", "m.json", "--repeat", "1"],
                  ["profile", "m.json", "--repeat", "1", "--modules"], ["warmup", "m.json"]):  # fmt: skip
        assert execute(words) == 0
    out = capsys.readouterr().out
    assert "input, string" in out
    Sequential(StringLookup([str(number) for number in range(1000)]), input_shape=(None,), input_dtype="string").save(
        "n.json"
    )
    assert execute(["inspect", "n.json"]) == execute(["inspect", "n.json", "--plan"]) == 0
    out = capsys.readouterr().out
    assert "StringLookup(1000 values)" in out
    assert "nothing but lookups" in out
    assert execute(["profile", "n.json", "--repeat", "1"]) == 1


# --- vocabularies of files --------------------------------------------------------------------------------------------


def lookup_file(path, members, size=4, group="layers/string_lookup", version="3.15.0", **config):
    """Write a .keras file, as Keras does, with one StringLookup and some assets."""
    config = {"vocabulary": None, "vocabulary_size": size, "oov_token": "[UNK]", **config}
    layers = [
        {"class_name": "InputLayer", "name": "x", "config": {"batch_shape": [None, 1], "dtype": "string", "name": "x"}},
        {"class_name": "StringLookup", "module": "keras.layers", "config": {**config, "name": "look"}},
    ]
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group(f"{group}/vars")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        model = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
        opened.writestr("config.json", json.dumps(model))
        opened.writestr("metadata.json", json.dumps({"keras_version": version}))
        opened.writestr("model.weights.h5", weights.getvalue())
        for name, content in members.items():
            opened.writestr(name, content)
    return path


ASSET = "assets/layers/string_lookup/vocabulary.txt"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[UNK]\na\né\nb c", id="linux"),
        pytest.param("[UNK]\r\na\r\né\r\nb c", id="windows"),
    ],
)
def test_a_vocabulary_is_read_from_the_files_own_assets(tmp_path, content):
    model = from_keras(lookup_file(tmp_path / "m.keras", {ASSET: content.encode()}))
    np.testing.assert_array_equal(model([["é"], ["b c"], ["q"], ["[UNK]"]]), [[2], [3], [0], [0]])


@pytest.mark.parametrize(
    ("content", "size", "message"),
    [
        (b"[UNK]\na\nb", 4, "the vocabulary has 3 lines, but its configuration says 4"),
        (b"[UNK]\na\nb\n", 3, "the vocabulary has 4 lines, but its configuration says 3"),
        (b"[UNK]\na\na\nb", 4, "vocabulary holds 'a' twice"),
        (b"[UNK]\na\n\xff\nb", 4, "assets/layers/string_lookup/vocabulary.txt is not UTF-8 text"),
        (b"[UNK]", 1, "vocabulary must hold a token"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(tmp_path, content, size, message):
    with pytest.raises(KerasFileError, match=message):
        from_keras(lookup_file(tmp_path / "m.keras", {ASSET: content}, size))


def test_a_bomb_of_a_vocabulary_is_not_unpacked(tmp_path, monkeypatch):
    with pytest.raises(KerasFileError, match=r"vocabulary\.txt declares 104,857,600 bytes, but holds"):
        from_keras(lookup_file(tmp_path / "m.keras", {ASSET: bytes(100 << 20)}))
    monkeypatch.setattr(archive, "MAX_ASSET", 10)
    with pytest.raises(KerasFileError, match=r"vocabulary\.txt declares 13 bytes, more than 10"):
        from_keras(lookup_file(tmp_path / "m.keras", {ASSET: b"[UNK]\na\nb\nccc"}))


@pytest.mark.parametrize("place", ["/etc/hostname", "../secret.txt", "vocabulary.txt", "gs://bucket/words.txt"])
def test_a_path_in_the_configuration_is_never_opened(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vocabulary.txt").write_text("[UNK]\na\nb\nc")
    members = {"assets/vocabulary.txt": b"[UNK]\na\nb\nc", "assets/layers/string_lookup_1/vocabulary.txt": b"a"}
    with pytest.raises(KerasInteropError, match="a path; vocabularies are read from the file itself only"):
        from_keras(lookup_file(tmp_path / "m.keras", members, vocabulary=place))


def test_keras_2_13_counts_a_vocabulary_twice(tmp_path):
    """Its list of layers has those with weights twice, and a vocabulary that was learnt is a weight."""
    group = "_layer_checkpoint_dependencies/string_lookup"
    members = {f"assets/{group}/vocabulary.txt": b"[UNK]\na", f"assets/{group}_2/vocabulary.txt": b"[UNK]\nb"}
    path = lookup_file(tmp_path / "m.keras", members, 2, group, "2.13.1")
    config = {
        "class_name": "Functional",
        "config": {
            "name": "m",
            "layers": [
                {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                 "config": {"batch_input_shape": [None, 1], "dtype": "string", "name": "x"}},
                *({"class_name": "StringLookup", "name": name, "inbound_nodes": [[["x", 0, 0, {}]]],
                   "config": {"name": name, "vocabulary": None, "vocabulary_size": 2}} for name in "ab"),
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["a", 0, 0], ["b", 0, 0]],
        },
    }  # fmt: skip
    with zipfile.ZipFile(path) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    files.write_archive(path, contents | {"config.json": json.dumps(config)})
    found = from_keras(path)([["a"], ["b"]])
    np.testing.assert_array_equal(found, [[[1], [0]], [[0], [1]]])


def test_a_folder_has_assets_too(tmp_path):
    with zipfile.ZipFile(lookup_file(tmp_path / "m.keras", {ASSET: b"[UNK]\na\nb\nc"})) as archive:
        archive.extractall(tmp_path / "folder.keras")
    np.testing.assert_array_equal(from_keras(tmp_path / "folder.keras")([["b"]]), [[2]])


def test_text_that_no_layer_reads_is_refused_with_its_reader(tmp_path):
    path = tmp_path / "m.keras"
    lookup_file(path, {}, vocabulary=["a"], size=2)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1] = {"class_name": "ReLU", "module": "keras.layers", "config": {"name": "r"}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else content)
    with pytest.raises(KerasInteropError, match="reading string from 'x'"):
        from_keras(path)


@pytest.mark.parametrize("dtype", [{"dtype": "int64"}, {}], ids=["said", "not-said"])
def test_options_of_tensorflow_2_3(tmp_path, dtype):
    """Its lookups have values where later ones have tokens; a Sequential model may leave the dtype to the lookup."""
    config = files.sequential(
        ("IntegerLookup", {"name": "look", "max_values": 9, "num_oov_indices": 1, "mask_value": 0, "oov_value": -1,
                           "vocabulary": [1 << 40, 7]}),
        ("Discretization", {"name": "bins", "bins": [1.5, 2.5]}),
    )  # fmt: skip
    config["config"]["layers"][0]["config"].update(dtype)
    model = from_keras(files.write_h5(tmp_path / "m.h5", config, {}, version="2.4.0"))
    assert model.graph.inputs[0].dtype == "int64"
    np.testing.assert_array_equal(model(np.array([[0, (1 << 40) + 1, 1 << 40, 7]])), [[0, 0, 1, 2]])
