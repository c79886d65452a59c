"""Code in files: everything that Keras, old or new, would run, import or read, in every place of a configuration."""

from __future__ import annotations

import base64
import json
import marshal
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from keydnn.errors import KerasInteropError
from tests.convert import files
from tests.hostile.kind import CODE, READS, Hostile

SOURCE = "open('keydnn-was-here', 'w').close()"
MARSHALLED = base64.b64encode(marshal.dumps(compile(SOURCE, "<hostile>", "exec"))).decode()


class Pickled:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (SOURCE,)


PICKLED = base64.b64encode(pickle.dumps(Pickled())).decode()
Entry = dict[str, Any]

# What Keras makes a function or an object of.
OBJECTS: dict[str, Any] = {
    "os-system": {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
    "eval": {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "eval"},
    "lambda": {"class_name": "__lambda__", "config": {"code": MARSHALLED, "defaults": None, "closure": None}},
    "popen": {"class_name": "Popen", "module": "subprocess", "config": {"args": "true"}, "registered_name": None},
    "gadget": {"class_name": "function", "module": "keras.utils", "config": "get_file", "registered_name": "get_file"},
    "loader": {"class_name": "function", "module": "keras.models", "config": "load_model", "registered_name": None},
    "typespec": {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": [1], "serialized": []},
    "bytes": {"class_name": "__bytes__", "config": {"value": PICKLED}},
    "registered": {"class_name": "Evil", "module": None, "config": {}, "registered_name": "Evil>Evil"},
    "name": "os.system",
    "path": "keras.src.utils.file_utils.get_file",
}

# Layers that are code themselves.
LAYERS: dict[str, Entry] = {
    "Lambda-2": {"class_name": "Lambda", "config": {"name": "l", "function": [MARSHALLED, None, None],
                 "function_type": "lambda", "module": "os", "arguments": {}}},
    "Lambda-3": {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "trainable": True,
                 "function": OBJECTS["lambda"], "arguments": {}}},
    "Lambda-by-name": {"class_name": "Lambda", "config": {"name": "l", "function": "system", "function_type":
                       "function", "module": "os"}},
    "TFSMLayer": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"name": "l", "filepath": "SECRET"}},
    "TorchModuleWrapper": {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"name": "l",
                           "module": {"class_name": "__bytes__", "config": {"value": PICKLED}}}},
    "JaxLayer": {"module": "keras.layers", "class_name": "JaxLayer", "config": {"name": "l",
                 "call_fn": OBJECTS["lambda"]}},
    "function": {"class_name": "function", "module": "os", "config": "system"},
    "function-with-name": {"class_name": "function", "module": "os", "config": {"name": "system"}},
    "Dense-of-os": {"class_name": "Dense", "module": "os", "config": {"name": "l", "units": 3}},
    "Dense-registered": {"class_name": "Dense", "registered_name": "Evil>Dense", "config": {"name": "l", "units": 3}},
    "TFOpLambda": {"class_name": "TFOpLambda", "config": {"name": "l", "function": "io.read_file"}},
    "SlicingOpLambda": {"class_name": "SlicingOpLambda", "config": {"name": "l", "function": "__import__"}},
    "TensorFlowOpLayer": {"class_name": "TensorFlowOpLayer", "config": {"name": "l", "node_def": PICKLED,
                          "constants": {}}},
    "dunder": {"class_name": "__import__", "config": {"name": "os"}},
    "class-with-path": {"class_name": "keras.src.layers.core.lambda_layer.Lambda", "config": {"name": "l"}},
}  # fmt: skip


def layer(kind: str, **config: Any) -> Entry:
    return {"class_name": kind, "config": {"name": "l", "trainable": True, **config}}


DENSE = {"units": 3, "use_bias": True, "activation": "linear"}

# Places in which Keras looks for a function or an object.  The second is whether what stands there says what the model
# computes: initializers and their like are not looked at.
PLACES: dict[str, tuple[Callable[[Any], Entry], bool]] = {
    "activation": (lambda found: layer("Dense", **{**DENSE, "activation": found}), True),
    "Activation": (lambda found: layer("Activation", activation=found), True),
    "initializer": (lambda found: layer("Dense", **DENSE, kernel_initializer=found), False),
    "regularizer": (lambda found: layer("Dense", **DENSE, activity_regularizer=found), False),
    "constraint": (lambda found: layer("Dense", **DENSE, kernel_constraint=found), False),
    "dtype": (lambda found: layer("Dense", **DENSE, dtype=found), True),
    "cell": (lambda found: layer("RNN", cell=found), True),
    "cells": (lambda found: layer("RNN", cell=layer("StackedRNNCells", cells=[found])), True),
    "wrapped": (lambda found: layer("TimeDistributed", layer=found), True),
    "both-ways": (lambda found: layer("Bidirectional", layer=found, merge_mode="concat"), True),
    "recurrent-activation": (lambda found: layer("LSTM", **DENSE, recurrent_activation=found), True),
    "inner-model": (lambda found: {"class_name": "Sequential", "config": {"name": "l", "layers": [found]}}, True),
    "build-config": (lambda found: {**layer("Dense", **DENSE), "build_config": found}, False),
    "units": (lambda found: layer("Dense", **{**DENSE, "units": found}), True),
    "layer": (lambda found: found, True),
    "name": (lambda found: {"class_name": "Dense", "config": {**DENSE, "name": found}}, True),
    "shape": (lambda found: {"class_name": "InputLayer", "config": {"name": "l", "batch_shape": found}}, True),
    "vocabulary": (lambda found: layer("StringLookup", vocabulary=found), True),
}  # fmt: skip


def written(container: str, config: Entry, path: Path, secret: Path) -> None:
    text = json.dumps(config).replace("SECRET", str(secret))
    if container == "h5":
        files.write_h5(path, text, {"l": files.dense_weights()})
    else:
        weights = files.archive_weights({"layers/dense": list(files.dense_weights().values())})
        files.write_archive(path, {"config.json": text, "model.weights.h5": weights})


def with_layer(container: str, entry: Entry) -> Entry:
    """Give a model that has a layer."""
    config = files.sequential() if container == "h5" else files.keras3_sequential()
    config["config"]["layers"].append(entry)
    return config


def called(found: Any) -> Entry:
    """Give a functional model of Keras 3 in whose calls an object stands."""
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "keras_history": ["x", 0, 0]}}
    node = {"args": [tensor], "kwargs": {"mask": found}}
    layers = [
        {
            "class_name": "InputLayer",
            "name": "x",
            "config": {"name": "x", "batch_shape": [None, 4]},
            "inbound_nodes": [],
        },
        {"class_name": "Dense", "name": "l", "config": {"name": "l", **DENSE}, "inbound_nodes": [node]},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["l", 0, 0]]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}


def whole(**more: Any) -> Entry:
    """Give a model with objects beside its layers."""
    config = with_layer("keras", {"module": "keras.layers", **layer("Dense", **DENSE)})
    return config | more


def vocabulary(kind: str, container: str) -> Entry:
    """Give a layer that would read a file, as CVE-2025-12058 does."""
    options = {"vocabulary": "SECRET", "max_tokens": None, "output_mode": "int", "vocabulary_size": 5}
    return with_layer(container, layer(kind, **options))


def _files() -> Iterator[tuple[str, Hostile]]:
    def made(container: str, config: Entry, says: str | None, row: str = CODE) -> Hostile:
        return Hostile(row, partial(written, container, config), f"m.{container}", says, KerasInteropError)

    for container in ("h5", "keras"):
        for name, entry in LAYERS.items():
            yield f"{name}-{container}", made(container, with_layer(container, entry), "")
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization"):
            yield f"{kind}-{container}", made(container, vocabulary(kind, container), "", READS)
    for where, (place, says) in PLACES.items():
        for name, found in OBJECTS.items():
            container = "keras" if len(name) % 2 else "h5"
            if where in ("layer", "cell", "cells", "wrapped", "both-ways", "inner-model") or isinstance(found, dict):
                yield f"{name}-in-{where}", made(container, with_layer(container, place(found)), "" if says else None)
    for name, found in OBJECTS.items():
        yield f"{name}-in-call", made("keras", called(found), "")
    yield "compile-config", made("keras", whole(compile_config={"loss": OBJECTS["lambda"]}), None)
    yield "custom-objects", made("keras", whole(custom_objects={"Dense": OBJECTS["os-system"]}), None)
    yield (
        "class-as-model",
        made("keras", {"class_name": "Popen", "module": "subprocess", "config": {"args": "true"}}, ""),
    )
    yield "function-as-model", made("h5", OBJECTS["os-system"], "")
    yield "pickle-as-weights", Hostile(CODE, _pickled, "m.h5", "never unpickles")


def _pickled(path: Path, secret: Path) -> None:
    path.write_bytes(pickle.dumps(Pickled()))


FILES = dict(_files())
