"""Real files that are not part of this repository: three benchmark models, and Keras files of strangers.

They lie beside the checkout, in ``../shared/data`` (its README.md says what they are); where it is absent, these tests
are skipped and say so.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import KerasInteropError, KeyDNNError

DATA = Path(__file__).parents[3] / "shared" / "data"
MODELS, WILD = DATA / "models", DATA / "wild"
NAMES = ("ad01", "pretrainedResnet", "vww_96")
# Files of strangers that convert and give their reference's numbers; none of them may be lost again.
OPENED = {
    "09070d56f559", "0fdda672f8d6", "16ccaa36b821", "1787636d1e49", "2111e8110a5e", "25eb9e9cb285", "37a558770152",
    "37da605becd9", "3ae0454704a4", "3da9c906a661", "452ad561519b", "45ff76027b74", "4a53ed73c07e", "4efc903be133",
    "54c920d8db11", "57f12d6a9baa", "5962b8e7b3a6", "5a839ba7f08c", "654bc7d180a2", "680cd3d86d4f", "6f401f15630c",
    "7709ebe06d82", "8748ce225e91", "940481b4a44c", "95e021340fd0", "97eeb3dc6691", "9e2f0e13643e", "afd93239f7d1",
    "b9e700e97e4c", "be98fff3ca6d", "c384ea5c36c9", "c7972b74b5db", "deea31e39da0", "e08c6e5f217a", "e28a04cc2b51",
    "f24e8b09e08c", "f256297225ab",
}  # fmt: skip
# Written with data_format="channels_last", the only one that these three files have.
SPATIAL = {"Conv2D", "DepthwiseConv2D", "AveragePooling2D", "ZeroPadding2D", "GlobalAveragePooling2D", "MaxPooling2D"}

needs_data = pytest.mark.skipif(not MODELS.is_dir(), reason=f"{DATA} is absent: real files are not tested")


def manifest():
    """Give the list of the strangers' files, or one entry to skip."""
    if not WILD.is_dir():
        return [pytest.param(None, id="absent")]
    return [pytest.param(entry, id=entry["id"]) for entry in json.loads((WILD / "manifest.json").read_text())]


def relative_error(found, wanted):
    """Give the largest error beside the largest number wanted."""
    assert found.shape == wanted.shape
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_model_gives_its_reference(name):
    with np.load(MODELS / f"{name}_reference.npz") as reference:
        x, y = reference["x"], reference["y"]
    assert relative_error(from_keras(MODELS / f"{name}.h5", strict=False).predict(x), y) < 1e-5


@needs_data
def test_resnet8_classifies_as_many_images_as_in_keras():
    with np.load(DATA / "cifar10_test_846.npz") as file:
        images, labels = file["images"].astype(np.float32), file["labels"]
    scores = from_keras(MODELS / "pretrainedResnet.h5", strict=False).predict(images)
    assert int((scores.argmax(1) == labels).sum()) == 742


def layers_of(path):
    """Read the layers from the file's own JSON."""
    with h5py.File(path) as file:
        text = file.attrs["model_config"]
    config = json.loads(text)["config"]
    return config["layers"] if isinstance(config, dict) else config


@needs_data
def test_strict_takes_the_dense_autoencoder():
    """Nothing is fused, and its BatchNormalization is of rank 2, whose last axis is axis 1."""
    assert from_keras(MODELS / "ad01.h5").graph.nodes


@needs_data
@pytest.mark.parametrize("name", ["pretrainedResnet", "vww_96"])
def test_strict_lists_every_obstacle_of_a_benchmark_model(name):
    path = MODELS / f"{name}.h5"
    layers = layers_of(path)
    fused = {
        entry["config"]["name"]
        for entry in layers
        if entry["class_name"] != "Activation" and entry["config"].get("activation") not in (None, "linear")
    }
    last = {entry["config"]["name"] for entry in layers if entry["class_name"] in SPATIAL}
    last |= {entry["config"]["name"] for entry in layers if entry["class_name"] == "BatchNormalization"}
    assert last
    with pytest.raises(KerasInteropError) as caught:
        from_keras(path)
    found = [(obstacle.layer, obstacle.switch) for obstacle in caught.value.obstacles]
    wanted = {(layer, "allow_non_linear_activation=True") for layer in fused}
    wanted |= {(layer, 'channels_last="transpose"') for layer in last}
    assert set(found) == wanted
    assert len(found) == len(wanted)
    for switch in {switch for _, switch in wanted}:
        assert switch in str(caught.value)


@pytest.mark.parametrize("entry", manifest())
def test_a_strangers_file_gives_its_reference_or_a_typed_error(entry):
    if entry is None:
        pytest.skip(f"{WILD} is absent: files of strangers are not tested")
    given = WILD / entry["architecture"] if entry["architecture"] else None
    try:
        model = from_keras(WILD / entry["file"], strict=False, architecture=given)
    except KeyDNNError:
        if entry["id"] in OPENED:
            raise
        return
    if not entry["reference"]:
        return
    with np.load(WILD / entry["reference"]) as reference:
        inputs, answers = ([reference[key] for key in sorted(reference.files) if key[0] == axis] for axis in "xy")
    result = model.predict(inputs if len(inputs) > 1 else inputs[0])
    found = result if isinstance(result, list) else [result]
    assert len(found) == len(answers)
    assert max(map(relative_error, found, answers)) < 1e-4
    assert entry["id"] in OPENED, "a file more than before: add it to OPENED"
