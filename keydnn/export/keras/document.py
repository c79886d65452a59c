"""A functional model of Keras 3: its layers, their calls, and the files that hold it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.export.keras.files import legacy_file, weights_file, zip_file
from keydnn.export.keras.order import in_keras_order
from keydnn.export.rules import refuse
from keydnn.graph import Origin
from keydnn.modules.base import Shape

KERAS_VERSION = "3.15.1"  # whose classes are written
SAVED = "1980-01-01@00:00:00"  # zip files begin then; any other date would make files differ
INPUT = "InputLayer"
WRAPPER = "TimeDistributed"
UNTRAINED = {INPUT, "Discretization", "HashedCrossing"}  # which do not take that option
RANDOM = "seed_generator/"  # the sub-layer that has the state of random numbers
LEGACY_VERSION = "2.15.0"  # the last Keras that wrote weights by layer by default
# Layers whose weights have axes of the input, which need not be in the order of the original model.
PLACED = ("LayerNormalization", "Normalization", "PReLU", "RMSNormalization")


@dataclass(frozen=True)
class Ref:
    """What a call of a layer gives; of several things that it gives the one at ``place``."""

    layer: Layer
    call: int
    shape: Shape
    dtype: str
    place: int = 0

    def tensor(self) -> dict[str, Any]:
        """Give it as an argument of a call."""
        history = [self.layer.name, self.call, self.place]
        config = {"shape": list(self.shape), "dtype": self.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}


@dataclass(frozen=True)
class Call:
    """One call of a layer."""

    args: list[Any]
    kwargs: dict[str, Any]

    def reads(self) -> Iterator[Ref]:
        """Give the values among the arguments, in order."""
        yield from refs_of([self.args, self.kwargs])


@dataclass(eq=False)
class Layer:
    """A layer or an operation, and its calls.

    Attributes
    ----------
    module, class_name
        What Keras imports.
    config
        Options, but for those that every layer has.
    weights
        In Keras' order and layouts; a folder in a name is a sub-layer.
    fixed
        Names of those that training does not change.
    origin
        The Keras layer of the graph's node.
    name
        Given by the writer.
    """

    module: str
    class_name: str
    config: dict[str, Any]
    weights: Mapping[str, npt.NDArray[Any]]
    fixed: frozenset[str]
    origin: Origin | None
    name: str = ""
    calls: list[Call] = field(default_factory=list)

    @property
    def is_operation(self) -> bool:
        """Whether it is an operation, which has no weights and no place in the file of weights."""
        return self.module != "keras.layers"

    @property
    def kind(self) -> str:
        """Its class, or of a wrapper the class of what is within."""
        return self.config["layer"].kind if self.class_name == WRAPPER else self.class_name

    @property
    def is_plain(self) -> bool:
        """Whether it has no weights: states of random numbers are none."""
        return all(RANDOM in name for name in self.weights)

    def call(self, args: list[Any], kwargs: Mapping[str, Any], shape: Shape, dtype: str) -> Ref:
        """Call it."""
        self.calls.append(Call(args, dict(kwargs)))
        return Ref(self, len(self.calls) - 1, shape, dtype)

    def described(self) -> dict[str, Any]:
        """Give it as ``config.json`` has it."""
        own = {"name": self.name} | ({} if self.is_operation else {"trainable": True, "dtype": "float32"})
        if self.class_name in UNTRAINED:
            del own["trainable"]
        return {
            "module": self.module,
            "class_name": self.class_name,
            "config": own | plain(self.config),
            "registered_name": self.class_name if self.is_operation else None,
            "name": self.name,
            "inbound_nodes": [
                {"args": plain(call.args), "kwargs": plain(call.kwargs)}
                for call in self.calls
                if self.class_name != INPUT
            ],
        }


def refs_of(value: Any) -> Iterator[Ref]:
    """Give the Refs in lists, tuples and dictionaries."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from refs_of(item)
    elif isinstance(value, dict):
        yield from refs_of([value[key] for key in sorted(value)])


def mapped(value: Any, change: Callable[[Ref], Ref]) -> Any:
    """Give lists, tuples and dictionaries with every Ref changed."""
    if isinstance(value, Ref):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    return value


def plain(value: Any) -> Any:
    """Give a value as Keras stores it in JSON; text and numbers as they are."""
    if isinstance(value, Ref):
        return value.tensor()
    if isinstance(value, Layer):
        return {key: item for key, item in value.described().items() if key not in ("name", "inbound_nodes")}
    if isinstance(value, np.ndarray):
        dtype = str(value.dtype)
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": dtype}}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, slice):
        config = {"start": plain(value.start), "stop": plain(value.stop), "step": plain(value.step)}
        return {"class_name": "__slice__", "config": config}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class KerasDocument:
    """A functional model.

    Attributes
    ----------
    name
        The model's.
    layers
        Layers and operations, with their names, each after those that it reads.
    inputs, outputs
        What callers give and get, in order.
    containers
        The layers of the original model that have others within, nested models and wrappers, with their classes; None
        if that is not known.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    containers: Mapping[str, str] | None = None

    @property
    def ordered(self) -> tuple[Layer, ...]:
        """The layers that the outputs need, and the inputs, in the order in which Keras has them."""
        return in_keras_order(self.inputs, self.outputs)

    def described(self) -> dict[str, Any]:
        """Give the model as ``config.json`` has it."""
        given, results = (
            [[ref.layer.name, ref.call, ref.place] for ref in refs] for refs in (self.inputs, self.outputs)
        )
        return {
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {
                "name": self.name,
                "trainable": True,
                "layers": [layer.described() for layer in self.ordered],
                "input_layers": given[0] if len(given) == 1 else given,
                "output_layers": results[0] if len(results) == 1 else results,
            },
            "registered_name": "Functional",
        }

    def archive(self) -> bytes:
        """Give a ``.keras`` file, which ``keras.saving.load_model`` opens in safe mode; always the same bytes."""
        metadata = {"keras_version": KERAS_VERSION, "date_saved": SAVED}
        layers = [(layer.class_name, layer.name, layer.weights) for layer in self.ordered if not layer.is_operation]
        files = {
            "metadata.json": json.dumps(metadata).encode(),
            "config.json": json.dumps(self.described()).encode(),
            "model.weights.h5": weights_file(self.name, layers),
        }
        return zip_file(files)

    def legacy_weights(self) -> bytes:
        """Give an HDF5 file of weights by layer, which ``model.load_weights(file, by_name=True)`` takes.

        Layers have their names in the original model; what is within a wrapper is the wrapper's.

        Raises
        ------
        ExportError
            The order of a layer's weights in the original model is not known, as they are not those of one layer here,
            or as it is one of several in a nested model, whose order depends on what training was to leave alone; all
            are named.
        """
        found: dict[str, dict[str, npt.NDArray[Any]]] = {}
        refused: dict[str, str] = {}
        originals, owners = self._owners(refused)
        tops = {path: self._top(path) for path in owners}
        inside = Counter(tops.values())
        for path, layers in owners.items():
            original, top = originals[path], tops[path]
            if top is None:
                refused[path] = "perhaps within another layer: what was rewritten on its import is not known"
            elif inside[top] > 1 and (self.containers or {}).get(top) != "Bidirectional":
                refused[path] = f"one of several layers within {top}"
            elif [layer.kind for layer in layers] != [original]:
                written = ", ".join(layer.kind for layer in layers)
                refused[path] = f"{original}, whose weights are those of {written} here"
            elif original in PLACED and any(map(_has_places, layers[0].weights.values())):
                refused[path] = f"{original} of several axes, which may be in another order there"
            else:
                own = {name: array for name, array in layers[0].weights.items() if RANDOM not in name}
                found.setdefault(top, {}).update({f"{path}/{name}:0": array for name, array in own.items()})
        refuse(refused, "Keras' weights by layer")
        return legacy_file(LEGACY_VERSION, found)

    def _top(self, path: str) -> str | None:
        """Give the layer of the original model that a layer is within, or is; None if that cannot be told."""
        if "/" not in path:
            return path
        if self.containers is None:
            return None
        parts = path.split("/")
        prefixes = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return next((prefix for prefix in prefixes if prefix in self.containers), path)

    def _owners(self, refused: dict[str, str]) -> tuple[dict[str, str], dict[str, list[Layer]]]:
        """Give the class of each layer of the original model that has weights, and the layers that are it here."""
        originals: dict[str, str] = {}
        owners: dict[str, list[Layer]] = {}
        for layer in self.layers:
            if layer.is_plain:
                continue
            if layer.origin is None:
                refused[layer.name] = "of no layer of a Keras model"
            else:
                owners.setdefault(layer.origin.layer, []).append(layer)
                originals[layer.origin.layer] = layer.origin.class_name
        return originals, owners


def _has_places(array: npt.NDArray[Any]) -> bool:
    """Tell whether an array has several axes that count."""
    return len([size for size in array.shape if size > 1]) > 1
