"""How many examples a model gets right, how far off its numbers are, and whether its scores are those of the source.

Everything is counted batch by batch, so that inputs, labels and predictions may be files mapped into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from keydnn.errors import ShapeError
from keydnn.graph import Graph
from keydnn.modules.base import Shape, shape_text
from keydnn.modules.typed import AnyArray
from keydnn.verify.rows import differences

MOST_CONFUSED = 20  # classes of which a confusion matrix is kept
TOP = 5
THRESHOLD = 0.5  # of the one score of a sigmoid
AT_ONCE = 4096  # labels that are looked at to tell what they are

Kind = Literal["classes", "binary", "numbers"]
Counts = npt.NDArray[np.int64]
Report = Callable[[int], None]


class Predictor(Protocol):
    """What is evaluated: a :class:`keydnn.Model`."""

    graph: Graph

    def predict(self, x: Any, batch_size: int = 32) -> Any:
        """Compute the outputs."""


@dataclass(frozen=True)
class Classified:
    """Examples that got a class.

    Attributes
    ----------
    classes
        How many there are; 2 for one score of a sigmoid.
    right
        Examples whose class has the largest score, of equal ones the first; with a sigmoid, whose score is on the right
        side of 0.5.
    right_in_5
        Examples whose class has one of the five largest scores; None where there are five classes or fewer.
    undecided
        Examples with a score that is NaN; they count as wrong.
    confusion
        Examples by true class (rows) and predicted class (columns), without those undecided; None for more than 20
        classes.
    """

    classes: int
    right: int
    right_in_5: int | None
    undecided: int
    confusion: Counts | None


@dataclass(frozen=True)
class Measured:
    """Numbers beside those wanted: mean absolute error, root of the mean squared error, largest absolute error."""

    mae: float
    rmse: float
    largest: float


@dataclass(frozen=True)
class Agreement:
    """A model beside its source.

    Attributes
    ----------
    same
        Examples with the same class in both; None for numbers.
    source_right
        Examples whose class the source gets right; None for numbers.
    largest
        Largest absolute difference of the scores; None where the source's classes are all that is known.
    """

    same: int | None
    source_right: int | None
    largest: float | None


@dataclass(frozen=True)
class Evaluation:
    """What a model does on labelled examples; one of ``classified`` and ``measured`` is None."""

    examples: int
    classified: Classified | None
    measured: Measured | None
    agreement: Agreement | None


def evaluate(
    model: Predictor,
    inputs: Sequence[AnyArray],
    labels: AnyArray,
    source: AnyArray | None = None,
    batch_size: int = 32,
    on_batch: Report = lambda done: None,
) -> Evaluation:
    """Run a model on labelled examples and count.

    Parameters
    ----------
    model
        With one output.
    inputs
        One array an input, the examples on axis 0; taken as the numbers that they hold.
    labels
        Classes as integers (N,) or (N, 1), or one-hot (N, classes); 0 and 1 for a model that ends in one sigmoid; or,
        for a regression, floats of the output's shape.
    source
        What the source predicts for the same examples: its scores, of the output's shape, or its classes (N,).
    batch_size
        Examples computed at once, unless the model fixes it.
    on_batch
        Called after each batch with the number of examples done.

    Raises
    ------
    ShapeError
        Arrays that fit neither the model nor each other, and labels of which it is not clear what they are.
    """
    graph = model.graph
    graph.check_count(len(inputs))
    if len(graph.results) != 1:
        names = ", ".join(end.name for end in graph.results)
        raise ShapeError(f"models with one output are evaluated, not with {len(graph.results)} ({names})")
    for given, array in zip(graph.given, inputs, strict=True):
        graph.check(given.name, array, (None, *given.shape[1:]))
    count = _count({given.name: x for given, x in zip(graph.given, inputs, strict=True)}, labels, source)
    tally = tally_of(graph, labels, source)
    fixed = graph.given[0].shape[0]
    if fixed and count % fixed:
        raise ShapeError(f"the model takes {fixed} examples at a time; {count} are no multiple of that")
    size = fixed or batch_size
    for start in range(0, count, size):
        here = slice(start, min(start + size, count))
        batch = [array[here] for array in inputs]
        scores = model.predict(batch[0] if len(batch) == 1 else batch, size)
        tally.add(scores, labels[here], None if source is None else source[here])
        on_batch(here.stop)
    return tally.result()


def _count(inputs: dict[str, AnyArray], labels: AnyArray, source: AnyArray | None) -> int:
    """Give the number of examples; ShapeError where it is not the same everywhere."""
    arrays = {**{f"input {name!r}": x for name, x in inputs.items()}, "labels": labels}
    if source is not None:
        arrays["the source's predictions"] = source
    for name, array in arrays.items():
        if not array.ndim:
            raise ShapeError(f"{name}: one number, not an array with an entry for each example")
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise ShapeError(f"not as many examples everywhere: {', '.join(f'{n} {c:,}' for n, c in counts.items())}")
    if not len(labels):
        raise ShapeError("there are no examples")
    return len(labels)


# --- what the labels are ----------------------------------------------------------------------------------------------


def tally_of(graph: Graph, labels: AnyArray, source: AnyArray | None) -> Tally:
    """Tell from shapes and types what is to be counted; ShapeError where that is not clear."""
    value = graph.results[0].value
    if graph.dtypes[value] != "float32":
        raise ShapeError(f"the model gives {graph.dtypes[value]}, neither scores nor numbers")
    if labels.dtype.kind not in "biuf":
        raise ShapeError(f"labels are {labels.dtype}; classes are whole numbers from 0")
    shape = graph.shapes[value]
    sigmoid = any(node.name == value and type(node.module).__name__ == "Sigmoid" for node in graph.nodes)
    kind = kind_of(shape, labels, sigmoid)
    classes = 2 if kind == "binary" else int(shape[1] or 0) if kind == "classes" else 0
    if source is not None:
        _check_source(kind, shape, source)
    return Tally(kind, classes)


def kind_of(shape: Shape, labels: AnyArray, sigmoid: bool) -> Kind:
    """Tell what labels are.

    Parameters
    ----------
    shape
        Of the output, with the batch.
    labels
        All labels.
    sigmoid
        Whether the output is that of a sigmoid.
    """
    floats = labels.dtype.kind == "f"
    same, column = _fits(labels, shape), labels.ndim == 1 or labels.shape[1:] == (1,)
    if len(shape) == 2 and shape[1] == 1 and column:
        if sigmoid and _holds(labels, 0, 1):
            return "binary"
        if floats:
            return "numbers"
        raise ShapeError(
            "the labels of one sigmoid's score are 0 and 1"
            if sigmoid
            else "the output is one number an example, and no sigmoid: give labels of float32 for a regression"
        )
    if len(shape) == 2 and shape[1] and shape[1] > 1:
        if column and _holds(labels, 0, shape[1] - 1):
            return "classes"
        if same and _one_hot(labels):
            return "classes"
        if column:
            raise ShapeError(
                f"labels must be whole numbers from 0 to {shape[1] - 1}, as the output is {shape_text(shape)}; they "
                f"are {labels.dtype} from {labels.min()} to {labels.max()}"
            )
    if same and floats:
        return "numbers"
    wanted = f"classes (N,), one-hot {shape_text(shape)}" if len(shape) == 2 else ""
    raise ShapeError(
        f"labels of {labels.dtype} {shape_text(labels.shape)} do not go with an output of {shape_text(shape)}: give "
        f"{wanted + ', or ' if wanted else ''}floats of the output's shape for a regression"
    )


def _fits(array: AnyArray, shape: Shape) -> bool:
    """Tell whether an array has a shape, the number of examples aside."""
    return array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape[1:], shape[1:], strict=True))


def _holds(labels: AnyArray, least: int, most: int) -> bool:
    """Tell whether labels are whole numbers within limits."""
    return all(bool(np.all((part >= least) & (part <= most) & (part == np.floor(part)))) for part in _parts(labels))


def _one_hot(labels: AnyArray) -> bool:
    """Tell whether each row has one 1, and zeros."""
    return all(bool(np.all((part == 0) | (part == 1)) and np.all((part == 1).sum(1) == 1)) for part in _parts(labels))


def _parts(labels: AnyArray) -> Any:
    return (labels[start : start + AT_ONCE] for start in range(0, len(labels), AT_ONCE))


def _check_source(kind: Kind, shape: Shape, source: AnyArray) -> None:
    """Raise ShapeError unless the source's predictions are scores like the output, or classes."""
    if source.dtype.kind not in "biuf":
        raise ShapeError(f"the source's predictions are {source.dtype}, not numbers")
    fits, column = _fits(source, shape), source.ndim == 1 or source.shape[1:] == (1,)
    if not fits and not (column and ((kind == "classes" and source.dtype.kind in "iu") or shape[1:] == (1,))):
        classes = "" if kind == "numbers" else ", or integers (N,)"
        raise ShapeError(
            f"the source's predictions must have shape {shape_text(shape)}{classes}; got {source.dtype} "
            f"{shape_text(source.shape)}"
        )


# --- counting ---------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Counts of batches.

    Attributes
    ----------
    kind
        What is counted.
    classes
        Number of classes; 2 for one sigmoid's score; 0 for numbers.
    """

    kind: Kind
    classes: int
    _examples: int = 0
    _right: int = 0
    _right_in_5: int = 0
    _undecided: int = 0
    _confusion: Counts | None = field(init=False)
    _numbers: int = 0
    _sum: float = 0.0
    _squares: float = 0.0
    _largest: float = 0.0
    _same: int = 0
    _source_right: int = 0
    _apart: float | None = None
    _has_source: bool = False

    def __post_init__(self) -> None:
        """Begin with zeros."""
        few = 0 < self.classes <= MOST_CONFUSED
        self._confusion = np.zeros((self.classes, self.classes), np.int64) if few else None

    def add(self, scores: AnyArray, labels: AnyArray, source: AnyArray | None = None) -> None:
        """Count a batch: the model's output, its labels, the source's predictions."""
        self._examples += len(scores)
        if self.kind == "numbers":
            self._measure(scores, labels)
        truth = self._classes(labels, is_label=True)
        found = self._classes(scores)
        if self.kind != "numbers":
            self._classify(scores, truth, found)
        if source is not None:
            self._compare(scores, truth, found, source)

    def _classes(self, values: AnyArray, is_label: bool = False) -> Counts:
        """Give the class of each example; -1 where a score is NaN."""
        if self.kind == "numbers":
            return np.zeros(0, np.int64)
        rows = values.reshape(len(values), -1)
        if rows.shape[1] == 1:
            given = is_label or values.dtype.kind in "biu"
            chosen = rows[:, 0].astype(np.int64) if given else (rows[:, 0] > THRESHOLD).astype(np.int64)
        else:
            chosen = rows.argmax(1)
        return np.where(np.isnan(rows).any(1), -1, chosen)

    def _classify(self, scores: AnyArray, truth: Counts, found: Counts) -> None:
        self._right += int((truth == found).sum())
        self._undecided += int((found < 0).sum())
        if self.classes > TOP:
            own = np.take_along_axis(scores, truth[:, None], 1)
            earlier = np.arange(self.classes) < truth[:, None]
            better = ((scores > own) | ((scores == own) & earlier)).sum(1)
            self._right_in_5 += int(((better < TOP) & (found >= 0)).sum())
        if self._confusion is not None:
            decided = found >= 0
            np.add.at(self._confusion, (truth[decided], found[decided]), 1)

    def _measure(self, found: AnyArray, wanted: AnyArray) -> None:
        if found.size != wanted.size:
            raise ShapeError(f"the output is {shape_text(found.shape)}, the labels are {shape_text(wanted.shape)}")
        with np.errstate(all="ignore"):  # infinities and NaN are values here
            apart = np.abs(found.astype(np.float64) - wanted.reshape(found.shape))
            self._sum += float(apart.sum())
            self._squares += float((apart**2).sum())
        self._numbers += found.size
        self._largest = float(np.maximum(self._largest, apart.max(initial=0.0)))

    def _compare(self, scores: AnyArray, truth: Counts, found: Counts, source: AnyArray) -> None:
        self._has_source = True
        theirs = self._classes(source)
        self._same += int((theirs == found).sum())
        self._source_right += int((theirs == truth).sum())
        if source.size == scores.size and source.dtype.kind == "f":
            self._apart = max(self._apart or 0.0, differences(scores, source.reshape(scores.shape))[0])

    def result(self) -> Evaluation:
        """Give what was counted."""
        if self.kind == "numbers":
            count = max(1, self._numbers)
            measured = Measured(self._sum / count, float(np.sqrt(self._squares / count)), self._largest)
            agreement = Agreement(None, None, self._apart) if self._has_source else None
            return Evaluation(self._examples, None, measured, agreement)
        top = self._right_in_5 if self.classes > TOP else None
        classified = Classified(self.classes, self._right, top, self._undecided, self._confusion)
        compared = Agreement(self._same, self._source_right, self._apart) if self._has_source else None
        return Evaluation(self._examples, classified, None, compared)
