"""The legacy HDF5 layout of weights: one group a layer of the outermost model, its attribute ``weight_names`` in order.

Keras 1 to 3 write it into ``.h5`` files, Keras 1 and 2 also into files of weights alone.
Source: ``keras/src/legacy/saving/legacy_h5_format.py``; what Keras 1 wrote otherwise, ``normalize/keras1.py`` knows.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from keydnn.convert.read.hdf5.file import H5File
from keydnn.convert.read.record import KerasModel, Layer, StoredTensor
from keydnn.errors import KerasFileError, MissingWeightsError

Weights = tuple[StoredTensor, ...]  # of one group, in the file's order


def role_of(name: str) -> str:
    """Give what a weight's name says it is: ``"model/conv2d/kernel:0"`` is a kernel."""
    return name.rsplit("/", 1)[-1].partition(":")[0]


def path_of(name: str) -> tuple[str, ...]:
    """Give what a weight's name says it belongs to: ``"lstm/lstm_cell/kernel:0"`` to the layer and its cell."""
    return tuple(name.split("/")[:-1])


def attach_legacy(model: KerasModel, file: H5File, root: str, *, by_order: bool = False) -> KerasModel:
    """Give the model with its weights.

    Parameters
    ----------
    model
        Without weights.
    file, root
        Where the groups are.
    by_order
        Whether the layers may have other names than the groups, as in an architecture from elsewhere.

    Raises
    ------
    KerasFileError
        The file has weights for a layer that the architecture lacks.
    """
    stored = _renamed(_groups(model, file, root), model, by_order)
    tensors = [tensor for group in stored.values() for tensor in group]
    backend = model.backend or _backend_of_keras1(model, tensors)
    layers = [_with_weights(layer, stored.pop(layer.name, ()), model.source) for layer in model.layers]
    left = [name for name, tensors in stored.items() if tensors]
    if left:
        raise KerasFileError(f"{model.source}: weights of layers that the architecture lacks: {', '.join(left[:5])}")
    return dataclasses.replace(model, layers=tuple(layers), backend=backend)


def _backend_of_keras1(model: KerasModel, tensors: Sequence[StoredTensor]) -> str:
    """Tell Theano from TensorFlow, which ends the names of all variables in ``:0``, where Keras 1 does not say it."""
    if model.version >= (2,) or not tensors:
        return ""
    return "tensorflow" if any(re.search(r":\d+$", tensor.name) for tensor in tensors) else "theano"


def _groups(model: KerasModel, file: H5File, root: str) -> dict[str, Weights]:
    """Give the weights of each group, in the file's order."""
    names = file.names_attribute(root, "layer_names")
    if names is not None:
        return {name: group_of(file, f"{root}/{name}".lstrip("/")) for name in names}
    count = file.attribute(root, "nb_layers")  # Keras before 1.0: everything is counted, nothing named
    if type(count) is not int or count > len(model.layers):
        raise MissingWeightsError("No weights found: there is an architecture, but no layer_names")
    return {f"layer_{number}": _counted_group(file, f"{root}/layer_{number}".lstrip("/")) for number in range(count)}


def group_of(file: H5File, path: str) -> Weights:
    """Give the weights of a group, in the order of its ``weight_names``."""
    tensors = []
    for name in file.names_attribute(path, "weight_names") or ():
        tensor = file.tensor(f"{path}/{name}", name, role_of(name), path_of(name))
        if tensor is None:
            raise MissingWeightsError(f"No weights found for {path!r}: the file lists {name!r}, but does not have it")
        tensors.append(tensor)
    return tuple(tensors)


def _counted_group(file: H5File, path: str) -> Weights:
    found = [file.tensor(f"{path}/{name}", name, name) for name in sorted(file.names(path), key=len)]
    return tuple(tensor for tensor in found if tensor is not None)


def _renamed(stored: dict[str, Weights], model: KerasModel, by_order: bool) -> dict[str, Weights]:
    """Give the groups by the names of the architecture's layers.

    Where the names do not agree (an architecture that another session of Keras has written; models in models, whose
    names Keras did not write before 2.2.3), Keras goes by the order, and so it is done here, if there is a group for
    every layer; InputLayers of Sequential models have none.
    """
    names = {layer.name: layer for layer in model.layers}
    if {name for name, tensors in stored.items() if tensors} <= set(names):
        return stored
    inputs = {name for name, layer in names.items() if layer.class_name == "InputLayer"}
    for candidates in (list(names), [name for name in names if name not in inputs]):
        if len(candidates) == len(stored):
            renamed = dict(zip(candidates, stored.values(), strict=True))
            moved = {name for name, group in zip(candidates, stored, strict=True) if name != group}
            fits = by_order or all(names[name].inner is not None for name in moved)
            return renamed if fits and not any(renamed.get(name) for name in inputs) else stored
    return stored


def _with_weights(layer: Layer, tensors: Sequence[StoredTensor], source: str) -> Layer:
    if layer.inner is None:
        return dataclasses.replace(layer, weights=tuple(tensors), parts=_parts(layer, tensors, source))
    return dataclasses.replace(layer, inner=_distribute(layer.inner, layer.name, tensors, source))


def _parts(layer: Layer, tensors: Sequence[StoredTensor], source: str) -> dict[str, Layer]:
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
        shares = [tuple(tensors[start:end]) for start, end in itertools.pairwise([*starts, len(tensors)])]
    if len(shares) != len(layer.parts):
        raise KerasFileError(f"{source}: {layer.name!r} has {len(layer.parts)} parts, but weights of {len(shares)}")
    return {
        key: _with_weights(part, share, source) for (key, part), share in zip(layer.parts.items(), shares, strict=True)
    }


# --- nested models ----------------------------------------------------------------------------------------------------


Leaf = tuple[str, ...]  # the path of a layer that is no model


def _distribute(model: KerasModel, name: str, tensors: Sequence[StoredTensor], source: str) -> KerasModel:
    """Give a nested model the weights of its group: those that are trained first, then the others, over all its layers.

    Which layer a weight belongs to, its name says: a path that goes through the layer's name.  Keras 3 writes the
    models around it too, Keras 2 does not; TensorFlow 1 may have put a number behind it; Keras 1 has ``<layer>_W``.
    """
    owned: dict[Leaf, list[StoredTensor]] = {leaf: [] for leaf in _leaves(model, ())}
    by_name: dict[str, list[Leaf]] = {}
    for leaf in owned:
        by_name.setdefault(leaf[-1], []).append(leaf)
    left = []
    for tensor in tensors:
        named = [leaf for layer in _names_in(tensor) for leaf in by_name.get(layer, ())]
        if named:
            owned[max(named, key=lambda leaf: _closeness(tensor, leaf))].append(tensor)
        else:
            left.append(tensor)
    for tensor in left:
        owner = _numbered_owner(tensor, owned)
        if owner is None:
            raise KerasFileError(f"{source}: no layer of {name!r} is named in the weight {tensor.name!r}")
        owned[owner].append(tensor)
    return _with_owned(model, (), owned, source)


def _leaves(model: KerasModel, above: Leaf) -> Iterator[Leaf]:
    for layer in model.layers:
        if layer.inner is None:
            yield (*above, layer.name)
        else:
            yield from _leaves(layer.inner, (*above, layer.name))


def _names_in(tensor: StoredTensor) -> Iterator[str]:
    """Give every layer's name that a weight's name can have in it; layers' names may have slashes themselves."""
    steps = tensor.path
    for start in range(len(steps)):
        for end in range(start + 1, len(steps) + 1):
            yield "/".join(steps[start:end])
    if not steps:
        parts = (tensor.role or "").split("_")
        for end in range(1, len(parts)):
            yield "_".join(parts[:end])


def _closeness(tensor: StoredTensor, leaf: Leaf) -> tuple[int, int, int]:
    """Say how well a weight's name fits a layer: the more of the models around it, and the longer, the better."""
    known = sum(model in tensor.path for model in leaf[:-1])
    return known, known - len(leaf), len(leaf[-1])


def _numbered_owner(tensor: StoredTensor, owned: Mapping[Leaf, Sequence[StoredTensor]]) -> Leaf | None:
    """Find the layer ``bn_1`` for ``bn_1_1/gamma:0``: the only one that it can be, without weights of another name."""
    fitting = [
        leaf
        for leaf, tensors in owned.items()
        if any(re.fullmatch(re.escape(leaf[-1]) + r"_\d+", step) for step in tensor.path)
        and all(other.path == tensor.path for other in tensors)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _with_owned(
    model: KerasModel, above: Leaf, owned: Mapping[Leaf, Sequence[StoredTensor]], source: str
) -> KerasModel:
    layers = []
    for layer in model.layers:
        path = (*above, layer.name)
        if layer.inner is not None:
            layers.append(dataclasses.replace(layer, inner=_with_owned(layer.inner, path, owned, source)))
        else:
            layers.append(_with_weights(layer, owned[path], source))
    return dataclasses.replace(model, layers=tuple(layers))
