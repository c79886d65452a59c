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
from keydnn.errors import KerasInteropError

DATA = Path(__file__).parents[3] / "shared" / "data"
MODELS, WILD, GOLD = DATA / "models", DATA / "wild", DATA / "gold"
NAMES = ("ad01", "pretrainedResnet", "vww_96")
# Written with data_format="channels_last", the only one that these three files have.
SPATIAL = {"Conv2D", "DepthwiseConv2D", "AveragePooling2D", "ZeroPadding2D", "GlobalAveragePooling2D", "MaxPooling2D"}

needs_data = pytest.mark.skipif(not MODELS.is_dir(), reason=f"{DATA} is absent: real files are not tested")


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


def entries(folder):
    """Give a folder's list of files, each as a parameter, or one that skips."""
    if not folder.is_dir():
        return [pytest.param(folder, None, id=f"{folder.name}-absent")]
    listed = json.loads((folder / "manifest.json").read_text())
    return [pytest.param(folder, entry, id=f"{folder.name}-{entry['id']}") for entry in listed]


def arrays_of(path, letter):
    """Give the arrays ``x0``, ``x1``, ... of a recording."""
    with np.load(path) as recording:
        return [recording[f"{letter}{place}"] for place in range(sum(key[0] == letter for key in recording.files))]


def opened(folder, entry):
    """Give the model of a file, with the architecture that lies beside it."""
    given = folder / entry["architecture"] if entry["architecture"] else None
    return from_keras(folder / entry["file"], strict=False, architecture=given)


# A convolutional network for MNIST that Keras 1 wrote on Theano, which mirrors kernels.  Its reference leaves that out
# ("no Theano kernel flip" in the manifest); the digits of the recording of another network tell who is right.
MIRRORED, DIGITS = "9c145fa07e45", "497bb34924b0"


def unmirror(model):
    """Undo the mirroring of all kernels of convolutions."""
    state = model.state_dict()
    model.load_state_dict({name: np.flip(a, (2, 3)) if a.ndim == 4 else a for name, a in state.items()})


@needs_data
def test_theanos_kernels_are_mirrored_as_digits_show():
    """All 16 digits are read as the other network reads them; not mirrored, it would be 13."""
    (images,), (scores,) = (arrays_of(GOLD / f"{DIGITS}.io.npz", letter) for letter in "xy")
    model = from_keras(WILD / f"{MIRRORED}.h5", strict=False, architecture=WILD / f"{MIRRORED}.json")
    images = images.reshape(-1, 1, 28, 28)
    np.testing.assert_array_equal(model.predict(images).argmax(1), scores.argmax(1))
    unmirror(model)
    assert (model.predict(images).argmax(1) == scores.argmax(1)).sum() == 13


@pytest.mark.parametrize(("folder", "entry"), entries(WILD) + entries(GOLD))
def test_a_strangers_file_gives_its_reference_or_the_right_error(folder, entry):
    if entry is None:
        pytest.skip(f"{folder} is absent: files of strangers are not tested")
    recording = entry.get("reference") or entry.get("recorded")
    if not recording:
        with pytest.raises(KerasInteropError) as caught:
            opened(folder, entry)
        refused = {obstacle.class_name.rpartition(">")[2] for obstacle in caught.value.obstacles}
        assert refused
        assert refused <= {*entry["custom_classes"], "Lambda"}
        return
    model = opened(folder, entry)
    if entry["id"] == MIRRORED:
        unmirror(model)
    inputs, answers = arrays_of(folder / recording, "x"), arrays_of(folder / recording, "y")
    result = model.predict(inputs if len(inputs) > 1 else inputs[0])
    found = result if isinstance(result, list) else [result]
    assert len(found) == len(answers)
    assert max(map(relative_error, found, answers)) < 1e-4
