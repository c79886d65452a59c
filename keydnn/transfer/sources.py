"""The weights of a Keras file as units: what one module takes, with what the file knows about it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from keydnn.convert import BUILDERS, Given, Options, Source, new_notes
from keydnn.convert.build.attention import group_query_attention, multi_head_attention
from keydnn.convert.build.conv import SEPARABLE
from keydnn.convert.build.registry import classes_of
from keydnn.convert.build.weights import FLOATS, UNNAMED
from keydnn.convert.normalize import normalize
from keydnn.convert.read import open_keras
from keydnn.convert.read.record import Layer, StoredTensor
from keydnn.convert.read.stored import StoredLayer, open_stored, place_of_part
from keydnn.convert.read.v3 import snake_case
from keydnn.errors import KerasFileError, KerasInteropError, MissingArchitectureError
from keydnn.strict_json import Json

ATTENTION = classes_of(multi_head_attention, group_query_attention)  # of several kernels, each of which a module takes
# Names of parts of one layer, which stand in their order; those of a model's layers do not: frozen ones come last.
PART = re.compile(r"(?:^|(?<=/))(?:(?:forward|backward)_|(?:query|key|value|attention_output|gate)(?=$|/))")
CLASSES = {snake_case(name): name for name in BUILDERS if name.isidentifier()}


@dataclass(frozen=True, eq=False)
class Unit:
    """Arrays of a Keras file that go to one module together.

    Attributes
    ----------
    name
        The Keras layer, with its part where it has several: ``"bidirectional/forward_lstm"``.
    place
        Where it is in the file, if that is another name: ``"layers/conv2d_1"``.
    tensors
        In the file's order.
    class_name
        Keras' class, if it is known; what is guessed from a name counts in ``guessed`` only.
    guessed
        The class that a default name (``"conv2d_3"``) suggests.
    config
        The layer's options; None where the file has no architecture.
    series
        Units of one series are in the file's order.
    version
        Of Keras; empty where it is not known.
    words
        What was done to the arrays on reading.
    """

    name: str
    place: str
    tensors: tuple[StoredTensor, ...]
    class_name: str | None = None
    guessed: str | None = None
    config: Mapping[str, Json] | None = None
    series: str = ""
    version: tuple[int, ...] = ()
    words: str = ""

    @property
    def counted(self) -> bool:
        """Whether the file only counts the arrays, and does not say what each is."""
        return all(UNNAMED.fullmatch(tensor.role or "") for tensor in self.tensors)

    def is_called(self, name: str) -> bool:
        """Tell whether a name is this unit's, or that of the layer that it is a part of."""
        return any(own == name or own.startswith((f"{name}/", f"{name}.")) for own in (self.name, self.place))

    def __str__(self) -> str:
        """Say what it has: ``"conv2d: kernel (3, 3, 3, 16), bias (16,)"``."""
        if self.counted:
            return f"{self.name}: {', '.join(str(tensor.shape) for tensor in self.tensors)}"
        return f"{self.name}: {', '.join(f'{tensor.role} {tensor.shape}' for tensor in self.tensors)}"


@dataclass(frozen=True)
class Contents:
    """What a file holds: its name for messages, and the units in the file's order."""

    source: str
    units: tuple[Unit, ...]


@contextmanager
def open_contents(source: Source, architecture: Given | None) -> Iterator[Contents]:
    """Open any Keras file, or a live model; arrays can be read while it is open.

    The architecture is used where there is one: it knows the classes and the order of layers.  A model written as a
    class has none that can be read; its file then counts as weights only.

    Raises
    ------
    KerasFileError
        The file is damaged, no Keras file, or has no weights.
    KerasInteropError
        Its weights mean nothing without the architecture.
    """
    with ExitStack() as stack:
        model = None
        try:
            model = stack.enter_context(open_keras(source, architecture))
        except KerasInteropError as error:
            unattached = isinstance(error, MissingArchitectureError) or bool(error.obstacles)
            if architecture is not None or not isinstance(source, (str, os.PathLike)) or not unattached:
                raise
        if model is None:
            layers = stack.enter_context(open_stored(Path(source)))
            yield _contents(Path(source).name, [unit for layer in layers for unit in _units_of_stored(layer)])
            return
        notes = new_notes(Options(True, True))
        flat = normalize(model, notes)
        mirrored = {note.layer for note in notes.rewrites if "mirrored" in note.what}
        found = [unit for layer in _once(flat.layers) for unit in _units_of_layer(layer, flat.version, mirrored)]
        yield _contents(model.source, found)


def _once(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Give layers with weights; what a model has within and without, once."""
    seen: set[int] = set()
    for layer in layers:
        if layer.weights and id(layer.weights[0]) not in seen:
            yield layer
        seen.update(map(id, layer.weights))


def _contents(source: str, units: Sequence[Unit]) -> Contents:
    """Give what is left without what holds integers only: seeds, counts, tables of lookups."""
    kept = tuple(unit for unit in units if any(tensor.dtype in FLOATS for tensor in unit.tensors))
    if not kept:
        raise KerasFileError(f"{source}: no weights in it")
    return Contents(source, kept)


def _units_of_layer(layer: Layer, version: tuple[int, ...], mirrored: set[str]) -> Iterator[Unit]:
    unit = Unit(
        layer.name,
        layer.name,
        layer.weights,
        class_name=None if layer.package else layer.class_name,
        config=layer.config,
        version=version,
        words="mirrored, as Theano does not" if layer.name in mirrored else "",
    )
    yield from _separate(unit)


def _units_of_stored(layer: StoredLayer) -> Iterator[Unit]:
    class_name, owner = CLASSES.get(layer.stem), CLASSES.get(layer.owner)
    if class_name is None and owner in ATTENTION:
        class_name = owner
    guess = re.sub(r"_\d+$", "", layer.name.rpartition("/")[2])
    whole = Unit(layer.name, layer.place, layer.weights, class_name, CLASSES.get(guess), series=layer.series)
    units = list(_separate(whole))
    inside = [unit.name.removeprefix(layer.name).lstrip("/") for unit in units]
    if len({tensor.path for tensor in layer.weights}) < 2 or all(map(PART.match, inside)):
        yield from units
        return
    for unit, path in zip(units, inside, strict=True):
        yield replace(unit, series=f"{layer.name}/{PART.sub('', path)}")


def _separate(unit: Unit) -> Iterator[Unit]:
    """Give the units of a layer: one for every path that its weights have, and for separable convolutions two."""
    paths = list(dict.fromkeys(tensor.path for tensor in unit.tensors))
    if len(paths) < 2:
        yield from _without_channels_joined(unit)
        return
    shared = list(takewhile(lambda steps: len(set(steps)) == 1, zip(*paths, strict=False)))
    for path in sorted(paths, key=lambda path: place_of_part(path[len(shared)] if len(path) > len(shared) else "")):
        inside = "/".join(path[len(shared) :])
        tensors = tuple(tensor for tensor in unit.tensors if tensor.path == path)
        guesses = [CLASSES.get(re.sub(r"_\d+$", "", step)) for step in path]
        guess = guesses[-1] if not {*guesses[-2:-1]} & ATTENTION else guesses[-2]
        part = replace(unit, name=_joined(unit.name, inside), place=_joined(unit.place, inside), tensors=tensors)
        part = replace(part, class_name=unit.class_name if unit.class_name in ATTENTION else None, guessed=guess)
        yield from _without_channels_joined(part)


def _joined(name: str, inside: str) -> str:
    return f"{name}/{inside}" if inside else name


def _without_channels_joined(unit: Unit) -> Iterator[Unit]:
    """Give the two kernels of a separable convolution as two units, the bias with the second one."""
    roles = [tensor.role for tensor in unit.tensors]
    named = {"depthwise_kernel", "pointwise_kernel"} <= set(roles)
    if len(roles) < 2 or not (named or (unit.counted and unit.class_name in SEPARABLE)):
        if unit.tensors:
            yield unit
        return
    tensors = sorted(unit.tensors, key=_order_of_separable) if named else unit.tensors
    for part, names, arrays in (
        ("depthwise", ("depthwise_kernel",), tensors[:1]),
        ("pointwise", ("kernel", "bias"), tensors[1:]),
    ):
        renamed = tuple(replace(tensor, role=role) for tensor, role in zip(arrays, names, strict=False))
        name, place = f"{unit.name}.{part}", f"{unit.place}.{part}"
        yield replace(unit, name=name, place=place, tensors=renamed, class_name=None, guessed=None)


def _order_of_separable(tensor: StoredTensor) -> bool:
    return tensor.role != "depthwise_kernel"
