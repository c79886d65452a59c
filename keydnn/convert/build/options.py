"""Options of one layer, as its builder reads them; what it does not read is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Layer
from keydnn.strict_json import Json, clip

# Options that say nothing about inference: training, randomness, naming, and shapes that the graph has anyway.
IGNORED = {
    "name", "trainable", "dtype", "seed", "batch_input_shape", "batch_shape", "build_config", "input_dtype",
    "input_dim", "input_length", "shared_object_id", "module", "registered_name", "sparse", "ragged",
}  # fmt: skip
IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint", "_quantizer")
QUANTIZED = "a quantized layer; save the model as it was before quantize()"


class Blocked(Exception):  # it is a way out, not an error
    """A layer above could not be built, so this one has no input; its options have been checked all the same."""


class LayerOptions:
    """The configuration of one layer, and what has been read of it.

    An option that is not read, and that is not known to be irrelevant, is refused by :meth:`refuse_unread`.
    """

    def __init__(self, layer: Layer, notes: Notes) -> None:
        self.name, self.class_name = layer.name, layer.class_name
        self._layer, self._notes = layer, notes
        self._refused = False
        self._read: set[str] = set()

    def option(self, key: str, default: Json = None) -> Json:
        """Give an option of the configuration as it is."""
        self._read.add(key)
        return self._layer.config.get(key, default)

    def integer(self, key: str, default: int | None = None, least: int = 1) -> int:
        """Give an option that is an integer."""
        value = self.option(key, default)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if type(value) is not int or value < least:
            self.refuse(key, f"an integer >= {least} is expected")
            return least
        return value

    def integers(self, key: str, axes: int, default: Json = None, least: int = 1) -> tuple[int, ...]:
        """Give an option that is one integer, or one an axis."""
        value = self.option(key, default)
        values = value if isinstance(value, list) else [value] * axes
        if len(values) != axes or any(type(item) is not int or item < least for item in values):
            self.refuse(key, f"{axes} integers >= {least} are expected")
            return (least,) * axes
        return tuple(values)

    def number(self, key: str, default: float) -> float:
        """Give an option that is a number."""
        value = _plain(self.option(key, default))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(key, "a number is expected")
            return default
        return float(value)

    def numbers(self, key: str, default: Json) -> npt.NDArray[np.float64]:
        """Give an option that is a number, or lists of them, as an array."""
        try:
            array = np.asarray(_plain(self.option(key, default)), np.float64)
        except (TypeError, ValueError):
            array = np.array(np.nan)
        if not np.isfinite(array).all():
            self.refuse(key, "finite numbers are expected")
            array = np.zeros(())
        return array

    def boolean(self, key: str, default: bool) -> bool:
        """Give an option that is true or false (also 1 or 0, as old files have it)."""
        value = self.option(key, default)
        if value not in (True, False):
            self.refuse(key, "true or false is expected")
            return default
        return bool(value)

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        """Give an option that is one of some words; any other value is refused."""
        value = self.option(key, default)
        if value not in choices:
            self.refuse(key, f"only {', '.join(map(repr, choices))}")
            return default
        return str(value)

    def axes(self, key: str, default: Json = -1) -> list[int]:
        """Give an option that is one axis or several, as ``positions`` takes them."""
        value = self.option(key, default)
        axes = value if isinstance(value, list) else [value]
        if not axes or any(type(axis) is not int for axis in axes):
            self.refuse(key, "axes are expected")
            return [-1]
        return axes

    def ignore(self, *keys: str) -> None:
        """Say that options of this class do not matter for inference."""
        self._read.update(keys)

    def require(self, key: str, default: Json, *allowed: Json) -> None:
        """Refuse an option unless it has a value at which it does nothing."""
        if self.option(key, default) not in (default, *allowed):
            self.refuse(key, f"only {key}={default!r} is supported")

    def refuse(self, key: str, why: str) -> None:
        """Take down that an option has a value which nothing can allow."""
        found = clip(f"{key}={self._layer.config.get(key)!r}", 80)
        self.obstacle(f"with {found}", f"{found} ({why})")

    def obstacle(self, what: str, found: str) -> None:
        """Take down something that nothing can allow: what the message says behind the class, and what was found."""
        self._refused = True
        message = f"Unsupported Keras layer: {self.class_name} {what}"
        self._notes.obstacle(self.name, self.class_name, message, found)

    def stop(self) -> NoReturn:
        """Give up on this call: what stands in the way has been taken down."""
        raise Blocked

    def rewrite(self, what: str) -> None:
        """Take down a lossless rewrite of this layer."""
        self._notes.rewrite(self.name, self.class_name, what)

    def refuse_unread(self) -> None:
        """Refuse every option that has not been read and says something."""
        for key, value in self._layer.config.items():
            if key not in self._read and key not in IGNORED and not key.endswith(IGNORED_ENDINGS) and value is not None:
                why = QUANTIZED if key == "quantization_config" else "an option that KeyDNN does not know"
                self.refuse(key, why)

    def note_precision(self) -> None:
        """Say so where Keras computes in another precision than float32; refuse quantized layers."""
        policy = self._layer.config.get("dtype")
        if "dtype" in self._read:  # an option of the builder, as of a cast
            return
        if isinstance(policy, dict):
            inner = policy.get("config")
            inner = inner if isinstance(inner, dict) else {}
            policy = (
                f"{inner['mode']}_from_{inner.get('source_name')}" if "mode" in inner else inner.get("name", "unnamed")
            )
        if policy in ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"):
            self.rewrite(f"computed in float32, where Keras uses {policy}")
        elif policy not in (None, "float32", "int32", "int64", "string"):
            quantized = "_from_" in str(policy)  # e.g. int8_from_float32
            self.refuse("dtype", QUANTIZED if quantized else "a precision that KeyDNN does not know")


def _plain(value: Json) -> Json:
    """Give what Keras wraps: NumPy's numbers, ``{"type": "ndarray", "value": 0.3}`` in Keras 2, and its arrays."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = (inner if isinstance(inner, dict) else value).get("value")
    return value
