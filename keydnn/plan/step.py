"""What a unit becomes on the blocked layout: a step, once for a program; a job, once for each set of sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from jit_kernels._jit import Kernel
from jit_kernels._simd import LANES
from keydnn.modules.base import Array
from keydnn.plan.fuse import Unit
from keydnn.plan.memory import aligned
from keydnn.plan.values import Blocked

ImageSizes = tuple[int, int, int, int]
Halo = tuple[int, int, int, int]
NO_HALO: Halo = (0, 0, 0, 0)
# Below these one thread does the work: a parallel region takes 2 microseconds, and many more where a core is busy.
PARALLEL_CYCLES = 100_000
PARALLEL_NUMBERS = 100_000
PARALLEL_MACS = 2_000_000  # of a module's own kernel


class Need(NamedTuple):
    """What a job reads: sizes (N, C, H, W), lanes of a pixel, and zeros around each plane."""

    sizes: ImageSizes
    lanes: int = LANES
    halo: Halo = NO_HALO


class Launch(NamedTuple):
    """A kernel, its arguments but the arena, and whether to run it on several threads."""

    kernel: Kernel
    arguments: tuple[Any, ...]
    parallel: bool


@dataclass(frozen=True)
class Job:
    """The work of a unit for inputs of known sizes.

    Attributes
    ----------
    needs
        One for each input.
    out
        Sizes of the output.
    launches
        Gives the kernel calls for placed inputs, residual and output, and the place of the scratch memory.
    scratch
        Numbers of scratch memory.
    label
        The algorithm, for people.
    """

    needs: tuple[Need, ...]
    out: ImageSizes
    launches: Callable[[Sequence[Blocked], Blocked | None, Blocked, int], list[Launch]]
    scratch: int = 0
    label: str = ""


class Step(Protocol):
    """A unit that can run on the blocked layout."""

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs and an output of these sizes; None if only the modules' own kernels can do it.

        ``examples``: how many there are; a volume has several images.  ``plain``: the first input comes from outside
        the blocked layout.
        """


def clamp(unit: Unit) -> tuple[Any, Any]:
    """Give the bounds of a unit's result as kernels take them."""
    return np.float32(unit.low), np.float32(unit.high)


def constants(unit: Unit) -> tuple[Any, Any, Any]:
    """Give the parameters of a unit's activation as kernels take them."""
    a, b, c = (*(unit.activation.constants() if unit.activation else ()), 0.0, 0.0, 0.0)[:3]
    return np.float32(a), np.float32(b), np.float32(c)


def activation_name(unit: Unit) -> str:
    """Give the scalar function of a unit's activation, "" if it has none."""
    return unit.activation.kernel.name.removesuffix("_f32") if unit.activation else ""


def described(fields: Sequence[str], **values: int) -> Any:
    """Give a kernel's description: an int64 array of the fields, all of them named."""
    if set(values) != set(fields):
        raise TypeError(f"fields {sorted(set(values) ^ set(fields))}")
    return np.array([values[name] for name in fields], np.int64)


def strides(prefix: str, value: Blocked | None) -> dict[str, int]:
    """Give the fields of a value's place: start and strides; -1 where there is no value."""
    if value is None:
        return dict.fromkeys((prefix, f"{prefix}_image", f"{prefix}_block", f"{prefix}_row"), -1)
    image, block, row = value.strides
    return {prefix: value.start, f"{prefix}_image": image, f"{prefix}_block": block, f"{prefix}_row": row}


def aligned_copy(numbers: Array) -> Array:
    """Copy numbers to where vectors of them do not cross cache lines."""
    copy = aligned(numbers.size)
    copy[:] = numbers.reshape(-1)
    return copy
