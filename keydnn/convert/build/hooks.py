"""Readers of custom layers, which a user writes: ``@keydnn.convert.reads("package>ClassName")``.

A file can name a class, but never bring a reader with it: nothing is imported that the caller has not imported
himself.  What a reader gives is checked as what builders give is: weights that it leaves unread are an error, and so
are arguments of a call and masks that it does not know of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.options import Blocked
from keydnn.convert.build.registry import BUILDERS
from keydnn.convert.normalize.lambdas import is_lambda
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Layer
from keydnn.errors import KerasFileError, MissingWeightsError, ParameterError
from keydnn.modules.base import Array, Module, Shape
from keydnn.strict_json import Json, clip

Made = Module | Value | Sequence[Module] | Sequence[Value]
Masks = Literal["refused", "ends", "passes"]


@dataclass(frozen=True)
class StoredWeight:
    """A weight in the file: the name it has there, its shape and NumPy's name of its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class CustomLayer:
    """One call of a custom layer, as its reader sees it.

    Attributes
    ----------
    name, class_name
        The layer's path in the model; its class as the file has it (``"package>ClassName"``).
    keras_version
        Of the Keras that wrote the file, e.g. ``(3, 15, 1)``.
    config
        Its configuration as in the file, a copy.
    inputs
        The values that the call reads, in order; each has a ``shape`` with the batch, None for free sizes.
    stored
        The weights that the file has for it.
    mask
        Keras' mask of the first input, (N, T), 1 where a step counts; None where there is none.
    """

    def __init__(self, call: LayerCall, layer: Layer, class_name: str, masks: Masks) -> None:
        self.name, self.class_name, self.keras_version = layer.name, class_name, call.version
        self.config: dict[str, Json] = deepcopy(dict(layer.config))
        self.stored = tuple(StoredWeight(w.name, w.shape, w.dtype) for w in layer.weights)
        self._call = call
        call.ignore(*layer.config)
        self.mask = call.mask()
        if self.mask is not None and masks == "refused":
            call.obstacle(
                "called with a mask", 'called with a mask, which its reader does not know: reads(mask="ends")'
            )
        self.inputs: tuple[Value, ...] = tuple(call.inputs())
        self._known = {value.name for value in (*self.inputs, self.mask) if value is not None}

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shapes of the inputs, with the batch; None for free sizes."""
        return tuple(value.shape for value in self.inputs)

    def weights(self, part: str | Sequence[str] = (), **shapes: tuple[int, ...]) -> list[Array]:
        """Read weights.

        Parameters
        ----------
        part
            The sub-layer that holds them, by its name in the file; none for the layer itself.
        shapes
            Expected shape by name, in the order in which the Keras class creates them: files of Keras 3 have no names.

        Returns
        -------
        list of float32 arrays

        Raises
        ------
        MissingWeightsError
            The file has no such weight.
        KerasFileError
            It has one of another shape.
        """
        return self._call.weights(part, **shapes)

    def ignore_weights(self, *names: str) -> None:
        """Say that weights play no part at inference; after those that do have been read."""
        self._call.ignore_weights(*names)

    def emit(self, module: Module, *inputs: Value, part: str = "") -> Value:
        """Add a module to the graph and give its output; all but the last one name the part they are.

        Raises
        ------
        ShapeError
            The module does not take inputs of these shapes.
        ParameterError
            They are no values of this call.
        """
        if not isinstance(module, Module) or not inputs:
            raise ParameterError(f"emit: a module and what it reads are expected, not {clip(repr(module), 60)}")
        return self._kept(self._call.emit(module, *map(self._checked, inputs), part=part))

    def channels_first(self, value: Value) -> Value:
        """Give (N, ..., C) as (N, C, ...), as modules of images take it; the caller must allow ``channels_last``."""
        value = self._checked(value)
        return self._kept(self._call.channel_axis_first(value, len(value.shape) - 1, "channels last"))

    def channels_last(self, value: Value) -> Value:
        """Give (N, C, ...) as (N, ..., C): what :meth:`channels_first` does, undone."""
        return self._kept(self._call.to_channels_last(self._checked(value), True))

    def outputs(self, made: object) -> list[Value]:
        """Give the outputs that a reader's answer stands for; ParameterError if it is nothing that one may give."""
        items: list[Any] = list(made) if isinstance(made, (list, tuple)) else [made]
        if not items or not (_all_are(items, Module) or _all_are(items, Value)):
            what = "a module, a list of modules, or what emit gave"
            raise ParameterError(f"gave {clip(repr(made), 80)}, where {what}, is expected")
        if isinstance(items[0], Value):
            return [self._checked(value) for value in items]
        if len(self.inputs) != 1:
            raise ParameterError(f"gave modules for {len(self.inputs)} inputs: emit them, and give the value")
        (value,) = self.inputs
        for place, module in enumerate(items, 1):
            value = self.emit(module, value, part=f"part{place}" if place < len(items) else "")
        return [value]

    def _kept(self, value: Value) -> Value:
        self._known.add(value.name)
        return value

    def _checked(self, value: Value) -> Value:
        if not isinstance(value, Value) or value.name not in self._known:
            raise ParameterError(f"{clip(repr(value), 80)} is no value of this call: neither an input nor emitted")
        return value


def _all_are(items: Sequence[object], kind: type) -> bool:
    return all(isinstance(item, kind) for item in items)


Read = Callable[[CustomLayer], Made]
AnyRead = TypeVar("AnyRead", bound=Read)


@dataclass(frozen=True)
class Hook:
    """A reader and what it said about masks."""

    read: Read
    masks: Masks

    def __str__(self) -> str:
        """Name the function and its file."""
        code = getattr(self.read, "__code__", None)
        name = getattr(self.read, "__qualname__", type(self.read).__name__)
        return f"{name} of {Path(code.co_filename).name}" if code else name


HOOKS: dict[str, Hook] = {}


def reads(class_name: str, *, mask: Masks = "refused") -> Callable[[AnyRead], AnyRead]:
    """Register a function as the reader of a custom Keras class, for this process.

    Parameters
    ----------
    class_name
        ``"package>ClassName"``, as ``keydnn inspect`` shows it: ``registered_name`` in Keras 3; ``"ClassName"`` alone
        reads classes of that name whatever their package.
    mask
        What becomes of a mask that comes with the input: ``"refused"``, ``"ends"`` or ``"passes"`` on to the output.

    Returns
    -------
    A decorator of a function that takes a :class:`CustomLayer` and gives one module, a list of modules to be applied
    one after the other, or what :meth:`CustomLayer.emit` has given (a list for several outputs).

    Raises
    ------
    ParameterError
        The class is one of Keras' own, or has a reader already (the same function may be registered again).
    """
    if not isinstance(class_name, str) or not class_name:
        raise ParameterError(f'reads: a name is expected, "package>ClassName", not {clip(repr(class_name), 60)}')
    if mask not in ("refused", "ends", "passes"):
        raise ParameterError(f'reads({class_name!r}): mask must be "refused", "ends" or "passes", not {mask!r}')
    if class_name in BUILDERS or class_name.startswith(("ops>", "tf>")):
        raise ParameterError(f"reads({class_name!r}): a class of Keras, which KeyDNN reads itself")

    def register(read: AnyRead) -> AnyRead:
        if not callable(read):
            raise ParameterError(f"reads({class_name!r}): a function is expected, not {clip(repr(read), 60)}")
        known = HOOKS.get(class_name)
        if known and _identity(known.read) != _identity(read):
            raise ParameterError(f"reads({class_name!r}): has a reader already, {known}")
        HOOKS[class_name] = Hook(read, mask)
        return read

    return register


def _identity(read: Read) -> tuple[object, ...]:
    """Give what a function has in common with itself when its file, or a notebook's cell, is run once more."""
    return getattr(read, "__module__", None), getattr(read, "__qualname__", read)


def hook_of(layer: Layer) -> Hook | None:
    """Give the reader of a layer's class: that of its full name, else that of its name alone."""
    if is_lambda(layer) or layer.package in ("ops", "tf"):
        return None
    full = f"{layer.package}>{layer.class_name}" if layer.package else layer.class_name
    return HOOKS.get(full) or HOOKS.get(layer.class_name)


def build_with(hook: Hook, call: LayerCall, layer: Layer, notes: Notes, source: str) -> Sequence[Value]:
    """Build one call with its reader, and give its outputs; none if an obstacle prevents it.

    Raises
    ------
    ParameterError
        The reader raised an error, which is chained, or gave what no reader may give.
    KerasFileError, MissingWeightsError
        The file has not the weights that the reader asked for.
    """
    full = f"{layer.package}>{layer.class_name}" if layer.package else layer.class_name
    try:
        custom = CustomLayer(call, layer, full, hook.masks)
        outputs = custom.outputs(hook.read(custom))
    except Blocked:
        return ()
    except MissingWeightsError:
        raise
    except KerasFileError as error:
        raise KerasFileError(f"{source}: {error}") from None
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ParameterError(f"{source}: layer {layer.name!r} ({full}): its reader, {hook}: {what}") from error
    notes.rewrite(layer.name, full, f"read by {hook}, as stated", stated=True)
    mask = custom.mask if hook.masks == "passes" else None
    return [replace(value, mask=None if place else mask) for place, value in enumerate(outputs)]
