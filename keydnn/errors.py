"""Every error that KeyDNN raises on purpose.

::

    KeyDNNError
    ├── KerasInteropError          a Keras model that cannot be imported; lists every obstacle
    │   ├── KerasFileError         the file is damaged, hostile, or no Keras file at all
    │   ├── MissingArchitectureError   a file with weights only; lists its arrays
    │   └── MissingWeightsError    a module lacks a weight (also a ValueError)
    ├── CheckpointError            a JSON checkpoint or its sidecar that cannot be read or written
    ├── ParameterError             a module or graph built with arguments that make no sense (also a ValueError)
    ├── ShapeError                 an array of the wrong rank, size, type or values (also a ValueError)
    ├── InputError                 an input file (.npy, a recording) that cannot be used
    ├── WeightsMismatchError       a Keras file's weights do not fit a model; lists every mismatch (also a ValueError)
    ├── RecordingError             what Keras computes could not be recorded
    ├── ExportError                a model that cannot be written for another library; lists every module in the way
    ├── DivergenceError            two computations that should agree differ beyond the tolerance
    └── UsageError                 a command line that cannot be understood; exit status 2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class KeyDNNError(Exception):
    """Base of all errors of this package."""


def quoted(text: str) -> str:
    """Give a text in quotes, as a shell takes it."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


@dataclass(frozen=True)
class Obstacle:
    """One thing in a Keras model that stands in the way of its import.

    Attributes
    ----------
    layer
        Path of the layer in the model, e.g. ``"encoder/conv2d_1"``.
    class_name
        Keras class of the layer.
    message
        The documented sentence, e.g. ``"Unsupported Keras layer: Foo"``.
    found
        What was found: ``"activation='relu'"``.
    switch
        Name of the keyword of :func:`keydnn.from_keras` that allows it, with its value; None if nothing does.
    """

    layer: str
    class_name: str
    message: str
    found: str
    switch: str | None = None

    @property
    def flag(self) -> str | None:
        """The switch as the command line spells it."""
        if self.switch == STATEMENT:
            return f"--lambda {quoted(f'{self.layer}=...')}"
        return SWITCHES[self.switch] if self.switch else None

    @property
    def blocks(self) -> bool:
        """Whether there is no graph before this is out of the way: a switch of form leaves what is computed."""
        return self.switch not in SWITCHES


SWITCHES = {
    "allow_non_linear_activation=True": "--allow-non-linear-activation",
    'channels_last="transpose"': "--channels-last transpose",
}
STATEMENT = 'lambdas={"NAME": "..."}'  # the switch of code in the file: what it stands for, the caller must say


class KerasInteropError(KeyDNNError):
    """A Keras model that cannot be imported as asked.

    Attributes
    ----------
    obstacles
        Everything that stands in the way, in the model's order; empty where the error concerns the file as a whole.
    """

    def __init__(self, message: str, obstacles: Sequence[Obstacle] = ()) -> None:
        super().__init__(message)
        self.obstacles = tuple(obstacles)

    @classmethod
    def from_obstacles(cls, source: str, obstacles: Sequence[Obstacle]) -> KerasInteropError:
        """Make one error that lists every obstacle, the documented wording of the first one first."""
        by_switch: dict[str | None, int] = {}
        for obstacle in obstacles:
            by_switch[obstacle.switch] = by_switch.get(obstacle.switch, 0) + 1
        parts = [
            f"{flag} ({switch}) allows {count}"
            for switch, count in by_switch.items()
            if (flag := SWITCHES.get(switch or ""))
        ]
        if len(parts) > 1:
            parts.append("--nostrict (strict=False) allows all of these")
        if STATEMENT in by_switch:
            count = by_switch[STATEMENT]
            stand = "stands" if count == 1 else "stand"
            parts.append(f"--lambda 'NAME=...' ({STATEMENT}) says what {count} {stand} for")
        if None in by_switch:
            parts.append(f"nothing allows {by_switch[None]}")
        things = "1 thing stands" if len(obstacles) == 1 else f"{len(obstacles)} things stand"
        lines = [f"{obstacles[0].message}. {things} in the way in {source}: {'; '.join(parts)}."]
        width = max(len(f"{o.layer} ({o.class_name})") for o in obstacles)
        for o in obstacles:
            way = o.flag or "no way to convert this"
            lines.append(f"  {f'{o.layer} ({o.class_name})':<{width}}  {o.found}  ->  {way}")
        return cls("\n".join(lines), obstacles)


class KerasFileError(KerasInteropError):
    """A file that is not what a Keras reader may trust: damaged, hostile, or not a Keras file."""


@dataclass(frozen=True)
class StoredArray:
    """An array that a file without an architecture has: its name or path there, its shape, NumPy's name of its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class MissingArchitectureError(KerasInteropError):
    """A file with weights only: what they belong to, it does not say.

    Attributes
    ----------
    arrays
        What the file has.
    """

    SHOWN = 40

    def __init__(self, source: str, arrays: Sequence[StoredArray]) -> None:
        self.arrays = tuple(arrays)
        lines = [
            f"{source}: weights without an architecture ({len(arrays)} arrays): give it with --architecture model.json "
            '(architecture="model.json"), the text that Keras\' model.to_json() gives'
        ]
        lines += [f"  {array.name}  {array.shape}  {array.dtype}" for array in arrays[: self.SHOWN]]
        if len(arrays) > self.SHOWN:
            lines.append(f"  ... {len(arrays) - self.SHOWN} more; keydnn inspect lists them")
        super().__init__("\n".join(lines))


class MissingWeightsError(KerasInteropError, ValueError):
    """A module whose weights were not found."""


class CheckpointError(KeyDNNError):
    """A checkpoint or sidecar that cannot be read or written."""


class ParameterError(KeyDNNError, ValueError):
    """A module or graph built with arguments that make no sense."""


class ShapeError(KeyDNNError, ValueError):
    """An array whose rank, size, type or values are not those that a module or model takes."""


class InputError(KeyDNNError):
    """An input file that cannot be used."""


class DivergenceError(KeyDNNError):
    """Two computations that should agree differ beyond the tolerance."""


@dataclass(frozen=True)
class Mismatch:
    """A module of one's own that a Keras file has no weights for.

    Attributes
    ----------
    module
        Its path in the model; with its part, where it has several.
    wanted
        What the file would need to have for it, as Keras shapes it: ``"kernel (3, 3, 16, 32), bias (32,)"``.
    nearest
        The layer of the file that comes closest, with what it has; empty where there is none of the kind.
    why
        What is wrong.
    """

    module: str
    wanted: str
    nearest: str
    why: str


class WeightsMismatchError(KeyDNNError, ValueError):
    """Weights of a Keras file that do not fit a model that somebody built by hand; nothing has been written.

    Attributes
    ----------
    mismatches
        Every module that cannot be given its weights, in the model's order.
    unused
        Every layer of the file, with what it has, that no module takes.
    """

    def __init__(self, source: str, mismatches: Sequence[Mismatch], unused: Sequence[str]) -> None:
        self.mismatches, self.unused = tuple(mismatches), tuple(unused)
        counts = []
        if mismatches:
            counts.append("1 module does not fit" if len(mismatches) == 1 else f"{len(mismatches)} modules do not fit")
        if unused:
            counts.append("1 layer is left over" if len(unused) == 1 else f"{len(unused)} layers are left over")
        lines = [f"{source}: {' and '.join(counts)}; nothing was written."]
        for one in mismatches:
            lines += [f"  {one.module}: {one.why}", *([f"    wants    {one.wanted}"] if one.wanted else [])]
            lines += [f"    nearest  {one.nearest}"] if one.nearest else []
        lines += [f"  left over: {layer}" for layer in unused]
        if unused:
            lines.append("  partial=True loads what fits, and leaves the others")
        super().__init__("\n".join(lines))


class RecordingError(KeyDNNError):
    """What Keras computes for a file could not be recorded: no Keras, one that cannot open it, no suitable inputs."""


class ExportError(KeyDNNError):
    """A model that cannot be written for another library, or a written file that the library does not take."""


class UsageError(KeyDNNError):
    """A command line that cannot be understood."""
