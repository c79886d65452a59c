"""Constants."""

from __future__ import annotations

from keydnn.reference.bounds import Rules, exact

RULES: Rules = {"Constant": lambda module: exact(module.value[None])}
