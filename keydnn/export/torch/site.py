"""Where a rule stands: the inputs and shapes of one call of a module, and what it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from keydnn.export.torch.expressions import call
from keydnn.export.torch.naming import attribute_name
from keydnn.graph import Graph, Node
from keydnn.modules.base import Module, Shape
from keydnn.names import Names

AnyArray = npt.NDArray[np.generic]


def placeholder(place: int) -> str:
    """Give the name under which an input stands in a rule's expression."""
    return f"input_{place}__"


@dataclass(frozen=True)
class Attribute:
    """An attribute of the class.

    Attributes
    ----------
    name
        Of ``self``.
    statement
        What makes it, in ``__init__``.
    tensors
        Its entries in the state_dict.
    """

    name: str
    statement: str
    tensors: Mapping[str, AnyArray]


@dataclass
class Parts:
    """What the rules have asked for so far.

    Attributes
    ----------
    calls
        The shapes of the inputs of all calls of a module, by its ``id``.
    attributes
        In the order in which they were asked for, by module and suffix.
    definitions
        Names of what is needed of ``written/``.
    """

    calls: Mapping[int, list[tuple[Shape, ...]]]
    attributes: dict[tuple[int, str], Attribute] = field(default_factory=dict)
    definitions: set[str] = field(default_factory=set)
    names: Names = field(default_factory=Names)

    @classmethod
    def of(cls, graph: Graph) -> Parts:
        """Give the parts of a graph that no rule has looked at yet."""
        calls: dict[int, list[tuple[Shape, ...]]] = {}
        for node in graph.nodes:
            calls.setdefault(id(node.module), []).append(tuple(graph.shapes[name] for name in node.inputs))
        return cls(calls)


class Site:
    """One call of a module.

    Attributes
    ----------
    inputs
        What stands for the inputs in the rule's expression.
    shapes, shape
        Shapes of the inputs, and of the output; None for free sizes.
    calls
        The shapes of the inputs at every call of this module; more than one tuple where it is shared.
    node, graph
        The call, and where it is.
    """

    def __init__(self, node: Node, graph: Graph, parts: Parts) -> None:
        self.inputs = tuple(map(placeholder, range(len(node.inputs))))
        self.shapes = tuple(graph.shapes[name] for name in node.inputs)
        self.shape = graph.shapes[node.name]
        self.calls = tuple(parts.calls[id(node.module)])
        self.node, self.graph = node, graph
        self._parts = parts

    def attribute(self, constructor: str, /, **tensors: AnyArray | None) -> str:
        """Make an attribute, once for all calls of the module, and give the expression that reads it.

        Parameters
        ----------
        constructor
            The expression that makes it: ``"nn.Linear(5, 3)"``.
        tensors
            Its entries in the state_dict by the names that they have below it; those that are None are left out.
        """
        return self.named_attribute("", constructor, **tensors)

    def named_attribute(self, suffix: str, constructor: str, /, **tensors: AnyArray | None) -> str:
        """Make one of several attributes of a module, told apart by a suffix."""
        return self._new(suffix, "self.{name} = " + constructor, {f".{key}": value for key, value in tensors.items()})

    def buffer(self, array: AnyArray, suffix: str = "") -> str:
        """Make a buffer, which training leaves as it is, and give the expression that reads it."""
        return self._new(suffix, 'self.register_buffer("{name}", ' + _empty(array) + ")", {"": array})

    def parameter(self, array: AnyArray, suffix: str = "") -> str:
        """Make a parameter, which is trained, and give the expression that reads it."""
        return self._new(suffix, "self.{name} = nn.Parameter(" + _empty(array) + ")", {"": array})

    def define(self, name: str) -> str:
        """Ask for a function or class of ``written/``, and give its name."""
        self._parts.definitions.add(name)
        return name

    def _base(self) -> str:
        """Give the node's name; the layer's alone for its outputs and states in one value."""
        origin = self.node.origin
        whole = origin is not None and self.node.name == f"{origin.layer}.whole"
        return origin.layer if origin is not None and whole else self.node.name

    def _new(self, suffix: str, statement: str, tensors: Mapping[str, AnyArray | None]) -> str:
        module: Module = self.node.module
        known = self._parts.attributes
        if (id(module), suffix) not in known:
            name = self._parts.names.new(attribute_name(self._base(), suffix))
            held = {f"{name}{key}": np.asarray(value) for key, value in tensors.items() if value is not None}
            known[id(module), suffix] = Attribute(name, statement.replace("{name}", name), held)
        return f"self.{known[id(module), suffix].name}"


def _empty(array: AnyArray) -> str:
    """Write a tensor of an array's shape and type, which load_state_dict fills."""
    dtype = None if array.dtype == np.float32 else f"torch.{array.dtype}"
    return call("torch.zeros", *(array.shape or [()]), dtype=dtype)
