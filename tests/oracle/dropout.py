"""Dropout, which does nothing."""

from __future__ import annotations

from tests.oracle.bounds import selected

RULES = {"Dropout": selected(lambda module, x: x)}
