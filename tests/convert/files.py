"""Keras files assembled with h5py and zipfile from the documented layouts, for what no installed Keras writes."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np


def sequential(*layers, shape=(None, 4), name="model"):
    """Give the configuration of a Sequential model: layers are (class, config)."""
    entries = [{"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": list(shape)}}]
    entries += [{"class_name": class_name, "config": config} for class_name, config in layers]
    return {"class_name": "Sequential", "config": {"name": name, "layers": entries}}


def dense(name="d", units=3, **options):
    return "Dense", {
        "name": name,
        "trainable": True,
        "units": units,
        "use_bias": True,
        "activation": "linear",
        **options,
    }


def dense_weights(inputs=4, units=3, seed=0):
    random = np.random.default_rng(seed)
    return {
        "kernel:0": random.standard_normal((inputs, units)).astype(np.float32),
        "bias:0": random.standard_normal(units).astype(np.float32),
    }


def write_h5(path, config, weights, version="2.4.0"):
    """Write the legacy layout: weights is {layer: {weight name: array}}."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        if version is not None:
            file.attrs["keras_version"] = version
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([name.encode() for name in weights])
        for layer, arrays in weights.items():
            group = root.create_group(layer)
            names = [f"{layer}/{name}".encode() for name in arrays]
            group.attrs["weight_names"] = np.array(names) if names else np.zeros(0)
            for name, array in arrays.items():
                group.create_dataset(f"{layer}/{name}", data=array)
    return path


def archive_weights(variables):
    """Give the bytes of a model.weights.h5: variables is {"layers/dense": [arrays]}."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for group, arrays in variables.items():
            for place, array in enumerate(arrays):
                file[f"{group}/vars/{place}"] = array
    return buffer.getvalue()


def write_archive(path, members):
    """Write a zip with members {name: bytes or text}."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def keras3_sequential(*layers, shape=(None, 4)):
    """Give Keras 3's configuration of a Sequential model."""
    entries = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "x", "batch_shape": list(shape)}}
    ]
    entries += [{"module": "keras.layers", "class_name": kind, "config": config} for kind, config in layers]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": entries}}


def write_keras1(path, config, weights, version="1.2.2", end=":0"):
    """Write a whole model as Keras 1 did: its layers a bare list, its weights named ``<layer>_W:0``."""
    config = config if isinstance(config, dict) else {"class_name": "Sequential", "config": config}
    named = {layer: {f"{name}{end}": array for name, array in arrays.items()} for layer, arrays in weights.items()}
    write_h5(path, config, named, version)
    with h5py.File(path, "a") as file:
        for layer, arrays in named.items():
            group = file[f"model_weights/{layer}"]
            names = [f"{layer}_{name}" for name in arrays]
            for name, array in zip(names, arrays.values(), strict=True):
                group[name] = array
            group.attrs["weight_names"] = np.array([name.encode() for name in names]) if names else np.zeros(0)
    return path
