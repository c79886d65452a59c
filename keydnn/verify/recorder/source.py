"""The file to be recorded: its digest, who wrote it, whether it holds code."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from typing import Any

from .lines import WAY_OUT, Problem, first_line


def architecture_of(path: str) -> tuple[str, Any]:
    """Give the version of the Keras that wrote a file, "1" where it does not say, and the configuration in it."""
    config: Any
    try:
        if os.path.isdir(path):
            with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
                config, metadata = json.load(file), os.path.join(path, "metadata.json")
            with open(metadata, encoding="utf-8") as file:
                return str(json.load(file).get("keras_version", "3")), config
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = json.loads(archive.read("metadata.json"))
                return str(found.get("keras_version", "3")), json.loads(archive.read("config.json"))
        import h5py

        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise Problem("weights without an architecture: load it into its model and save that with model.save")
            texts = [file.attrs["model_config"], file.attrs.get("keras_version", "1")]
            config, version = (text.decode() if isinstance(text, bytes) else str(text) for text in texts)
            return version, json.loads(config)
    except Problem:
        raise
    except ImportError:
        raise Problem(f"{sys.executable} has no Keras; {WAY_OUT}") from None
    except Exception as error:
        raise Problem(f"cannot be read as a Keras file: {first_line(error)}") from None


def refuse_code(config: Any) -> None:
    """Raise Problem if there is a Lambda in a configuration: old Kerases run its code when they load it."""
    if isinstance(config, dict):
        if config.get("class_name") == "Lambda":
            inside = config.get("config")
            name = inside.get("name") if isinstance(inside, dict) else None
            raise Problem(
                f"the Lambda {name!r} is Python code from the file, which is not run; say what it does with Keras' own "
                "layers or operations, and save the model again"
            )
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            refuse_code(item)


def digest_of(path: str) -> str:
    """Give the SHA-256 of a file, or of all files in a folder."""
    found = hashlib.sha256()
    files = [path]
    if os.path.isdir(path):
        files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    for name in files:
        with open(name, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                found.update(chunk)
    return found.hexdigest()
