"""Custom layers: read by functions that the user has written, held to the rules that builders are held to."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import keydnn
from keydnn import KerasFileError, KerasInteropError, MissingWeightsError, ParameterError, from_keras, load
from keydnn.commandline import execute
from keydnn.convert import reads
from keydnn.convert.build import hooks
from keydnn.convert.build.call import Value
from keydnn.modules import Add, Binary, Conv2d, Linear, Reduce, ReLU, Scalar, Sigmoid, Unary
from keydnn.reference import evaluate
from tests.convert import files
from tests.convert.statements import numbers
from tests.convert.test_shared_data import WILD, needs_data

KERNEL, ALPHA = numbers(4, 3), numbers(3, seed=1)
X = numbers(5, 4, seed=2)


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Begin without readers, and leave none."""
    monkeypatch.setattr(hooks, "HOOKS", {})


def custom(name="mine", **options):
    return "Mine", {"name": name, "trainable": True, "units": 3, **options}


def write(tmp_path, *layers, weights=None, shape=(None, 4), name="m.h5"):
    config = files.sequential(*(layers or [custom()]), shape=shape)
    return files.write_h5(tmp_path / name, config, weights if weights is not None else {"mine": {"kernel:0": KERNEL}})


def linear(layer):
    (kernel,) = layer.weights(kernel=(layer.input_shapes[0][1], layer.config["units"]))
    return Linear(*kernel.shape, use_bias=False, weight=kernel.T)


def keras3_file(tmp_path, registered="pkg>Mine", module="somewhere", arrays=(KERNEL,)):
    config = files.keras3_sequential(custom())
    config["config"]["layers"][1] |= {"module": module, "registered_name": registered}
    members = {
        "config.json": json.dumps(config),
        "metadata.json": json.dumps({"keras_version": "3.7.0"}),
        "model.weights.h5": files.archive_weights({"layers/mine": arrays}),
    }
    return files.write_archive(tmp_path / "m.keras", members)


# --- what a reader gives ----------------------------------------------------------------------------------------------


def test_one_module_takes_the_layers_place(tmp_path):
    assert reads("Mine")(linear) is linear
    model = from_keras(write(tmp_path))
    np.testing.assert_allclose(model.predict(X), X @ KERNEL, rtol=1e-5, atol=1e-6)
    (node,) = model.graph.nodes
    assert (node.name, node.origin.layer, node.origin.class_name) == ("mine", "mine", "Mine")
    model.save(tmp_path / "m.json")
    (rewrite,) = load(tmp_path / "m.json").source["rewrites"]
    assert rewrite == {"layer": "mine", "class": "Mine", "what": "read by linear of test_hooks.py, as stated"}


def test_a_list_of_modules_is_applied_in_its_order(tmp_path):
    reads("Mine")(lambda layer: [linear(layer), ReLU(), Scalar("subtract", 1.0)])
    model = from_keras(write(tmp_path))
    np.testing.assert_allclose(model.predict(X), np.maximum(X @ KERNEL, 0) - 1, rtol=1e-5, atol=1e-6)
    assert [node.name for node in model.graph.nodes] == ["mine.part1", "mine.part2", "mine"]


def test_a_graph_of_modules_is_emitted(tmp_path):
    @reads("Mine")
    def gated(layer):
        (x,) = layer.inputs
        gate = layer.emit(Sigmoid(), x, part="gate")
        return layer.emit(Add(), gate, x)

    model = from_keras(write(tmp_path, weights={}))
    np.testing.assert_allclose(model.predict(X), 1 / (1 + np.exp(-X)) + X, rtol=1e-5)


def test_a_reader_sees_the_layer(tmp_path):
    seen = {}

    @reads("Mine")
    def look(layer):
        seen.update(vars(layer), shapes=layer.input_shapes)
        layer.config["units"] = 99  # a copy
        return linear_of(layer)

    def linear_of(layer):
        return Linear(4, 3, use_bias=False, weight=layer.weights(kernel=(4, 3))[0].T)

    from_keras(write(tmp_path))
    assert (seen["name"], seen["class_name"], seen["keras_version"]) == ("mine", "Mine", (2, 4, 0))
    assert seen["shapes"] == ((None, 4),)
    assert [(w.name, w.shape, w.dtype) for w in seen["stored"]] == [("mine/kernel:0", (4, 3), "float32")]
    assert seen["mask"] is None


def test_several_inputs_and_calls(tmp_path):
    reads("Mine")(lambda layer: layer.emit(Add(), *layer.inputs))
    node = [[["x", 0, 0, {}], ["x", 0, 0, {}]]]
    again = [[["mine", 0, 0, {}], ["x", 0, 0, {}]]]
    layers = [
        {"class_name": "InputLayer", "name": "x", "config": {"batch_input_shape": [None, 4]}, "inbound_nodes": []},
        {"class_name": "Mine", "name": "mine", "config": custom()[1], "inbound_nodes": [*node, *again]},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["mine", 1, 0]]}
    path = files.write_h5(tmp_path / "m.h5", {"class_name": "Functional", "config": config}, {})
    np.testing.assert_allclose(from_keras(path).predict(X), 3 * X, rtol=1e-6)
    hooks.HOOKS.clear()
    reads("Mine")(lambda layer: ReLU())
    with pytest.raises(ParameterError, match="gave modules for 2 inputs"):
        from_keras(path)


def test_several_outputs_are_a_list(tmp_path):
    reads("Mine")(lambda layer: [layer.emit(ReLU(), *layer.inputs), layer.emit(Sigmoid(), *layer.inputs, part="b")])
    assert from_keras(write(tmp_path, weights={})).graph.nodes[0].name == "mine"


def test_images_are_read_channels_first(tmp_path):
    kernel = numbers(1, 1, 3, 2)

    @reads("Mine")
    def one_by_one(layer):
        (given,) = layer.weights(kernel=(1, 1, 3, 2))
        x = layer.channels_first(layer.inputs[0])
        conv = Conv2d(3, 2, 1, use_bias=False, weight=given.transpose(3, 2, 0, 1))
        return layer.channels_last(layer.emit(conv, x))

    path = write(tmp_path, weights={"mine": {"kernel:0": kernel}}, shape=(None, 4, 5, 3))
    x = numbers(2, 4, 5, 3, seed=3)
    found = from_keras(path, channels_last="transpose").predict(x)
    np.testing.assert_allclose(found, x @ kernel[0, 0], rtol=1e-4, atol=1e-5)
    with pytest.raises(KerasInteropError, match="Keras Mine with channels last is not supported"):
        from_keras(path)


def test_inside_of_wrappers_and_models(tmp_path):
    reads("Mine")(lambda layer: ReLU())
    inner = {
        "class_name": "Sequential",
        "config": {"name": "in", "layers": [{"class_name": c, "config": o} for c, o in [custom()]]},
    }
    entries = [
        ("Sequential", inner["config"]),
        ("TimeDistributed", {"name": "each", "layer": {"class_name": "Mine", "config": custom("m")[1]}}),
    ]
    model = from_keras(files.write_h5(tmp_path / "m.h5", files.sequential(*entries, shape=(None, 3, 4)), {}))
    assert {node.origin.layer for node in model.graph.nodes} >= {"in/mine", "each/m"}


# --- which reader -----------------------------------------------------------------------------------------------------


def test_names_of_keras_3(tmp_path):
    reads("pkg>Mine")(linear)
    np.testing.assert_allclose(from_keras(keras3_file(tmp_path)).predict(X), X @ KERNEL, rtol=1e-5, atol=1e-6)
    with pytest.raises(KerasInteropError, match="Unsupported Keras layer: other>Mine"):
        from_keras(keras3_file(tmp_path, "other>Mine"))


@pytest.mark.parametrize(
    ("registered", "module"), [("other>Mine", "a.b"), ("Mine", "a.b"), (None, "a.b"), ("Mine", None)]
)
def test_a_bare_name_reads_every_package(tmp_path, registered, module):
    reads("Mine")(linear)
    assert from_keras(keras3_file(tmp_path, registered, module)).graph.nodes


def test_the_full_name_goes_first(tmp_path):
    reads("Mine")(lambda layer: pytest.fail("the wrong reader"))
    reads("pkg>Mine")(linear)
    assert from_keras(keras3_file(tmp_path)).graph.nodes


@pytest.mark.parametrize("name", ["Dense", "ops>Add", "ops>Whatever", "tf>strings.join"])
def test_keras_own_classes_cannot_be_read_otherwise(name):
    with pytest.raises(ParameterError, match="a class of Keras, which KeyDNN reads itself"):
        reads(name)


def test_a_lambda_is_read_by_no_hook(tmp_path):
    reads("Lambda")(lambda layer: ReLU())
    with pytest.raises(KerasInteropError, match="Unsupported Keras layer: Lambda"):
        from_keras(write(tmp_path, ("Lambda", {"name": "f", "function": ["4wEA", None, None]}), weights={}))


def test_two_readers_of_a_class_are_refused_but_not_the_same_one_twice():
    reads("Mine")(linear)
    reads("Mine")(linear)
    with pytest.raises(ParameterError, match=r"reads\('Mine'\): has a reader already, linear of test_hooks.py"):
        reads("Mine")(lambda layer: ReLU())


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ("", {}, "a name is expected"),
        (linear, {}, "a name is expected"),
        ("Mine", {"mask": "maybe"}, 'mask must be "refused", "ends" or "passes"'),
    ],
)
def test_reads_says_what_it_takes(given, options, words):
    with pytest.raises(ParameterError, match=words):
        reads(given, **options)


def test_what_is_no_function_is_refused():
    with pytest.raises(ParameterError, match="a function is expected, not 3"):
        reads("Mine")(3)


def test_an_object_may_be_a_reader(tmp_path):
    class Reader:
        def __call__(self, layer):
            return linear(layer)

    reads("Mine")(Reader())
    assert from_keras(write(tmp_path)).source["rewrites"][0]["what"] == "read by Reader, as stated"


def test_keydnn_alone_has_reads():
    code = "import sys, keydnn; assert 'keydnn.convert' not in sys.modules; print(keydnn.convert.reads.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "reads\n"
    assert keydnn.convert.reads is reads


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [None, 3, [], "ReLU", [ReLU(), 3], ReLU, {}])
def test_nonsense_names_the_reader_and_the_layer(tmp_path, made):
    @reads("Mine")
    def odd(layer):
        linear(layer)
        return made

    with pytest.raises(
        ParameterError, match=r"m.h5: layer 'mine' \(Mine\): its reader, .*odd of test_hooks.py: .* gave"
    ):
        from_keras(write(tmp_path))


def test_values_of_other_calls_are_refused(tmp_path):
    reads("Mine")(lambda layer: Value("other", (None, 4)))
    with pytest.raises(ParameterError, match="is no value of this call"):
        from_keras(write(tmp_path, weights={}))
    hooks.HOOKS.clear()
    reads("Mine")(lambda layer: layer.emit(ReLU(), Value("other", (None, 4))))
    with pytest.raises(ParameterError, match="is no value of this call"):
        from_keras(write(tmp_path, weights={}))
    hooks.HOOKS.clear()
    reads("Mine")(lambda layer: layer.emit("ReLU", *layer.inputs))
    with pytest.raises(ParameterError, match="emit: a module and what it reads"):
        from_keras(write(tmp_path, weights={}))


def test_an_error_of_a_reader_is_chained(tmp_path):
    reads("Mine")(lambda layer: layer.config["missing"])
    with pytest.raises(ParameterError, match=r"layer 'mine' \(Mine\): its reader, .*: KeyError: 'missing'") as caught:
        from_keras(write(tmp_path))
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_module_that_does_not_fit_is_an_error_of_the_reader(tmp_path):
    reads("Mine")(lambda layer: Linear(7, 3, weight=np.zeros((3, 7)), bias=np.zeros(3)))
    with pytest.raises(ParameterError, match="ShapeError"):
        from_keras(write(tmp_path, weights={}))


def test_weights_that_are_not_read_are_an_error(tmp_path):
    reads("Mine")(lambda layer: ReLU())
    with pytest.raises(KerasFileError, match="layer 'mine' does not use its weight 'mine/kernel:0'"):
        from_keras(write(tmp_path))
    hooks.HOOKS.clear()

    @reads("Mine")
    def ignoring(layer):
        layer.ignore_weights("kernel")
        return ReLU()

    assert from_keras(write(tmp_path)).graph.nodes


def test_weights_that_are_missing_or_of_another_shape_are_an_error(tmp_path):
    reads("Mine")(lambda layer: layer.weights(kernel=(4, 3), alpha=(3,)))
    with pytest.raises(MissingWeightsError, match="alpha of shape"):
        from_keras(write(tmp_path))
    hooks.HOOKS.clear()
    reads("Mine")(lambda layer: layer.weights(kernel=(3, 4)))
    with pytest.raises(KerasFileError, match=r"m.h5: .*kernel .* has shape \(4, 3\) in the file"):
        from_keras(write(tmp_path))


def test_arguments_of_a_call_are_refused(tmp_path):
    reads("Mine")(lambda layer: ReLU())
    layers = [
        {"class_name": "InputLayer", "name": "x", "config": {"batch_input_shape": [None, 4]}, "inbound_nodes": []},
        {"class_name": "Mine", "name": "mine", "config": {}, "inbound_nodes": [[["x", 0, 0, {"rate": 2}]]]},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["mine", 0, 0]]}
    with pytest.raises(KerasInteropError, match="Unsupported Keras layer: Mine called with rate=2"):
        from_keras(files.write_h5(tmp_path / "m.h5", {"class_name": "Functional", "config": config}, {}))


@pytest.mark.parametrize("mask", ["refused", "ends", "passes"])
def test_masks_are_refused_end_or_pass(tmp_path, mask):
    seen = []

    @reads("Mine", mask=mask)
    def unchanged(layer):
        seen.append(layer.mask)
        return layer.inputs[0]

    pool = ("GlobalAveragePooling1D", {"name": "p", "data_format": "channels_last"})
    path = write(
        tmp_path, ("Masking", {"name": "k", "mask_value": 0.0}), custom(), pool, weights={}, shape=(None, 3, 4)
    )
    if mask == "refused":
        with pytest.raises(KerasInteropError, match="called with a mask"):
            from_keras(path, strict=False)
        return
    x = numbers(2, 3, 4)
    x[:, 1] = 0
    divisor = 3 if mask == "ends" else 2
    np.testing.assert_allclose(from_keras(path, strict=False).predict(x), x.sum(1) / divisor, rtol=1e-5, atol=1e-6)
    assert seen[0].shape == (None, 3)


# --- the command line -------------------------------------------------------------------------------------------------

FILE = """
import keydnn
from keydnn.modules import Linear

SIZE = 3


@keydnn.convert.reads("Mine")
def mine(layer):
    (kernel,) = layer.weights(kernel=(4, SIZE))
    return Linear(4, SIZE, use_bias=False, weight=kernel.T)
"""


def test_the_command_line_runs_the_users_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    (tmp_path / "my layers.py").write_text(FILE)
    assert execute(["inspect", "m.h5", "--hooks", "my layers.py"]) == 0
    out = capsys.readouterr().out
    assert "read by mine of my layers.py, as stated" in " ".join(out.split())
    assert "--dst model.json --hooks 'my layers.py'" in out
    assert execute(["convert", "m.h5", "m.json", "--hooks", "my layers.py"]) == 0
    np.testing.assert_allclose(load(tmp_path / "m.json").predict(X), X @ KERNEL, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.py", "raise ValueError('no')", "--hooks a.py: ValueError: no"),
        ("a.py", "def", "--hooks a.py: SyntaxError"),
        ("a.txt", "", "a Python file (.py) is expected"),
        ("nothere.py", None, "--hooks nothere.py: FileNotFoundError"),
    ],
)
def test_a_file_that_cannot_be_run_is_wrong_usage(tmp_path, monkeypatch, capsys, name, text, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    assert execute(["convert", "m.h5", "m.json", "--hooks", name]) == 2
    assert words in capsys.readouterr().err


# --- a stranger's file ------------------------------------------------------------------------------------------------


def instance_norm(layer):
    """keras-contrib's InstanceNormalization(axis=None): ``(x - mean) / (std + epsilon) * gamma + beta``."""
    (x,) = layer.inputs
    gamma, beta = (weight.item() for weight in layer.weights(gamma=(1,), beta=(1,)))
    mean = layer.emit(Reduce("mean", (1, 2, 3), True), x, part="mean")
    centered = layer.emit(Binary("subtract"), x, mean, part="centered")
    square = layer.emit(Unary("square"), centered, part="square")
    deviation = layer.emit(
        Unary("sqrt"), layer.emit(Reduce("mean", (1, 2, 3), True), square, part="variance"), part="std"
    )
    deviation = layer.emit(Scalar("add", layer.config["epsilon"]), deviation, part="divisor")
    normal = layer.emit(Binary("divide"), centered, deviation, part="normal")
    return layer.emit(Scalar("add", beta), layer.emit(Scalar("multiply", gamma), normal, part="scaled"))


@needs_data
def test_a_generator_with_reflected_borders_and_instance_normalization():
    """Its Lambdas pad by the number in their closure, which the message shows; the rest is keras-contrib's class."""
    path = WILD / "44eccc04569d.h5"
    with pytest.raises(KerasInteropError) as caught:
        from_keras(path, strict=False)
    lambdas = [obstacle for obstacle in caught.value.obstacles if obstacle.class_name == "Lambda"]
    sizes = {o.layer: int(o.found.partition("closure [")[2].partition("]")[0]) for o in lambdas}
    assert sorted(sizes.values()) == [1, 1, 1, 1, 1, 1, 3, 3]
    stated = {name: f"pad(x, ((0, 0), ({n}, {n}), ({n}, {n}), (0, 0)), reflect)" for name, n in sizes.items()}
    reads("InstanceNormalization")(instance_norm)
    model = from_keras(path, strict=False, lambdas=stated)
    x = numbers(1, 48, 48, 3, low=-1, high=1)
    y = model.predict(x)
    assert y.shape == (1, 48, 48, 3)
    ((_, wanted),) = [
        (name, value) for name, value in evaluate(model.graph, [x]).items() if name == model.graph.outputs[0].value
    ]
    assert np.abs(y - wanted.value).max() < 1e-4
    assert np.abs(y).max() <= 1  # tanh


@needs_data
def test_strangers_lambdas_become_what_is_stated():
    """The last step of an LSTM, whose shape the file says; the mean about which a variational autoencoder samples."""
    model = from_keras(WILD / "3dae5382dede.h5", strict=False, lambdas={"last_hidden_state": "x[:, -1, :]"})
    assert model.graph.shapes["last_hidden_state"] == (None, 64)
    with pytest.raises(KerasInteropError, match=r"where the file says output_shape=\[64\]"):
        from_keras(WILD / "3dae5382dede.h5", strict=False, lambdas={"last_hidden_state": "x"})
    model = from_keras(WILD / "5646a177df97.h5", strict=False, lambdas={"lambda_1": "x0"})
    (given,) = model.graph.inputs
    assert np.isfinite(model.predict(numbers(2, *given.shape[1:], low=0, high=1))).all()
