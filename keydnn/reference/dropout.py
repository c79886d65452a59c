"""Dropout, which does nothing."""

from __future__ import annotations

from keydnn.reference.bounds import Rules, selected

RULES: Rules = {"Dropout": selected(lambda module, x: x)}
