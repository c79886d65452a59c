"""Which stored tensors belong to which layer, in each of Keras' weight layouts."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from keydnn.convert.read.h5 import H5File
from keydnn.convert.read.record import KerasModel, Layer, StoredTensor
from keydnn.errors import KerasFileError, MissingWeightsError
from keydnn.strict_json import Json


def role_of(name: str) -> str:
    """Give what a weight's name says it is: ``"model/conv2d/kernel:0"`` is a kernel."""
    return name.rsplit("/", 1)[-1].partition(":")[0]


def path_of(name: str) -> tuple[str, ...]:
    """Give what a weight's name says it belongs to: ``"lstm/lstm_cell/kernel:0"`` to the layer and its cell."""
    return tuple(name.split("/")[:-1])


# --- the legacy layout: one group a layer of the outermost model, attribute weight_names ------------------------------


def attach_legacy(model: KerasModel, file: H5File, root: str) -> KerasModel:
    """Give the model with its weights, from the legacy HDF5 layout (Keras 1 to 3 ``.h5``).

    A nested model's group holds the weights of all its layers, the trainable ones first, so they are told apart by the
    layer's name in the weight's name.

    Raises
    ------
    KerasFileError
        The file has weights for a layer that the architecture lacks.
    """
    groups = file.names_attribute(root, "layer_names")
    if groups is None:
        raise MissingWeightsError(f"{model.source}: No weights found: the file has an architecture but no layer_names")
    stored = {group: _legacy_group(file, f"{root}/{group}".lstrip("/")) for group in groups}
    layers = []
    for layer in model.layers:
        layers.append(_with_legacy(layer, stored.pop(layer.name, ()), model.source))
    left = [name for name, tensors in stored.items() if tensors]
    if left:
        raise KerasFileError(f"{model.source}: weights of layers that the architecture lacks: {', '.join(left[:5])}")
    return dataclasses.replace(model, layers=tuple(layers))


def _legacy_group(file: H5File, path: str) -> tuple[StoredTensor, ...]:
    tensors = []
    for name in file.names_attribute(path, "weight_names") or ():
        tensor = file.tensor(f"{path}/{name}", name, role_of(name), path_of(name))
        if tensor is None:
            raise MissingWeightsError(f"No weights found for {path!r}: the file lists {name!r}, but does not have it")
        tensors.append(tensor)
    return tuple(tensors)


def _with_legacy(layer: Layer, tensors: Sequence[StoredTensor], source: str) -> Layer:
    if layer.inner is None:
        return dataclasses.replace(layer, weights=tuple(tensors), parts=_legacy_parts(layer, tensors, source))
    left = list(tensors)
    inner = _distribute(layer.inner, left, source)
    if left:
        raise KerasFileError(f"{source}: no layer of {layer.name!r} is named in the weight {left[0].name!r}")
    return dataclasses.replace(layer, inner=inner)


def _legacy_parts(layer: Layer, tensors: Sequence[StoredTensor], source: str) -> dict[str, Layer]:
    """Give the layers inside of a wrapper their weights, which stand in the order of these layers.

    Two directions have half of them each, as in Keras' own reader; every cell of a stack begins with its kernel.
    """
    if len(layer.parts) < 2:
        shares = [tuple(tensors)] * len(layer.parts)
    elif "backward_layer" in layer.parts:
        half = len(tensors) // 2
        shares = [tuple(tensors[:half]), tuple(tensors[half:])]
    else:
        starts = [place for place, tensor in enumerate(tensors) if tensor.role == "kernel"]
        ends = [*starts[1:], len(tensors)]
        shares = [tuple(tensors[start:end]) for start, end in zip(starts, ends, strict=True)]
    if len(shares) != len(layer.parts):
        raise KerasFileError(f"{source}: {layer.name!r} has {len(layer.parts)} parts, but weights of {len(shares)}")
    return {
        key: _with_legacy(part, share, source) for (key, part), share in zip(layer.parts.items(), shares, strict=True)
    }


def _distribute(model: KerasModel, left: list[StoredTensor], source: str) -> KerasModel:
    """Give a nested model its weights, taking them out of ``left``.

    A weight's name is a path that ends in its layer's name; Keras 3 writes the models above it too, Keras 2 does not.
    """
    layers = []
    for layer in model.layers:
        own = [tensor for tensor in left if _names(tensor, layer.name)]
        if layer.inner is not None:
            inside = own or list(left)
            below = list(inside)
            layers.append(dataclasses.replace(layer, inner=_distribute(layer.inner, below, source)))
            taken = [tensor for tensor in inside if all(tensor is not rest for rest in below)]
        else:
            layers.append(_with_legacy(layer, own, model.source))
            taken = own
        for tensor in taken:
            left.remove(tensor)
    return dataclasses.replace(model, layers=tuple(layers))


def _names(tensor: StoredTensor, layer_name: str) -> bool:
    """Tell whether a weight's path goes through a layer, whose name may itself have slashes."""
    return f"/{layer_name}/" in f"/{tensor.name.rpartition('/')[0]}/"


# --- the v3 layout: layers/<class>[_n]/vars/<i> -----------------------------------------------------------------------


RANDOM_STATES = ("seed_generator", "random_generator")
Seen = dict[str, tuple[StoredTensor, ...]]


def attach_v3(model: KerasModel, file: H5File, root: str = "", seen: Seen | None = None) -> KerasModel:
    """Give the model with its weights, from the layout of ``.keras`` and ``.weights.h5`` (Keras 2.14 and later).

    Groups are counted per class in the order of ``model.layers``; layer names play no part.  A layer that is also part
    of a nested model is stored where it comes first; tf-keras does not count it again, Keras 3 does.  Which layers are
    missing from the file shows which ones these are.
    """
    seen = {} if seen is None else seen
    base = f"{root}/layers".lstrip("/")
    present = set(file.names(base))
    stems = [snake_case(layer.class_name) for layer in model.layers]
    absent = {stem: n - sum(bool(_is_group(g, stem)) for g in present) for stem, n in Counter(stems).items()}
    counts: Counter[str] = Counter()
    known = set()
    layers = []
    for layer, stem in zip(model.layers, stems, strict=True):
        same = _identity(layer)
        if model.version < (3,) and same in seen and absent[stem] > 0:
            absent[stem] -= 1
            layers.append(dataclasses.replace(layer, weights=seen[same]))
            continue
        group = f"{stem}_{counts[stem]}" if counts[stem] else stem
        counts[stem] += 1
        known.add(group)
        path = f"{base}/{group}"
        if layer.inner is not None:
            layers.append(dataclasses.replace(layer, inner=attach_v3(layer.inner, file, path, seen)))
            continue
        weights = _v3_tensors(file, path) if group in present else seen.get(same, ())
        seen.setdefault(same, weights)
        parts = _v3_parts(layer, weights, file, path, seen)
        layers.append(dataclasses.replace(layer, weights=weights, parts=parts))
    left = [group for group in present - known if file.names(f"{base}/{group}/vars")]
    if left:
        found = ", ".join(sorted(left)[:5])
        raise KerasFileError(f"{model.source}: weights of layers that the architecture lacks: {found}")
    return dataclasses.replace(model, layers=tuple(layers))


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


def _v3_tensors(file: H5File, path: str, within: tuple[str, ...] = ()) -> tuple[StoredTensor, ...]:
    """Give a layer's own weights and then those of its sub-layers, but for the states of random generators."""
    tensors = []
    for index in range(len(file.names(f"{path}/vars"))):
        tensor = file.tensor(f"{path}/vars/{index}", f"{path}/vars/{index}", None, within)
        if tensor is None:
            raise MissingWeightsError(f"No weights found at {path}/vars/{index}, though later ones are there")
        tensors.append(tensor)
    for name in file.names(path):
        if name != "vars" and not name.endswith(RANDOM_STATES):
            tensors += _v3_tensors(file, f"{path}/{name}", (*within, name))
    return tuple(tensors)


def _v3_parts(layer: Layer, tensors: Sequence[StoredTensor], file: H5File, path: str, seen: Seen) -> dict[str, Layer]:
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
        parts[key] = dataclasses.replace(part, weights=weights, parts=_v3_parts(part, weights, file, below, seen))
    return parts


def snake_case(name: str) -> str:
    """Give a class name as Keras writes it into paths (``keras/src/utils/naming.py``)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
