"""Every threat has its tests, and every class of error is raised by one."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from keydnn import errors
from tests.hostile import kind, make
from tests.hostile.rows import ROWS

TESTS = Path(__file__).parents[1]
CLASSES = [name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, Exception)]


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_that_hold_a_row_exist(row):
    for place in ROWS[row]:
        path, _, name = place.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS / path).read_text(), re.MULTILINE), place


def test_every_kind_of_hostile_file_is_a_row_and_has_files():
    rows = {value for name, value in vars(kind).items() if name.isupper() and isinstance(value, str)}
    assert {hostile.row for hostile in make.FILES.values()} == rows
    assert rows < set(ROWS)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_of_error_is_raised_in_a_test(name):
    """It stands in a test that asks for it: behind ``raises``, or in a list of what is to be raised."""
    found = re.compile(rf"^(?!from |import ).*\b{name}\b", re.MULTILINE)
    asking = [text for path in TESTS.rglob("test_*.py") if "raises(" in (text := path.read_text())]
    assert any(found.search(text) for text in asking)
