"""What is written is what is read: graphs, weights bit for bit, and the bytes of the file themselves."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import keydnn.checkpoint as checkpoint
from keydnn.checkpoint import decode, document, spot
from keydnn.errors import CheckpointError, MissingWeightsError, ParameterError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import MODULE_TYPES, Conv2d
from tests.checkpoint import samples

ROOT = Path(__file__).parents[2]

each_graph = pytest.mark.parametrize("make", samples.GRAPHS.values(), ids=samples.GRAPHS.keys())
each_way = pytest.mark.parametrize("weights", ["inline", "sidecar"])


@each_graph
@each_way
def test_a_graph_and_its_bytes_come_back(tmp_path, make, weights):
    graph, path = make(), tmp_path / "m.json"
    checkpoint.write(graph, path, weights=weights, source=samples.SOURCE)
    found = checkpoint.read(path)
    assert samples.same(found.graph, graph)
    assert (found.source, found.format) == (samples.SOURCE, "keydnn.json.ckpt.v2")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    checkpoint.write(found.graph, path, weights=weights, source=found.source)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert set(before) == ({"m.json"} if weights == "inline" else {"m.json", "m.safetensors"})


@each_way
def test_outputs_are_bit_identical(tmp_path, weights):
    graph, path = samples.shared(), str(tmp_path / "m.json")
    checkpoint.write(graph, path, weights=weights)
    x = np.random.default_rng(3).standard_normal((2, 2, 4, 4)).astype(np.float32)
    (wanted,), (found,) = graph.forward([x]), checkpoint.read(path).graph.forward([x])
    assert wanted.tobytes() == found.tobytes()


@each_way
def test_special_values_keep_their_bits(tmp_path, weights):
    bits = np.array([0x7FC00001, 0xFF800000, 0x80000000, 0x00000001, 0x7F800000, 0xFFFFFFFF], np.uint32)
    module = Conv2d(6, 1, 1, weight=bits.view(np.float32).reshape(1, 6, 1, 1), bias=[-0.0])
    graph = Graph([Input("x", (None, 6, 1, 1))], [Node("n", module, ("x",))], [Output("y", "n")])
    checkpoint.write(graph, tmp_path / "m.json", weights=weights)
    found = checkpoint.read(tmp_path / "m.json").graph.nodes[0].module
    assert found.weight.reshape(-1).view(np.uint32).tolist() == bits.tolist()
    assert np.signbit(found.bias[0])


@each_way
def test_weights_are_as_kernels_want_them(tmp_path, weights):
    checkpoint.write(samples.chain(), tmp_path / "m.json", weights=weights)
    for _, module in checkpoint.read(tmp_path / "m.json").graph.modules():
        for array in module.tensors().values():
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.flags.aligned


def test_the_text_is_for_people(tmp_path):
    checkpoint.write(samples.shared(), tmp_path / "m.json", source={"file": "m.h5", "n": 1})
    lines = (tmp_path / "m.json").read_text().splitlines()
    assert [line.split('"')[1] for line in lines if line.startswith('  "')] == [
        "format", "inputs", "nodes", "outputs", "source", "weights", "sha256"
    ]  # fmt: skip
    assert (
        '    {"name": "c", "shares": "a", "inputs": ["b"], "origin": {"layer": "conv", "class_name": "Conv2D"}},'
        in lines
    )
    assert len([line for line in lines if line.startswith('    "a.')]) == 2
    assert (tmp_path / "m.json").read_bytes().endswith(b"}\n")


def test_the_bytes_never_change(tmp_path):
    """The format's own fixed point: whoever changes these bytes makes a new format."""
    module = Conv2d(1, 2, 1, weight=[[[[0.1]]], [[[-2.5]]]], bias=[0, 1e-30])
    graph = Graph([Input("x", (None, 1, 2, 2))], [Node("conv", module, ("x",))], [Output("y", "conv")])
    checkpoint.write(graph, tmp_path / "m.json", weights="sidecar", source={"π": 3.141592653589793})
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in tmp_path.iterdir()}
    assert digests == {"m.json": "39e49374206184ad", "m.safetensors": "c4be4c8a8b52ffec"}


WRITE = """
import sys
from keydnn import checkpoint
from tests.checkpoint import samples
for name, make in samples.GRAPHS.items():
    for weights in ("inline", "sidecar"):
        checkpoint.write(make(), f"{sys.argv[1]}/{weights}-{name}.json", weights=weights, source=samples.SOURCE)
"""


def test_bytes_do_not_depend_on_the_environment(tmp_path):
    folders = []
    for index, changes in enumerate(
        [
            {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
            {"PYTHONHASHSEED": "77", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "PYTHONUTF8": "0"},
        ]
    ):
        folder = tmp_path / f"run-{index}"
        folder.mkdir()
        environment = os.environ | changes | {"PYTHONPATH": str(ROOT)}
        cwd = ROOT if index else folder
        subprocess.run([sys.executable, "-c", WRITE, str(folder)], cwd=cwd, env=environment, check=True, timeout=60)
        folders.append({file.name: file.read_bytes() for file in folder.iterdir()})
    assert folders[0] == folders[1]
    assert len(folders[0]) == 3 * len(samples.GRAPHS)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEAF = (
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
ANY_JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(TEXT, min_size=4, max_size=4, unique=True),
    value=st.floats(0, 3.4e38),
    size=st.integers(1, 3),
    source=ANY_JSON,
)
def test_any_name_number_and_source_comes_back(tmp_path_factory, names, value, size, source):
    path = tmp_path_factory.mktemp("any") / "m.json"
    relu = MODULE_TYPES["ReLU"](max_value=value)
    nodes = [Node(names[1], samples.filled(Conv2d(size, 1, size)), (names[0],)), Node(names[2], relu, (names[1],))]
    graph = Graph([Input(names[0], (None, size, None, 7))], nodes, [Output(names[3], names[2])])
    checkpoint.write(graph, path, source={"said": source})
    found = checkpoint.read(path)
    assert samples.same(found.graph, graph)
    assert json.dumps(found.source) == json.dumps({"said": source})


ARGUMENTS = {
    "num_groups": 2, "num_channels": 4, "scale": 0.5, "size": 2,
    "in_channels": 4, "out_channels": 4, "kernel_size": 2, "in_features": 3, "out_features": 2, "num_features": 4,
    "normalized_shape": (2, 3), "shape": (2, 3), "dims": (0, 2, 1), "padding": 1, "cropping": 1, "scale_factor": 2,
    "dim": 1, "threshold": 0.5, "value": -1, "input_size": 3, "hidden_size": 2, "start": -1, "num_embeddings": 5,
    "embedding_dim": 3, "output_size": 2, "repeats": 2, "num_heads": 2, "features": 3, "equation": "ab,bc->ac",
    "weight_shape": (3, 2), "operation": "divide", "function": "sqrt",
    "num_classes": 3, "boundaries": (0.5, 1.0), "num_bins": 5, "vocabulary": ("a", "\u00e9"), "block_size": 2,
    "slices": ((None, 2, 1), (-1, None, -1)), "index": (0, 2, -1), "shifts": (1, -2), "hidden_channels": 2, "k": 2,
}  # fmt: skip
OWN_ARGUMENTS = {  # where a name of the above means something else
    "Contract": {"equation": "nij,njk->nik"},
    "Cumulate": {"operation": "sum"},
    "IntegerLookup": {"vocabulary": (7, -(1 << 63))},
    "InverseIntegerLookup": {"vocabulary": (7, -(1 << 63))},
    "Pad": {"padding": ((1, 0), (0, 2))},
    "Patches": {"kernel_size": (2, 2)},
    "Reduce": {"operation": "mean"},
    "Roll": {"dims": (1, 2)},
    "Tile": {"dims": (2, 1)},
}


@pytest.mark.parametrize("kind", MODULE_TYPES.values(), ids=MODULE_TYPES.keys())
def test_every_module_type_comes_back(kind):
    missing = dataclasses.MISSING
    required = [f.name for f in dataclasses.fields(kind) if f.default is missing and f.default_factory is missing]
    arguments = ARGUMENTS | OWN_ARGUMENTS.get(kind.__name__, {})
    assert set(required) <= set(arguments), "a module has arguments without an example: add them to ARGUMENTS"
    module = kind(**{name: arguments[name] for name in required})
    parameters = document.plain(spot.Spot("m.json", "parameters", None), module.parameters())
    place = spot.Spot("m.json", "parameters", json.loads(document.text_of(parameters)))
    found = decode.make_module(spot.Spot("m.json", "type", kind.__name__), place)
    assert type(found) is kind
    assert repr(found.parameters()) == repr(module.parameters())
    assert found.tensor_shapes() == module.tensor_shapes()


def test_reading_needs_no_safetensors(tmp_path, monkeypatch):
    checkpoint.write(samples.chain(), tmp_path / "m.json", weights="sidecar")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    assert samples.same(checkpoint.read(tmp_path / "m.json").graph, samples.chain())


def test_the_sidecar_is_plain_safetensors(tmp_path):
    from safetensors.numpy import load_file

    checkpoint.write(samples.several(), tmp_path / "m.json", weights="sidecar")
    found = load_file(tmp_path / "m.safetensors")
    wanted = {f"{n}.{k}": v for n, m in samples.several().modules() for k, v in m.tensors().items()}
    assert set(found) == set(wanted)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_plain_python_reads_it_as_the_page_says(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "checkpoint.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    checkpoint.write(samples.chain(), tmp_path / "model.json")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    wanted = {f"{n}.{k}": v for n, m in samples.chain().modules() for k, v in m.tensors().items()}
    assert all(np.array_equal(names["weights"][name], wanted[name]) for name in wanted)


# ------------------------------------------------------------------------------------------- what cannot be written


def test_missing_weights_are_not_written(tmp_path):
    graph = Graph([Input("x", (None, 1, 2, 2))], [Node("n", Conv2d(1, 1, 1), ("x",))], [Output("y", "n")])
    with pytest.raises(MissingWeightsError, match="No weights found for module Conv2d"):
        checkpoint.write(graph, tmp_path / "m.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "match"),
    [
        pytest.param({"a": float("nan")}, "source.a: nan is no JSON number", id="nan"),
        pytest.param({"a": [1, {"b": np.float32(1)}]}, r"source.a\[1\].b: float32 is no JSON type", id="numpy"),
        pytest.param({1: 2}, "source: dict is no JSON type", id="key-not-text"),
        pytest.param({"a": b""}, "source.a: bytes is no JSON type", id="bytes"),
        pytest.param({"a": 10**19}, "an integer of 20 digits", id="long-integer"),
        pytest.param({"a": "\ud800"}, "half of a surrogate pair", id="surrogate"),
        pytest.param({"a": ["x" * 5] * (1 << 20)}, "pieces of text", id="too-much"),
        pytest.param([], "source: must be an object", id="list"),
    ],
)
def test_source_must_be_json(tmp_path, source, match):
    with pytest.raises(CheckpointError, match=match):
        checkpoint.write(samples.tiny(), tmp_path / "m.json", source=source)
    assert not list(tmp_path.iterdir())


def test_source_must_not_be_nested_without_end(tmp_path):
    source = deep = {}
    for _ in range(100_000):
        deep["a"] = {}
        deep = deep["a"]
    with pytest.raises(CheckpointError, match="nested deeper than 64"):
        checkpoint.write(samples.tiny(), tmp_path / "m.json", source=source)


def test_modules_that_readers_do_not_know_are_not_written(tmp_path):
    class Mine(Conv2d):
        pass

    graph = samples.tiny()
    graph = Graph(graph.inputs, [Node("conv", samples.filled(Mine(1, 1, 1)), ("x",))], graph.outputs)
    with pytest.raises(CheckpointError, match=r"nodes\[0\].type: .*Mine is none of the modules"):
        checkpoint.write(graph, tmp_path / "m.json")


def test_the_way_to_store_weights_is_checked(tmp_path):
    with pytest.raises(ParameterError, match="weights must be one of 'inline', 'sidecar', got 'base64'"):
        checkpoint.write(samples.tiny(), tmp_path / "m.json", weights="base64")
