"""The recording: an ``.npz`` without pickles, of arrays and of what says which they are."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np

from .graph import flatten, layers_in, names_of, pack
from .library import Library
from .lines import Problem, first_line, say
from .watch import Watch

FORMAT = "keydnn.recording.v1"
DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


class Writer:
    """An ``.npz`` under construction: arrays are written as they come, equal ones once."""

    def __init__(self, file: Any) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, array: Any) -> str:
        """Write an array; give its name."""
        array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._names:
            self._names[key] = f"a{len(self._names):05}"
            self._write(self._names[key], array)
        return self._names[key]

    def finish(self, meta: dict[str, Any]) -> None:
        """Write what says what the arrays are."""
        text = json.dumps(meta, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._write("meta", np.frombuffer(text.encode(), np.uint8))
        self.close()

    def close(self) -> None:
        """Write nothing more."""
        self._archive.close()

    def _write(self, name: str, array: Any) -> None:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
        member = zipfile.ZipInfo(f"{name}.npy", DATE)
        member.create_system, member.external_attr = 3, 0o644 << 16
        self._archive.writestr(member, buffer.getbuffer())


def record(library: Library, model: Any, arrays: list[Any], writer: Writer) -> dict[str, Any]:
    """Run a model once and write what its layers give; give the part of the description that says what it is."""
    graph = getattr(model, "_functional", None) or model
    given = getattr(graph, "_inputs_struct", getattr(graph, "_nested_inputs", None))
    given = model.inputs if given is None else given
    activations: list[dict[str, Any]] = []
    notes: list[str] = []
    owners: dict[str, list[int]] = {}

    def write(value: Any, where: str) -> tuple[str, str] | None:
        found = library.array(value)
        if found is None:
            if value is not None and not isinstance(value, (int, float, str, bytes, np.generic)):
                notes.append(f"{where} gives a {type(value).__name__}, which is not recorded")
            return None
        return writer.add(found[0]), found[1]

    def keep(path: str, layer: Any, call: int, result: Any) -> None:
        say("progress", f"running {path}")
        of_path = owners.setdefault(path, [])
        if id(layer) not in of_path:
            of_path.append(id(layer))
        place = of_path.index(id(layer))
        for tensor, (_, value) in enumerate(flatten(result)):
            entry = write(value, path)
            if entry is not None:
                activations.append(
                    {"layer": (path, place), "class_name": type(layer).__name__, "call": call, "tensor": tensor,
                     "array": entry[0], "dtype": entry[1]}
                )  # fmt: skip

    sizes = ", ".join(str(array.shape) for array in arrays)
    packed = pack(given, iter([library.tensor(array) for array in arrays]))
    if isinstance(packed, list) and len(packed) == 1 and not isinstance(given, dict):
        packed = packed[0]
    try:
        with Watch(model, keep), library.inference():
            result = model(packed, training=False)
    except Exception as error:
        free = any(None in tuple(tensor.shape)[1:] for tensor in model.inputs)
        more = "; --input gives inputs of other sizes" if free else ""
        raise Problem(f"{library.name} fails on inputs {sizes}: {first_line(error)}{more}") from None
    for one in activations:
        path, place = one["layer"]
        several = len(owners[path]) > 1  # a slash in a name makes it another's path
        one["layer"] = f"{path} ({place + 1} of {len(owners[path])})" if several else path
    outputs = []
    names = names_of(result, model.outputs)
    for name, (_, value) in zip(names, flatten(result)):
        entry = write(value, f"the output {name!r}")
        if entry is None:
            raise Problem(f"the output {name!r} is no dense tensor: {type(value).__name__}")
        if 0 in tuple(value.shape):
            raise Problem(f"the output {name!r} is empty on inputs {sizes}; --input gives larger ones")
        outputs.append({"name": name, "array": entry[0]})
    digests = {path: weights_digest(library, layer) for path, layer in layers_in(model)}
    return {
        "keras": library.name,
        "backend": library.title,
        "inputs": [
            {"name": name, "array": writer.add(library.array(library.tensor(array))[0])}
            for name, array in zip(names_of(given, model.inputs), arrays)
        ],
        "outputs": outputs,
        "activations": activations,
        "weights": {path: digest for path, digest in digests.items() if digest is not None},
        "notes": sorted(set(notes)),
    }


def weights_digest(library: Library, layer: Any) -> dict[str, Any] | None:
    """Count a layer's numbers, and give their SHA-256, sorted by their bits: no layout shows; None without any."""
    found = [numbers for numbers in map(library.numbers, layer.weights) if numbers is not None]
    if not found:
        return None
    bits = np.sort(np.concatenate([numbers.astype("<f4").ravel().view("<u4") for numbers in found]))
    return {"numbers": int(bits.size), "sha256": hashlib.sha256(bits.tobytes()).hexdigest()}
