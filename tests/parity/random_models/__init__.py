"""Random functional models of 5 to 40 layers and operations, the same in either Keras: all choices come from one seed.

Steps make one layer or operation each, with random options; the files of this folder hold them by the rank of their
input.  Branches join, layers and whole models are called again, models stand in models, inputs and outputs are several,
listed or named.  ``python -m tests.parity.random_models --seeds 500`` runs many.

Weights lie between -0.2 and 1 times what keeps values near 1, and inputs are positive, so that sums do not cancel and
the oracle's bound, which takes every error at its worst, mostly still says something at the end.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.parity.kerases import filled, keras, tensorflow

# Keras 3.15's ``ops.add`` takes an array for a bias of the last axis if only one of its axes has more than one cell,
# and as many as that: also a batch of numbers, or a channels_first bias.  No other axis here has these sizes.
BATCH, FILTERS_FIRST = 19, 17
LARGEST = 1200  # numbers of an example
INPUTS = ((8, 9, 3), (10, 4), (6,), (4, 5, 6, 2), (7, 5), (6, 7, 2))
RANKS = (2, 3, 4, 5)


@dataclass(frozen=True)
class Step:
    """One way to go on: from a value to another, or to several; None where the value is not fit for it."""

    make: Callable
    classes: tuple[str, ...]
    ranks: tuple[int, ...]
    kerases: tuple[str, ...]
    weight: float


STEPS: list[Step] = []


def step(*classes, ranks=RANKS, kerases=("keras3", "keras2"), weight=1.0):
    """Declare a step, the Keras classes that it may make, the ranks it takes, and how often it is chosen."""

    def declare(make):
        STEPS.append(Step(make, classes, ranks, kerases, weight))
        return make

    return declare


class Maker:
    """Builds a model; steps take it for its layers, its random choices and what is there already."""

    def __init__(self, library, seed):
        self.library, self.layers = library, library.layers
        self.name = "keras3" if library is keras else "keras2"
        self.ops = library.ops if library is keras else tensorflow
        self.seed, self.random = seed, np.random.default_rng(seed)
        self.values, self.used = [], set()
        self.shared = []  # layers that may be called again, with the shape of the input they were built for
        self.inputs, self.arrays = [], []  # and numbers for them, in order
        self.may_read_ids = False

    # --- choices ------------------------------------------------------------------------------------------------------

    def chance(self, probability):
        return bool(self.random.random() < probability)

    def choose(self, *choices):
        return choices[int(self.random.integers(0, len(choices)))]

    def integer(self, first, last):
        return int(self.random.integers(first, last + 1))

    def number(self, low, high):
        return round(float(self.random.uniform(low, high)), 3)

    def format(self):
        """Choose a data format."""
        return {"data_format": self.choose("channels_last", "channels_last", "channels_first")}

    def activation(self):
        return self.choose(None, None, "relu", "tanh", "sigmoid", "elu", "softplus", "swish", "gelu", "softsign")

    # --- values -------------------------------------------------------------------------------------------------------

    def model(self):
        """Give a model whose outputs are all that nothing reads, and sometimes more."""
        count, self.may_read_ids = self.integer(5, 40), True
        for _ in range(self.choose(1, 1, 2, 3)):
            self.input()
        self.values = list(self.inputs)
        first = len(self.values)
        self.grow(count)
        outputs = [value for place, value in enumerate(self.values) if place not in self.used and place >= first]
        if self.chance(0.2):
            outputs.append(self.values[-1])
        made = self.library.Model(self.structure(self.inputs, "in"), self.structure(outputs, "out"))
        return filled(made, self.seed, draw)

    def given(self, model):
        """Give the numbers for the inputs as the model takes them."""
        if isinstance(model.input, dict):
            return {f"in{place}": array for place, array in enumerate(self.arrays)}
        return self.arrays if len(self.arrays) > 1 else self.arrays[0]

    def structure(self, values, word):
        """Give values alone, in a list, or by name."""
        if len(values) == 1:
            return values[0]
        if self.chance(0.2):
            return {f"{word}{place}": value for place, value in enumerate(values)}
        return values

    def input(self):
        """Make an input, and numbers for it."""
        shape = self.choose(*INPUTS)
        self.arrays.append(self.random.uniform(0.2, 2, (BATCH, *shape)).astype(np.float32))
        self.inputs.append(self.library.Input(shape, name=f"given{len(self.inputs)}"))

    def ids(self):
        """Make an input of integers below 12, 0 at the end of some lines; None inside of a model."""
        if not self.may_read_ids or len(self.inputs) > 4:
            return None
        ids = self.random.integers(1, 12, (BATCH, 6)).astype(np.int32)
        ids[::2, 4:] = 0
        self.arrays.append(ids)
        self.inputs.append(self.library.Input((6,), dtype="int32", name=f"given{len(self.inputs)}"))
        return self.inputs[-1]

    def grow(self, count):
        """Take so many steps."""
        for _ in range(count):
            self.step()

    def step(self):
        """Take a step from one of the values."""
        place = self.place()
        x = self.values[place]
        fitting = [one for one in STEPS if len(x.shape) in one.ranks and self.name in one.kerases]
        weights = np.array([one.weight for one in fitting])
        for _ in range(20):
            chosen = fitting[int(self.random.choice(len(fitting), p=weights / weights.sum()))]
            try:
                made = chosen.make(self, x)
            except (ValueError, TypeError):  # Keras does not call that layer on this value, as on its mask
                continue
            if made is None:
                continue
            self.used.add(place)
            self.values += made if isinstance(made, (list, tuple)) else [made]
            return

    def place(self):
        """Choose the place of a value, more often a late one."""
        return len(self.values) - 1 - min(int(self.random.exponential(1.5)), len(self.values) - 1)

    def pick(self):
        """Take another value."""
        place = self.place()
        self.used.add(place)
        return self.values[place]

    def call(self, layer, x):
        """Call a layer that may be called again."""
        self.shared.append((layer, tuple(x.shape)))
        return layer(x)

    def inside(self, x, count):
        """Give a maker for a model of its own that takes a value like ``x``, and the model's input."""
        given = self.library.Input(tuple(x.shape[1:]))
        inner = Maker(self.library, self.integer(0, 1 << 30))
        inner.values = [given]
        inner.grow(count)
        return inner, given


def draw(random, name, shape):
    """Give weights whose sums are well-conditioned."""
    if name in ("gamma", "scale"):
        return random.uniform(0.5, 1.5, shape)
    if len(shape) < 2 or "bias" in name:
        return random.uniform(-0.2, 0.4, shape)
    terms = np.prod(shape[:-2]) if "depthwise" in name else np.prod(shape) // shape[-1]
    return random.uniform(-0.2, 1, shape) * 2.5 / max(terms, 1)


def numbers(x):
    """Count the numbers of an example."""
    return math.prod(x.shape[1:])


def grows(x, factor):
    """Tell whether a value would become too large."""
    return numbers(x) * factor > LARGEST


for _name in ("any_rank", "graphs", "images", "operations", "sequences", "volumes"):
    importlib.import_module(f"{__name__}.{_name}")
