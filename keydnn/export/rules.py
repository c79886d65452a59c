"""Where exporters keep what they know of modules: one folder a target, one file a layer family, one rule a module."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from keydnn.errors import ExportError
from keydnn.graph import Graph


def rules_of(package: ModuleType) -> dict[str, Callable[..., Any]]:
    """Give the rules of a target by module type: the ``RULES`` of all files of its folder."""
    found: dict[str, Callable[..., Any]] = {}
    for file in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        found |= getattr(importlib.import_module(f"{package.__name__}.{file}"), "RULES", {})
    return found


def require_rules(graph: Graph, rules: Mapping[str, object], target: str) -> None:
    """Raise ExportError, naming every node whose module has no rule.

    Parameters
    ----------
    graph
        What is exported.
    rules
        Rules by module type.
    target
        What people call the target: ``"PyTorch"``.
    """
    found = [(node.name, type(node.module).__name__) for node in graph.nodes]
    refuse({name: kind for name, kind in found if kind not in rules}, target)


def refuse(reasons: Mapping[str, str], target: str) -> None:
    """Raise ExportError if there are any nodes that a target cannot take, with the reason of each."""
    if reasons:
        things = "1 module" if len(reasons) == 1 else f"{len(reasons)} modules"
        lines = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
        raise ExportError(f"{things} cannot be exported to {target}; keydnn run computes them:{lines}")
