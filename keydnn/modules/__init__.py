"""The modules of a graph: one frozen dataclass per operation, one file per layer family.

Every file of this folder is imported and its modules are named here, so that adding a module edits no list.
"""

from __future__ import annotations

import importlib
import pkgutil

from keydnn.modules.base import MODULE_TYPES, Module

for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_file}")
globals().update(MODULE_TYPES)

__all__ = ["MODULE_TYPES", "Module", *sorted(MODULE_TYPES)]  # noqa: PLE0604  # the names are strings


def __getattr__(name: str) -> type[Module]:
    """Tell type checkers that every other name here is a module type."""
    raise AttributeError(f"module {__name__!r} has no module type {name!r}; it has {', '.join(sorted(MODULE_TYPES))}")
