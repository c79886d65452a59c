"""Lambdas in files: their code is named and never touched, and they become what the user says that they stand for."""

from __future__ import annotations

import base64
import hashlib
import json
import marshal
import subprocess
import sys

import numpy as np
import pytest

from keydnn import KerasInteropError, ParameterError, from_keras, load
from keydnn.commandline import execute
from keydnn.convert.normalize.lambdas import write_out
from keydnn.convert.normalize.notes import Notes, Options
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef
from keydnn.errors import STATEMENT
from tests.convert import files
from tests.convert.statements import CODE, graph_of, numbers, value_of

P = numbers(2, 4, low=0.2)

# --- the layer's configuration ----------------------------------------------------------------------------------------


def test_arguments_are_numbers_by_name():
    config = {"arguments": {"scale": 3, "words": ["a"]}}
    notes = Notes(Options(lambdas={"f": "x * scale"}))
    graph_of("", (4,), config=config, notes=notes)
    assert notes.rewrites[0].what.endswith("stands for x * scale, as stated, with scale=3 from the file")
    np.testing.assert_array_equal(value_of("x * scale", P, config=config).value, np.float64(P) * 3)
    with pytest.raises(ParameterError, match="'words' is not known; the inputs are x, the arguments scale"):
        graph_of("x * words", (4,), config=config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"mask": CODE}, "has a mask of its own"),
        ({"mask": False}, "has a mask of its own"),
        ({"arguments": [1]}, "has arguments without names"),
        ({"strange": 1}, "has strange=1"),
    ],
)
def test_what_else_a_lambda_does_is_refused(config, words):
    with pytest.raises(KerasInteropError, match=words) as caught:
        graph_of("x", (4,), config=config)
    assert [obstacle.switch for obstacle in caught.value.obstacles] == [None]


A, B = TensorRef("in0"), TensorRef("in1")


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ((Call(({"a": A, "b": B},)),), "a dictionary of tensors"),
        ((Call(([A, 2.5],)),), "is called with the constant 2.5"),
        ((Call(([A, B],), {"scale": 3}),), "is called with scale=3"),
        ((Call(([A, B],)), Call((A,))), "another number of tensors each time"),
    ],
)
def test_calls_that_no_expression_sees_are_refused(calls, words):
    with pytest.raises(KerasInteropError, match=words):
        graph_of("x0", (4,), (4,), calls=calls)


def test_mask_and_training_of_a_call_do_not_reach_the_function():
    graph = graph_of("x0 + 1", (4,), (4,), calls=(Call((A, B), {"training": False, "mask": B}),))
    assert [node.inputs for node in graph.nodes] == [("in0",)]


def test_a_mask_that_an_old_keras_may_keep_or_drop_is_refused(tmp_path):
    config = files.sequential(("Masking", {"name": "k", "mask_value": 0.0}), code_layer(), shape=(None, 3, 4))
    path = files.write_h5(tmp_path / "m.h5", config, {}, "2.3.1")
    with pytest.raises(KerasInteropError, match="of a masked tensor"):
        from_keras(path, lambdas={"scale": "x"})
    assert from_keras(path, lambdas={"scale": "x + 0"}).graph.nodes


def test_a_shared_lambda_is_computed_at_each_call():
    calls = (Call((A,)), Call((TensorRef("f"),)))
    graph = graph_of("x * 2 + 1", (4,), calls=calls)
    assert [node.name for node in graph.nodes] == ["f.multiply", "f", "f.multiply@1", "f@1"]


@pytest.mark.parametrize(
    ("shape", "right"), [([3, 2], True), ([None, 2], True), ([2, 2], False), ([3], False), ([[3, 2]], True)]
)
def test_the_shape_that_the_file_says_must_be_the_outputs(shape, right):
    config = {"output_shape": shape, "output_shape_type": "raw"}
    if right:
        graph_of("x[:, :, :2]", (3, 4), config=config)
        return
    with pytest.raises(KerasInteropError, match=r"gives \(N, 3, 2\), where the file says output_shape="):
        graph_of("x[:, :, :2]", (3, 4), config=config)


def test_a_shape_that_is_code_says_nothing():
    graph_of("x[:, :2]", (4,), config={"output_shape": "4wEA", "output_shape_type": "lambda"})


def test_several_outputs_are_refused():
    notes = Notes(Options(lambdas={"f": "x"}))
    layers = (Layer("in0", "InputLayer", "", {}, ()), Layer("f", "Lambda", "", {"function": CODE}, (Call((A,)),)))
    model = KerasModel("m", "m.h5", (3,), layers, (A,), (TensorRef("f"), TensorRef("f", 0, 1)), ("f", "g"))
    write_out(model, notes)
    assert [obstacle.found[:21] for obstacle in notes.obstacles] == ["gives several tensors"]


# --- files ------------------------------------------------------------------------------------------------------------


def write(tmp_path, *layers, name="m.h5", shape=(None, 4)):
    weights = {"d": files.dense_weights()}
    return files.write_h5(tmp_path / name, files.sequential(files.dense(), *layers, shape=shape), weights)


def code_layer(name="scale", code="4wEAAA==\n", **options):
    return "Lambda", {"name": name, "function": [code, None, None], "function_type": "lambda", **options}


def test_without_a_statement_the_code_is_named_with_its_digest_and_the_flag(tmp_path):
    digest = hashlib.sha256(b"4wEAAA==\n").hexdigest()[:16]
    with pytest.raises(KerasInteropError) as caught:
        from_keras(write(tmp_path, code_layer(), code_layer("it's")))
    first, second = caught.value.obstacles
    assert first.message == "Unsupported Keras layer: Lambda"
    assert first.found == f"Python code, SHA-256 {digest}, which is never run; say what it stands for"
    assert (first.switch, first.flag, first.blocks) == (STATEMENT, "--lambda 'scale=...'", True)
    assert second.flag == """--lambda 'it'"'"'s=...'"""
    assert "says what 2 stand for" in str(caught.value)
    assert "--nostrict" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (["ab", [2.0], None], ", defaults [2.0]"),
        (["ab", None, [3]], ", closure [3]"),
        ({"class_name": "__lambda__", "config": {"code": "ab", "defaults": None, "closure": None}}, "SHA-256 fb8e20f"),
        ({"class_name": "__lambda__", "config": {"value": ["ab", None, None]}}, "SHA-256 fb8e20fc2e4c3f24"),
        ({"class_name": "function", "config": "mine", "registered_name": "mine"}, "the function 'mine' by its name"),
        ("mine", "the function 'mine' by its name, without its code"),
        ({"class_name": "os", "config": {"value": 3}}, "no code that Keras writes"),
        ([], "no code that Keras writes"),
        (None, "no code that Keras writes"),
    ],
)
def test_every_form_of_code_is_named(tmp_path, function, found):
    path = write(tmp_path, ("Lambda", {"name": "f", "function": function}))
    with pytest.raises(KerasInteropError) as caught:
        from_keras(path)
    assert found in caught.value.obstacles[0].found


def test_code_of_keras_1_is_text(tmp_path):
    path = write(tmp_path, ("Lambda", {"name": "f", "function": "\u00e3\u0001", "function_type": "lambda"}))
    with pytest.raises(KerasInteropError, match="Python code, SHA-256"):
        from_keras(path)


SPY = """
import sys
from keydnn import convert, from_keras
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event in ("marshal.loads", "exec", "compile") else None)
try:
    from_keras(sys.argv[1])
except Exception as error:
    print(type(error).__name__)
from_keras(sys.argv[1], lambdas={"scale": "x / 2"})
print(*seen, "run" in sys.modules)
"""


def test_code_is_neither_run_nor_unmarshalled(tmp_path):
    evil = compile("import sys; sys.modules['run'] = sys", "evil", "exec")
    path = write(tmp_path, code_layer(code=base64.b64encode(marshal.dumps(evil)).decode()))
    found = subprocess.run([sys.executable, "-c", SPY, path], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["KerasInteropError", "compile", "False"]  # ast.parse is a compile


def test_a_statement_is_recorded_in_the_checkpoint(tmp_path):
    model = from_keras(write(tmp_path, code_layer()), lambdas={"scale": " x/2 "})
    model.save(tmp_path / "m.json")
    (rewrite,) = load(tmp_path / "m.json").source["rewrites"]
    digest = hashlib.sha256(b"4wEAAA==\n").hexdigest()[:16]
    assert rewrite == {
        "layer": "scale",
        "class": "Lambda",
        "what": f"Python code, SHA-256 {digest}, stands for x/2, as stated",
    }
    x = numbers(3, 4)
    plain = from_keras(write(tmp_path, name="plain.h5"))
    np.testing.assert_array_equal(model.predict(x), plain.predict(x) / np.float32(2))
    assert [node.origin.class_name for node in model.graph.nodes] == ["Dense", "Lambda"]
    assert model.graph.landmarks[-1].layer == "scale"


def test_a_name_that_is_no_lambda_is_refused_with_those_that_are(tmp_path):
    path = write(tmp_path, code_layer())
    with pytest.raises(ParameterError, match=r"'d' is no Lambda of m.h5; its Lambdas are 'scale'"):
        from_keras(path, lambdas={"scale": "x", "d": "x"})
    with pytest.raises(ParameterError, match=r"'scale' is no Lambda of plain.h5; it has none"):
        from_keras(write(tmp_path, name="plain.h5"), lambdas={"scale": "x"})
    with pytest.raises(ParameterError, match="'scale' stands for, '3': no text"):
        from_keras(path, lambdas={"scale": 3})


def test_lambdas_in_nested_models_and_wrappers_are_named_by_their_path(tmp_path):
    inner = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [{"class_name": "Lambda", "config": code_layer("twice")[1]}]},
    }
    wrapped = {"class_name": "Lambda", "config": code_layer("first")[1]}
    layers = [(inner["class_name"], inner["config"]), ("TimeDistributed", {"name": "each", "layer": wrapped})]
    path = files.write_h5(tmp_path / "m.h5", files.sequential(*layers, shape=(None, 5, 4)), {})
    with pytest.raises(KerasInteropError) as caught:
        from_keras(path)
    assert [obstacle.layer for obstacle in caught.value.obstacles] == ["inner/twice", "each/first"]
    model = from_keras(path, lambdas={"inner/twice": "x * 2", "each/first": "x[:, :1]"})
    x = numbers(2, 5, 4)
    np.testing.assert_array_equal(model.predict(x), 2 * x[..., :1])


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, code_layer(), code_layer("other", "4wEB"))
    return tmp_path


def test_inspect_shows_code_and_what_it_stands_for(folder, capsys):
    assert execute(["inspect", "m.h5"]) == 0
    out = capsys.readouterr().out
    assert "Python code, SHA-256" in out
    assert "--lambda 'scale=...'" in out
    assert "m.h5: cannot be converted until --lambda says what its code stands for" in out
    assert execute(["inspect", "m.h5", "--lambda", "scale=x/2", "--lambda=other=x[:, ::-1]"]) == 0
    out = capsys.readouterr().out
    assert "stands for x/2, as" in out
    assert "--dst model.json --lambda 'scale=x/2' --lambda 'other=x[:, ::-1]'" in out


def test_inspect_shows_the_plan_of_what_it_stands_for(folder, capsys):
    assert execute(["inspect", "m.h5", "--plan", "--lambda", "scale=x/2", "--lambda", "other=x == 0"]) == 0
    assert "scale" in capsys.readouterr().out


def test_convert_takes_statements(folder, capsys):
    words = ["convert", "m.h5", "m.json", "--lambda", "scale=x/2", "--lambda", " other = x == 0 "]
    assert execute(words) == 0
    rewrites = json.loads((folder / "m.json").read_text())["source"]["rewrites"]
    assert [entry["what"].partition("stands")[2] for entry in rewrites] == [
        " for x/2, as stated",
        " for x == 0, as stated",
    ]


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        (2, ["--lambda", "scale"], "--lambda must be a layer's name, = and an expression"),
        (2, ["--lambda", "=x"], "--lambda must be a layer's name"),
        (2, ["--lambda", "scale="], "--lambda must be a layer's name"),
        (2, ["--lambda"], "--lambda needs a value"),
        (2, ["--lambda", "scale=x", "--lambda", "scale=-x"], "--lambda says twice what 'scale' stands for"),
        (1, ["--lambda", "scale=y"], "column 1: the name 'y' is not known"),
        (1, ["--lambda", "d=x"], "its Lambdas are 'scale', 'other'"),
        (1, ["--lambda", "scale=x"], "--lambda 'other=...'"),
    ],
)
def test_wrong_statements_are_refused_on_the_command_line(folder, capsys, status, words, message):
    assert execute(["convert", "m.h5", "m.json", *words]) == status
    assert message in capsys.readouterr().err
    assert not (folder / "m.json").exists()


def test_help_names_the_flag_as_it_is_typed(capsys):
    assert execute(["convert", "--help"]) == 0
    out = capsys.readouterr().out
    assert "[--lambda=LAMBDA ...]" in out
    assert "    lambda: what a Lambda" in out
