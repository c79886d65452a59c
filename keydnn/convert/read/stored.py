"""What a file of weights says without an architecture: arrays by layer, in the order that the file gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from keydnn.convert.read.archive import WEIGHTS, FolderMembers, weights_in
from keydnn.convert.read.hdf5.client import Library
from keydnn.convert.read.hdf5.file import NOT_OF_THE_MODEL, H5File, open_h5
from keydnn.convert.read.kinds import kind_of
from keydnn.convert.read.legacy import group_of
from keydnn.convert.read.limits import DEFAULT, Limits
from keydnn.convert.read.record import StoredTensor
from keydnn.convert.read.shards import open_shards
from keydnn.convert.read.v3 import LISTS, RANDOM_STATES, TWICE, Store, own_tensors
from keydnn.errors import KerasFileError, KerasInteropError
from keydnn.zipped import open_zip

KERAS1 = re.compile(r"param_\d+|.+_([WUb](_[a-z])?|gamma|beta|running_(mean|std))")  # how Keras 1 names weights
GIVE = 'give the architecture: architecture="model.json", the text that Keras\' model.to_json() gives'
FIRST = ("forward", "query", "key", "value")  # how parts begin that come before others, in this order
# What tells siblings in a known order apart.
COUNTED = re.compile(r"_\d+(?=/|$)|(forward|backward)_(?=layer/)|(query|key|value)_(?=dense$)")
TOP_LEVEL = "top_level_model_weights"  # what a model written as a class has beside its layers


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """Arrays that a file keeps together.

    Attributes
    ----------
    name
        The layer's name where the file says it, else its place: ``"encoder/conv2d_1"``.
    place
        Path of its group in the file, for people: ``"layers/conv2d_1"``; ``name`` in files that go by names.
    stem, owner
        In snake case Keras' classes, where the place tells them: of the layer (``"conv2d"``), and of what holds it;
        else empty, or an attribute's name.
    series
        Layers of one series stand in their order; about layers of two series the file says nothing.
    weights
        In the file's order.
    """

    name: str
    place: str
    stem: str
    owner: str
    series: str
    weights: tuple[StoredTensor, ...]


@contextmanager
def open_stored(path: Path, limits: Limits = DEFAULT) -> Iterator[tuple[StoredLayer, ...]]:
    """Open the weights of any Keras file, within limits; they can be read while it is open.

    Raises
    ------
    KerasFileError
        The file is missing, damaged, or no Keras file.
    KerasInteropError
        Weights of Keras 1 or of Theano, which mean nothing without the architecture.
    """
    kind = kind_of(path)
    with closing(Library(limits)) as library:
        if kind == "shards":
            yield tuple(_walk(open_shards(library, path), ""))
        elif kind == "hdf5":
            yield _of_h5(open_h5(library, str(path), path.name), path.name)
        elif kind == "folder":
            place = FolderMembers(path).place(WEIGHTS)
            yield tuple(_walk(open_h5(library, place, f"{WEIGHTS} of {path.name}"), ""))
        else:
            with open_zip(path, KerasFileError) as members:
                yield tuple(_walk(weights_in(library, members, limits), ""))


def _of_h5(file: H5File, source: str) -> tuple[StoredLayer, ...]:
    root = "model_weights" if "model_weights" in file.names("") else ""
    names = file.names_attribute(root, "layer_names")
    if names is None:
        return tuple(_walk(file, ""))
    layers = []
    for name in dict.fromkeys([*names, TOP_LEVEL]):
        weights = group_of(file, f"{root}/{name}".lstrip("/"))
        if weights:
            layers.append(StoredLayer(name, name, "", "", "", weights))
    tensors = [tensor for layer in layers for tensor in layer.weights]
    if file.attribute(root, "keras_version") is None and any(KERAS1.fullmatch(t.role or "") for t in tensors):
        raise KerasInteropError(f"{source}: weights of Keras 1, whose order of axes only the options say; {GIVE}")
    if file.attribute(root, "backend") == "theano" and any(len(tensor.shape) > 2 for tensor in tensors):
        raise KerasInteropError(f"{source}: weights of Theano, which mirrors the kernels of some classes; {GIVE}")
    return tuple(layers)


def _walk(file: Store, path: str) -> Iterator[StoredLayer]:
    """Give every group that has variables of its own; numbered ones in their order."""
    weights = own_tensors(file, path)
    if weights:
        steps = [step for step in path.split("/") if step and step not in LISTS]
        if len(steps) > 1 and steps[-1] == "cell":  # all that some layers have
            steps.pop()
        owner, stem = (["", ""] + [_numbered(step)[0] for step in steps])[-2:]
        yield StoredLayer(_name(file, path), path, stem, owner, COUNTED.sub("", path), weights)
    for name in sorted((name for name in file.names(path) if _is_of_model(name, path)), key=_place):
        yield from _walk(file, f"{path}/{name}".lstrip("/"))


def _is_of_model(name: str, path: str) -> bool:
    left_out = name == "vars" or name in TWICE or name.endswith(RANDOM_STATES)
    return not left_out and (bool(path) or not name.startswith(NOT_OF_THE_MODEL))


def _place(name: str) -> tuple[int, str, int]:
    """Say where a group stands among its siblings: 10 behind 9, and what HDF5's alphabet puts too late, first."""
    return place_of_part(name), *_numbered(name)


def place_of_part(name: str) -> int:
    """Say where a part of a layer stands, which HDF5's alphabet does not."""
    return next((place for place, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))


def _numbered(name: str) -> tuple[str, int]:
    """Take ``conv2d_10`` apart: the class counts, and its first layer has no number."""
    found = re.fullmatch(r"(.*)_(\d+)", name)
    return (found[1], int(found[2])) if found else (name, 0)


def _name(file: Store, path: str) -> str:
    """Name a group: by the labels of newer files where they are, else by its place."""
    names, below = [], ""
    for step in path.split("/") if path else ():
        below = f"{below}/{step}".lstrip("/")
        if step in LISTS:
            continue
        names.append(file.label(below) or step)
    if len(names) > 1 and path.endswith("/cell"):
        names.pop()
    return "/".join(names) or TOP_LEVEL
