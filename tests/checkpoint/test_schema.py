"""The JSON Schema in docs/ says what the writer writes, and refuses what the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import keydnn.checkpoint as checkpoint
from keydnn.errors import KeyDNNError
from tests.checkpoint import samples

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "checkpoint.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("weights", ["inline", "sidecar"])
@pytest.mark.parametrize("make", samples.GRAPHS.values(), ids=samples.GRAPHS.keys())
def test_what_is_written_fits(tmp_path, make, weights):
    checkpoint.write(make(), tmp_path / "m.json", weights=weights, source=samples.SOURCE)
    VALIDATOR.validate(json.loads((tmp_path / "m.json").read_text()))


def put(*steps, value):
    def edit(content):
        for step in steps[:-1]:
            content = content[step]
        content[steps[-1]] = value

    return edit


def drop(*steps):
    def edit(content):
        for step in steps[:-1]:
            content = content[step]
        del content[steps[-1]]

    return edit


BROKEN = {
    "input-of-float32": put("inputs", 0, "dtype", value="float32"),
    "input-of-another-dtype": put("inputs", 0, "dtype", value="object"),
    "format": put("format", value="keydnn.json.ckpt.v3"),
    "no-format": drop("format"),
    "unknown-key": put("extra", value=1),
    "no-inputs": put("inputs", value=[]),
    "input-of-size-0": put("inputs", 0, "shape", 0, value=0),
    "input-shape-text": put("inputs", 0, "shape", value="(None, 2)"),
    "node-without-type": drop("nodes", 0, "type"),
    "node-with-unknown-key": put("nodes", 0, "config", value={}),
    "node-that-shares-and-has-a-type": put("nodes", 2, "type", value="Conv2d"),
    "parameter-object": put("nodes", 0, "parameters", "stride", value={"h": 1}),
    "input-name-number": put("nodes", 0, "inputs", 0, value=0),
    "origin-without-class": drop("nodes", 0, "origin", "class_name"),
    "no-outputs": put("outputs", value=[]),
    "output-without-value": drop("outputs", 0, "value"),
    "source-text": put("source", value="m.h5"),
    "weights-list": put("weights", value=[]),
    "tensor-name-without-node": put("weights", "weight", value={}),
    "dtype": put("weights", "a.bias", "dtype", value="<f8"),
    "negative-size": put("weights", "a.bias", "shape", 0, value=-1),
    "short-digest": put("weights", "a.bias", "sha256", value="00"),
    "no-data": drop("weights", "a.bias", "data"),
    "data-no-base64": put("weights", "a.bias", "data", value="?"),
    "no-states": put("states", value=[]),
    "state-number": put("states", value=[1]),
    "sidecar-and-data": put("sidecar", value={"file": "m.safetensors", "sha256": "0" * 64}),
    "sidecar-elsewhere": put("sidecar", value={"file": "../m.safetensors", "sha256": "0" * 64}),
}


@pytest.mark.parametrize("edit", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken_does_not_fit_and_is_not_read(tmp_path, edit):
    path = tmp_path / "m.json"
    checkpoint.write(samples.shared(), path)
    samples.edited(path, edit)
    assert not VALIDATOR.is_valid(json.loads(path.read_text()))
    with pytest.raises(KeyDNNError):
        checkpoint.read(path)
