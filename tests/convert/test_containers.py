"""What a source is: archives, folders, weights only, sharded weights, files of Windows, and what is no Keras file."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, MissingArchitectureError, from_keras
from keydnn.errors import ParameterError
from tests.convert import files

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
FIRST, SECOND = files.dense_weights(4, 5, 1), files.dense_weights(5, 3, 2)
CONFIG = files.keras3_sequential(files.dense("zeta", 5), files.dense("alpha", 3))
METADATA = '{"keras_version": "3.7.0"}'
VARIABLES = {"layers/dense": list(FIRST.values()), "layers/dense_1": list(SECOND.values())}


def wanted():
    return (X @ FIRST["kernel:0"] + FIRST["bias:0"]) @ SECOND["kernel:0"] + SECOND["bias:0"]


def assert_gives_the_answer(source, **options):
    np.testing.assert_allclose(from_keras(source, **options).predict(X), wanted(), rtol=1e-5)


@pytest.fixture
def members():
    return {
        "metadata.json": METADATA,
        "config.json": json.dumps(CONFIG),
        "model.weights.h5": files.archive_weights(VARIABLES),
    }


def in_folder(folder, members):
    folder.mkdir()
    for name, content in members.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


# --- .keras -----------------------------------------------------------------------------------------------------------


def test_a_keras_folder_is_what_the_archive_is(tmp_path, members):
    assert_gives_the_answer(in_folder(tmp_path / "m.keras", members))
    assert_gives_the_answer(files.write_archive(tmp_path / "z.keras", members))


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "archive"])
def test_weights_as_npz_are_refused_because_they_are_pickles(tmp_path, members, folder):
    del members["model.weights.h5"]
    members["model.weights.npz"] = b"PK\x03\x04"
    path = in_folder(tmp_path / "m", members) if folder else files.write_archive(tmp_path / "m.keras", members)
    with pytest.raises(KerasInteropError, match=r"model\.weights\.npz holds Python pickles"):
        from_keras(path)


@pytest.mark.parametrize("folder", [True, False], ids=["folder", "archive"])
def test_a_config_that_is_one_text_is_parsed_again(tmp_path, members, folder):
    members["config.json"] = json.dumps(members["config.json"])
    path = in_folder(tmp_path / "m", members) if folder else files.write_archive(tmp_path / "m.keras", members)
    assert_gives_the_answer(path)


def test_a_model_config_that_is_one_text_is_parsed_again(tmp_path):
    weights = files.dense_weights()
    path = files.write_h5(tmp_path / "m.h5", json.dumps(json.dumps(files.sequential(files.dense()))), {"d": weights})
    np.testing.assert_allclose(from_keras(path).predict(X), X @ weights["kernel:0"] + weights["bias:0"], rtol=1e-6)


def test_a_text_in_a_text_in_a_text_is_no_configuration(tmp_path):
    thrice = json.dumps(json.dumps(json.dumps({})))
    with pytest.raises(KerasFileError, match="not a configuration"):
        from_keras(files.write_h5(tmp_path / "m.h5", thrice, {}))


def on_windows(variables):
    """Give the bytes of a model.weights.h5 of Keras 2.15 on Windows: backslashes where the others have groups."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("vars")
        for path, arrays in variables.items():
            group = file.create_group(path.replace("/", "\\")).create_group("vars")
            for place, array in enumerate(arrays):
                group[str(place)] = array
    return buffer.getvalue()


def test_group_names_with_backslashes(tmp_path, members):
    mean = {"metrics/mean": [np.zeros((), np.float32)]}
    members["model.weights.h5"] = on_windows({**VARIABLES, "layers/dropout": [], **mean})
    members["config.json"] = json.dumps(
        files.keras3_sequential(files.dense("a", 5), ("Dropout", {"name": "x1", "rate": 0.5}), files.dense("b", 3))
    )
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as file:
        assert "layers\\dense_1" in file
    assert_gives_the_answer(files.write_archive(tmp_path / "m.keras", members))


def test_nested_groups_with_backslashes(tmp_path, members):
    inner = files.keras3_sequential(files.dense("zeta", 5))
    inner["config"]["name"] = "inner"
    config = files.keras3_sequential(files.dense("alpha", 3))
    config["config"]["layers"].insert(1, inner)
    members["config.json"] = json.dumps(config)
    members["model.weights.h5"] = on_windows(
        {"layers/sequential/layers/dense": VARIABLES["layers/dense"], "layers/dense": VARIABLES["layers/dense_1"]}
    )
    assert_gives_the_answer(files.write_archive(tmp_path / "m.keras", members))


def test_the_list_of_layers_until_keras_2_13_counts_those_with_weights_twice(tmp_path, members):
    members["metadata.json"] = '{"keras_version": "2.13.1"}'
    members["config.json"] = json.dumps(
        files.keras3_sequential(files.dense("a", 5), ("Dropout", {"name": "x1", "rate": 0.5}), files.dense("b", 3))
    )
    base = "_layer_checkpoint_dependencies"
    members["model.weights.h5"] = files.archive_weights(
        {f"{base}/dense": list(FIRST.values()), f"{base}/dense_2": list(SECOND.values())}
    )
    assert_gives_the_answer(files.write_archive(tmp_path / "m.keras", members))


@pytest.mark.parametrize("swapped", [False, True])
def test_groups_of_the_weights_may_be_labelled_and_then_their_labels_count(tmp_path, members, swapped):
    """Keras 3 writes the layer's name into ``vars``."""
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "a") as file:
        for group, name in zip(("dense", "dense_1"), ("alpha", "zeta") if swapped else ("zeta", "alpha"), strict=True):
            file[f"layers/{group}/vars"].attrs["name"] = name
    path = files.write_archive(tmp_path / "m.keras", {**members, "model.weights.h5": buffer.getvalue()})
    if not swapped:
        assert_gives_the_answer(path)
        return
    with pytest.raises(KerasFileError, match="layers/dense is of 'alpha', but by its place of 'zeta'"):
        from_keras(path)
    (tmp_path / "w.weights.h5").write_bytes(buffer.getvalue())
    assert_gives_the_answer(tmp_path / "w.weights.h5", architecture=json.dumps(CONFIG))


# --- weights only -----------------------------------------------------------------------------------------------------


def legacy_weights(path, weights, **attributes):
    """Write what ``save_weights`` wrote in the legacy layout: the groups at the root."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in weights])
        file.attrs.update(attributes)
        for layer, arrays in weights.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/{name}".encode() for name in arrays])
            for name, array in arrays.items():
                group[f"{layer}/{name}"] = array
    return path


def v3_weights(path):
    path.write_bytes(files.archive_weights(VARIABLES))
    return path


KERAS2 = files.sequential(files.dense("zeta", 5), files.dense("alpha", 3))


def test_legacy_weights_with_their_architecture_as_a_file_or_as_text(tmp_path):
    path = legacy_weights(tmp_path / "w.h5", {"zeta": FIRST, "alpha": SECOND}, keras_version="2.4.0")
    (tmp_path / "model.json").write_text(json.dumps(KERAS2))
    assert_gives_the_answer(path, architecture=tmp_path / "model.json")
    assert_gives_the_answer(path, architecture=str(tmp_path / "model.json"))
    (tmp_path / "model.json").write_text(json.dumps(KERAS2), encoding="utf-8-sig")
    assert_gives_the_answer(path, architecture=tmp_path / "model.json")
    assert_gives_the_answer(path, architecture=json.dumps(KERAS2))
    assert_gives_the_answer(path, architecture=json.dumps(json.dumps(KERAS2)))


def test_v3_weights_with_their_architecture(tmp_path):
    assert_gives_the_answer(v3_weights(tmp_path / "m.weights.h5"), architecture=json.dumps(CONFIG))


def test_layers_of_other_names_are_matched_by_their_order(tmp_path):
    path = legacy_weights(tmp_path / "w.h5", {"dense_7": FIRST, "dense_8": SECOND}, keras_version="2.4.0")
    assert_gives_the_answer(path, architecture=json.dumps(KERAS2))


def test_another_number_of_layers_is_not_matched_by_order(tmp_path):
    weights = {"dense_7": FIRST, "dense_8": SECOND, "dense_9": SECOND}
    path = legacy_weights(tmp_path / "w.h5", weights, keras_version="2.4.0")
    with pytest.raises(KerasFileError, match="weights of layers that the architecture lacks: dense_7"):
        from_keras(path, architecture=json.dumps(KERAS2))


def test_the_given_architecture_comes_before_the_files_own(tmp_path, members):
    members["config.json"] = json.dumps(files.keras3_sequential(("Mystery", {"name": "m"})))
    path = files.write_archive(tmp_path / "m.keras", members)
    with pytest.raises(KerasInteropError, match="architecture lacks"):
        from_keras(path)
    assert_gives_the_answer(path, architecture=json.dumps(CONFIG))


@pytest.mark.parametrize("version", ["2.4.0", "3.4.0"])
def test_an_architectures_own_version_counts(tmp_path, version):
    """Keras 2 and 3 mean different functions by hard_sigmoid."""
    config = files.sequential(("Activation", {"name": "a", "trainable": True, "activation": "hard_sigmoid"}))
    path = legacy_weights(tmp_path / "w.h5", {"a": {}, "b": FIRST}, keras_version="2.4.0")
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = np.array([b"a"])
    model = from_keras(path, architecture=json.dumps({**config, "keras_version": version}))
    np.testing.assert_allclose(model.predict(np.ones((1, 4))), np.full((1, 4), {"2": 0.7, "3": 4 / 6}[version[0]]))


def test_weights_alone_are_listed_with_their_shapes(tmp_path):
    path = legacy_weights(tmp_path / "w.h5", {"zeta": FIRST}, keras_version="2.4.0")
    with h5py.File(path, "a") as file:
        file["optimizer_weights/m"] = np.zeros(3)
    with pytest.raises(MissingArchitectureError, match=r"weights without an architecture \(2 arrays\)") as caught:
        from_keras(path)
    assert [(array.name, array.shape, array.dtype) for array in caught.value.arrays] == [
        ("zeta/zeta/bias:0", (5,), "float32"),
        ("zeta/zeta/kernel:0", (4, 5), "float32"),
    ]
    assert "--architecture model.json" in str(caught.value)
    assert "zeta/zeta/kernel:0  (4, 5)  float32" in str(caught.value)


def test_a_long_list_is_cut_in_the_message_only(tmp_path):
    path = legacy_weights(tmp_path / "w.h5", {f"d{number}": FIRST for number in range(30)})
    with pytest.raises(MissingArchitectureError, match=r"\.\.\. 20 more; keydnn inspect lists them") as caught:
        from_keras(path)
    assert len(caught.value.arrays) == 60


@pytest.mark.parametrize(
    ("given", "word"),
    [
        pytest.param("nothere.json", "No such file", id="no-file"),
        pytest.param('{"class_name": ', "not valid JSON", id="cut"),
        pytest.param('{"class_name": "Sequential", "config": 3}', "not a configuration", id="no-config"),
    ],
)
def test_bad_architectures_are_named(tmp_path, given, word):
    path = legacy_weights(tmp_path / "w.h5", {"zeta": FIRST})
    with pytest.raises(KerasInteropError, match=word):
        from_keras(path, architecture=given)


def test_an_architecture_does_not_go_with_a_live_model():
    with pytest.raises(ParameterError, match="not with a live model"):
        from_keras(object(), architecture="{}")


def test_groups_that_form_a_circle_are_refused(tmp_path):
    path = v3_weights(tmp_path / "m.weights.h5")
    with h5py.File(path, "a") as file:
        file["layers/dense/again"] = file["layers"]
    for options in ({}, {"architecture": json.dumps(CONFIG)}):
        with pytest.raises(KerasFileError, match="the same group under two names"):
            from_keras(path, **options)


@pytest.mark.parametrize("layout", ["legacy", "v3"])
def test_every_truncation_of_weights_ends_in_a_typed_error(tmp_path, layout):
    path = tmp_path / "w.h5"
    if layout == "legacy":
        legacy_weights(path, {"zeta": FIRST, "alpha": SECOND}, keras_version="2.4.0")
    else:
        v3_weights(path)
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        for options in ({}, {"architecture": json.dumps(KERAS2 if layout == "legacy" else CONFIG)}):
            with pytest.raises(KerasInteropError):
                from_keras(path, **options)


# --- sharded weights --------------------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path):
    """Kernel and bias of the first layer lie in two files."""
    kernel, bias = FIRST.values()
    with h5py.File(tmp_path / "m_00000.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = kernel
    with h5py.File(tmp_path / "m_00001.weights.h5", "w") as file:
        file["layers/dense/vars/1"] = bias
        for place, array in enumerate(SECOND.values()):
            file[f"layers/dense_1/vars/{place}"] = array
    index = {
        "metadata": {"total_size": 172.0},
        "weight_map": {
            "/layers/dense/vars": ["m_00000.weights.h5", "m_00001.weights.h5"],
            "/layers/dense_1/vars": "m_00001.weights.h5",
        },
    }
    path = tmp_path / "m.weights.json"
    path.write_text(json.dumps(index, indent=4))
    return path


def test_sharded_weights(shards):
    assert_gives_the_answer(shards, architecture=json.dumps(CONFIG))


def test_sharded_weights_without_architecture_are_listed(shards):
    with pytest.raises(MissingArchitectureError) as caught:
        from_keras(shards)
    assert len(caught.value.arrays) == 4


@pytest.mark.parametrize("name", ["../m_00000.weights.h5", "/etc/passwd", "a\\b", "", 3, ".."])
def test_shards_lie_beside_their_index(shards, name):
    index = json.loads(shards.read_text())
    index["weight_map"]["/layers/dense/vars"] = name
    shards.write_text(json.dumps(index))
    with pytest.raises(KerasFileError, match="no name of a file beside it"):
        from_keras(shards, architecture=json.dumps(CONFIG))


def test_a_missing_shard_is_named(shards, tmp_path):
    (tmp_path / "m_00001.weights.h5").unlink()
    with pytest.raises(KerasFileError, match=r"m_00001\.weights\.h5"):
        from_keras(shards, architecture=json.dumps(CONFIG))


def test_an_array_in_two_shards_is_refused(shards, tmp_path):
    with h5py.File(tmp_path / "m_00001.weights.h5", "a") as file:
        file["layers/dense/vars/0"] = FIRST["kernel:0"]
    with pytest.raises(KerasFileError, match="lies in 2 of the sharded files"):
        from_keras(shards, architecture=json.dumps(CONFIG))


# --- numbers ----------------------------------------------------------------------------------------------------------


def bfloat16(array):
    """Give the upper halves of float32 numbers, as h5py writes bfloat16: two opaque bytes."""
    return (array.view(np.uint32) >> 16).astype("<u2").view("V2")


@pytest.mark.parametrize("container", ["h5", "keras"])
def test_bfloat16_is_widened_exactly(tmp_path, members, container):
    random = np.random.default_rng(3)
    full = {name: random.standard_normal(array.shape).astype(np.float32) for name, array in FIRST.items()}
    halves = {name: bfloat16(array) for name, array in full.items()}
    exact = {name: (array.view("<u2").astype(np.uint32) << 16).view(np.float32) for name, array in halves.items()}
    if container == "h5":
        path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense("d", 5)), {"d": halves}, "3.7.0")
    else:
        members["config.json"] = json.dumps(files.keras3_sequential(files.dense("d", 5)))
        members["model.weights.h5"] = files.archive_weights({"layers/dense": list(halves.values())})
        path = files.write_archive(tmp_path / "m.keras", members)
    state = from_keras(path).state_dict()
    np.testing.assert_array_equal(state["d.weight"], exact["kernel:0"].T)
    np.testing.assert_array_equal(state["d.bias"], exact["bias:0"])


# --- what is no Keras file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"\x1c\x00\x00\x00TFL3\x14\x00", "a TensorFlow Lite model", id="tflite"),
        pytest.param(b"<!DOCTYPE html><html>", "the download went wrong", id="html"),
        pytest.param(b"\x1f\x8b\x08\x00", "a gzip archive", id="gzip"),
        pytest.param(b'\x10\x00\x00\x00\x00\x00\x00\x00{"a": {}}', "a safetensors file", id="safetensors"),
    ],
)
def test_other_formats_are_called_by_their_names(tmp_path, content, word):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(KerasFileError, match=word):
        from_keras(path)


@pytest.mark.parametrize(
    ("names", "word"),
    [
        pytest.param(["net/data.pkl", "net/data/0"], "a PyTorch file", id="pytorch"),
        pytest.param(["kernel.npy", "bias.npy"], r"a NumPy archive \(\.npz\)", id="npz"),
        pytest.param(["m/saved_model.pb"], "a TensorFlow SavedModel", id="saved-model"),
        pytest.param(["readme.txt"], 'which holds "readme.txt"', id="other"),
    ],
)
def test_other_zip_archives_are_called_by_their_names(tmp_path, names, word):
    with zipfile.ZipFile(tmp_path / "m.h5", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    with pytest.raises(KerasFileError, match=word):
        from_keras(tmp_path / "m.h5")


def test_a_saved_model_says_the_way_out(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"\x08\x01\x12")
    for path in (tmp_path / "m", tmp_path / "m" / "saved_model.pb"):
        with pytest.raises(
            KerasFileError, match=r"a TensorFlow SavedModel.*tf_keras\.models\.load_model.*Keras 3.*\.keras"
        ):
            from_keras(path)
