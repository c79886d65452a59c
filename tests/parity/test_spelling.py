"""The names that a class has beside its own in either Keras are known."""

from __future__ import annotations

import pytest

from keydnn.convert.build import BUILDERS
from keydnn.convert.normalize.spelling import CLASSES
from tests.parity.kerases import KERASES

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", KERASES)
def test_every_other_name_of_a_class_is_known(name):
    layers = KERASES[name].layers
    for other in dir(layers):
        found = getattr(layers, other)
        own = getattr(found, "__name__", other)
        if isinstance(found, type) and own != other and own in BUILDERS and other not in BUILDERS:
            assert CLASSES.get(other) == own, f"{other} is {own}"


def test_no_name_leads_nowhere():
    assert set(CLASSES.values()) <= set(BUILDERS)
