"""Format v1: read where it tells enough, refused with the reason where it does not."""

from __future__ import annotations

import base64
import json
import random

import numpy as np
import pytest

import keydnn.checkpoint as checkpoint
from keydnn.errors import CheckpointError, KeyDNNError, MissingWeightsError
from keydnn.modules import (
    AvgPool2d,
    ConvTranspose2d,
    GlobalAvgPool2d,
    LayerNorm,
    LeakyReLU,
    MaxPool2d,
    Softmax,
)
from tests.checkpoint import samples
from tests.checkpoint.test_hostile import read, refused
from tests.checkpoint.test_schema import drop, put

CONV = {"in_channels": 3, "out_channels": 2, "kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0], "bias": True}
DENSE = {"in_features": 2, "out_features": 3, "bias": True, "device": "cpu", "dtype": "float32"}
POOL = {"kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]}
NORM = {"num_features": 2, "eps": 1e-5, "momentum": 0.1, "affine": True}


def layer(kind, children=None, **config):
    return {"type": kind, "config": config, "children": children or {}}


def sequential(*layers):
    return layer("Sequential", {str(index): one for index, one in sorted(enumerate(layers), key=lambda p: str(p[0]))})


def weight(array):
    array = np.asarray(array, "<f4")
    return {"b64": base64.b64encode(array.tobytes()).decode(), "dtype": "<f4", "shape": list(array.shape), "order": "C"}


def ramp(*shape):
    return (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) - 3) / 8


def write(path, arch, **state):
    content = {"format": "keydnn.json.ckpt.v1", "arch": arch, "state": {k: weight(v) for k, v in state.items()}}
    path.write_text(json.dumps(content))
    return path


def conv_state(name):
    return {f"{name}.weight": ramp(2, 3, 3, 2), f"{name}.bias": ramp(2)}


def dense_state(name):
    return {f"{name}.weight": ramp(3, 2), f"{name}.bias": ramp(3)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.json"


def test_a_whole_model(path):
    """Twelve layers, so that "10" stands before "2" in the file; the answer is worked out in NumPy."""
    arch = sequential(
        layer("Conv2d", **CONV),
        layer("ReLU"),
        layer("AvgPool2d", kernel_size=2, stride=None, padding=0),
        layer("LeakyReLU", alpha=0.25),
        layer("GlobalAvgPool2d"),
        layer("Flatten"),
        layer("Dropout", p=0.5),
        layer("Dense", **DENSE),
        layer("LayerNorm", normalized_shape=[3], eps=1e-3, affine=True),
        layer("Tanh"),
        layer("Sigmoid"),
        layer("Softmax", axis=-1),
    )
    assert list(arch["children"])[:4] == ["0", "1", "10", "11"]
    state = conv_state("0") | dense_state("7") | {"8.gamma": ramp(3), "8.beta": ramp(3) + 1}
    found = checkpoint.read(write(path, arch, **state))
    assert (found.source, found.format) == (None, "keydnn.json.ckpt.v1")
    graph = found.graph
    kinds = [type(node.module).__name__ for node in graph.nodes]
    assert kinds[:6] == ["Conv2d", "ReLU", "AvgPool2d", "LeakyReLU", "GlobalAvgPool2d", "Flatten"]
    assert kinds[6:] == ["Dropout", "Linear", "LayerNorm", "Tanh", "Sigmoid", "Softmax"]
    assert [node.name for node in graph.nodes] == [str(index) for index in range(12)]
    assert graph.inputs[0].shape == (None, 3, None, None)
    conv, norm = graph.nodes[0].module, graph.nodes[8].module
    assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 2), (2, 1), ((1, 1), (0, 0)))
    assert graph.nodes[2].module.parameters() == AvgPool2d(2, count_include_pad=True).parameters()
    assert norm.weight.tolist() == ramp(3).tolist()
    assert norm.bias.tolist() == (ramp(3) + 1).tolist()
    x = np.random.default_rng(1).standard_normal((2, 3, 9, 6)).astype(np.float32)
    (found_output,) = graph.forward([x])
    y = np.maximum(conv(x), 0)
    assert y.shape == (2, 2, 5, 5)
    y = y[:, :, :4, :4].reshape(2, 2, 2, 2, 2, 2).mean((3, 5))
    y = np.where(y > 0, y, y / 4).mean((2, 3)) @ ramp(3, 2).T + ramp(3)
    y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-3) * ramp(3) + ramp(3) + 1
    y = np.exp(1 / (1 + np.exp(-np.tanh(y))))
    np.testing.assert_allclose(found_output, y / y.sum(1, keepdims=True), rtol=1e-5)


def test_it_can_be_written_in_the_new_format(path):
    found = checkpoint.read(write(path, sequential(layer("Conv2d", **CONV)), **conv_state("0")))
    checkpoint.write(found.graph, path)
    assert samples.same(checkpoint.read(path).graph, found.graph)


def test_nested_sequentials_are_flattened(path):
    inner = sequential(layer("ReLU"), sequential(layer("Dense", **DENSE)))
    arch = sequential(inner, layer("Tanh"), sequential())
    graph = checkpoint.read(write(path, arch, **dense_state("0.1.0"))).graph
    assert [(node.name, node.inputs) for node in graph.nodes] == [
        ("0.0", ("input",)), ("0.1.0", ("0.0",)), ("1", ("0.1.0",))
    ]  # fmt: skip
    assert graph.outputs[0].value == "1"


def one(path, spec, **state):
    return checkpoint.read(write(path, sequential(spec), **state)).graph.nodes[0].module


def test_each_layer(path):
    spec = layer("Conv2dTranspose", **(CONV | {"output_padding": [1, 0]}))
    transposed = one(path, spec, **{"0.weight": ramp(3, 2, 3, 2), "0.bias": ramp(2)})
    wanted = ConvTranspose2d(3, 2, (3, 2), stride=(2, 1), padding=(1, 0), output_padding=(1, 0))
    assert transposed.parameters() == wanted.parameters()
    pool = layer("MaxPool2d", kernel_size=[3, 2], stride=2, padding=[1, 0])
    assert one(path, pool).parameters() == MaxPool2d((3, 2), 2, (1, 0)).parameters()
    assert one(path, layer("Linear", **(DENSE | {"bias": False})), **{"0.weight": ramp(3, 2)}).bias is None
    plain = one(path, layer("LayerNorm", normalized_shape=4, eps=0.5, affine=False))
    assert plain.parameters() == LayerNorm(4, 0.5, use_weight=False, use_bias=False).parameters()

    def second(spec):
        arch = sequential(layer("Dense", **DENSE), spec)
        return checkpoint.read(write(path, arch, **dense_state("0"))).graph.nodes[1].module.parameters()

    assert second(layer("LeakyReLU", alpha=0.125)) == LeakyReLU(0.125).parameters()
    assert second(layer("Softmax", axis=1)) == Softmax(1).parameters()


ALONE = {
    "conv": ([layer("Conv2d", **CONV)], conv_state("0"), (None, 3, None, None)),
    "activations-first": ([layer("ReLU"), layer("Dense", **DENSE)], dense_state("1"), (None, 2)),
    "pool-then-conv": ([layer("MaxPool2d", **POOL), layer("Conv2d", **CONV)], conv_state("1"), (None, 3, None, None)),
    "pool-then-flatten": (
        [layer("MaxPool2d", **POOL), layer("Flatten"), layer("Dense", **DENSE)], dense_state("2"), (None,) * 4
    ),
    "global-pool-then-dense": (
        [layer("GlobalAvgPool2d"), layer("Dense", **DENSE)], dense_state("1"), (None, 2, None, None)
    ),
    "global-pool-then-flatten": (
        [layer("GlobalAvgPool2d"), layer("Flatten"), layer("Dense", **DENSE)], dense_state("2"), (None, 2, None, None)
    ),
    "pool-alone": ([layer("AvgPool2d", **POOL)], {}, (None,) * 4),
    "layer-norm": ([layer("LayerNorm", normalized_shape=[4, 5], eps=0.1, affine=False)], {}, (None, 4, 5)),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "state", "shape"), ALONE.values(), ids=ALONE.keys())
def test_the_input_shape_is_what_the_first_layers_tell(path, layers, state, shape):
    assert checkpoint.read(write(path, sequential(*layers), **state)).graph.inputs[0].shape == shape


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([layer("Flatten")], id="flatten"),
        pytest.param([layer("ReLU"), layer("Softmax", axis=-1)], id="activations"),
    ],
)
def test_an_input_shape_that_nothing_tells_is_an_error(path, layers):
    write(path, sequential(*layers))
    refused(path, "stores no input shape, and the first layers do not tell it")


def test_what_follows_decides_on_the_axes_of_a_global_pooling(path):
    arch = sequential(
        layer("GlobalAvgPool2d"), layer("ReLU"), layer("Conv2d", **(CONV | {"kernel_size": 1, "padding": 0}))
    )
    graph = checkpoint.read(write(path, arch, **{"2.weight": ramp(2, 3, 1, 1), "2.bias": ramp(2)})).graph
    assert graph.nodes[0].module.parameters() == GlobalAvgPool2d(keepdims=True).parameters()
    write(path, sequential(layer("Conv2d", **CONV), layer("GlobalAvgPool2d")), **conv_state("0"))
    refused(path, r"does not tell whether it gives \(N, C\) or \(N, C, 1, 1\)")


@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d"])
@pytest.mark.parametrize("statistics", [False, True], ids=["as-written", "with-statistics"])
def test_batch_norm_is_refused_with_the_reason(path, kind, statistics):
    state = conv_state("0") | {"1.gamma": ramp(2), "1.beta": ramp(2)}
    if statistics:
        state |= {"1.running_mean": ramp(2), "1.running_var": ramp(2)}
    write(path, sequential(layer("Conv2d", **CONV), layer(kind, **NORM)), **state)
    match = rf"^No weights found for module {kind}\(num_features=2\): .*v1 never stores running_mean and running_var"
    refused(path, match, MissingWeightsError)


LAYER = ("arch", "children", "0")
BROKEN = {
    "top-level-key": (put("sha256", value=""), "sha256: unknown key"),
    "no-state": (drop("state"), "key 'state' is missing"),
    "functional": (put("arch", "type", value="Model"), "arch.type: must be Sequential"),
    "empty": (put("arch", "children", value={}), "arch: has no layers"),
    "gap": (put("arch", "children", "2", value=layer("ReLU")), "must be numbered from 0 to 1"),
    "name": (put("arch", "children", "a", value=layer("ReLU")), "must be numbered from 0 to 1"),
    "leading-zero": (put("arch", "children", "01", value=layer("ReLU")), "must be numbered from 0 to 1"),
    "unknown-layer": (put(*LAYER, "type", value="LSTM"), "v1 has no layer \"LSTM\""),
    "layer-list": (put(*LAYER, "type", value=[]), "type: must be text"),
    "children-of-a-layer": (put(*LAYER, "children", value={"0": {}}), "unknown key; known here: none"),
    "unknown-option": (put(*LAYER, "config", "dilation", value=2), "config.dilation: unknown key"),
    "missing-option": (drop(*LAYER, "config", "stride"), "key 'stride' is missing"),
    "stride-0": (put(*LAYER, "config", "stride", value=0), r"config.stride: stride must be an integer >= 1"),
    "stride-three": (put(*LAYER, "config", "stride", value=[1, 1, 1]), "stride: must be an integer or two"),
    "padding-text": (put(*LAYER, "config", "padding", value="same"), "padding: must be an integer >= 0"),
    "bias-1": (put(*LAYER, "config", "bias", value=1), "bias: must be true or false"),
    "channels-true": (put(*LAYER, "config", "in_channels", value=True), "in_channels must be an integer >= 1"),
    "bomb": (put(*LAYER, "config", "out_channels", value=10**9), r"shape: must be \[1000000000, 3"),
    "dtype": (put("state", "0.bias", "dtype", value="<f8"), 'dtype: must be "<f4", got "<f8"'),
    "order": (put("state", "0.bias", "order", value="F"), 'order: must be "C", got "F"'),
    "shape-of-reals": (put("state", "0.bias", "shape", value=[2.0]), r"shape\[0\]: must be an integer"),
    "base64": (put("state", "0.bias", "b64", value="A" * 11), "must be the base64 of 8 bytes, 12 characters; got 11"),
    "unused-weight": (put("state", "1.weight", value=weight(ramp(2))), r'"1.weight"\]: no layer has such a tensor'),
    "two-images": (put("arch", "children", "1", value=layer("Dense", **DENSE)), "No weights found for module Linear"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "match"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_is_refused(path, edit, match):
    write(path, sequential(layer("Conv2d", **CONV)), **conv_state("0"))
    samples.edited(path, edit, reseal=False)
    refused(path, match, (CheckpointError, MissingWeightsError))


def test_a_missing_weight_is_named(path):
    write(path, sequential(layer("Conv2d", **CONV)), **{"0.weight": ramp(2, 3, 3, 2)})
    refused(path, r'No weights found for module Conv2d\(.*: there is no "0.bias"', MissingWeightsError)


def test_layers_that_do_not_fit_are_refused(path):
    write(path, sequential(layer("Conv2d", **CONV), layer("Conv2d", **CONV)), **conv_state("0"), **conv_state("1"))
    refused(path, r"takes an input \(N, 3, H, W\), got \(N, 2")


def test_random_edits_give_typed_errors_or_a_model(path):
    """Without digests a change of a weight goes unseen; whatever else, there is a graph or a typed error."""
    write(path, sequential(layer("Conv2d", **CONV), layer("ReLU")), **conv_state("0"))
    data, pick = path.read_bytes(), random.Random(5)
    for _ in range(1000):
        a = pick.randrange(len(data))
        b = min(len(data), a + pick.randrange(12))
        path.write_bytes(data[:a] + pick.choice([b"", data[a:b] * 2, pick.randbytes(b - a)]) + data[b:])
        found = read(path)
        if isinstance(found, KeyDNNError):
            assert "\n" not in str(found)
        else:
            assert all(m.tensors().keys() == m.tensor_shapes().keys() for _, m in found.graph.modules())
