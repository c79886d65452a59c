"""Input files: read exactly, or refused in one line; results written at one stroke."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import pytest

from keydnn import InputError
from keydnn.npy import read_npy, write_npy


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "u1", "<i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_as_they_were_saved(tmp_path, dtype, order):
    array = np.asarray(np.arange(24).reshape(2, 3, 4), dtype, order=order)
    np.save(tmp_path / "x.npy", array)
    found = read_npy(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("dtype", ["<U5", ">U5", "S6"])
def test_text_comes_back_as_it_was_saved(tmp_path, dtype):
    array = np.array([["ab", "c é" if "U" in dtype else "c"], ["", "abcde"]], dtype)
    np.save(tmp_path / "x.npy", array)
    found = read_npy(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def header(text, version=b"\x01\x00"):
    body = text.encode() + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body


def saved(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


F4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(b"PK\x03\x04abc", "zip archive", id="npz-named-npy"),
        pytest.param(b"hello", r"not a \.npy", id="text"),
        pytest.param(
            saved(np.array([{}], object), allow_pickle=True), "Python objects.*nothing is ever unpickled", id="objects"
        ),
        pytest.param(header("{'descr': '|S0', 'fortran_order': False, 'shape': (2,), }"), "neither", id="S0"),
        pytest.param(saved(np.zeros(2, "c8")), "neither real numbers nor text$", id="complex"),
        pytest.param(saved(np.zeros(2, "M8[s]")), "neither real numbers nor text$", id="dates"),
        pytest.param(saved(np.zeros(2, [("a", "f4")])), "neither real numbers nor text$", id="records"),
        pytest.param(saved(np.zeros(4)) + b"x", "33", id="trailing-byte"),
        pytest.param(saved(np.zeros(4))[:-1], "31", id="cut"),
        pytest.param(header(F4 % "4294967296, 4294967296"), "damaged", id="bomb"),
        pytest.param(header(F4 % "4294967296,"), "bytes of data", id="promise"),
        pytest.param(header(F4 % "0, 4611686018427387904, 4"), "damaged", id="bomb-of-nothing"),
        pytest.param(header(F4 % "-1,"), "damaged", id="negative"),
        pytest.param(header("{'descr': '<f4'}"), "damaged", id="keys-missing"),
        pytest.param(header("__import__('os').system('true')"), "damaged", id="code"),
        pytest.param(header("(" * 300), "damaged", id="parentheses"),
        pytest.param(b"\x93NUMPY\x09\x00" + b"\0" * 20, "version", id="unknown-version"),
    ],
)
def test_everything_else_is_refused_at_once(tmp_path, content, word):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(InputError, match=word) as caught:
        read_npy(path)
    assert time.perf_counter() - start < 0.1
    assert "\n" not in str(caught.value)


def test_every_truncation_is_refused(tmp_path):
    content = saved(np.arange(6, dtype=np.float32))
    for length in range(len(content)):
        (tmp_path / "x.npy").write_bytes(content[:length])
        with pytest.raises(InputError):
            read_npy(tmp_path / "x.npy")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 4)])
def test_a_mapped_file_holds_the_same(tmp_path, shape, order):
    array = np.asarray(np.random.default_rng(0).normal(size=shape), order=order)
    (tmp_path / "x.npy").write_bytes(saved(array))
    found = read_npy(tmp_path / "x.npy", mapped=True)
    assert isinstance(found, np.memmap) == (array.size > 0)
    np.testing.assert_array_equal(found, array)
    (tmp_path / "x.npy").write_bytes(saved(array) + b"x")
    with pytest.raises(InputError, match="bytes of data"):
        read_npy(tmp_path / "x.npy", mapped=True)


def test_missing_files_folders_and_odd_names(tmp_path):
    from pathlib import Path

    for path in (tmp_path / "none.npy", tmp_path, Path("a\0b")):
        with pytest.raises(InputError, match=r"cannot be read|is a folder"):
            read_npy(path)


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "y.npy"
    write_npy(path, np.ones(3, np.float32))

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    for name in ("write", "fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(InputError, match="No space left"):
                write_npy(path, np.zeros(3, np.float32))
        np.testing.assert_array_equal(np.load(path), np.ones(3))
        assert [found.name for found in tmp_path.iterdir()] == ["y.npy"]
