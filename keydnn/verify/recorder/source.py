"""The file to be recorded: its digest, who wrote it, whether it holds code."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from typing import Any

from .lines import WAY_OUT, Problem, first_line


def architecture_of(path: str, given: str | None = None) -> tuple[str, Any]:
    """Give the version of the Keras that wrote a file, "1" where it does not say, and the configuration in it.

    ``given`` is the path of the JSON file that says what a file of weights only belongs to.
    """
    try:
        if given is not None:
            with open(given, encoding="utf-8") as file:
                config = json.load(file)
            return str(config.get("keras_version", "1")), config
        if os.path.isdir(path):
            with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
                config = json.load(file)
            with open(os.path.join(path, "metadata.json"), encoding="utf-8") as file:
                return str(json.load(file).get("keras_version", "3")), config
        import h5py

        if zipfile.is_zipfile(path):
            if h5py.is_hdf5(path):  # what is looked at here must be what Keras opens
                raise Problem("is a zip archive and an HDF5 file at once")
            with zipfile.ZipFile(path) as archive:
                found = json.loads(archive.read("metadata.json"))
                return str(found.get("keras_version", "3")), json.loads(archive.read("config.json"))
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise Problem("weights without an architecture: give it with --architecture model.json")
            texts = [file.attrs["model_config"], file.attrs.get("keras_version", "1")]
            text, version = (text.decode() if isinstance(text, bytes) else str(text) for text in texts)
            return version, json.loads(text)
    except Problem:
        raise
    except ImportError:
        raise Problem(f"{sys.executable} has no Keras; {WAY_OUT}") from None
    except Exception as error:
        raise Problem(f"cannot be read as a Keras file: {first_line(error)}") from None


def refuse_code(config: Any) -> None:
    """Raise Problem if there is a Lambda in a configuration: old Kerases run its code when they load it."""
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            inside = config.get("config")
            name = inside.get("name") if isinstance(inside, dict) else None
            called = f" {name!r}" if name else ""
            raise Problem(
                f"the Lambda{called} is Python code from the file, which is not run; say what it does with Keras' own "
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
