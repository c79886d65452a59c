"""The sidecar is held to what the JSON file says, down to the last byte."""

from __future__ import annotations

import hashlib
import json
import os
import struct

import pytest

import keydnn.checkpoint as checkpoint
from keydnn.checkpoint import document
from keydnn.errors import CheckpointError
from tests.checkpoint import samples
from tests.checkpoint.test_hostile import read, refused
from tests.checkpoint.test_schema import drop, put


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.json"
    checkpoint.write(samples.tiny(), path, weights="sidecar")
    return path


def replaced(path, data):
    """Put another sidecar there, with its digest in the JSON file."""
    path.with_suffix(".safetensors").write_bytes(data)
    samples.edited(path, put("sidecar", "sha256", value=hashlib.sha256(data).hexdigest()))


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "../m.safetensors", "a/m.safetensors", "a\\m.safetensors", "C:m.safetensors",
     "m.safetensors\0", "\0.safetensors", "m\n.safetensors", "m.json", "m.h5", "x" * 300 + ".safetensors"],
)  # fmt: skip
def test_names_that_are_not_bare_are_refused(path, name):
    samples.edited(path, put("sidecar", "file", value=name))
    refused(path, r"sidecar.file: must be the bare name of a .safetensors file")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        pytest.param(put("sidecar", "sha256", value="0"), "sidecar.sha256: must be a SHA-256", id="digest"),
        pytest.param(drop("sidecar", "file"), "sidecar: key 'file' is missing", id="no-file"),
        pytest.param(put("sidecar", "file", value=None), "sidecar.file: must be text", id="null"),
        pytest.param(put("sidecar", "offset", value=0), "sidecar.offset: unknown key", id="unknown-key"),
        pytest.param(put("sidecar", "sha256", value="0" * 64), "its SHA-256 is not the one", id="other-digest"),
        pytest.param(
            put("sidecar", "file", value="n.safetensors"), "n.safetensors: cannot be read: No such file", id="missing"
        ),
        pytest.param(drop("sidecar"), "stands without data, and the document names no sidecar", id="neither"),
        pytest.param(put("weights", "conv.bias", "data", value=""), "data: unknown key", id="data-too"),
    ],
)
def test_entries_are_checked(path, edit, match):
    samples.edited(path, edit)
    refused(path, match)


def test_a_symbolic_link_is_refused(path):
    sidecar = path.with_suffix(".safetensors")
    sidecar.rename(path.with_name("elsewhere"))
    sidecar.symlink_to("elsewhere")
    refused(path, "is a symbolic link")
    checkpoint.write(samples.tiny(), path, weights="sidecar")  # replaces the link, not what it points to
    assert samples.same(checkpoint.read(path).graph, samples.tiny())
    assert not sidecar.is_symlink()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_regular_file_is_refused(path, make):
    path.with_suffix(".safetensors").unlink()
    make(path.with_suffix(".safetensors"))
    refused(path, "is a folder|is no regular file")


def test_a_file_of_holes_is_not_read(path):
    os.truncate(path.with_suffix(".safetensors"), 1 << 40)
    refused(path, "has 1099511627776 bytes, but the tensors that belong into it need")


def pack(header, data=bytes(16)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def entry(begin, end, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


WEIGHT, BIAS = entry(0, 8, shape=(2, 1, 1, 1)), entry(8, 16)
HEADERS = {
    "overlapping": (pack({"conv.weight": WEIGHT, "conv.bias": entry(4, 12)}), "overlap or leave gaps"),
    "same-bytes": (pack({"conv.weight": WEIGHT, "conv.bias": entry(0, 8)}), "overlap or leave gaps"),
    "gap": (pack({"conv.weight": WEIGHT, "conv.bias": entry(12, 20)}), "overlap or leave gaps"),
    "beyond-the-end": (pack({"conv.weight": WEIGHT, "conv.bias": entry(10**18, 10**18 + 8)}), "overlap or leave gaps"),
    "negative": (pack({"conv.weight": WEIGHT, "conv.bias": entry(-8, 0)}), "must be an integer >= 0"),
    "backwards": (pack({"conv.weight": WEIGHT, "conv.bias": entry(16, 8)}), "must span 8 bytes"),
    "three-offsets": (pack({"conv.weight": WEIGHT | {"data_offsets": [0, 8, 16]}, "conv.bias": BIAS}), "must span"),
    "missing": (pack({"conv.weight": WEIGHT}), "key 'conv.bias' is missing"),
    "additional": (pack({"conv.weight": WEIGHT, "conv.bias": BIAS, "x": entry(16, 16)}), "x: unknown key"),
    "metadata": (pack({"__metadata__": {}, "conv.weight": WEIGHT, "conv.bias": BIAS}), "__metadata__: unknown key"),
    "dtype": (pack({"conv.weight": WEIGHT, "conv.bias": entry(8, 16, "I32")}), 'dtype: must be "F32", got "I32"'),
    "shape": (pack({"conv.weight": WEIGHT, "conv.bias": entry(8, 16, shape=(1, 2))}), r"must be \[2\], got \[1, 2\]"),
    "no-json": (pack(b"{conv}"), "not valid JSON"),
    "duplicate": (pack(b'{"conv.weight": 1, "conv.weight": 2}'), "the key stands here twice"),
    "deep": (pack(b"[" * 1000), "nested 1000 deep"),
    "list": (pack([]), "must be an object"),
    "long-header": (struct.pack("<Q", 2**63) + bytes(16), "do not make the file"),
    "no-header": (struct.pack("<Q", 0) + bytes(16), "not valid JSON"),
    "unaligned": (struct.pack("<Q", 2) + b"{}" + bytes(16), "do not make the file"),
    "short": (b"1234567", "has 7 bytes, but the tensors that belong into it need 24"),
    "empty": (b"", "has 0 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "match"), HEADERS.values(), ids=HEADERS.keys())
def test_hostile_sidecars_are_refused(path, data, match):
    replaced(path, data)
    refused(path, match)


def test_tensors_may_lie_in_another_order(path):
    """The order in the file is the writer's business."""
    graph = samples.tiny()
    weight, bias = (graph.nodes[0].module.tensors()[name].tobytes() for name in ("weight", "bias"))
    header = {"conv.bias": entry(0, 8), "conv.weight": entry(8, 16, shape=(2, 1, 1, 1))}
    replaced(path, pack(header, bias + weight))
    assert samples.same(checkpoint.read(path).graph, graph)


def test_tensors_are_held_to_their_own_digests(path):
    replaced(path, pack({"conv.weight": WEIGHT, "conv.bias": entry(8, 16)}))
    refused(path, r'weights\["conv.weight"\].sha256: is not the SHA-256 of the tensor')


def test_every_flip_and_every_truncation_is_found(path):
    sidecar = path.with_suffix(".safetensors")
    data = sidecar.read_bytes()
    for length in range(len(data)):
        sidecar.write_bytes(data[:length])
        assert isinstance(read(path), CheckpointError), length
    for index in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[index // 8] ^= 1 << index % 8
        sidecar.write_bytes(flipped)
        assert isinstance(read(path), CheckpointError), index


def test_the_pending_file_is_read_where_the_final_one_does_not_fit(path):
    """The state after a crash between the two renames."""
    final = path.with_suffix(".safetensors")
    digest = json.loads(path.read_text())["sidecar"]["sha256"]
    pending = path.with_name(f"m.safetensors.{digest[:16]}")
    final.rename(pending)
    assert samples.same(checkpoint.read(path).graph, samples.tiny())
    final.write_bytes(pending.read_bytes()[:-1] + b"x")  # the old one: of the same size
    assert samples.same(checkpoint.read(path).graph, samples.tiny())
    pending.write_bytes(final.read_bytes())
    refused(path, r"m.safetensors: its SHA-256 is not the one that .*m.json gives")


def test_a_checkpoint_may_be_renamed_without_its_sidecar(path):
    path.rename(path.with_name("other.json"))
    assert samples.same(checkpoint.read(path.with_name("other.json")).graph, samples.tiny())


def test_the_json_file_cannot_be_its_own_sidecar(tmp_path):
    with pytest.raises(CheckpointError, match="name of the sidecar itself"):
        checkpoint.write(samples.tiny(), tmp_path / "m.safetensors", weights="sidecar")


def test_digests_are_those_of_the_files(path):
    content = json.loads(path.read_text())
    assert content["sidecar"]["sha256"] == hashlib.sha256(path.with_suffix(".safetensors").read_bytes()).hexdigest()
    assert content["sha256"] == document.metadata_digest(content)
