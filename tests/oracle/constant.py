"""Constants."""

from __future__ import annotations

from tests.oracle.bounds import exact

RULES = {"Constant": lambda module: exact(module.value[None])}
