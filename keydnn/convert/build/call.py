"""One call of a Keras layer, as its builder sees it: options to read, inputs, weights, modules to emit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from keydnn.convert.build.options import Blocked, LayerOptions
from keydnn.convert.build.weights import ALIASES, WeightReader
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, constants_in, refs_in, replace_refs
from keydnn.errors import ShapeError
from keydnn.graph import Origin
from keydnn.modules.base import Array, Module, Shape, inverse, shape_text
from keydnn.modules.constant import Constant
from keydnn.modules.lookup import ToFloat
from keydnn.modules.shape import Permute
from keydnn.strict_json import clip

CHANNELS_LAST = 'channels_last="transpose"'


@dataclass(frozen=True)
class Value:
    """A value of the graph while it is being built."""

    name: str
    shape: Shape
    dtype: str = "float32"
    mask: Value | None = None  # Keras' mask that goes with it: (N, T), 1 where a step counts and 0 where not
    folded: tuple[Value, Value] | None = None  # its steps as examples, if it was made of them, and a value of as many


@dataclass(frozen=True)
class Sizes(Value):
    """Sizes of tensors as numbers, which are known while the graph is built and are no node of it.

    ``content`` is an integer, None for a size that is free, or a list of them.
    """

    content: Any = None

    @classmethod
    def of(cls, content: Any) -> Sizes:
        """Give sizes as a value."""
        return cls("", (), content=content)

    @property
    def known(self) -> bool:
        """Whether no size among them is free."""
        return None not in (self.content if isinstance(self.content, list) else [self.content])


class Sink(Protocol):
    """Where a call's modules go (see ``assemble.py``)."""

    def emit(self, name: str, module: Module, inputs: Sequence[Value], origin: Origin, *, layout: bool) -> Value:
        """Add a node; ``layout`` marks a Permute that the layout pass may move."""

    def state(self, name: str, shape: Shape) -> Value:
        """Add a value that is kept from one call of the model to the next."""

    def keep(self, state: Value, value: Value) -> None:
        """Say what a state is at the next call."""


class LayerCall(LayerOptions):
    """One call of one layer.

    A builder reads all options first, then the call's further arguments, then takes the inputs, then the weights, then
    emits modules.  An option or argument that it does not read, and that is not known to be irrelevant, is refused when
    the inputs are taken.
    """

    def __init__(
        self,
        layer: Layer,
        number: int,
        values: Mapping[TensorRef, Value | None],
        model: KerasModel,
        weights: WeightReader,
        notes: Notes,
        sink: Sink,
    ) -> None:
        super().__init__(layer, notes)
        self.version, self._model, self.is_only = model.version, model, len(layer.calls) == 1
        self._number, self._values = number, values
        self._weights, self._sink = weights, sink
        self._floats: dict[str, Value] = {}
        call = layer.calls[number]
        self._args, self._kwargs = list(call.args), dict(call.kwargs)  # what has not been read yet

    # --- arguments of the call ----------------------------------------------------------------------------------------

    def argument(self, name: str, place: int | None = None, default: Any = None) -> Any:
        """Give an argument of this call that is no tensor: by keyword, or by its place among the positional ones."""
        value = replace_refs(self._taken(name, place, default), self._sizes)
        if any(True for _ in refs_in(value)):
            self.obstacle(
                f"called with a tensor as {name}", f"called with a tensor as {name}, which must be a constant"
            )
            self.stop()
        return value

    def setting(self, key: str, default: Any = None) -> Any:
        """Give an option of an operation, which in tf-keras holds sizes of tensors where it comes as an argument."""
        value = self.option(key)
        return self.argument(key, None, default) if value is None else value

    def tensor(self, name: str, place: int | None = None) -> Value | None:
        """Give an argument of this call that is one tensor; a constant becomes a module, None stays None."""
        return self._as_value(name, self._taken(name, place, None))

    def tensors(self, name: str, place: int | None = None) -> list[Value]:
        """Give an argument of this call that is one tensor or a list of them, as :meth:`tensor` does."""
        given = self._taken(name, place, None)
        items = given if isinstance(given, (list, tuple)) else [given]
        return [value for item in items if (value := self._as_value(name, item)) is not None]

    def operand(self, name: str, place: int | None = None) -> Value | Array | None:
        """Give an argument of this call that is one tensor or an array of numbers; None stays None."""
        return self._as_operand(name, self._taken(name, place, None))

    def operands(self, name: str, place: int | None = None) -> list[Value | Array]:
        """Give an argument of this call that is a list as :meth:`operand` gives each."""
        given = self._taken(name, place, None)
        items = given if isinstance(given, (list, tuple)) else [given]
        return [operand for item in items if (operand := self._as_operand(name, item)) is not None]

    def _as_value(self, name: str, value: Any) -> Value | None:
        operand = self._as_operand(name, value)
        return self.constant(operand, name) if isinstance(operand, np.ndarray) else operand

    def _as_operand(self, name: str, value: Any) -> Value | Array | None:
        if isinstance(value, TensorRef):
            found = self._values.get(value)
            if not isinstance(found, Sizes) or not found.known:
                return self._known(value)
            value = found.content
        if value is None:
            return None
        try:
            array = np.asarray(value)
        except ValueError:  # rows of unequal length
            array = np.empty(0, object)
        if array.dtype.kind not in "biuf":
            self.obstacle(f"called with {name}={clip(repr(value), 60)}", f"{name} is neither a tensor nor a number")
            self.stop()
        with np.errstate(over="ignore"):  # numbers beyond float32 are infinite in it
            return array.astype(np.float32)

    def constant(self, array: Array, part: str) -> Value:
        """Emit numbers of the model itself: (*shape) becomes a value (1, *shape)."""
        return self.emit(Constant(array.shape, value=array), part=part)

    def _taken(self, name: str, place: int | None, default: Any) -> Any:
        """Take an argument out of those that have not been read."""
        if name in self._kwargs:
            return self._kwargs.pop(name)
        if place is None or place >= len(self._args):
            return default
        value, self._args[place] = self._args[place], None
        return value

    def _sizes(self, ref: TensorRef) -> Any:
        """Give what sizes of tensors are, where a tensor is that; other tensors stay."""
        value = self._values.get(ref)
        return value.content if isinstance(value, Sizes) else ref

    def _known(self, ref: TensorRef) -> Value:
        value = self._values.get(ref)
        if value is None:
            raise Blocked
        if isinstance(value, Sizes):
            self.obstacle("of sizes of tensors", f"the sizes that {ref.layer!r} gives, as numbers of the graph")
            self.stop()
        return value

    # --- masks --------------------------------------------------------------------------------------------------------

    @property
    def names_mask(self) -> bool:
        """Whether the call itself says which mask counts (``mask=``)."""
        return self._layer.calls[self._number].kwargs.get("mask") is not None

    def mask(self) -> Value | None:
        """Give the mask of the (first) input: the call's own, else the one that came with the input."""
        return next(iter(self.masks()), None)

    def masks(self) -> list[Value | None]:
        """Give the mask of every input, in order: the call's own (``mask=``), else the one that came with the input."""
        implicit = [value.mask if (value := self._values.get(ref)) else None for ref in self._refs()]
        given = self._layer.calls[self._number].kwargs.get("mask")
        self._kwargs.pop("mask", None)
        if given is None:
            return implicit
        items = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(items) > len(implicit) or not all(item is None or isinstance(item, TensorRef) for item in items):
            self.obstacle(f"called with mask={clip(repr(given), 60)}", "a mask that is no tensor")
            self.stop()
        explicit = [None if item is None else self._known(item) for item in items]
        return [*explicit, *[None] * (len(implicit) - len(explicit))]

    def ignore_mask(self) -> None:
        """Say that a mask plays no part in what this layer computes."""
        self._kwargs.pop("mask", None)

    def _refs(self) -> list[TensorRef]:
        """Give the tensors among the positional arguments."""
        return list(refs_in(self._layer.calls[self._number].args))

    # --- inputs -------------------------------------------------------------------------------------------------------

    def inputs(self) -> list[Value]:
        """Check what has not been read, and give the values this call reads; options come before inputs."""
        self.refuse_unread()
        self._refuse_arguments()
        self.note_precision()
        refs = list(refs_in(self._args))
        if self._refused or any(self._values.get(ref) is None for ref in refs):
            raise Blocked
        return [self._known(ref) for ref in refs]

    def input(self, rank: int | None = None) -> Value:
        """Give the only value this call reads, of a rank if one is named."""
        values = self.inputs()
        if len(values) != 1:
            raise ShapeError(f"takes one input, but has {len(values)}")
        (value,) = values
        if rank is not None and len(value.shape) != rank:
            raise ShapeError(f"takes an input of rank {rank}, got {shape_text(value.shape)}")
        return value

    def input_dtype(self) -> str:
        """Give the dtype of the model's input that this call reads; ``"float32"`` if it reads something else."""
        read = {ref.layer for ref in self._refs()}
        inputs = [layer for layer in self._model.layers if layer.name in read and layer.class_name == "InputLayer"]
        return str(inputs[0].config.get("dtype") or "float32") if inputs else "float32"

    def size(self, value: Value, axis: int) -> int:
        """Give the size of an axis that must be known; where it is free, the call is given up."""
        size = value.shape[axis]
        if size is None:
            found = shape_text(value.shape)
            self.obstacle(f"on an input {found}", f"the size of axis {axis} of its input {found} must be fixed")
            self.stop()
        return size

    def positions(self, value: Value, axes: Sequence[int], key: str = "axis") -> list[int]:
        """Give axes of a value as they are counted from the front, in order; the batch axis is refused."""
        rank = len(value.shape)
        found = sorted({axis + rank if axis < 0 else axis for axis in axes})
        if len(found) != len(axes) or not 1 <= found[0] <= found[-1] < rank:
            self.refuse(key, f"axes of an input of rank {rank} without the batch are expected")
            self.stop()
        return found

    def _refuse_arguments(self) -> None:
        """Refuse keywords and constants of the call, other than those that say nothing."""
        for what in constants_in(Call(tuple(self._args), self._kwargs)):
            self.obstacle(f"called with {what}", f"called with {what}")

    # --- weights and modules ------------------------------------------------------------------------------------------

    def weights(self, part: str | Sequence[str] = (), **shapes: tuple[int, ...] | None) -> list[Array]:
        """Read weights.

        Parameters
        ----------
        part
            The sub-layer that holds them, by the name or names that Keras has given it; none for the layer itself.
        shapes
            Expected shape by name, in the order in which Keras creates them; None where there is none.

        Returns
        -------
        list of float32 arrays, without those that are None.
        """
        wanted = {name: shape for name, shape in shapes.items() if shape is not None}
        return self._weights.take(wanted, (part,) if isinstance(part, str) else part)

    def ignore_weights(self, *names: str) -> None:
        """Say that weights play no part at inference; in the order in which Keras creates them, behind those read."""
        self._weights.ignore(names)

    def stored_shape(self, name: str, place: int | None = None) -> tuple[int, ...] | None:
        """Give the shape that a weight has in the file, by name, or by place if files may count; None if absent."""
        names, stored = ALIASES.get(name, (name,)), self._layer.weights
        if place is not None and place < len(stored) and stored[place].role is None:
            return stored[place].shape
        return next((tensor.shape for tensor in stored if tensor.role in names), None)

    def vocabulary(self) -> tuple[str, ...] | None:
        """Give the vocabulary that the file keeps beside the configuration, or None.

        Every token is text, and special tokens come first.
        """
        read = self._layer.vocabulary
        return read() if read else None

    def emit(self, module: Module, *inputs: Value, part: str = "") -> Value:
        """Add a module to the graph; all but a layer's last one name the part they are."""
        return self._emit(module, inputs, part, layout=False)

    def _emit(self, module: Module, inputs: Sequence[Value], part: str, *, layout: bool) -> Value:
        inputs = self._in_dtypes_of(module, inputs)
        return self._sink.emit(self._node_name(part), module, inputs, self._origin, layout=layout)

    def _in_dtypes_of(self, module: Module, inputs: Sequence[Value]) -> Sequence[Value]:
        """Give inputs in dtypes that a module takes: integers become float32 where they must, text is refused."""
        try:
            module.output_dtype(*(value.dtype for value in inputs))
        except ShapeError:
            if any(value.dtype == "int64" for value in inputs):
                return self._in_dtypes_of(module, [self._as_float(value) for value in inputs])
            found = f"reading {' and '.join(f'{value.dtype} from {value.name!r}' for value in inputs)}"
            self.obstacle(found, f"{found}: no layer for values of this type")
            self.stop()
        return inputs

    def _as_float(self, value: Value) -> Value:
        """Give integers as float32, converted once for a call."""
        if value.dtype != "int64":
            return value
        if value.name not in self._floats:
            self._floats[value.name] = self.emit(ToFloat(), value, part=f"float{len(self._floats) or ''}")
        return self._floats[value.name]

    def state(self, name: str, shape: Shape) -> Value:
        """Add a value that is kept from one call of the model to the next (see ``states.py``)."""
        return self._sink.state(self._node_name(name), shape)

    def keep(self, state: Value, value: Value) -> None:
        """Say what a state is at the model's next call."""
        self._sink.keep(state, value)

    def identity(self, value: Value) -> Value:
        """Say that the layer does nothing; a mask ends here as at any layer."""
        self.rewrite("does nothing at inference; left out")
        return replace(value, mask=None)

    def _node_name(self, part: str) -> str:
        name = f"{self.name}@{self._number}" if self._number else self.name
        return f"{name}.{part}" if part else name

    @property
    def is_part(self) -> bool:
        """Whether a pass has split this off from the Keras layer."""
        return self._layer.part_of is not None

    @property
    def _origin(self) -> Origin:
        return Origin(*(self._layer.part_of or (self.name, self.class_name)))

    # --- layout -------------------------------------------------------------------------------------------------------

    def channels_last(self) -> bool:
        """Read ``data_format``, and take channels_last down as an obstacle unless it is allowed."""
        last = self.choice("data_format", "channels_last", ("channels_last", "channels_first")) == "channels_last"
        if last:
            self._say_channels_last("data_format='channels_last'")
        return last

    def _say_channels_last(self, found: str) -> None:
        if not self._notes.options.channels_last:
            message = f"Keras {self.class_name} with {found} is not supported in Phase 1"
            self._notes.obstacle(self.name, self.class_name, message, found, CHANNELS_LAST)
        self.rewrite("computed with channels first")

    def channel_axis_first(self, value: Value, axis: int, option: str) -> Value:
        """Give a value with an axis moved to position 1; any but 1 counts as channels_last."""
        if axis == 1:
            return value
        self._say_channels_last(option)
        return self.permute(value, _to_front(len(value.shape), axis), "channels_first")

    def channel_axis_back(self, value: Value, axis: int) -> Value:
        """Undo :meth:`channel_axis_first`."""
        if axis == 1:
            return value
        return self.permute(value, inverse(_to_front(len(value.shape), axis)), "channels_last")

    def to_channels_first(self, value: Value, last: bool) -> Value:
        """Give a value with its last axis moved to position 1, if it is the channel axis."""
        axis = len(value.shape) - 1
        return self.permute(value, _to_front(len(value.shape), axis), "channels_first") if last and axis > 1 else value

    def to_channels_last(self, value: Value, last: bool) -> Value:
        """Undo :meth:`to_channels_first`."""
        axis = len(value.shape) - 1
        if not last or axis < 2:
            return value
        return self.permute(value, inverse(_to_front(len(value.shape), axis)), "channels_last")

    def axes_last(self, value: Value, positions: Sequence[int]) -> tuple[Value, tuple[int, ...]]:
        """Give a value with some axes moved to the end, and the order they are in now, for ``axes_back``."""
        rank = len(value.shape)
        order = (*(axis for axis in range(rank) if axis not in positions), *positions)
        if order == tuple(range(rank)):
            return value, order
        self.rewrite(f"axes {list(positions)} moved to the end and back")
        return self.permute(value, order, "axes_last"), order

    def axes_back(self, value: Value, order: tuple[int, ...]) -> Value:
        """Undo :meth:`axes_last`."""
        return value if order == tuple(range(len(order))) else self.permute(value, inverse(order), "axes_back")

    def permute(self, value: Value, order: tuple[int, ...], part: str) -> Value:
        """Emit a Permute that the layout pass may move, or drop against its inverse."""
        return self._emit(Permute(order), [value], part, layout=True)


def _to_front(rank: int, axis: int) -> tuple[int, ...]:
    return (0, axis, *(other for other in range(1, rank) if other != axis))
