"""What ``keydnn record`` wrote: inputs, outputs, and what every Keras layer gave; see ``docs/recording.md``."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keydnn.door import open_regular
from keydnn.errors import InputError
from keydnn.modules.typed import AnyArray
from keydnn.npy import parse_npy
from keydnn.strict_json import Json, clip, parse
from keydnn.zipped import ZipMembers, open_zip

FORMAT = "keydnn.recording.v1"
META = "meta"
NPY = ".npy"
MAX_META = 64 << 20  # bytes
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Activation:
    """An output of a call of a Keras layer.

    Attributes
    ----------
    layer
        Path of the layer in its model (``"encoder/conv2d"``).
    class_name
        Keras' class.
    call
        Which of the layer's calls, from 0, as KeyDNN counts them.
    tensor
        Which output of that call, from 0.
    dtype
        Name of the type that Keras computed it in: ``"float16"`` where ``array`` is float32.
    array
        The values, in Keras' order of axes; read-only.
    """

    layer: str
    class_name: str
    call: int
    tensor: int
    dtype: str
    array: AnyArray


@dataclass(frozen=True)
class Numbers:
    """The weights of a layer, whatever their layout.

    Attributes
    ----------
    count
        How many numbers they have together.
    sha256
        Of all of them as float32, sorted by their bits as uint32, little endian.
    """

    count: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Recording:
    """One forward pass of a Keras model.

    Attributes
    ----------
    keras
        The Keras that computed it: ``"keras 3.15.1"``, ``"tf-keras 2.21.0"``.
    backend
        What that ran on: ``"tensorflow 2.21.0"``.
    source, sha256
        Name and digest of the Keras file.
    seed
        What the inputs are made of; None where they were given.
    inputs, outputs
        By name, in the model's order.
    activations
        In the order in which they were computed.
    weights
        By the path of a layer with weights.
    notes
        What was left out, and why.
    """

    keras: str
    backend: str
    source: str
    sha256: str
    seed: int | None
    inputs: Mapping[str, AnyArray]
    outputs: Mapping[str, AnyArray]
    activations: tuple[Activation, ...]
    weights: Mapping[str, Numbers]
    notes: tuple[str, ...] = ()


def read_recording(path: Path) -> Recording:
    """Read a recording; nothing is unpickled.

    Raises
    ------
    InputError
        Missing, damaged, no recording, of another version, or with anything in it that ``keydnn record`` does not
        write.
    """
    where = path.name
    try:
        with open_regular(path, InputError) as (file, _):
            if not file.read(4).startswith(b"PK\x03\x04"):
                raise InputError(f"{where}: no recording; keydnn record --src model.h5 --out {where} makes one")
        with open_zip(path, InputError, {zipfile.ZIP_STORED}) as members:
            return _Reader(members).read()
    except MemoryError:
        raise InputError(f"{where}: there is not enough memory for its arrays") from None


class _Reader:
    """Reads the members of a recording, none of which is larger than the whole file."""

    def __init__(self, members: ZipMembers) -> None:
        self._members, self._size, self._where = members, members.size, members.source
        self._arrays: dict[str, AnyArray] = {}

    def read(self) -> Recording:
        if not self._members.has(META + NPY):
            raise InputError(f"{self._where}: no recording, but another zip archive (perhaps an .npz)")
        meta = parse_npy(self._members.read(META + NPY, min(self._size, MAX_META)), f"{META} of {self._where}")
        if meta.dtype != "u1" or meta.ndim != 1:
            raise self._wrong("", "is no row of bytes")
        root = parse(meta.tobytes(), self._wrong)
        if not isinstance(root, dict) or root.get("format") != FORMAT:
            found = clip(repr(root.get("format") if isinstance(root, dict) else root), 60)
            raise self._wrong("", f"is of the format {found}; this version reads {FORMAT}")
        meta_of = _Fields(root, "", self._wrong)
        source = _Fields(meta_of.take("source", dict), "source", self._wrong)
        seed = meta_of.take("seed", int, type(None))
        recording = Recording(
            keras=meta_of.take("keras", str),
            backend=meta_of.take("backend", str),
            source=source.take("file", str),
            sha256=self._digest("source.sha256", source.take("sha256", str)),
            seed=seed,
            inputs=self._named(meta_of.take("inputs", list), "inputs"),
            outputs=self._named(meta_of.take("outputs", list), "outputs"),
            activations=self._activations(meta_of.take("activations", list)),
            weights={
                layer: self._numbers(f"weights[{layer!r}]", digest)
                for layer, digest in meta_of.take("weights", dict).items()
            },
            notes=tuple(self._text(f"notes[{place}]", note) for place, note in enumerate(meta_of.take("notes", list))),
        )
        meta_of.take("format", str)
        for fields in (meta_of, source):
            fields.finish()
        if not recording.inputs or not recording.outputs:
            raise self._wrong("", "names no inputs or no outputs")
        unused = set(self._members.names()) - {name + NPY for name in (*self._arrays, META)}
        if unused:
            raise InputError(f"{self._where}: nothing refers to its member {clip(repr(min(unused)), 60)}")
        return recording

    def _wrong(self, path: str, problem: str) -> InputError:
        return InputError(f"{self._where}: damaged recording: {clip(path, 120) or META} {clip(problem, 200)}")

    def _named(self, entries: list[Json], path: str) -> dict[str, AnyArray]:
        found: dict[str, AnyArray] = {}
        for place, entry in enumerate(entries):
            fields = _Fields(entry, f"{path}[{place}]", self._wrong)
            name = fields.take("name", str)
            if name in found:
                raise self._wrong(fields.path, f"names {clip(name, 60)!r} once more")
            found[name] = self._array(fields)
            fields.finish()
        return found

    def _activations(self, entries: list[Json]) -> tuple[Activation, ...]:
        found: dict[tuple[str, int, int], Activation] = {}
        for place, entry in enumerate(entries):
            fields = _Fields(entry, f"activations[{place}]", self._wrong)
            made = Activation(
                layer=fields.take("layer", str),
                class_name=fields.take("class_name", str),
                call=fields.count("call"),
                tensor=fields.count("tensor"),
                dtype=fields.take("dtype", str),
                array=self._array(fields),
            )
            fields.finish()
            key = made.layer, made.call, made.tensor
            if key in found:
                raise self._wrong(fields.path, f"names output {made.tensor} of call {made.call} once more")
            found[key] = made
        return tuple(found.values())

    def _array(self, fields: _Fields) -> AnyArray:
        name = fields.take("array", str)
        if name not in self._arrays:
            if name == META or not self._members.has(name + NPY):
                raise self._wrong(fields.path, f"refers to the array {clip(name, 60)!r}, which is not there")
            content = self._members.read(name + NPY, self._size)
            array = parse_npy(content, f"{clip(name, 60)} of {self._where}")
            if array.dtype.kind == "S":
                raise self._wrong(fields.path, "refers to an array of bytes")
            array.flags.writeable = False
            self._arrays[name] = array
        return self._arrays[name]

    def _numbers(self, path: str, value: Json) -> Numbers:
        fields = _Fields(value, path, self._wrong)
        found = Numbers(fields.count("numbers"), self._digest(f"{path}.sha256", fields.take("sha256", str)))
        fields.finish()
        return found

    def _digest(self, path: str, value: Json) -> str:
        text = self._text(path, value)
        if not DIGEST.fullmatch(text):
            raise self._wrong(path, "is no SHA-256")
        return text

    def _text(self, path: str, value: Json) -> str:
        if not isinstance(value, str):
            raise self._wrong(path, f"must be text, not {clip(repr(value), 40)}")
        return value


class _Fields:
    """The members of a JSON object, each taken once."""

    def __init__(self, value: Json, path: str, wrong: Any) -> None:
        self.path, self._wrong = path, wrong
        if not isinstance(value, dict):
            raise wrong(path, f"must be an object, not {clip(repr(value), 40)}")
        self._left = dict(value)

    def take(self, key: str, *kinds: type) -> Any:
        """Give the value of a key, which must be of one of some types."""
        path = f"{self.path}.{key}" if self.path else key
        if key not in self._left:
            raise self._wrong(path, "is missing")
        value = self._left.pop(key)
        if type(value) not in kinds:
            names = " or ".join(kind.__name__ for kind in kinds)
            raise self._wrong(path, f"must be {names}, not {clip(repr(value), 40)}")
        return value

    def count(self, key: str) -> int:
        """Give a whole number from 0."""
        value: int = self.take(key, int)
        if value < 0:
            raise self._wrong(f"{self.path}.{key}", f"must not be negative, got {value}")
        return value

    def finish(self) -> None:
        """Raise an error if there are members that nobody has taken."""
        if self._left:
            raise self._wrong(self.path, f"has a member {clip(min(self._left), 60)!r}, which is not known")
