"""The two Kerases, models with random weights made in both, their files, and the comparison with KeyDNN.

Every comparison is with keydnn.reference: KeyDNN and Keras must both lie within its bound, which is derived from the
operations of the converted graph.  A wrong conversion gives a graph that Keras' answer is far from.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.convert.read.record import has_keys
from tests.within import assert_informative, assert_within, outputs_of


@contextlib.contextmanager
def quiet():
    """Let Keras' own warnings pass: of its imports, of NumPy 2, of HDF5 as a legacy format, of list inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


with quiet():
    tensorflow = pytest.importorskip("tensorflow", reason="needs the real Keras: make parity")
    keras = pytest.importorskip("keras", reason="needs the real Keras: make parity")
    tf_keras = pytest.importorskip("tf_keras", reason="needs the real Keras 2: make parity")

KERASES = {"keras3": keras, "keras2": tf_keras}
SOURCES = ("h5", "keras", "live")
FOLDER = Path(tempfile.mkdtemp(prefix="keydnn-parity-"))

WORDS = ("a", "b", "é", "zz", "", "m", "a text of more than sixteen bytes", "\u4e2d\u6587", "[UNK]")
DRAWS = {
    "float32": lambda random, shape: random.standard_normal(shape),
    "int64": lambda random, shape: random.integers(-9, 10, shape),
    "string": lambda random, shape: random.choice(np.array(WORDS, object), shape),
}
NUMPY_DTYPES = {"string": object}


@dataclass(frozen=True)
class Case:
    """A small model, as code for either Keras.

    Attributes
    ----------
    id
        Of the test.
    shapes
        Of the inputs, without the batch.
    build
        From the Keras module and the input tensors to the output tensor or tensors, or to a whole model.
    kerases
        Which of the two have all that it needs.
    relative
        The most that the bound may be beside the largest output: above it the comparison would say nothing.
    names
        Names of the inputs, where they are given in a dict.
    sources
        Where from: all but those that Keras itself cannot write.
    draw
        From a random generator and a shape to an input; else what ``DRAWS`` has for its dtype.
    dtypes
        Of the inputs; none: float32.
    """

    id: str
    shapes: tuple[tuple[int | None, ...], ...]
    build: Callable[..., Any] = field(repr=False)
    kerases: tuple[str, ...] = ("keras3", "keras2")
    relative: float = 1e-3
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = SOURCES
    draw: Callable[..., Any] | None = field(default=None, repr=False)
    dtypes: tuple[str, ...] = ()

    def model(self, name):
        """Build the model in one of the Kerases, with random weights."""
        library = KERASES[name]
        names = self.names or [f"in{place}" for place in range(len(self.shapes))]
        with quiet():
            inputs = [
                library.Input(shape, name=given, dtype=dtype)
                for shape, given, dtype in zip(self.shapes, names, self.input_dtypes, strict=True)
            ]
            made = self.build(library, *inputs)
            if not isinstance(made, library.Model):
                given = dict(zip(self.names, inputs, strict=True)) if self.names else inputs
                made = library.Model(given if len(given) > 1 else inputs[0], made)
            return filled(made, self.seed)

    @property
    def seed(self):
        """Give a seed of its own."""
        return zlib.crc32(self.id.encode())

    @property
    def input_dtypes(self):
        """Give a dtype for every input."""
        return self.dtypes or ("float32",) * len(self.shapes)

    def arrays(self, batch=2, free=5):
        """Give random inputs, as Keras takes them; free sizes are set to ``free``."""
        random = np.random.default_rng(self.seed + 1)
        shapes = [[batch, *(free if size is None else size for size in shape)] for shape in self.shapes]
        arrays = [
            (self.draw or DRAWS[dtype])(random, shape).astype(NUMPY_DTYPES.get(dtype, dtype))
            for shape, dtype in zip(shapes, self.input_dtypes, strict=True)
        ]
        if self.names:
            return dict(zip(self.names, arrays, strict=True))
        return arrays if len(arrays) > 1 else arrays[0]


def adding_to(cases):
    """Give the decorator that adds a function, which builds a model from the Keras and its inputs, to some cases."""

    def case(*shapes, **options):
        def add(build):
            cases.append(Case(build.__name__.replace("_", "-"), shapes, build, **options))
            return build

        return add

    return case


def parameters(cases):
    """Give a parameter for each case, Keras and source, with readable ids."""
    assert len({case.id for case in cases}) == len(cases)
    return [
        pytest.param(case, name, source, id=f"{case.id}-{name}-{source}")
        for case in cases
        for name in case.kerases
        for source in case.sources
    ]


def filled(model, seed, draw=None):
    """Give every weight of a model a random value: none is one of Keras' initial ones, and variances are positive."""
    random = np.random.default_rng(seed)
    values = []
    if not all(None not in getattr(weight, "shape", [None]) for weight in model.weights):
        return model  # tf-keras counts vocabularies and their factors among the weights
    for weight in model.weights:
        name = weight.name.rsplit("/", 1)[-1].partition(":")[0]
        shape = tuple(weight.shape)
        if name in ("moving_variance", "moving_var", "variance"):
            value = random.uniform(0.3, 2, shape)
        elif draw is not None:
            value = draw(random, name, shape)
        elif name == "gamma":
            value = random.uniform(0.5, 1.5, shape) * random.choice([-1, 1], shape)
        else:
            value = random.standard_normal(shape)
        values.append(value.astype(np.float32))
    model.set_weights(values)
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            layer.finalize_state()  # Keras 3 keeps what it has worked out from the weights
    return model


def save(model, stem, sources=SOURCES):
    """Give what ``from_keras`` takes, by name: files in both containers, and the model itself."""
    made: dict[str, Any] = {name: FOLDER / f"{stem}.{name}" for name in sources if name != "live"}
    with quiet():
        for path in made.values():
            model.save(path)
    return {**made, "live": model}


def answer(model, inputs):
    """Give Keras' answer, every array of it as NumPy's."""
    with quiet():
        return _numpy(model(keras.tree.map_structure(tensorflow.constant, inputs), training=False))


def _numpy(value):
    if isinstance(value, dict):
        return {key: _numpy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numpy(item) for item in value]
    return np.asarray(value)


def in_order(value, graph):
    """Give outputs in the order of a KeyDNN graph."""
    if has_keys(value):
        keyed = dict(flattened(value))
        assert set(keyed) == {output.name for output in graph.outputs}
        return [keyed[output.name] for output in graph.outputs]
    return value if isinstance(value, list) else [value]


def flattened(value, path=""):
    """Give the arrays of a structure with their paths of keys and places, as KeyDNN names them."""
    if not isinstance(value, (dict, list)):
        return [(path, value)]
    items = sorted(value.items()) if isinstance(value, dict) else enumerate(value)
    return [found for key, item in items for found in flattened(item, f"{path}/{key}" if path else str(key))]


@functools.cache
def built(case, name):
    """Give the sources, the inputs and Keras' answer of a case; made once for all sources."""
    model = case.model(name)
    inputs = case.arrays()
    return save(model, f"{name}-{case.seed}", case.sources), inputs, answer(model, inputs)


def oracle_of(model, inputs):
    """Give the outputs of a KeyDNN model as the oracle's Bounded."""
    if isinstance(inputs, dict):
        inputs = [inputs[given.name] for given in model.graph.inputs]
    return outputs_of(model.graph, inputs if isinstance(inputs, list) else [inputs])


def assert_agrees(model, inputs, wanted, relative):
    """Assert that KeyDNN's and Keras' outputs lie within the oracle's bound, and that the bound says something."""
    bounds, found = oracle_of(model, inputs), in_order(model(inputs), model.graph)
    wanted = in_order(wanted, model.graph)
    assert len(found) == len(wanted) == len(bounds)
    for keydnn, kerases, bounded in zip(found, wanted, bounds, strict=True):
        if keydnn.dtype.kind == "U":
            np.testing.assert_array_equal(keydnn, bounded.value)
            np.testing.assert_array_equal(np.char.decode(kerases.astype(bytes), "utf-8"), bounded.value)
            continue
        assert_informative(bounded, relative)
        assert keydnn.shape == kerases.shape
        assert_within(kerases, bounded.value, bounded.error)
        assert_within(keydnn, bounded.value, bounded.error)


def check(case, name, source):
    """Convert a case from one source and compare."""
    sources, inputs, wanted = built(case, name)
    assert_agrees(from_keras(sources[source], strict=False), inputs, wanted, case.relative)
