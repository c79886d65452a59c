"""JSON of strangers in every place where it is read, checkpoints with other numbers in them, and arrays."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keydnn import checkpoint
from keydnn.errors import CheckpointError, InputError, KerasInteropError
from tests.checkpoint import samples
from tests.convert import files
from tests.hostile.kind import BASE64, JSON, NPY, Hostile

DIGITS = "9" * 5000
# What stands in place of the whole document, and what the error says.
TEXTS: dict[str, tuple[bytes, str]] = {
    "1e999": (b'{"a": [1e999]}', "is not finite"),
    "nan": (b'{"a": NaN}', "is no JSON number"),
    "infinity": (b'{"a": {"b": -Infinity}}', "is no JSON number"),
    "lists-100000-deep": (b"[" * 100_000, "nested 10000[01] deep"),
    "objects-100000-deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested 10000[01] deep"),
    "5000-digits": (f'{{"a": {DIGITS}}}'.encode(), "an integer of 5000 digits"),
    "20-digits": (b'{"a": -99999999999999999999}', "an integer of"),
    "key-twice": (b'{"a": {"b": 1, "b": 2}}', "stands here twice"),
    "half-a-pair": (b'{"a": "\\ud800"}', "half of a surrogate pair"),
    "half-a-pair-in-a-key": (b'{"\\udfff": 1}', "half of a surrogate pair"),
    "cut": (b'{"class_name": "Sequential", "config": {"lay', "not valid JSON"),
    "two-documents": (b"{}{}", "not valid JSON"),
    "empty": (b"", "not valid JSON|is empty|not a configuration|an empty file"),
    "control-character": (b'{"a": "\n"}', "not valid JSON"),
    "latin-1": (b'{"a": "\xe9"}', "not UTF-8|utf-8"),
    "overlong-utf-8": (b'{"a": "\xc0\xaf"}', "not UTF-8|utf-8"),
    "half-a-pair-in-utf-8": (b'{"a": "\xed\xa0\x80"}', "not UTF-8|utf-8"),
    "many-lists": (b"[" + b"[]," * (3 << 20) + b"[]]", "bytes outside of text"),
    "many-texts": (b"[" + b'"",' * (2 << 20) + b'""]', "pieces of text"),
}
ODD_BYTES: dict[str, tuple[bytes, str]] = {  # HDF5 would not keep them as they are
    "utf-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8|not valid JSON|no Keras file"),
    "utf-32": ('{"a": 1}'.encode("utf-32"), "not UTF-8|not valid JSON|no Keras file"),
    "byte-order-mark": ('{"a": 1}'.encode("utf-8-sig"), "not valid JSON|not a configuration"),
}
VALUES: dict[str, Any] = {
    "true": True, "real": 3.0, "text": "3", "null": None, "list": [3], "object": {"class_name": "int", "config": 3},
    "negative": -3, "zero": 0, "19-digits": 10**18, "nested": [[[[3]]]],
}  # fmt: skip
WEIGHTS = files.archive_weights({"layers/dense": list(files.dense_weights().values())})


def in_h5(text: bytes, path: Path, secret: Path) -> None:
    files.write_h5(path, "", {"d": files.dense_weights()})
    with h5py.File(path, "a", libver="latest") as file:
        if len(text) < 100:
            file.attrs["model_config"] = np.bytes_(text) if text else ""
        else:
            file.attrs["model_config"] = text.decode()


def in_archive(name: str, text: bytes, path: Path, secret: Path) -> None:
    members: dict[str, bytes | str] = {
        "metadata.json": '{"keras_version": "3.7.0"}',
        "config.json": json.dumps(files.keras3_sequential(files.dense())),
        "model.weights.h5": WEIGHTS,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {**members, name: text}.items():
            archive.writestr(member, content)


def as_index(text: bytes, path: Path, secret: Path) -> None:
    """The index of sharded weights, told by a word in its beginning."""
    path.write_bytes(b'{"weight_map": {}, "x": ' + text + b"}")


def as_checkpoint(text: bytes, path: Path, secret: Path) -> None:
    path.write_bytes(text)


def beside(text: bytes, path: Path, secret: Path) -> None:
    """An architecture in a file beside the weights."""
    path.write_bytes(WEIGHTS)
    secret.with_name("architecture.json").write_bytes(text)


def option(key: str, value: Any, container: str, path: Path, secret: Path) -> None:
    """Write a model in which one number of the configuration is something else."""
    entry = files.dense(**{"units": 3, key: value})
    if container == "h5":
        files.write_h5(path, files.sequential(entry), {"d": files.dense_weights()})
    else:
        in_archive("config.json", json.dumps(files.keras3_sequential(entry)).encode(), path, secret)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def other_numbers(place: int, path: Path, secret: Path) -> None:
    """Change four characters of the base64 of a weight."""
    checkpoint.write(samples.chain(), path)
    text = path.read_text()
    start = text.index('"data": "') + 9 + place
    path.write_text(text[:start] + ("AAAA" if text[start : start + 4] != "AAAA" else "BBBB") + text[start + 4 :])


def other_sidecar(change: Callable[[bytes], bytes], path: Path, secret: Path) -> None:
    checkpoint.write(samples.chain(), path, weights="sidecar")
    sidecar = path.with_suffix(".safetensors")
    sidecar.write_bytes(change(sidecar.read_bytes()))


def sidecar_name(name: str, path: Path, secret: Path) -> None:
    checkpoint.write(samples.chain(), path, weights="sidecar")

    def edit(content: Any) -> None:
        content["sidecar"]["file"] = name.replace("SECRET", str(secret))

    samples.edited(path, edit)


def sidecar_link(path: Path, secret: Path) -> None:
    checkpoint.write(samples.chain(), path, weights="sidecar")
    path.with_suffix(".safetensors").unlink()
    path.with_suffix(".safetensors").symlink_to(secret)


# --- arrays -----------------------------------------------------------------------------------------------------------


def saved(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(descr: str, shape: str, version: bytes = b"\x01\x00", data: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little") + text + data


ARRAYS: dict[str, bytes] = {
    "objects": saved(np.array([{}], object), allow_pickle=True),
    "bomb": header("'<f4'", "(4294967296, 4294967296)"),
    "bomb-with-a-zero": header("'<f4'", "(0, 4611686018427387904, 4611686018427387904)"),
    "bomb-type": header("'<U1000000000'", "(1,)"),
    "texts-of-nothing": header("'|S0'", "(2,)"),
    "trailing": saved(np.zeros(4)) + b"x",
    "cut": saved(np.zeros(4))[:-1],
    "npz": b"PK\x03\x04" + bytes(30),
    "code": header("__import__('os').system('true')", "(1,)"),
    "code-as-shape": header("'<f4'", "__import__('os').getpid()"),
    "parentheses": header("(" * 3000, "(1,)"),
    "record": header("[('a', '<f4')]", "(1,)", data=bytes(4)),
    "negative": header("'<f4'", "(-1,)"),
    "true": header("'<f4'", "(True,)", data=bytes(4)),
    "axes-1000": header("'<f4'", "(1,) * 1000"),
    "axes-100": header("'<f4'", f"({'1,' * 100})", data=bytes(4)),
    "long-header": b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little") + b" " * 100_000,
    "header-of-megabytes": header("'<f4'", "(" + " " * (5 << 20) + "1,)", b"\x02\x00", bytes(4)),
    "version": b"\x93NUMPY\x09\x00" + bytes(20),
    "empty": b"",
    "magic": b"\x93NUMPY",
}


def array(content: bytes, path: Path, secret: Path) -> None:
    path.write_bytes(content)


def _files() -> Iterator[tuple[str, Hostile]]:
    for name, (text, says) in (TEXTS | ODD_BYTES).items():
        for member in ("config.json", "metadata.json"):
            made = partial(in_archive, member, text)
            yield f"{name}-in-{member}", Hostile(JSON, made, "m.keras", says)
        yield (
            f"{name}-as-checkpoint",
            Hostile(JSON, partial(as_checkpoint, text), "m.json", f"{says}|BOM|marker", CheckpointError),
        )
    for name, (text, says) in TEXTS.items():
        yield f"{name}-in-model_config", Hostile(JSON, partial(in_h5, text), "m.h5", f"{says}|damaged at|half of")
        yield (
            f"{name}-as-index",
            Hostile(
                JSON,
                partial(as_index, text),
                "m.weights.json",
                f"{says}|not valid|no weight_map|no format",
                KerasInteropError,
            ),
        )
    # What is not looked at, or means the same.
    harmless = {("units", "list"), ("use_bias", "true"), ("activation", "null")}
    nameless = {("name", "null"), ("name", "zero"), ("name", "text")}  # archives go by classes
    for name, value in VALUES.items():
        for key in ("units", "use_bias", "activation", "name"):
            for container in ("h5", "keras"):
                ignored = harmless | nameless if container == "keras" else harmless
                says = None if (key, name) in ignored else ""
                yield (
                    f"{key}-is-{name}-{container}",
                    Hostile(JSON, partial(option, key, value, container), f"m.{container}", says, KerasInteropError),
                )
    for place in (0, 100, 380):
        yield (
            f"base64-{place}",
            Hostile(BASE64, partial(other_numbers, place), "m.json", "SHA-256|base64", CheckpointError),
        )
    changes: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda data: data[:-1], "longer": lambda data: data + b"\0", "empty": lambda data: b"",
        "flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]), "header": lambda data: b"\xff" * 8 + data[8:],
    }  # fmt: skip
    for name, change in changes.items():
        yield (
            f"sidecar-{name}",
            Hostile(BASE64, partial(other_sidecar, change), "m.json", "SHA-256|bytes", CheckpointError),
        )
    for name in ("SECRET", "../secret", "/dev/zero", "a\0.safetensors"):
        says = "must be the bare name"
        yield (
            f"sidecar-is-{name[:7]!r}".replace("/", "|"),
            Hostile(BASE64, partial(sidecar_name, name), "m.json", says, CheckpointError),
        )
    yield "sidecar-link", Hostile(BASE64, sidecar_link, "m.json", "is a symbolic link", CheckpointError)
    for name, content in ARRAYS.items():
        yield f"npy-{name}", Hostile(NPY, partial(array, content), "x.npy", "", InputError)


FILES = dict(_files())
