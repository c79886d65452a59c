"""The v3 layout of weights: ``layers/<class>[_n]/vars/<i>``, in ``.keras`` and in ``.weights.h5`` files.

Keras 3 writes it, and Keras 2 since 2.12.  Source: ``keras/src/saving/saving_lib.py`` and tf-keras' own.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from keydnn.convert.read.record import KerasModel, Layer, StoredTensor
from keydnn.errors import KerasFileError, MissingWeightsError
from keydnn.strict_json import Json

RANDOM_STATES = ("seed_generator", "random_generator")
LISTS = ("layers", "_layer_checkpoint_dependencies")  # of a model's layers; the second until Keras 2.13
TWICE = ("_lookup_layer",)  # sub-layers whose weights and vocabulary their owner stores, too
Vocabulary = Callable[[], tuple[str, ...]]
Seen = dict[str, Layer]


class Store(Protocol):
    """Groups and datasets by path, in one HDF5 file or several (``shards.py``)."""

    def names(self, path: str) -> list[str]:
        """Give the names in a group; none if there is no such group."""

    def tensor(self, path: str, name: str, role: str | None, within: tuple[str, ...] = ()) -> StoredTensor | None:
        """Give the dataset at a path; None if there is none."""

    def label(self, path: str) -> str | None:
        """Give the name of the layer whose group is at a path; None if the file does not say it."""

    def vocabulary(self, path: str) -> Vocabulary | None:
        """Give what reads the vocabulary of the layer at a path; None if it has none."""


def attach_v3(
    model: KerasModel, file: Store, root: str = "", seen: Seen | None = None, *, labelled: bool = False
) -> KerasModel:
    """Give the model with its weights.

    Groups are counted per class in the order of ``model.layers``; layer names play no part.  A layer that is also part
    of a nested model is stored where it comes first; tf-keras does not count it again, Keras 3 does.  Which layers are
    missing from the file shows which ones these are.  Keras up to 2.13 lists layers with weights twice.

    Newer files label their groups.  With ``labelled``, where architecture and weights were written together, the labels
    must be the layers' names.
    """
    seen = {} if seen is None else seen
    inside = file.names(root)
    base = next((name for name in LISTS if name in inside), LISTS[0])
    twice = base != "layers"
    base = f"{root}/{base}".lstrip("/")
    present = set(file.names(base))
    stems = [snake_case(layer.class_name) if layer.package != "ops" else None for layer in model.layers]
    stored = Counter(stem for stem in stems if stem is not None)
    absent = {stem: n - sum(bool(_is_group(g, stem)) for g in present) for stem, n in stored.items()}
    counts: Counter[str] = Counter()
    known = set()
    layers = []
    for layer, stem in zip(model.layers, stems, strict=True):
        if stem is None:  # operations on tensors are no layers, and are not stored
            layers.append(layer)
            continue
        same = _identity(layer)
        if model.version < (3,) and not twice and same in seen and absent[stem] > 0:
            absent[stem] -= 1
            layers.append(_stored_as(seen[same], layer))
            continue
        group = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
        known.add(group)
        path = f"{base}/{group}"
        if labelled and file.label(path) not in (None, layer.name):
            raise KerasFileError(
                f"{model.source}: {path} is of {file.label(path)!r}, but by its place of {layer.name!r}"
            )
        if layer.inner is not None:
            inner = attach_v3(layer.inner, file, path, seen, labelled=labelled)
            layers.append(dataclasses.replace(layer, inner=inner))
            weighted = bool(twice and _tensors(file, path))
        elif group not in present and same in seen:
            layers.append(_stored_as(seen[same], layer))
            weighted = bool(layers[-1].weights or layers[-1].vocabulary)
        else:
            weights = _tensors(file, path)
            parts, vocabulary = _parts(layer, weights, file, path, seen), file.vocabulary(path)
            layers.append(dataclasses.replace(layer, weights=weights, parts=parts, vocabulary=vocabulary))
            seen.setdefault(same, layers[-1])
            weighted = bool(weights or vocabulary)  # Keras 2 counts a vocabulary that was learnt among the weights
        counts[stem] += twice and weighted
    left = [group for group in present - known if file.names(f"{base}/{group}/vars")]
    if left:
        found = ", ".join(sorted(left)[:5])
        raise KerasFileError(f"{model.source}: weights of layers that the architecture lacks: {found}")
    return dataclasses.replace(model, layers=tuple(layers))


def _stored_as(first: Layer, layer: Layer) -> Layer:
    """Give another mention of a layer what the first one has in the file."""
    return dataclasses.replace(layer, weights=first.weights, parts=first.parts, vocabulary=first.vocabulary)


def _is_group(group: str, stem: str) -> bool:
    rest = group.removeprefix(stem)
    return group.startswith(stem) and (not rest or (rest[0] == "_" and rest[1:].isdigit()))


def _identity(layer: Layer) -> str:
    """What two mentions of one layer, inside and outside of a nested model, have in common."""

    def bare(value: Json) -> Json:
        if isinstance(value, Mapping):
            return {k: bare(v) for k, v in value.items() if k not in ("shared_object_id", "build_config")}
        return [bare(item) for item in value] if isinstance(value, list) else value

    return json.dumps([layer.name, layer.class_name, bare(layer.config)], sort_keys=True)


def _tensors(file: Store, path: str, within: tuple[str, ...] = ()) -> tuple[StoredTensor, ...]:
    """Give a layer's own weights and then those of its sub-layers, but for the states of random generators."""
    tensors = [*own_tensors(file, path, within)]
    for name in file.names(path):
        if name != "vars" and name not in TWICE and not name.endswith(RANDOM_STATES):
            tensors += _tensors(file, f"{path}/{name}", (*within, name))
    return tuple(tensors)


def own_tensors(file: Store, path: str, within: tuple[str, ...] = ()) -> tuple[StoredTensor, ...]:
    """Give the weights of a group itself: those that are counted, in order, then those that have names."""
    tensors = []
    variables = f"{path}/vars".lstrip("/")
    names = file.names(variables)
    roles = [name for name in names if not name.isdigit()]  # most layers only count
    for name in [*map(str, range(len(names) - len(roles))), *roles]:
        tensor = file.tensor(f"{variables}/{name}", f"{variables}/{name}", name if name in roles else None, within)
        if tensor is None:
            raise MissingWeightsError(f"No weights found at {variables}/{name}, though later ones are there")
        tensors.append(tensor)
    return tuple(tensors)


def _parts(layer: Layer, tensors: Sequence[StoredTensor], file: Store, path: str, seen: Seen) -> dict[str, Layer]:
    """Give the layers inside of a wrapper their weights: by the attribute of the wrapper that holds them."""
    counts: Counter[str] = Counter()
    parts = {}
    for key, part in layer.parts.items():
        stem = snake_case(part.class_name)
        names = {"layer": ("layer", "forward_layer")}.get(key, (key,))
        if key.startswith("cells/"):
            names = (f"{stem}_{counts[stem]}" if counts[stem] else stem,)
            counts[stem] += 1
        own = [(name, tensor) for tensor in tensors for name in names if name in tensor.path]
        if part.inner is not None:
            name = next((name for name in names if name in file.names(path)), names[0])
            parts[key] = dataclasses.replace(part, inner=attach_v3(part.inner, file, f"{path}/{name}", seen))
            continue
        weights = tuple(
            dataclasses.replace(tensor, path=tensor.path[tensor.path.index(name) + 1 :]) for name, tensor in own
        )
        below = f"{path}/{own[0][0]}" if own else path
        inside, vocabulary = _parts(part, weights, file, below, seen), file.vocabulary(below)
        parts[key] = dataclasses.replace(part, weights=weights, parts=inside, vocabulary=vocabulary)
    return parts


# Of the layers of Keras 3.15, the one whose name in Python, which groups are named after, is not that of its class.
OTHER_NAMES = {"group_query_attention": "grouped_query_attention"}


def snake_case(name: str) -> str:
    """Give a class name as Keras writes it into paths (``keras/src/utils/naming.py``)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return OTHER_NAMES.get(name, name)
