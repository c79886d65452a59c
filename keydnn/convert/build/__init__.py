"""Normalised KerasModel to Graph; every file of this folder that registers builders is imported here."""

from __future__ import annotations

import importlib
import pkgutil

from keydnn.convert.build.assemble import assemble
from keydnn.convert.build.registry import BUILDERS

for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_file}")

__all__ = ["BUILDERS", "assemble"]
