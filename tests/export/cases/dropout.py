"""Dropout."""

from keydnn.modules import Dropout
from tests.export.case import Case, numbers

CASES = {"dropout": Case(Dropout(0.5), (numbers(2, 3),))}
