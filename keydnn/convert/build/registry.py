"""Which Keras classes can be built, and by which function.  The only table of layers; every slice adds its own rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keydnn.convert.build.call import LayerCall, Value
from keydnn.errors import ParameterError

Build = Callable[[LayerCall], Value | Sequence[Value]]


@dataclass(frozen=True)
class Builder:
    """How a Keras class is built.

    Attributes
    ----------
    class_name
        Keras' name of the class; ``ops>...`` for the operations of Keras 3.
    build
        Called once for every call of a layer; gives its output, or its outputs in order.
    fused_activation
        Whether the class applies its ``activation`` option last, so that it can be unfused.
    passes_mask
        The first major version of Keras that hands the mask of the first input on with the output (True: all of them,
        0: none), unless the builder gives it another.
    reads
        Dtypes of inputs that the class is made for, the usual one first; such inputs are not float32 then.
    stepwise
        Whether the class does the same to (N, T, ...) as to each step of it, so that it needs no TimeDistributed.
    gone
        The first major version of Keras that does not have the class any more; 0 where there is none.
    stem
        The slice: name of the file in ``build/``, ``modules/``, ``tests/layers/`` and ``docs/layers/``.
    """

    class_name: str
    build: Build
    fused_activation: bool
    passes_mask: int
    reads: tuple[str, ...]
    stepwise: bool
    gone: int
    stem: str


BUILDERS: dict[str, Builder] = {}


def builds(
    *class_names: str,
    fused_activation: bool = False,
    passes_mask: int = 0,
    reads: tuple[str, ...] = ("float32",),
    stepwise: bool = False,
    gone: int = 0,
) -> Callable[[Build], Build]:
    """Register a function as the builder of one or more Keras classes."""

    def register(build: Build) -> Build:
        stem = build.__module__.rpartition(".")[2]
        for class_name in class_names:
            if class_name in BUILDERS:
                raise ParameterError(f"two builders for the Keras class {class_name}")
            BUILDERS[class_name] = Builder(
                class_name, build, fused_activation, passes_mask, reads, stepwise, gone, stem
            )
        return build

    return register


def classes_of(*builds: Build) -> frozenset[str]:
    """Give the Keras classes that functions build."""
    return frozenset(name for name, builder in BUILDERS.items() if builder.build in builds)
