"""A random model in one of the Kerases, and KeyDNN's answers from its files and from the model itself."""

from __future__ import annotations

import numpy as np

from keydnn import from_keras
from tests.parity.kerases import FOLDER, KERASES, SOURCES, answer, in_order, oracle_of, quiet
from tests.parity.random_models import Maker
from tests.within import assert_within

RELATIVE = 0.02  # of the largest output; a wrong weight, axis or order of cells changes more


def compare(seed, name):
    """Assert that KeyDNN and Keras lie within the oracle's bound, and that all sources give the same bits.

    Returns
    -------
    How many of the outputs have a bound that says something, and how many there are.
    """
    maker = Maker(KERASES[name], seed)
    with quiet():
        model = maker.model()
    inputs = maker.given(model)
    wanted = answer(model, inputs)
    live = from_keras(model, strict=False)
    found = live(inputs)
    said = 0
    bounds, wanted = oracle_of(live, inputs), in_order(wanted, live.graph)
    assert len(in_order(found, live.graph)) == len(wanted) == len(bounds)
    for keydnn, kerases, bounded in zip(in_order(found, live.graph), wanted, bounds, strict=True):
        assert keydnn.shape == kerases.shape
        assert_within(kerases, bounded.value, bounded.error)
        assert_within(keydnn, bounded.value, bounded.error)
        said += bool(np.max(bounded.error, initial=0) <= RELATIVE * np.abs(bounded.value).max(initial=0) + 1e-30)
    for source in SOURCES[:2]:
        path = FOLDER / f"random-{name}.{source}"
        if save(model, path):
            for one, other in zip(as_list(from_keras(path, strict=False)(inputs)), as_list(found), strict=True):
                np.testing.assert_array_equal(one, other, err_msg=source)
    return said, len(wanted)


def save(model, path):
    """Write a model; tell whether Keras could."""
    with quiet():
        try:
            model.save(path)
        except (ValueError, TypeError, NotImplementedError, RuntimeError):
            return False
    return True


def as_list(value):
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
