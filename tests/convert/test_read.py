"""Reading: what a file is, where its weights are, and everything a hostile file tries."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zipfile

import h5py
import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, MissingWeightsError, from_keras
from tests.convert import files

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


def wanted(weights):
    return X @ weights["kernel:0"] + weights["bias:0"]


@pytest.fixture
def plain(tmp_path):
    """A valid model with one Dense layer, and its weights."""
    weights = files.dense_weights()
    return files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights}), weights


# --- generations ------------------------------------------------------------------------------------------------------


def test_legacy_h5(plain):
    path, weights = plain
    np.testing.assert_allclose(from_keras(path).predict(X), wanted(weights), rtol=1e-6)


def test_paths_may_be_text_or_pathlike_and_unusual(tmp_path, monkeypatch):
    weights = files.dense_weights()
    monkeypatch.chdir(tmp_path)
    for name in ("2024", "1e5", "None", "mit Leerzeichen ü.keras", "-h"):
        files.write_h5(tmp_path / name, files.sequential(files.dense()), {"d": weights})
        np.testing.assert_allclose(from_keras(name).predict(X), wanted(weights), rtol=1e-6)
        np.testing.assert_allclose(from_keras(tmp_path / name).predict(X), wanted(weights), rtol=1e-6)


def test_the_name_does_not_decide_the_container(tmp_path):
    path = files.write_h5(tmp_path / "really_hdf5.keras", files.sequential(files.dense()), {"d": files.dense_weights()})
    assert from_keras(path).predict(X).shape == (2, 3)


def test_a_sequential_config_may_be_a_bare_list_with_the_shape_on_its_first_layer(tmp_path):
    kind, config = files.dense(batch_input_shape=[None, 4])
    old = {"class_name": "Sequential", "config": [{"class_name": kind, "config": config}]}
    weights = files.dense_weights()
    model = from_keras(files.write_h5(tmp_path / "m.h5", old, {"d": weights}, version="2.1.6"))
    np.testing.assert_allclose(model.predict(X), wanted(weights), rtol=1e-6)


def test_layer_names_split_into_parts(tmp_path):
    names = [f"d{i}" for i in range(6)]
    layers = [files.dense(name, units=4) for name in names]
    weights = {name: files.dense_weights(4, 4, seed=i) for i, name in enumerate(names)}
    path = files.write_h5(tmp_path / "m.h5", files.sequential(*layers), weights)
    with h5py.File(path, "a") as file:
        root = file["model_weights"]
        whole = root.attrs["layer_names"]
        del root.attrs["layer_names"]
        root.attrs["layer_names0"], root.attrs["layer_names1"] = whole[:4], whole[4:]
    expected = X
    for name in names:
        expected = expected @ weights[name]["kernel:0"] + weights[name]["bias:0"]
    np.testing.assert_allclose(from_keras(path).predict(X), expected, rtol=1e-5)


def test_v3_archive_counts_layers_per_class_and_not_by_name(tmp_path):
    first, second = files.dense_weights(4, 5, 1), files.dense_weights(5, 3, 2)
    config = files.keras3_sequential(files.dense("zeta", 5), files.dense("alpha", 3))
    variables = {"layers/dense": list(first.values()), "layers/dense_1": list(second.values())}
    path = files.write_archive(
        tmp_path / "m.keras",
        {
            "metadata.json": '{"keras_version": "3.7.0"}',
            "config.json": json.dumps(config),
            "model.weights.h5": files.archive_weights(variables),
        },
    )
    expected = (X @ first["kernel:0"] + first["bias:0"]) @ second["kernel:0"] + second["bias:0"]
    np.testing.assert_allclose(from_keras(path).predict(X), expected, rtol=1e-5)


def test_float64_weights_are_rounded_and_said_so(tmp_path):
    weights = {name: array.astype(np.float64) for name, array in files.dense_weights().items()}
    model = from_keras(files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights}))
    assert model.predict(X).dtype == np.float32
    assert any("float64" in rewrite["what"] for rewrite in model.source["rewrites"])


# --- what is missing, or too much -------------------------------------------------------------------------------------


def test_missing_weights_name_the_module(tmp_path):
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": {}})
    with pytest.raises(MissingWeightsError, match=r"No weights found for module Dense \(layer 'd'\): kernel") as caught:
        from_keras(path)
    assert isinstance(caught.value, ValueError)


def test_a_weight_that_nothing_uses_is_an_error(tmp_path):
    weights = {**files.dense_weights(), "gamma:0": np.ones(3, np.float32)}
    with pytest.raises(KerasFileError, match="does not use its weight 'd/gamma:0'"):
        from_keras(files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights}))


def test_weights_of_a_layer_that_the_architecture_lacks_are_an_error(tmp_path):
    weights = {"d": files.dense_weights(), "ghost": files.dense_weights()}
    with pytest.raises(KerasFileError, match="ghost"):
        from_keras(files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), weights))


def test_a_weight_of_another_shape_is_an_error_before_it_is_read(tmp_path):
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense(units=7)), {"d": files.dense_weights()})
    with pytest.raises(KerasFileError, match=r"kernel .* has shape \(4, 3\) in the file, .* says \(4, 7\)"):
        from_keras(path)


def test_integer_weights_are_refused(tmp_path):
    weights = {name: np.ones(array.shape, np.int8) for name, array in files.dense_weights().items()}
    with pytest.raises(KerasFileError, match="int8; only floating"):
        from_keras(files.write_h5(tmp_path / "m.h5", files.sequential(files.dense()), {"d": weights}))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull", id="git-lfs"),
        pytest.param(b"\x93NUMPY\x01\x00", "NumPy array", id="npy"),
        pytest.param(b"\x80\x04\x95", "never unpickles", id="pickle"),
        pytest.param(b'{"class_name": "Sequential"}', "JSON", id="json"),
        pytest.param(b"hello", "neither HDF5 nor", id="text"),
        pytest.param(b"\x89HDF\r\n\x1a\n", "damaged HDF5", id="hdf5-magic-only"),
        pytest.param(b"PK\x03\x04", "damaged zip", id="zip-magic-only"),
    ],
)
def test_what_is_no_keras_file_is_called_by_its_name(tmp_path, content, word):
    path = tmp_path / "m.h5"
    path.write_bytes(content)
    with pytest.raises(KerasFileError, match=word) as caught:
        from_keras(path)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_odd_objects(tmp_path):
    with pytest.raises(KerasFileError, match="No such file"):
        from_keras(tmp_path / "none.h5")
    with pytest.raises(KerasFileError, match="a folder"):
        from_keras(tmp_path)
    with pytest.raises(KerasFileError, match="cannot be read"):
        from_keras("a\0b")
    with pytest.raises(KerasInteropError, match=r"a path or a keras\.Model is needed, got int"):
        from_keras(3)


def test_an_hdf5_file_without_weights_is_not_of_keras(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"d"])
    with pytest.raises(KerasFileError, match="no model_config and no weights"):
        from_keras(path)


# --- hostile HDF5 -----------------------------------------------------------------------------------------------------


def tampered(path, change):
    with h5py.File(path, "a") as file:
        change(file["model_weights/d/d"])
    return path


def external(group):
    del group["kernel:0"]
    group.create_dataset("kernel:0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)])


def external_link(group):
    del group["kernel:0"]
    group["kernel:0"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(group):
    del group["kernel:0"]
    group["kernel:0"] = h5py.SoftLink("/model_weights/d/d/bias:0")


def virtual(group):
    del group["kernel:0"]
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    group.create_virtual_dataset("kernel:0", layout)


def alias(group):
    del group["bias:0"]
    group["bias:0"] = group["kernel:0"]


def bomb(group):
    del group["kernel:0"]
    group.create_dataset("kernel:0", (1 << 15, 1 << 15), "f4", chunks=(1024, 1024), compression="gzip")


def unwritten(group):
    del group["kernel:0"]
    group.create_dataset("kernel:0", (4, 3), "f4")


def other_filter(group):
    del group["kernel:0"]
    group.create_dataset("kernel:0", data=np.ones((4, 3), "f4"), compression="lzf")


def text(group):
    del group["kernel:0"]
    group.create_dataset("kernel:0", data=np.array([b"x"]))


def group_instead(group):
    del group["kernel:0"]
    group.create_group("kernel:0")


HOSTILE = [external, external_link, soft_link, virtual, alias, bomb, unwritten, other_filter, text, group_instead]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_hostile_datasets_are_refused_before_any_data_is_read(plain, change, opened_files):
    path, _ = plain
    tampered(path, change)
    start = time.perf_counter()
    with opened_files() as opened, pytest.raises(KerasFileError):
        from_keras(path)
    assert time.perf_counter() - start < 1
    assert {name for name in opened if "/etc/" in name} == set()


@pytest.fixture
def opened_files():
    """Give a context that lists every file opened by Python (audit hooks cannot be taken away, so it is switched)."""
    import contextlib

    state = {"on": False, "names": []}

    def hook(event, arguments):
        if state["on"] and event == "open":
            state["names"].append(str(arguments[0]))

    sys.addaudithook(hook)

    @contextlib.contextmanager
    def context():
        state["on"], state["names"] = True, []
        try:
            yield state["names"]
        finally:
            state["on"] = False

    return context


@pytest.mark.parametrize("name", ["../x", "a/../../b", "/etc/passwd", "a\0b", "n" * 300], ids=lambda name: name[:12])
def test_layer_names_are_never_paths_of_the_file_system(tmp_path, name, opened_files):
    path = tmp_path / "m.h5"
    config = files.sequential(files.dense(name))
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.replace("\0", "0")]
    with opened_files() as opened, pytest.raises(KerasInteropError):
        from_keras(path)
    assert [found for found in opened if "passwd" in found or found.endswith("/b")] == []


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAA==", None, None]}}, id="lambda"
        ),
        pytest.param({"class_name": "TFSMLayer", "config": {"name": "l", "filepath": "/tmp/evil"}}, id="tfsm"),
        pytest.param({"class_name": "function", "module": "os", "config": "system"}, id="os-system"),
        pytest.param({"class_name": "Dense", "module": "os", "config": {"name": "l", "units": 3}}, id="foreign-dense"),
        pytest.param(
            {"class_name": "Dense", "registered_name": "Evil>Dense", "config": {"name": "l"}}, id="registered"
        ),
        pytest.param({"class_name": "Activation", "config": {"name": "l", "activation": "__import__"}}, id="function"),
    ],
)
@pytest.mark.parametrize("container", ["h5", "keras"])
def test_code_in_a_file_is_never_run_or_imported(tmp_path, entry, container):
    config = files.sequential()
    config["config"]["layers"].append(entry)
    path = tmp_path / f"m.{container}"
    if container == "h5":
        files.write_h5(path, config, {})
    else:
        members = {"config.json": json.dumps(config), "model.weights.h5": files.archive_weights({})}
        files.write_archive(path, members)
    before = set(sys.modules)
    with pytest.raises(KerasInteropError):
        from_keras(path, strict=False)
    assert not {name for name in set(sys.modules) - before if not name.startswith(("keydnn", "encodings"))}


@pytest.mark.parametrize(
    ("config", "word"),
    [
        pytest.param("[" * 100_000, "nested 100000 deep", id="deep"),
        pytest.param('{"class_name": "Sequential", "class_name": "X"}', "stands here twice", id="duplicate-key"),
        pytest.param('{"a": 1e999}', "not finite", id="infinite"),
        pytest.param('{"a": NaN}', "NaN is no JSON", id="nan"),
        pytest.param('{"a": ' + "9" * 5000 + "}", "integer of 5000 digits", id="long-integer"),
        pytest.param('{"a": ', "not valid JSON", id="cut"),
        pytest.param("[]", "not a configuration", id="list"),
        pytest.param('{"class_name": "Sequential", "config": {"layers": 3}}', "not a configuration", id="no-layers"),
        pytest.param('{"class_name": "Sequential", "config": {"layers": []}}', "no layers", id="empty"),
    ],
)
def test_hostile_configurations_end_in_one_typed_error(tmp_path, config, word):
    with pytest.raises(KerasInteropError, match=word):
        from_keras(files.write_h5(tmp_path / "m.h5", config, {}))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        pytest.param({"units": True}, "units=True", id="bool-for-int"),
        pytest.param({"units": -3}, "units=-3", id="negative"),
        pytest.param({"units": "3"}, "units='3'", id="text"),
        pytest.param({"units": 10**15}, "shape", id="bomb"),
        pytest.param({"quantum": 7}, "quantum=7", id="unknown-option"),
    ],
)
def test_options_are_checked_and_unknown_ones_refused(tmp_path, options, word):
    path = files.write_h5(tmp_path / "m.h5", files.sequential(files.dense(**options)), {"d": files.dense_weights()})
    with pytest.raises(KerasInteropError, match=word):
        from_keras(path)


def functional(layers, inputs, outputs):
    return {
        "class_name": "Functional",
        "config": {"name": "f", "layers": layers, "input_layers": inputs, "output_layers": outputs},
    }


def node(kind, name, *reads, **config):
    inbound = [[[read, 0, 0, {}] for read in reads]] if reads else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


@pytest.mark.parametrize(
    ("layers", "outputs", "word"),
    [
        pytest.param([node("Flatten", "a", "b"), node("Flatten", "b", "a")], [["a", 0, 0]], "in a circle", id="cycle"),
        pytest.param([node("Flatten", "a", "ghost")], [["a", 0, 0]], "there is none", id="unknown-layer"),
        pytest.param([node("Flatten", "a", "x")], [["a", 7, 0]], "there is none", id="unknown-call"),
        pytest.param([node("Flatten", "a", "x")], [["a", 0, 5]], "does not give the output 5", id="unknown-tensor"),
        pytest.param([node("Flatten", "x", "x")], [["x", 0, 0]], "two layers are named", id="name-twice"),
        pytest.param([node("Add", "a", "x", "x", "x")], [], "at least one", id="no-output"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(tmp_path, layers, outputs, word):
    given = node("InputLayer", "x", batch_input_shape=[None, 4])
    path = files.write_h5(tmp_path / "m.h5", functional([given, *layers], [["x", 0, 0]], outputs), {})
    with pytest.raises(KerasInteropError, match=word):
        from_keras(path)


def test_every_truncation_of_an_h5_file_ends_in_a_typed_error(plain, tmp_path):
    path, _ = plain
    content = path.read_bytes()
    cut = tmp_path / "cut.h5"
    for length in range(0, len(content), max(1, len(content) // 150)):
        cut.write_bytes(content[:length])
        with pytest.raises(KerasInteropError):
            from_keras(cut)


# --- hostile archives -------------------------------------------------------------------------------------------------


@pytest.fixture
def members():
    config = files.keras3_sequential(files.dense())
    weights = files.archive_weights({"layers/dense": list(files.dense_weights().values())})
    return {
        "metadata.json": '{"keras_version": "3.7.0"}',
        "config.json": json.dumps(config),
        "model.weights.h5": weights,
    }


def test_a_member_twice_is_refused(tmp_path, members):
    path = files.write_archive(tmp_path / "m.keras", members)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", "{}")
    with pytest.raises(KerasFileError, match="same name"):
        from_keras(tmp_path / "m.keras")


def test_other_compression_is_refused(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_BZIP2) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(KerasFileError, match="compressed in a way"):
        from_keras(tmp_path / "m.keras")


def test_deflated_archives_are_read(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    np.testing.assert_allclose(from_keras(tmp_path / "m.keras").predict(X), wanted(files.dense_weights()), rtol=1e-6)


def test_a_prefixed_zip_is_not_taken_for_one(tmp_path, members):
    buffer = io.BytesIO()
    files.write_archive(buffer, members)
    (tmp_path / "m.keras").write_bytes(b"#!/bin/sh\n" + buffer.getvalue())
    with pytest.raises(KerasFileError, match="neither HDF5 nor"):
        from_keras(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_missing_member_is_named(tmp_path, members, name):
    del members[name]
    with pytest.raises(KerasInteropError, match=name):
        from_keras(files.write_archive(tmp_path / "m.keras", members))


def test_a_configuration_bomb_is_refused_by_its_declared_size(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (17 << 20))
        archive.writestr("model.weights.h5", members["model.weights.h5"])
    assert os.path.getsize(tmp_path / "m.keras") < 100_000
    with pytest.raises(KerasFileError, match=r"config\.json declares"):
        from_keras(tmp_path / "m.keras")


def test_every_flipped_bit_of_a_configuration_is_found_by_the_zip_checksum(tmp_path, members):
    path = files.write_archive(tmp_path / "m.keras", members)
    content = path.read_bytes()
    start = content.index(b"keras.layers")
    for offset in range(start, start + 60):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        with pytest.raises(KerasFileError, match="damaged zip"):
            from_keras(path)
