"""Dropout is an identity."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ParameterError
from keydnn.modules import Dropout
from tests.properties import assert_permuted


@pytest.mark.parametrize("p", [0, 0.5, 1])
def test_dropout_copies_its_input(p):
    x = np.array([[1, np.nan, -np.inf, -0.0]], np.float32)
    found = Dropout(p)(x)
    assert found.tobytes() == x.tobytes()
    assert not np.shares_memory(found, x)
    assert Dropout(p).output_shape((None, 4)) == (None, 4)


def test_permuted_is_the_module_itself():
    assert_permuted(Dropout(), (0, 2, 1), np.arange(24.0).reshape(2, 3, 4))


@pytest.mark.parametrize("p", [pytest.param(-0.1, id="negative"), pytest.param(1.1, id="above-1"), "0.5", None, True])
def test_bad_parameters_are_refused_by_name(p):
    with pytest.raises(ParameterError, match="p must be"):
        Dropout(p)
