"""Recordings: read exactly, or refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keydnn import InputError
from keydnn.verify.recorder.writing import FORMAT, Writer
from keydnn.verify.recording import Numbers, read_recording

DIGEST = "0123456789abcdef" * 4
X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
TEXT = np.array([["a", "é"]])


def meta(**changes):
    """Describe a recording of two arrays."""
    return {
        "format": FORMAT,
        "keras": "keras 3.15.1",
        "backend": "tensorflow 2.21.0",
        "source": {"file": "m.h5", "sha256": DIGEST},
        "seed": 0,
        "inputs": [{"name": "x", "array": "a00000"}],
        "outputs": [{"name": "y", "array": "a00001"}],
        "activations": [
            {"layer": "d", "class_name": "Dense", "call": 0, "tensor": 0, "dtype": "float32", "array": "a00001"}
        ],
        "weights": {"d": {"numbers": 3, "sha256": DIGEST}},
        "notes": [],
        **changes,
    }


def write(path, description, arrays=(X, TEXT)):
    """Write a recording as the recorder does."""
    with path.open("wb") as file:
        writer = Writer(file)
        for array in arrays:
            writer.add(array)
        writer.finish(description)
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "r.npz", meta())


def refused(path, word):
    start = time.perf_counter()
    with pytest.raises(InputError, match=word) as caught:
        read_recording(path)
    assert time.perf_counter() - start < 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_what_was_written_is_read(path):
    recording = read_recording(path)
    assert (recording.keras, recording.backend, recording.seed) == ("keras 3.15.1", "tensorflow 2.21.0", 0)
    assert (recording.source, recording.sha256, recording.weights) == ("m.h5", DIGEST, {"d": Numbers(3, DIGEST)})
    (activation,) = recording.activations
    assert (activation.layer, activation.class_name, activation.dtype) == ("d", "Dense", "float32")
    assert (activation.call, activation.tensor) == (0, 0)
    np.testing.assert_array_equal(recording.inputs["x"], X)
    np.testing.assert_array_equal(recording.outputs["y"], TEXT)
    assert activation.array is recording.outputs["y"]
    assert not recording.inputs["x"].flags.writeable


def test_numpy_reads_it_too_and_without_pickles(path):
    with np.load(path, allow_pickle=False) as found:
        assert json.loads(found["meta"].tobytes()) == meta()
        np.testing.assert_array_equal(found["a00000"], X)


def test_the_same_content_gives_the_same_bytes_and_equal_arrays_stand_there_once(path, tmp_path):
    other = write(tmp_path / "s.npz", meta(), (X, X.copy(), TEXT, X))
    assert other.read_bytes() == path.read_bytes()


def test_every_kind_of_number_comes_back(tmp_path):
    arrays = [np.array(7, np.int64), np.zeros((0, 3), np.float32), np.array([True]), np.arange(3.0), np.uint8([1, 2])]
    for place, array in enumerate(arrays):
        description = meta(outputs=[{"name": "y", "array": "a00001"}], activations=[])
        recording = read_recording(write(tmp_path / f"{place}.npz", description, (X, array)))
        assert recording.outputs["y"].dtype == array.dtype
        np.testing.assert_array_equal(recording.outputs["y"], array)


def entry(**changes):
    return [{**meta()["activations"][0], **changes}]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"format": "keydnn.recording.v2"}, "of the format 'keydnn.recording.v2'", id="version"),
        pytest.param({"format": None}, "format None", id="no-format"),
        pytest.param({"keras": 3}, "keras must be str, not 3", id="type"),
        pytest.param({"seed": True}, "seed must be int or NoneType", id="bool-for-int"),
        pytest.param({"source": {"file": "m"}}, "source.sha256 is missing", id="missing"),
        pytest.param({"source": {"file": "m", "sha256": "x"}}, "source.sha256 is no SHA-256", id="digest"),
        pytest.param({"weights": {"d": {"numbers": 3, "sha256": DIGEST[:-1]}}}, "no SHA-256", id="weights"),
        pytest.param({"weights": {"d": DIGEST}}, "must be an object", id="weights-of-another-form"),
        pytest.param({"more": 1}, "has a member 'more'", id="unknown-member"),
        pytest.param({"notes": [1]}, r"notes\[0\] must be text", id="note"),
        pytest.param({"inputs": []}, "nothing refers|no inputs", id="no-inputs"),
        pytest.param({"inputs": [{"name": "x", "array": "a00009"}]}, "'a00009', which is not there", id="no-array"),
        pytest.param({"inputs": [{"name": "x", "array": "meta"}]}, "'meta', which is not there", id="meta-as-array"),
        pytest.param({"inputs": meta()["inputs"] * 2}, "names 'x' once more", id="name-twice"),
        pytest.param({"inputs": [["x", "a00000"]]}, r"inputs\[0\] must be an object", id="no-object"),
        pytest.param({"activations": entry() * 2}, "once more", id="activation-twice"),
        pytest.param({"activations": entry(call=-1)}, "must not be negative", id="negative"),
        pytest.param({"activations": entry(tensor=0.5)}, "must be int", id="fraction"),
        pytest.param({"activations": entry(shape=[1])}, "member 'shape'", id="more-of-an-activation"),
        pytest.param(
            {"outputs": [{"name": "y", "array": "a00000"}], "activations": []}, "nothing refers to", id="unused-array"
        ),
    ],
)
def test_descriptions_that_are_not_exactly_so_are_refused(tmp_path, changes, word):
    refused(write(tmp_path / "r.npz", meta(**changes)), word)


def archive(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_other_archives_are_refused(path, tmp_path):
    with zipfile.ZipFile(path) as file:
        members = [(name, file.read(name)) for name in file.namelist()]
    other = tmp_path / "o.npz"
    np.savez(other, x=X)
    refused(other, "no recording, but another zip archive")
    refused(archive(other, members, zipfile.ZIP_DEFLATED), "compressed in a way that is never written")
    text = json.dumps(meta()).encode()
    for content, word in (
        (npy(np.array([{}], object), allow_pickle=True), "nothing is ever unpickled"),
        (npy(np.array(text.decode())), "no row of bytes"),
        (npy(np.frombuffer(text[:-1], np.uint8)), "not valid JSON"),
        (npy(np.frombuffer(text.replace(b"0,", b"NaN,"), np.uint8)), "no JSON number"),
        (npy(np.frombuffer(b"[" * 1000, np.uint8)), "nested 1000 deep"),
        (npy(np.frombuffer(b"[]", np.uint8)), "of the format"),
        (text, "not a .npy file"),
    ):
        refused(archive(other, [*members[:-1], ("meta.npy", content)]), word)
    refused(archive(other, [("a00000.npy", npy(np.array([b"x"]))), *members[1:]]), "array of bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(archive(other, [*members, members[0]]), "same name")


def test_missing_files_folders_and_odd_names(tmp_path):
    refused(tmp_path / "none.npz", "cannot be read")
    refused(tmp_path, "is a folder")
    refused(Path("a\0b"), "cannot be read")
    (tmp_path / "e.npz").write_bytes(b"")
    refused(tmp_path / "e.npz", "no recording; keydnn record")


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_recording(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 255)), min_size=1, max_size=4))
def test_changed_bytes_are_found_or_change_nothing(path, changes):
    content = bytearray(write(path, meta()).read_bytes())
    for place, other in changes:
        content[place % len(content)] ^= other
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert_unchanged(read_recording(path))


def assert_unchanged(recording):
    np.testing.assert_array_equal(recording.inputs["x"], X)  # what a checksum does not cover says nothing
    np.testing.assert_array_equal(recording.outputs["y"], TEXT)
    assert recording.sha256 == DIGEST
