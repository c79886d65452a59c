"""Which stored tensors belong to which layer, in each of Keras' weight layouts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from keydnn.convert.read.h5 import H5File
from keydnn.convert.read.record import KerasModel, Layer, StoredTensor
from keydnn.errors import KerasFileError, MissingWeightsError


def role_of(name: str) -> str:
    """Give what a weight's name says it is: ``"model/conv2d/kernel:0"`` is a kernel."""
    return name.rsplit("/", 1)[-1].partition(":")[0]


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
        tensor = file.tensor(f"{path}/{name}", name, role_of(name))
        if tensor is None:
            raise MissingWeightsError(f"No weights found for {path!r}: the file lists {name!r}, but does not have it")
        tensors.append(tensor)
    return tuple(tensors)


def _with_legacy(layer: Layer, tensors: Sequence[StoredTensor], source: str) -> Layer:
    if layer.inner is None:
        return dataclasses.replace(layer, weights=tuple(tensors))
    left = list(tensors)
    inner = _distribute(layer.inner, left, source)
    if left:
        raise KerasFileError(f"{source}: no layer of {layer.name!r} is named in the weight {left[0].name!r}")
    return dataclasses.replace(layer, inner=inner)


def _distribute(model: KerasModel, left: list[StoredTensor], source: str) -> KerasModel:
    """Give a nested model its weights, taking them out of ``left``."""
    layers = []
    for layer in model.layers:
        if layer.inner is not None:
            layers.append(dataclasses.replace(layer, inner=_distribute(layer.inner, left, source)))
            continue
        own = [tensor for tensor in left if layer.name in tensor.name.split("/")[:-1]]
        for tensor in own:
            left.remove(tensor)
        layers.append(dataclasses.replace(layer, weights=tuple(own)))
    return dataclasses.replace(model, layers=tuple(layers))


# --- the v3 layout: layers/<class>[_n]/vars/<i> -----------------------------------------------------------------------


def attach_v3(model: KerasModel, file: H5File, root: str = "") -> KerasModel:
    """Give the model with its weights, from the layout of ``.keras`` and ``.weights.h5`` (Keras 2.14 and later).

    Groups are counted per class in the order of ``model.layers``; layer names play no part.
    """
    base = f"{root}/layers".lstrip("/")
    counts: dict[str, int] = {}
    known = set()
    layers = []
    for layer in model.layers:
        stem = snake_case(layer.class_name)
        counts[stem] = counts.get(stem, -1) + 1
        group = f"{stem}_{counts[stem]}" if counts[stem] else stem
        known.add(group)
        path = f"{base}/{group}"
        if layer.inner is not None:
            layers.append(dataclasses.replace(layer, inner=attach_v3(layer.inner, file, path)))
        else:
            layers.append(dataclasses.replace(layer, weights=_v3_vars(file, path)))
    left = [group for group in file.names(base) if group not in known and file.names(f"{base}/{group}/vars")]
    if left:
        raise KerasFileError(f"{model.source}: weights of layers that the architecture lacks: {', '.join(left[:5])}")
    return dataclasses.replace(model, layers=tuple(layers))


def _v3_vars(file: H5File, path: str) -> tuple[StoredTensor, ...]:
    tensors = []
    for index in range(len(file.names(f"{path}/vars"))):
        tensor = file.tensor(f"{path}/vars/{index}", f"{path}/vars/{index}", None)
        if tensor is None:
            raise MissingWeightsError(f"No weights found at {path}/vars/{index}, though later ones are there")
        tensors.append(tensor)
    return tuple(tensors)


def snake_case(name: str) -> str:
    """Give a class name as Keras writes it into paths (``keras/src/utils/naming.py``)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
