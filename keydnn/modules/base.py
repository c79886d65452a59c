"""What every module is: a frozen dataclass of parameters and weights with a shape rule and a computation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

import numpy as np
import numpy.typing as npt

from keydnn.errors import MissingWeightsError, ParameterError, ShapeError

Array = npt.NDArray[np.float32]
Shape = tuple[int | None, ...]  # None: a size that is free until a call
Permutation = tuple[int, ...]  # as numpy.transpose takes it, the batch axis included
Class = TypeVar("Class", bound=type["Module"])

MAX_ELEMENTS = 1 << 32  # 16 GiB in one value: beyond it a file or a caller is wrong, and no allocation is tried
LARGEST = float(np.finfo(np.float32).max)
FAR = 1 << 62  # an index or a shift: Python counts on beyond the end of an axis

MODULE_TYPES: dict[str, type[Module]] = {}


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(dataclasses.field,))
def module(cls: Class) -> Class:
    """Make a class a module: a frozen dataclass, known to checkpoints by its name."""
    made = dataclasses.dataclass(frozen=True, eq=False)(cls)
    if made.__name__ in MODULE_TYPES:
        raise ParameterError(f"two modules are named {made.__name__}")
    MODULE_TYPES[made.__name__] = made
    return cls  # dataclass() gives back the class it was given


def tensor() -> Any:
    """Declare a weight: a float32 array given by keyword, or None until ``with_tensors`` gives it."""
    return dataclasses.field(default=None, kw_only=True, repr=False, metadata={"tensor": True})


class Module:
    """One operation of a graph.

    Subclasses are declared with :func:`module`, list their parameters and then their weights (:func:`tensor`), make
    their parameters canonical in ``__post_init__`` (with :meth:`set`), and define ``tensor_shapes``, ``output_shape``
    and ``compute``.

    Shapes include the batch axis.  Weights have PyTorch's names and layouts.
    """

    arity: ClassVar[int | None] = 1  # how many inputs; None: two or more
    moves: ClassVar[bool] = False  # whether it only moves elements, so that it can move text, too

    def set(self, **values: Any) -> None:
        """Store canonical values; for use in ``__post_init__`` of the frozen dataclasses only."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __post_init__(self) -> None:
        """Make the parameters canonical and check the weights' shapes (subclasses call this last)."""
        shapes = self.tensor_shapes()
        for name in self.tensor_names():
            value = getattr(self, name)
            if value is None:
                continue
            if name not in shapes:
                raise ParameterError(f"{self} has no {name}, but one of shape {np.shape(value)} was given")
            array = as_float32(value)
            if array.shape != shapes[name]:
                raise ShapeError(f"{name} of {self} must have shape {shapes[name]}, got {array.shape}")
            self.set(**{name: array})

    @classmethod
    def tensor_names(cls) -> tuple[str, ...]:
        """Names of all weights that the class knows, in order."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.metadata.get("tensor"))  # type: ignore[arg-type]  # subclasses are dataclasses

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights that this module needs."""
        return {}

    def tensors(self) -> dict[str, Array]:
        """Give the weights that are present."""
        return {name: value for name in self.tensor_names() if (value := getattr(self, name)) is not None}

    def parameters(self) -> dict[str, Any]:
        """Give the canonical parameters, as JSON knows them (tuples, numbers, text, booleans, None)."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # subclasses are dataclasses
        return {f.name: getattr(self, f.name) for f in fields if not f.metadata.get("tensor")}

    def with_tensors(self, tensors: Mapping[str, npt.ArrayLike]) -> Self:
        """Give a copy with some weights replaced."""
        return dataclasses.replace(self, **tensors)  # type: ignore[type-var]  # subclasses are dataclasses

    def require_tensors(self) -> None:
        """Raise MissingWeightsError if a weight is absent."""
        missing = [name for name in self.tensor_shapes() if getattr(self, name) is None]
        if missing:
            raise MissingWeightsError(f"No weights found for module {self}: {', '.join(missing)}")

    def output_shape(self, *shapes: Shape) -> Shape:
        """Give the output's shape for the inputs' shapes; ShapeError if they do not fit."""
        raise NotImplementedError

    def output_dtype(self, *dtypes: str) -> str:
        """Give the output's dtype for the inputs'; ShapeError if they do not fit.  All but a few take float32 only."""
        if self.moves and set(dtypes) == {"string"}:
            return "string"
        wrong = next((dtype for dtype in dtypes if dtype != "float32"), None)
        if wrong is not None:
            raise ShapeError(f"{self} takes float32, got {wrong}")
        return "float32"

    def check_values(self, *inputs: Array) -> None:
        """Raise ShapeError for values that ``compute`` must not be given; called before each computation."""

    def compute(self, *inputs: Array, out: Array) -> None:
        """Write the result into ``out``; inputs and ``out`` are float32, C-contiguous, of checked shapes."""
        raise NotImplementedError

    def permuted(self, permutation: Permutation) -> Module | None:
        """Give the module M with ``M(transpose(x)) == transpose(self(x))``, or None if there is none.

        All inputs are transposed alike.  The layout pass of the converter asks this.
        """
        return None

    def launches_only(self, *shapes: Shape) -> bool:
        """Tell whether ``compute`` does nothing but call kernels, on views of its arguments and on constants.

        A plan then takes the calls down once and repeats them.
        """
        return False

    def by_example(self, *shapes: Shape) -> bool:
        """Tell whether what is computed of an example depends on no other: then a batch may be computed in parts."""
        return True

    def example(self, random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
        """Give random values that the module takes as an input of a shape; None: any numbers."""
        return None

    def macs(self, *shapes: Shape) -> int:
        """Count multiply-accumulate operations for input shapes without free sizes; 0 where that means little."""
        return 0

    def forward(self, *inputs: npt.ArrayLike) -> Array:
        """Check the inputs, allocate the output and compute it.

        Parameters
        ----------
        inputs
            Arrays; converted to float32 C order once, if they are not.

        Raises
        ------
        ShapeError
            An input of the wrong number, rank or size.
        MissingWeightsError
            The module was built without weights.
        """
        arrays: list[Any] = [x if self.moves and _is_text(x) else as_float32(x) for x in inputs]
        self.check_arity(len(arrays))
        self.require_tensors()
        text = any(map(_is_text, arrays))
        out: Array = self._allocate(self.output_shape(*(a.shape for a in arrays)), np.object_ if text else np.float32)
        self.check_values(*arrays)
        self.compute(*arrays, out=out)
        return out

    def __call__(self, *inputs: npt.ArrayLike) -> Any:
        """Compute the output (see :meth:`forward`)."""
        return self.forward(*inputs)

    def check_arity(self, count: int) -> None:
        """Raise ShapeError unless the module takes so many inputs."""
        if (self.arity is None and count < 2) or self.arity not in (None, count):
            raise ShapeError(f"{self} takes {self.arity or 'two or more'} inputs, got {count}")

    def _allocate(self, shape: Shape, dtype: type[np.generic]) -> Any:
        sizes = sized(self, shape)
        try:
            return np.empty(sizes, dtype)
        except MemoryError:
            raise ShapeError(f"{self}: no memory for its output of shape {shape_text(shape)}") from None


def _is_text(value: object) -> bool:
    """Tell whether a value is text as graphs have it."""
    return isinstance(value, np.ndarray) and value.dtype == np.object_


def as_float32(value: npt.ArrayLike) -> Array:
    """Give an array as kernels take it: float32, C-contiguous, aligned; copied only if it is not so already."""
    if type(value) is np.ndarray and value.dtype == np.float32 and value.flags.c_contiguous and value.flags.aligned:
        return value  # the usual case, in a quarter of the time
    return np.require(value, np.float32, ["C_CONTIGUOUS", "ALIGNED"])


def sized(owner: object, shape: Shape) -> tuple[int, ...]:
    """Give a shape of integers only; ShapeError if a size is free, or the value too large for any memory."""
    if None in shape:
        raise ShapeError(f"{owner} cannot work out its output shape {shape_text(shape)}")
    sizes = tuple(int(size) for size in shape if size is not None)
    if math.prod(sizes) > MAX_ELEMENTS:
        raise ShapeError(f"{owner} has an output of shape {shape_text(shape)}, which does not fit into memory")
    return sizes


def shape_text(shape: Sequence[int | None]) -> str:
    """Write a shape as people do: ``(N, 3, 32, 32)`` with ``?`` for other free sizes."""
    names = [str(size) if size is not None else "?" if axis else "N" for axis, size in enumerate(shape)]
    return f"({', '.join(names)})" if len(names) != 1 else f"({names[0]},)"


def inverse(permutation: Permutation) -> Permutation:
    """Give the permutation that undoes another."""
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def want_rank(owner: object, shape: Shape, rank: int, axes: str) -> None:
    """Raise ShapeError unless a shape has the rank."""
    if len(shape) != rank:
        raise ShapeError(f"{owner} takes an input {axes}, got {shape_text(shape)}")


def want_size(owner: object, shape: Shape, axis: int, size: int, axes: str) -> None:
    """Raise ShapeError unless the size at an axis is the one wanted (or free)."""
    if shape[axis] not in (None, size):
        raise ShapeError(f"{owner} takes an input {axes}, got {shape_text(shape)}")


def integer(name: str, value: Any, least: int = 1, most: int = MAX_ELEMENTS) -> int:
    """Give a parameter as int; ParameterError if it is not one, or out of bounds: no size is above ``MAX_ELEMENTS``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f"{name} must be an integer >= {least}, got {value!r}")
    if value > most:
        raise ParameterError(f"{name} must be an integer <= {most}, got {value!r}")
    return int(value)


def number(name: str, value: Any) -> float:
    """Give a parameter as a float that float32 can hold; ParameterError if it is not one."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not real or not abs(value) <= LARGEST:
        raise ParameterError(f"{name} must be a number that float32 can hold, got {value!r}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Give a parameter as bool; ParameterError if it is not one."""
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Give a parameter that is one of some words; ParameterError if it is not."""
    if value not in choices:
        raise ParameterError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return str(value)
