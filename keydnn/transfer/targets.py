"""The modules of a model that take weights: of KeyDNN's graphs, and of PyTorch's modules (``torch_modules.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from keydnn.graph import Graph
from keydnn.model import Model
from keydnn.transfer.forms import Floats, Form, Shapes
from keydnn.transfer.rules import RULES


@dataclass(frozen=True, eq=False)
class Target:
    """What takes the weights of one Keras layer, or of one direction of it.

    Attributes
    ----------
    path
        Of the module in the model: ``"features.0"``.
    part
        Which part of it, where it has several: ``"l0"``, ``"l0_reverse"``.
    module
        The module itself.
    names
        The model's names of the tensors, by the names that the rules have for them.
    shapes
        By the rules' names.
    forms
        The ways in which Keras stores it.
    problem
        Why there are no forms.
    kind
        What ``RULES`` calls it; empty where there is no rule.
    rows
        Which rows of the tensors are meant, where several parts of a module share them.
    """

    path: str
    part: str
    module: Any
    names: Mapping[str, str]
    shapes: Shapes
    forms: tuple[Form, ...]
    problem: str = ""
    kind: str = ""
    rows: slice = field(default_factory=lambda: slice(None))

    @property
    def label(self) -> str:
        """The path and the part."""
        return f"{self.path} ({self.part})" if self.part else self.path


def target_of(
    path: str, module: Any, kind: str | None, shapes: Shapes, names: Mapping[str, str], part: str = ""
) -> Target:
    """Give a target by the rule of its kind."""
    rule = RULES.get(kind) if kind else None
    if rule is None:
        return Target(
            path, part, module, names, shapes, (), f"no layout is known for weights of {type(module).__name__}"
        )
    forms = rule(module, shapes)
    if isinstance(forms, str):
        return Target(path, part, module, names, shapes, (), f"{type(module).__name__} with {forms}")
    return Target(path, part, module, names, shapes, tuple(forms), kind=kind or "")


Values = Sequence[tuple[Target, Mapping[str, Floats]]]  # tensors by the rules' names


class Recipient(Protocol):
    """A model that takes weights."""

    targets: tuple[Target, ...]

    def dtype_of(self, target: Target, tensor: str) -> str:
        """Give the type in which the model holds a tensor."""

    def write(self, values: Values) -> Any:
        """Put all weights in, and give the model that has them; shapes have been compared."""


class GraphRecipient:
    """A KeyDNN model, whose graph is replaced, or a graph, of which a new one is made."""

    def __init__(self, model: Model | Graph) -> None:
        self._model = model
        self._graph = model.graph if isinstance(model, Model) else model
        self.targets = tuple(
            target_of(name, module, type(module).__name__, shapes, {tensor: tensor for tensor in shapes})
            for name, module in self._graph.modules()
            if (shapes := module.tensor_shapes())
        )

    def dtype_of(self, target: Target, tensor: str) -> str:
        """Give the type of all weights."""
        return "float32"

    def write(self, values: Values) -> Model | Graph:
        """Give the model, or the new graph, with the weights."""
        graph = self._graph.with_modules({target.path: target.module.with_tensors(made) for target, made in values})
        if isinstance(self._model, Model):
            self._model.graph, self._model.check = graph, None
            return self._model
        return graph
