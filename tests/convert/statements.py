"""A model that is one Lambda and what is stated of it, built without a file."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build import assemble
from keydnn.convert.layout import move_permutes
from keydnn.convert.normalize import normalize
from keydnn.convert.normalize.notes import Notes, Options
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef
from keydnn.errors import KerasInteropError
from tests.within import outputs_of

CODE = ["4wEAAAAA\n", None, None]


def graph_of(text, *shapes, config=None, calls=None, version=(3, 15), notes=None):
    """Give the graph of a Lambda ``f`` on inputs of shapes without the batch; ``text`` is what it stands for."""
    refs = tuple(TensorRef(f"in{place}") for place in range(len(shapes)))
    inputs = [
        Layer(ref.layer, "InputLayer", "", {"batch_shape": [None, *shape]}, ())
        for ref, shape in zip(refs, shapes, strict=True)
    ]
    calls = calls or (Call((refs[0] if len(refs) == 1 else list(refs),)),)
    code = Layer("f", "Lambda", "", {"name": "f", "function": CODE, **(config or {})}, calls)
    model = KerasModel("m", "m.h5", version, (*inputs, code), refs, (TensorRef("f", len(calls) - 1),), ("f",))
    notes = notes or Notes(Options(lambdas={"f": text}))
    assembled = assemble(normalize(model, notes), notes)
    if assembled.graph is None:
        raise KerasInteropError.from_obstacles("m.h5", notes.obstacles)
    return move_permutes(assembled.graph, assembled.layout_nodes)


def value_of(text, *arrays, **options):
    """Give what the statement computes of arrays, with the reference's bound."""
    (found,) = outputs_of(graph_of(text, *(array.shape[1:] for array in arrays), **options), list(arrays))
    return found


def numbers(*shape, seed=0, low=-2.0, high=2.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)
