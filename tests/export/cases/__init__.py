"""One module at a time, with weights and inputs, for every exporter: ``CASES`` of the files, one a layer family."""

from __future__ import annotations

import importlib
import pkgutil

from tests.export.case import Case

CASES: dict[str, Case] = {}
for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    for _name, _case in importlib.import_module(f"{__name__}.{_file}").CASES.items():
        CASES[f"{_file}-{_name}"] = _case
