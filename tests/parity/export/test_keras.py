"""Every rule of the exporter to Keras in Keras itself, and real files, against the reference and Keras' own answers."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.export import keras as target
from keydnn.export.keras import translate
from keydnn.export.rules import rules_of
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import (
    Add,
    AvgPool2d,
    Concatenate,
    Constant,
    Conv2d,
    ConvTranspose2d,
    Crop2d,
    Cumulate,
    Flip,
    GlobalAvgPool2d,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool2d,
    Permute,
    ReLU,
    RepeatInterleave,
    Softmax,
    Sparsemax,
    Upsample2d,
    ZeroPad2d,
)
from tests.export.case import filled, numbers
from tests.export.cases import CASES
from tests.export.refused_by_keras import REFUSED
from tests.parity.export import zoo
from tests.parity.export.files import FILES, GOLDEN, needs_data
from tests.parity.export.runtime import agree, within
from tests.parity.kerases import keras, quiet, tf_keras

pytestmark = pytest.mark.parity

RULES = rules_of(target)


def opened(content, folder):
    """Open an archive in Keras, in safe mode."""
    path = folder / "model.keras"
    path.write_bytes(content)
    with quiet():
        return keras.saving.load_model(path)


def run(model, arrays):
    """Give Keras' outputs, text as ``str``."""
    found = model(arrays[0] if len(arrays) == 1 else list(arrays))
    outputs = [np.asarray(output) for output in (found if isinstance(found, (list, tuple)) else [found])]
    return [np.char.decode(x.astype(np.bytes_), "utf-8") if x.dtype == object else x for x in outputs]


def knows_its_shapes(document, model):
    """Fail unless every value has the shape and dtype that the file says."""
    made = {layer.name: layer for layer in model.operations}
    read = [ref for layer in document.ordered for call in layer.calls for ref in call.reads()]
    for ref in [*read, *document.outputs]:
        tensor = made[ref.layer.name]._inbound_nodes[ref.call].output_tensors[ref.place]
        dtype = "int64" if ref.layer.config.get("invert") else ref.dtype  # which Keras believes of texts, too
        assert (tuple(tensor.shape), tensor.dtype) == (ref.shape, dtype), ref.layer.name


def exported(graph, folder):
    """Give a graph as a model in Keras, which has its layers in the order that the weights were written for."""
    document = translate(graph, "model")
    model = opened(document.archive(), folder)
    assert [operation.name for operation in model.operations] == [layer.name for layer in document.ordered]
    knows_its_shapes(document, model)
    return model


@pytest.mark.parametrize("name", CASES)
def test_case(name, tmp_path):
    case, kind = CASES[name], type(CASES[name].module).__name__
    if kind not in RULES or name in REFUSED:
        with pytest.raises(ExportError, match=REFUSED.get(name, kind)):
            translate(case.graph, "model")
        return
    agree(case.graph, case.inputs, run(exported(case.graph, tmp_path), case.inputs))


def chain(*modules, shape):
    """Give a graph of modules one after the other."""
    names = ["x", *(f"{type(module).__name__}{place}" for place, module in enumerate(modules))]
    nodes = [Node(name, module, (before,)) for before, name, module in zip(names, names[1:], modules, strict=False)]
    return Graph([Input("x", shape)], nodes, [Output("y", names[-1])])


FREE = {
    "convolutions": (
        filled(Conv2d(3, 4, 3, 2, "same")),
        filled(Conv2d(4, 4, (2, 3), 1, "same", (2, 1), 2)),
        filled(ConvTranspose2d(4, 3, 3, 2, ((0, 1), (1, 0)))),
        filled(Conv2d(3, 2, 3, 1, 1)),
        filled(Conv2d(2, 2, 1, 3, "same")),
    ),
    "pools": (
        MaxPool2d(3, 2, "same"),
        AvgPool2d((2, 3), 1, "same", count_include_pad=False),
        MaxPool2d(3, 1, ((1, 0), (0, 2))),
        AvgPool2d(2, 1, ((0, 1), (1, 0)), count_include_pad=True),
        MaxPool2d(2, 1),
    ),
    "padding": (ZeroPad2d(((0, 1), (2, 0))), Crop2d(((1, 0), (0, 2))), RepeatInterleave(2, 3), Flip(2)),
    "normalisation": (GroupNorm(3, 3, use_weight=False, use_bias=False), Softmax(1), Sparsemax(3), Sparsemax(2)),
    "upsampling": (Upsample2d((2, 3)), Upsample2d(2, mode="bilinear"), GlobalAvgPool2d()),
    "last axes": (Permute((0, 2, 3, 1)), filled(LayerNorm(3)), filled(Linear(3, 2)), Cumulate("prod", 2)),
}


@pytest.mark.parametrize("name", FREE)
def test_free_sizes_stay_free(name, tmp_path):
    graph = chain(*FREE[name], shape=(None, 3, None, None))
    model = exported(graph, tmp_path)
    assert model.inputs[0].shape == (None, 3, None, None)
    for batch, height, width in [(1, 9, 8), (3, 7, 7), (2, 8, 11), (2, 4, 4)]:
        x = numbers(batch, 3, height, width)
        agree(graph, [x], run(model, [x]))


def test_constants_are_read_by_layers_and_computed_from_constants(tmp_path):
    one, other = filled(Constant((3, 4))), filled(Constant((1, 4)), seed=2)
    nodes = [
        Node("one", one, ()),
        Node("other", other, ()),
        Node("both", Add(), ("one", "other")),
        Node("sum", Add(), ("x", "both")),
        Node("joined", Concatenate(1), ("sum", "x")),
    ]
    graph = Graph([Input("x", (None, 3, 4))], nodes, [Output("y", "joined")])
    x = numbers(1, 3, 4)
    agree(graph, [x], run(exported(graph, tmp_path), [x]))


def test_unused_inputs_and_outputs_given_twice(tmp_path):
    shared = filled(Linear(3, 3))
    nodes = [
        Node("one", shared, ("b",)),
        Node("two", shared, ("one",)),
        Node("sum", Add(), ("one", "two")),
        Node("act", ReLU(), ("sum",)),
    ]
    inputs = [Input(name, (None, 3)) for name in ("a", "b", "c")]
    graph = Graph(inputs, nodes, [Output("y", "act"), Output("one", "one"), Output("z", "act"), Output("b2", "b")])
    x = [numbers(2, 3, seed=seed) for seed in range(3)]
    model = exported(graph, tmp_path)
    assert len([layer for layer in model.layers if layer.__class__.__name__ == "Dense"]) == 1
    agree(graph, x, run(model, x))


@pytest.mark.parametrize("file", FILES)
def test_real_files_answer_as_keras_did(file, tmp_path):
    model = file.model()
    x, answers = file.arrays(model)
    unknown = [node.name for node in model.graph.nodes if type(node.module).__name__ not in RULES]
    if unknown:
        with pytest.raises(ExportError) as caught:
            translate(model.graph, "model")
        assert all(f"\n  {name}: " in str(caught.value) for name in unknown)
        return
    within(run(exported(model.graph, tmp_path), x), answers)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_applications_answer_as_keras_does(name, tmp_path):
    model, x, answer = zoo.made(name)
    within(run(exported(model.graph, tmp_path), [x]), [answer])


def test_layers_are_those_of_the_original(tmp_path):
    with quiet():
        original = keras.applications.MobileNetV2((64, 64, 3), weights=None)
        original.save(tmp_path / "original.keras")
    again = exported(from_keras(tmp_path / "original.keras", strict=False).graph, tmp_path)
    found, wanted = (
        [(layer.name, type(layer).__name__, layer.count_params()) for layer in model.layers]
        for model in (again, original)
    )
    assert found == wanted


GOLDEN_WEIGHTS = sorted(path for path in GOLDEN.iterdir() if path.suffix in (".h5", ".keras"))
NOT_BY_LAYER = {"nested": "one of several layers within encoder", "norms": "of several axes"}


@pytest.mark.parametrize("path", GOLDEN_WEIGHTS, ids=lambda path: path.stem)
def test_weights_by_layer_load_into_the_original(path, tmp_path):
    document = by_layer(path)
    reason = next((NOT_BY_LAYER[word] for word in NOT_BY_LAYER if word in path.stem), None)
    if reason:
        with pytest.raises(ExportError, match=reason):
            document.legacy_weights()
        return
    loads(path, document, tf_keras if path.stem.startswith("keras2") else keras, tmp_path)


@needs_data
@pytest.mark.parametrize("name", ["pretrainedResnet", "vww_96", "ad01"])
def test_weights_by_layer_of_shared_models_load_into_the_original(name, tmp_path):
    path = GOLDEN.parents[2] / "shared" / "data" / "models" / f"{name}.h5"
    loads(path, by_layer(path), tf_keras, tmp_path)


@pytest.mark.parametrize("steps", [4, None], ids=["fixed", "free"])
def test_layers_called_for_every_step_stay_so(steps, tmp_path):
    """Layers and a nested model in ``TimeDistributed``, one called twice; each is a ``TimeDistributed`` again."""
    layers = keras.layers
    x = layers.Input((steps, 8, 7, 3))
    conv = layers.TimeDistributed(layers.Conv2D(3, 3, padding="same", activation="relu"), name="conv")
    y = layers.TimeDistributed(layers.BatchNormalization(), name="norm")(conv(conv(x)))
    inner = keras.Sequential([layers.Conv2D(4, 2, strides=2), layers.MaxPooling2D(2), layers.Flatten()], name="inner")
    y = layers.TimeDistributed(inner, name="nested")(y)
    original = keras.Model(x, layers.Dense(2, name="last")(y))
    model = from_keras(original, strict=False)
    again = exported(model.graph, tmp_path)
    assert [layer.name for layer in again.layers][1:3] == ["conv", "norm"]
    kinds = {type(layer).__name__ for layer in again.layers}
    assert kinds == {"InputLayer", "TimeDistributed", "Dense"}
    for count in (4,) if steps else (2, 5):
        arrays = [numbers(2, count, 8, 7, 3)]
        within(run(again, arrays), [np.asarray(original(arrays[0]))])


def by_layer(path):
    """Export a file."""
    model = from_keras(path, strict=False)
    return translate(model.graph, "model", model.source)


def wrapped(library):
    """Give a model with layers in others, of which the order of the weights is known, and a name with a slash."""
    x = library.Input((5, 4))
    y = library.layers.TimeDistributed(library.layers.Dense(3), name="same")(x)
    y = library.layers.TimeDistributed(library.layers.BatchNormalization(), name="folded")(y)
    y = library.Sequential([library.layers.Dense(2, name="only")], name="nested")(y)
    name = "block/dense" if library is tf_keras else "block_dense"
    return library.Model(x, library.layers.Dense(2, name=name)(y))


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["keras2", "keras3"])
def test_weights_by_layer_of_wrappers_load_into_the_original(library, tmp_path):
    path = tmp_path / "wrapped.h5"
    with quiet():
        wrapped(library).save(path)
    document = by_layer(path)
    loads(path, document, library, tmp_path)
    unknown = translate(from_keras(path, strict=False).graph, "model")
    with pytest.raises(ExportError, match="nested/only: perhaps within another layer"):
        unknown.legacy_weights()


def loads(path, document, library, folder):
    """Fail unless the original model, with other weights, gets its own back."""
    weights = folder / "w.h5"
    weights.write_bytes(document.legacy_weights())
    with quiet():
        model = library.models.load_model(path, compile=False)
        wanted = model.get_weights()
        model.set_weights([array + np.ones((), array.dtype) for array in wanted])
        model.load_weights(weights, by_name=True)
    for found, array in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(found, array)


def test_weights_are_stored_bit_for_bit(tmp_path):
    module = filled(Conv2d(4, 6, (3, 2), groups=2))
    (layer,) = [layer for layer in exported(chain(module, shape=(None, 4, 5, 5)), tmp_path).layers if layer.weights]
    kernel, bias = layer.get_weights()
    np.testing.assert_array_equal(np.moveaxis(kernel, (-1, -2), (0, 1)), module.weight)
    np.testing.assert_array_equal(bias, module.bias)


def test_the_file_is_as_keras_writes_it(tmp_path):
    """Members of the archive and groups of the weights are those that Keras writes for the model that it opened."""
    document = translate(chain(filled(Conv2d(3, 4, 3)), ReLU(), shape=(None, 3, 5, 5)), "model")
    model = opened(document.archive(), tmp_path)
    with quiet():
        model.save(tmp_path / "again.keras")
    ours, theirs = (zipfile.ZipFile(source) for source in (io.BytesIO(document.archive()), tmp_path / "again.keras"))
    assert ours.namelist() == theirs.namelist()
    configs = [json.loads(archive.read("config.json")) for archive in (ours, theirs)]
    for config in configs:
        for layer in config["config"]["layers"]:
            del layer["config"]
            layer.pop("build_config", None)
        for key in ("compile_config", "build_config"):
            config.pop(key, None)
    assert configs[0] == configs[1]
