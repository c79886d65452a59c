"""Weights of a Keras file into a model that somebody has built by hand: of KeyDNN's modules, or of PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keydnn.convert import Given, Source
from keydnn.errors import ParameterError, WeightsMismatchError
from keydnn.graph import Graph
from keydnn.model import Model
from keydnn.transfer.doubts import doubts
from keydnn.transfer.forms import Floats
from keydnn.transfer.matching import Matching, Names, Pair
from keydnn.transfer.sources import open_contents
from keydnn.transfer.table import LoadedWeights, Row
from keydnn.transfer.targets import GraphRecipient, Recipient, Target
from keydnn.transfer.torch_modules import recipient_of

__all__ = ["LoadedWeights", "Row", "load_keras_weights"]

# Types that hold every number of a type.
EXACT = {
    "float64": {"float64"},
    "float32": {"float64", "float32"},
    "float16": {"float64", "float32", "float16"},
    "bfloat16": {"float64", "float32", "bfloat16"},
}
Sizes = Mapping[str, Sequence[int] | None]  # of feature maps, as Keras has them, by the paths of modules


def load_keras_weights(
    model: Any,
    source: Source,
    mapping: Mapping[str, Names | None] | None = None,
    *,
    flatten: Sizes | None = None,
    unflatten: Sizes | None = None,
    partial: bool = False,
    architecture: Given | None = None,
) -> LoadedWeights:
    """Put the weights of any Keras file into a model that you have built.

    A module takes the layer of its kind whose arrays have its shapes, once their axes and gates stand as it has them.
    Among several such layers the order counts: that of the modules in the model, and of the layers in the file.  If
    every module has the name of a layer that fits it, the names count.  Either everything is written, or nothing.

    Parameters
    ----------
    model
        A :class:`keydnn.Model` (or Sequential), whose graph is replaced; a :class:`keydnn.Graph`, of which a new one
        is made; or a ``torch.nn.Module``, whose tensors are written in place.
    source
        Path of any Keras file: ``.h5``, ``.weights.h5``, ``.keras``, ``.weights.json``, with an architecture in it or
        not; or a live ``keras.Model``.
    mapping
        Keras layers by the paths of modules (``"features.0"``), for those that you want to settle.  A module of several
        layers (``torch.nn.LSTM`` with ``num_layers=2``) takes a list; None: the module keeps its weights.
    flatten
        For modules that read a flattened feature map: the shape that it has in Keras, e.g. ``{"fc1": (7, 7, 64)}``.
        Their inputs are put from Keras' order (by cell) into that of a model with channels first (by channel).  None
        for a module that has Keras' order itself.
    unflatten
        The same for modules whose output is reshaped into a feature map, as in a decoder.
    partial
        Whether modules may keep their weights and layers may be left over, where nothing fits.  It never guesses.
    architecture
        As for :func:`keydnn.from_keras`: says more about a file of weights only.

    Returns
    -------
    LoadedWeights, which has the model, and prints as a table of what went where.

    Raises
    ------
    WeightsMismatchError
        Modules without weights, layers left over; lists all of them.
    ParameterError
        The model is of another kind, or a name in ``mapping``, ``flatten`` or ``unflatten`` is unknown.
    KerasInteropError
        The file is damaged, no Keras file, or means nothing without its architecture.
    """
    recipient: Recipient = GraphRecipient(model) if isinstance(model, (Model, Graph)) else recipient_of(model)
    maps = {"flatten": dict(flatten or {}), "unflatten": dict(unflatten or {})}
    for word, sizes in maps.items():
        unknown = set(sizes) - {target.path for target in recipient.targets}
        if unknown:
            raise ParameterError(f"{word}: there is no module with weights {sorted(unknown)[0]!r}")
    with open_contents(source, architecture) as contents:
        matching = Matching(recipient.targets, contents.units, partial=partial)
        matching.run(mapping or {})
        left_over = [] if partial else [str(unit) for unit in matching.unused]
        if matching.mismatches or left_over:
            raise WeightsMismatchError(contents.source, [found for _, found in matching.mismatches], left_over)
        made = [(pair.target, _tensors(pair, maps)) for pair in matching.pairs]
        written = recipient.write(made)
        warnings = [*doubts(matching.pairs, contents.units, maps), *_roundings(recipient, matching.pairs)]
        return LoadedWeights(
            written,
            contents.source,
            tuple(row for pair in matching.pairs for row in _rows(pair, maps)),
            tuple(target.label for target in recipient.targets if target in matching.kept),
            tuple(map(str, matching.unused)),
            tuple(warnings),
        )


def _tensors(pair: Pair, maps: Mapping[str, Sizes]) -> dict[str, Floats]:
    """Give a module's tensors in its own layout."""
    found = pair.form.arrays_in(pair.unit) or {}
    arrays = {name: np.asarray(tensor.read()).reshape(tensor.shape) for name, tensor in found.items()}
    made = {}
    for piece in pair.form.pieces:
        tensor = piece.make(arrays)
        for word, axes in (("flatten", pair.form.features), ("unflatten", pair.form.results)):
            sizes = maps[word].get(pair.target.path)
            if sizes is not None and not axes:
                raise ParameterError(f"{word}: {pair.target.path} has no weights for the features of an example")
            if sizes is not None and piece.tensor in axes:
                tensor = _channels_first(pair.target, word, tensor, axes[piece.tensor], tuple(sizes))
        if tensor.shape != pair.target.shapes[piece.tensor]:  # a rule is wrong: nothing may be written
            raise AssertionError(f"{pair.target.label}: {piece.tensor} became {tensor.shape}")
        made[piece.tensor] = tensor
    return made


def _channels_first(target: Target, word: str, tensor: Floats, axis: int, sizes: tuple[int, ...]) -> Floats:
    """Give a tensor with the features on an axis by channel, where they were by cell."""
    count = tensor.shape[axis]
    if len(sizes) < 2 or any(type(size) is not int or size < 1 for size in sizes) or math.prod(sizes) != count:
        raise ParameterError(f"{word}: {target.path} has {count} features, which {sizes} does not make")
    order = np.moveaxis(np.arange(count).reshape(sizes), -1, 0).reshape(-1)
    return np.take(tensor, order, axis)


def _rows(pair: Pair, maps: Mapping[str, Sizes]) -> list[Row]:
    found = pair.form.arrays_in(pair.unit) or {}
    rows = []
    for piece in pair.form.pieces:
        words = [piece.words, pair.unit.words if piece.source.endswith("kernel") else ""]
        for word, axes in (("flatten", pair.form.features), ("unflatten", pair.form.results)):
            sizes = maps[word].get(pair.target.path)
            words.append(f"{word}ed {tuple(sizes)} by channel" if sizes is not None and piece.tensor in axes else "")
        stored = found.get(piece.source)
        rows.append(
            Row(
                f"{pair.target.path}.{pair.target.names[piece.tensor]}",
                pair.target.shapes[piece.tensor],
                pair.unit.name,
                piece.source,
                stored.name if stored else "",
                stored.shape if stored else (),
                "; ".join(filter(None, words)),
                pair.how,
            )
        )
    return rows


def _roundings(recipient: Recipient, pairs: Sequence[Pair]) -> list[str]:
    """Say where the model holds fewer digits than the file."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        stored = pair.form.arrays_in(pair.unit) or {}
        for piece in pair.form.pieces:
            if piece.source:
                dtype, held = stored[piece.source].dtype, recipient.dtype_of(pair.target, piece.tensor)
                if held not in EXACT[dtype]:
                    found.setdefault(f"{dtype} to {held}", []).append(pair.target.label)
    return [f"rounded from {how}: {', '.join(dict.fromkeys(labels))}" for how, labels in found.items()]
