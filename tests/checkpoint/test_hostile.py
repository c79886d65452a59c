"""Checkpoints from strangers, damaged, or edited: a typed error or the same model, soon, and nothing else."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import keydnn.checkpoint as checkpoint
from keydnn.errors import CheckpointError, KeyDNNError, MissingWeightsError
from tests.checkpoint import samples
from tests.checkpoint.test_schema import drop, put


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.json"
    checkpoint.write(samples.chain(), path)
    return path


def refused(path, match, error=CheckpointError):
    started = time.perf_counter()
    with pytest.raises(error, match=match) as found:
        checkpoint.read(path)
    assert time.perf_counter() - started < 3
    text = str(found.value)
    assert "\n" not in text
    assert len(text) < 1200
    assert str(path.parent) in text


# ------------------------------------------------------------------------------------------------ what is no checkpoint


def write_zip(path, member):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"{}")


FOREIGN = {
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "missing": (lambda p: p.unlink(), "cannot be read: No such file"),
    "folder": (lambda p: (p.unlink(), p.mkdir()), "is a folder"),
    "pipe": (lambda p: (p.unlink(), os.mkfifo(p)), "is no regular file"),
    "hdf5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "HDF5 file.*keydnn convert --src .*m.json"),
    "keras": (lambda p: write_zip(p, "metadata.json"), "zip archive, as Keras.*keydnn convert --src .*m.json"),
    "npz": (
        lambda p: np.savez(p.with_suffix(".npz"), a=np.ones(3)) or p.with_suffix(".npz").rename(p),
        "NumPy archive",
    ),
    "npy": (lambda p: np.save(p.with_suffix(".npy"), np.ones(3)) or p.with_suffix(".npy").rename(p), "NumPy array"),
    "git-lfs": (lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "safetensors": (lambda p: p.write_bytes(b"\x02" + bytes(7) + b"{}"), "safetensors"),
    "no-json": (lambda p: p.write_bytes(b"hello"), "not valid JSON.* line 1 column 1"),
    "utf-16": (lambda p: p.write_text("{}", "utf-16"), "not UTF-8"),
    "latin-1": (lambda p: p.write_text('{"é": 1}', "latin-1"), "not UTF-8 text: .* at byte 2"),
    "byte-order-mark": (lambda p: p.write_text("{}", "utf-8-sig"), "BOM"),
    "zeros": (lambda p: p.write_bytes(bytes(1000)), "not valid JSON"),
    "list": (lambda p: p.write_text("[]"), "no format marker"),
    "number": (lambda p: p.write_text("1"), "no format marker"),
    "keras-json": (
        lambda p: p.write_text('{"class_name": "Sequential", "config": {}}'),
        "architecture without weights",
    ),
    "later-format": (lambda p: p.write_text('{"format": "keydnn.json.ckpt.v3"}'), "update KeyDNN"),
    "format-list": (lambda p: p.write_text('{"format": []}'), "format: must be text"),
}


@pytest.mark.parametrize(("make", "match"), FOREIGN.values(), ids=FOREIGN.keys())
def test_other_files_are_named(path, make, match):
    make(path)
    refused(path, match)


@pytest.mark.parametrize("name", ["", ".", "a\0b"], ids=["nothing", "folder", "nul"])
@pytest.mark.parametrize("weights", ["inline", "sidecar"])
def test_odd_paths_are_refused(name, weights):
    with pytest.raises(CheckpointError):
        checkpoint.read(name)
    with pytest.raises(CheckpointError):
        checkpoint.write(samples.tiny(), name, weights=weights)


def test_a_size_beyond_the_limit_is_not_read(path):
    os.truncate(path, checkpoint.DOCUMENT_LIMIT + 1)  # a file of holes
    refused(path, "bytes; a checkpoint has at most")


# -------------------------------------------------------------------------------------------------------- hostile JSON


def nested(opening, closing, depth):
    return opening * depth + closing * depth


HOSTILE = {
    "100,000-lists": (nested("[", "]", 100_000), "nested 100000 deep"),
    "100,000-objects": (nested('{"a":', "}", 100_000), "nested 100000 deep"),
    "100,000-unclosed": ("[" * 100_000, "nested 100000 deep"),
    "65-deep": (nested("[", "]", 65), "nested 65 deep"),
    "brackets-in-text-are-text": (json.dumps({"format": "[" * 1000 + '\\"' + "{" * 1000}), "format: .* is unknown"),
    "many-lists": ("[" + "[]," * (3 << 20) + "[]]", "bytes outside of text"),
    "many-texts": ("[" + '"",' * (2 << 20) + '""]', "pieces of text"),
    "duplicate-key": ('{"format": {"a": 1, "b": 2, "a": 1}}', "format.a: the key stands here twice"),
    "duplicate-top-level": ('{"format": "keydnn.json.ckpt.v2", "format": "x"}', "format: the key stands here twice"),
    "nan": ('{"a": [1, NaN]}', r"a\[1\]: NaN is no JSON number"),
    "minus-infinity": ('{"a": {"b c": -Infinity}}', r'a\["b c"\]: -Infinity is no JSON number'),
    "1e999": ('{"a": [[1e999]]}', r"a\[0\]\[0\]: the number 1e999 is not finite"),
    "5,000-digits": ('{"a": ' + "9" * 5000 + "}", "a: an integer of 5000 digits"),
    "5,000-digits-real": ('{"a": ' + "9" * 5000 + ".0}", "a: the number 9999.* is not finite"),
    "20-digits": ('{"a": -' + "9" * 20 + "}", "a: an integer of"),
    "surrogate": ('{"a": ["\\ud800"]}', r"a\[0\]: half of a surrogate pair"),
    "surrogate-key": ('{"a": {"\\udfff": 1}}', "a: half of a surrogate pair"),
    "control-character": ('{"a": "\n"}', "Invalid control character"),
    "unclosed-text-of-escapes": ('"' + '\\"' * 1_000_000, "not valid JSON"),
    "lone-backslash": ('"\\', "not valid JSON"),
    "two-documents": ("{}{}", "Extra data"),
    "closing-first": ("]" * 1000 + "[" * 1500, "nested|not valid JSON"),
}


@pytest.mark.parametrize(("text", "match"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_is_refused(path, text, match):
    path.write_text(text)
    refused(path, match)


def test_the_largest_structure_is_bounded_in_time_and_memory(tmp_path):
    """The worst document within the limits: 2.7 million empty lists."""
    path = tmp_path / "m.json"
    path.write_text('{"format": "keydnn.json.ckpt.v2", "source": [' + "[]," * 2_790_000 + "[]]}")
    code = f"""
import resource, sys
from keydnn import checkpoint
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: checkpoint.read({str(path)!r})
except checkpoint.CheckpointError as error: assert "is missing" in str(error), error
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert time.perf_counter() - started < 10
    assert int(done.stdout) < 350 << 10  # KiB


# --------------------------------------------------------------------------------------------------- edited, resealed


def swap(first, second):
    def edit(content):
        nodes = content["nodes"]
        nodes[first], nodes[second] = nodes[second], nodes[first]

    return edit


def rename(old, new):
    def edit(content):
        content["weights"][new] = content["weights"].pop(old)

    return edit


CONV, RELU = ("nodes", 0, "parameters"), ("nodes", 1, "parameters")
WEIGHT = ("weights", "0.weight")
TAMPERED = {
    "unknown-top-level-key": (put("extra", value=1), "extra: unknown key; known here: format"),
    "missing-top-level-key": (drop("outputs"), "key 'outputs' is missing"),
    "nodes-object": (put("nodes", value={}), "nodes: must be a list"),
    "node-list": (put("nodes", 0, value=[]), r"nodes\[0\]: must be an object"),
    "unknown-node-key": (put("nodes", 3, "config", value={}), r"nodes\[3\].config: unknown key"),
    "missing-node-key": (drop("nodes", 3, "inputs"), r"nodes\[3\]: key 'inputs' is missing"),
    "unknown-type": (put("nodes", 0, "type", value="Lambda"), r"nodes\[0\].type: unknown module type \"Lambda\""),
    "type-with-path": (put("nodes", 0, "type", value="os.system"), "unknown module type"),
    "type-base-class": (put("nodes", 0, "type", value="Module"), "unknown module type"),
    "type-list": (put("nodes", 0, "type", value=["Conv2d"]), r"nodes\[0\].type: must be text"),
    "unknown-parameter": (put(*CONV, "bogus", value=1), r"nodes\[0\].parameters.bogus: unknown key"),
    "tensor-as-parameter": (put(*CONV, "weight", value=[1]), r"nodes\[0\].parameters.weight: unknown key"),
    "dunder-parameter": (put(*CONV, "__class__", value="x"), "unknown key"),
    "missing-parameter": (drop(*CONV, "stride"), r"nodes\[0\].parameters: key 'stride' is missing"),
    "stride-0": (put(*CONV, "stride", value=[0, 1]), r"nodes\[0\].parameters.stride: stride must be an integer >= 1"),
    "stride-true": (put(*CONV, "stride", value=[True, 1]), r"parameters.stride: stride must be an integer"),
    "stride-1.0": (put(*CONV, "stride", value=[1.0, 1]), r"parameters.stride: stride must be an integer"),
    "stride-scalar": (put(*CONV, "stride", value=1), r"parameters.stride: must be \[1, 1\] in a checkpoint, got 1"),
    "stride-object": (put(*CONV, "stride", value={"h": 1}), "parameters.stride: stride must be"),
    "stride-null": (put(*CONV, "stride", value=None), "parameters.stride: stride must be"),
    "padding-negative": (put(*CONV, "padding", value=[[-1, 0], [0, 0]]), "parameters.padding: padding must be"),
    "padding-text": (put(*CONV, "padding", value="Same"), "parameters.padding: padding must be"),
    "groups": (put(*CONV, "groups", value=3), r"parameters.groups: groups=3 must divide"),
    "integer-for-a-real": (put(*RELU, "max_value", value=6), r"max_value: must be 6.0 in a checkpoint, got 6"),
    "1-for-true": (put(*CONV, "use_bias", value=1), "use_bias must be True or False"),
    "bomb-out-channels": (put(*CONV, "out_channels", value=10**9), r"takes an input \(N, 4, H, W\), got \(N, 10000"),
    "bomb-last-channels": (put("nodes", 3, "parameters", "out_channels", value=10**9), r"shape: must be \[4, 10000"),
    "bomb-in-channels": (put(*CONV, "in_channels", value=10**9), "takes an input"),
    "bomb-kernel": (put(*CONV, "kernel_size", value=[10**18, 10**18]), "must be|larger than its input"),
    "name-number": (put("nodes", 0, "name", value=0), r"nodes\[0\].name: must be text"),
    "name-twice": (put("nodes", 1, "name", value="0"), "two values of the graph are named '0'"),
    "name-of-input": (put("nodes", 1, "name", value="in"), "two values of the graph are named 'in'"),
    "unknown-value": (put("nodes", 1, "inputs", 0, value="9"), "node '1' reads '9', which no earlier node gives"),
    "reads-itself": (put("nodes", 1, "inputs", 0, value="1"), "no earlier node gives"),
    "order": (swap(1, 2), "node '2' reads '1', which no earlier node gives"),
    "two-inputs": (put("nodes", 1, "inputs", value=["0", "0"]), "takes 1 inputs, got 2"),
    "no-inputs-of-node": (put("nodes", 1, "inputs", value=[]), "takes 1 inputs, got 0"),
    "million-inputs": (put("nodes", 1, "inputs", value=["0"] * 300_000), "takes 1 inputs"),
    "shares-unknown": (put("nodes", 1, value={"name": "1", "shares": "9", "inputs": []}), "shares: no earlier node"),
    "shares-itself": (put("nodes", 1, value={"name": "1", "shares": "1", "inputs": []}), "shares: no earlier node"),
    "shares-and-type": (put("nodes", 1, "shares", value="0"), r"nodes\[1\].type: unknown key"),
    "rank": (put("inputs", 0, "shape", value=[None, 3, 8]), "takes an input"),
    "channels": (put("inputs", 0, "shape", 1, value=2), "takes an input"),
    "size-0": (put("inputs", 0, "shape", 2, value=0), r"inputs\[0\].shape\[2\]: must be an integer >= 1, got 0"),
    "size-true": (put("inputs", 0, "shape", 2, value=True), r"shape\[2\]: must be an integer >= 1, got true"),
    "rank-1,000": (put("inputs", 0, "shape", value=[1] * 1000), "has 1000 axes; at most 32"),
    "no-inputs": (put("inputs", value=[]), "at least one input"),
    "no-outputs": (put("outputs", value=[]), "at least one input and one output"),
    "output-unknown": (put("outputs", 0, "value", value="9"), "gives '9', which no node computes"),
    "outputs-same-name": (put("outputs", value=[{"name": "a", "value": "0"}] * 2), "two outputs have the same name"),
    "origin-number": (put("nodes", 0, "origin", value={"layer": 1, "class_name": "C"}), r"origin.layer: must be text"),
    "source-list": (put("source", value=[]), "source: must be an object"),
    "unexpected-tensor": (rename("0.bias", "0.beta"), "no module has such a tensor"),
    "tensor-without-node": (rename("0.bias", "bias"), "no module has such a tensor"),
    "dtype": (put(*WEIGHT, "dtype", value="<f8"), r"weights\[\"0.weight\"\].dtype: must be \"<f4\", got \"<f8\""),
    "dtype-object": (put(*WEIGHT, "dtype", value="|O"), "dtype: must be"),
    "shape-transposed": (put(*WEIGHT, "shape", value=[3, 4, 3, 2]), r"shape: must be \[4, 3, 3, 2\] after the"),
    "shape-negative": (put(*WEIGHT, "shape", value=[-4, -3, 3, 2]), r"shape\[0\]: must be an integer >= 0"),
    "shape-real": (put(*WEIGHT, "shape", value=[4.0, 3, 3, 2]), r"shape\[0\]: must be an integer"),
    "tensor-null": (put(*WEIGHT, value=None), r"weights\[\"0.weight\"\]: must be an object"),
    "tensor-key": (put(*WEIGHT, "order", value="F"), "order: unknown key"),
    "no-data": (drop(*WEIGHT, "data"), r"weights\[\"0.weight\"\].sha256: stands without data"),
    "data-null": (put(*WEIGHT, "data", value=None), "data: must be text"),
    "data-short": (put(*WEIGHT, "data", value="AAAA"), "data: must be the base64 of 288 bytes, 384 characters; got 4"),
    "data-empty": (put(*WEIGHT, "data", value=""), "data: must be the base64 of 288 bytes"),
    "data-other": (put(*WEIGHT, "data", value="A" * 384), "sha256: is not the SHA-256 of the tensor's bytes"),
    "data-not-base64": (put(*WEIGHT, "data", value="*" * 384), "data: is not base64"),
    "data-not-ascii": (put(*WEIGHT, "data", value="é" * 384), "data: is not base64"),
    "data-white-space": (put(*WEIGHT, "data", value="AAA\n" * 96), "data: is not base64"),
    "data-padding-inside": (put(*WEIGHT, "data", value="AA==" * 96), "data: is not base64"),
    "data-padded": (put(*WEIGHT, "data", value="A" * 382 + "=="), "data: is not the base64"),
    "digest-upper-case": (put(*WEIGHT, "sha256", value="A" * 64), "sha256: must be a SHA-256 of 64 lower-case"),
    "digest-null": (put(*WEIGHT, "sha256", value=None), "sha256: must be text"),
    "sidecar-beside-data": (put("sidecar", value={"file": "m.safetensors", "sha256": "0" * 64}), "data: unknown key"),
    "weights-empty-object": (put("weights", "x.weight", value={}), "no module has such a tensor"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "match"), TAMPERED.values(), ids=TAMPERED.keys())
def test_tampering_is_refused_with_its_place(path, edit, match):
    samples.edited(path, edit)
    refused(path, match)


def test_missing_weights_have_their_own_error(path):
    samples.edited(path, drop("weights", "0.bias"))
    refused(
        path, r"^No weights found for module Conv2d\(.*: .*m.json: weights: node \"0\" has no bias", MissingWeightsError
    )
    samples.edited(path, put("weights", value={}))
    refused(path, r"^No weights found for module Conv2d\(.* has no weight, bias", MissingWeightsError)


def test_a_bomb_that_agrees_with_itself_is_refused(path):
    def edit(content):
        content["nodes"] = content["nodes"][:1]
        content["outputs"][0]["value"] = "0"
        content["nodes"][0]["parameters"]["out_channels"] = 1 << 32
        content["weights"].pop("3.weight")
        content["weights"]["0.weight"]["shape"][0] = content["weights"]["0.bias"]["shape"][0] = 1 << 32

    samples.edited(path, edit)
    refused(path, "tensors have 326417514496 bytes; at most")

    def smaller(content):
        content["nodes"][0]["parameters"]["out_channels"] = 10**7
        content["weights"]["0.weight"]["shape"][0] = content["weights"]["0.bias"]["shape"][0] = 10**7

    samples.edited(path, smaller)
    refused(path, "data: must be the base64 of 720000000 bytes, 960000000 characters; got 384")


def test_edits_without_a_new_digest_are_found(path):
    samples.edited(path, put(*CONV, "stride", value=[2, 2]), reseal=False)
    refused(path, "sha256: is not the SHA-256 of the document's metadata")


def test_unused_bits_of_base64_are_refused(tmp_path):
    path = tmp_path / "m.json"
    checkpoint.write(samples.tiny(), path)
    text = path.read_text()
    assert text.count('="') == 2  # 8 bytes each: 11 characters, the last of which has two bits to spare
    end = text.index('="')
    path.write_text(text[: end - 1] + chr(ord(text[end - 1]) + 1) + text[end:])
    refused(path, "data: is not the base64 that an encoder writes")


# -------------------------------------------------------------------------------------- truncation, bit flips, mutation


def read(path):
    """Give the checkpoint, or the typed error."""
    try:
        return checkpoint.read(path)
    except KeyDNNError as error:
        return error


def typed_or_same(path, graph):
    """Read; True if that gave the very same graph."""
    found = read(path)
    if isinstance(found, KeyDNNError):
        assert "\n" not in str(found)
        return False
    assert samples.same(found.graph, graph), "silently another model"
    assert found.source == {"file": "m.h5"}
    return True


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "m.json"
    checkpoint.write(samples.tiny(), path, source={"file": "m.h5"})
    return path


def test_truncation_at_every_length_is_found(small):
    data = small.read_bytes()
    for length in range(len(data) - 1):
        small.write_bytes(data[:length])
        assert not typed_or_same(small, samples.tiny()), length
    small.write_bytes(data[:-1])
    assert typed_or_same(small, samples.tiny())  # the last byte is an end of line


def test_no_bit_flip_is_silent(small):
    data = small.read_bytes()
    harmless = 0
    for index in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[index] ^= 1 << bit
            small.write_bytes(flipped)
            harmless += typed_or_same(small, samples.tiny())
    assert harmless < len(data) // 10  # white space that became other white space


def test_random_edits_are_found_or_harmless(small):
    """Cut, repeat, move and overwrite stretches of the text, with a seed of its own."""
    data, pick = small.read_bytes(), random.Random(20240501)
    for _ in range(1500):
        a, b, c = (pick.randrange(len(data)) for _ in range(3))
        a, b = sorted((a, min(b, a + 40)))
        piece = data[a:b]
        made = pick.choice(
            [
                data[:a] + data[b:],
                data[:b] + piece + data[b:],
                data[:c] + piece + data[c + len(piece) :],
                data[:a] + pick.randbytes(len(piece)) + data[b:],
            ]
        )
        small.write_bytes(made)
        typed_or_same(small, samples.tiny())


VALUES = [
    *(None, True, False, 0, 1, -1, 2, 3, 10**9, 10**18, 0.0, -0.5, 1e308),
    *("", "same", "Conv2d", "x", [], [0], [[1, 1], [1, 1]], {}),
]


def spots(value, way=()):
    yield way
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from spots(item, (*way, key))


def test_resealed_random_values_give_typed_errors_and_no_other_weights(path, tmp_path):
    """Any value at any place, with the digest made anew: a typed error, or a graph that holds together."""
    content = json.loads(path.read_text())
    ways = [way for way in spots(content) if way]
    pick = random.Random(7)
    good = 0
    for _ in range(1500):
        way, value = pick.choice(ways), pick.choice(VALUES)
        samples.edited(path, put(*way, value=value))
        found = read(path)
        if isinstance(found, KeyDNNError):
            assert "\n" not in str(found)
        else:
            good += 1
            assert all(m.tensors().keys() == m.tensor_shapes().keys() for _, m in found.graph.modules())
        path.write_text(json.dumps(content))
    assert good  # some values are as good as what was there


# -------------------------------------------------------------------------------------------------- what reading may do


AUDIT = """
import sys
from keydnn import checkpoint
from keydnn.errors import KeyDNNError
opened, modules = [], set(sys.modules)
def hook(event, arguments):
    if event == "open" and not isinstance(arguments[0], int): opened.append(str(arguments[0]))
    if event.startswith(("subprocess", "socket", "os.system", "exec", "import")): opened.append(event)
for module in ("hashlib", "json", "binascii"): __import__(module)
sys.addaudithook(hook)
for path in sys.argv[1:]:
    try: checkpoint.read(path)
    except KeyDNNError as error: pass
    else: raise SystemExit("read " + path)
print("\\n".join(sorted(set(opened))))
print("modules", sorted(set(sys.modules) - modules))
"""


def test_no_other_file_is_opened_and_no_code_runs(tmp_path):
    names = [
        "/etc/passwd",
        "../m.safetensors",
        "..",
        "a/b.safetensors",
        "a\\b.safetensors",
        "m.safetensors\0",
        "C:m.safetensors",
    ]
    paths = []
    for index, name in enumerate([*names, {"class_name": "function", "module": "os", "config": "system"}]):
        path = tmp_path / f"{index}.json"
        checkpoint.write(samples.tiny(), path, weights="sidecar")
        edit = put("sidecar", "file", value=name) if isinstance(name, str) else put("nodes", 0, "type", value=name)
        samples.edited(path, edit)
        paths.append(str(path))
    done = subprocess.run([sys.executable, "-c", AUDIT, *paths], capture_output=True, text=True, check=True, timeout=30)
    *opened, modules = done.stdout.splitlines()
    assert set(opened) <= set(paths)
    assert modules == "modules []"


def test_memory_follows_the_weights(tmp_path):
    """A model of 64 MiB is read with less than 4 times as much inline, 1.2 times with a sidecar."""
    code = f"""
import resource, sys
import numpy as np
from keydnn import checkpoint
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Conv2d
path, what = {str(tmp_path / "m.json")!r}, sys.argv[1]
if what.startswith("write"):
    module = Conv2d(4096, 4096, 1, use_bias=False, weight=np.ones((4096, 4096, 1, 1), np.float32))
    graph = Graph([Input("x", (None, 4096, 1, 1))], [Node("n", module, ("x",))], [Output("y", "n")])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    checkpoint.write(graph, path, weights=what[6:])
else:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    checkpoint.read(path)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 65536)
"""

    def measure(what):
        done = subprocess.run(
            [sys.executable, "-c", code, what], capture_output=True, text=True, check=True, timeout=60
        )
        return float(done.stdout)

    found = [measure(what) for what in ("write-inline", "read", "write-sidecar", "read")]
    assert found[0] < 2  # the weights themselves are there already: one tensor's base64 at most
    assert found[1] < 4
    assert found[2] < 2.2
    assert found[3] < 1.2


def test_the_process_may_hold_many(path):
    """No file stays open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(min(limit, 50)):
        checkpoint.read(path)
        path_of_nothing = path.with_name("nothing.json")
        with pytest.raises(CheckpointError):
            checkpoint.read(path_of_nothing)
    assert len(os.listdir("/proc/self/fd")) == before
