"""A whole file of Python from a graph."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from keydnn.errors import ExportError, ParameterError
from keydnn.export.rules import refuse, rules_of
from keydnn.export.torch.body import Body, in_order
from keydnn.export.torch.definitions import known, texts
from keydnn.export.torch.formatting import WIDTH, wrapped
from keydnn.export.torch.image_layout import with_channels_first, without_idle_permutes
from keydnn.export.torch.naming import argument_names, class_name
from keydnn.export.torch.site import AnyArray, Parts, Site
from keydnn.graph import Graph
from keydnn.modules.base import shape_text

TARGET = "PyTorch"


@dataclass(frozen=True)
class Translation:
    """A model for PyTorch.

    Attributes
    ----------
    code
        ``model.py``: imports torch only, defines the class and ``load(path="model.pt")``.
    state
        The state_dict: arrays by PyTorch's names.
    class_name
        What the class is called.
    """

    code: str
    state: dict[str, AnyArray]
    class_name: str


def translate(
    graph: Graph,
    name: str,
    source: Mapping[str, Any] | None = None,
    *,
    input_layout: Literal["nhwc", "nchw"] | None = None,
    weights_file: str = "model.pt",
) -> Translation:
    """Write a graph as an ``nn.Module``.

    Its ``forward`` takes the graph's inputs in order and gives the output, or a tuple of all outputs in order.  A graph
    with states has these as its last inputs and outputs: zeros at first, later what the call before gave.

    Parameters
    ----------
    graph
        With all weights.
    name
        The model's: the class is called after it.
    source
        What the model says of its origin (``Model.source``): ``"file"`` and ``"keras_version"`` are named.
    input_layout
        ``"nchw"``: inputs of rank 3, 4 and 5 are taken with the channels first, not as Keras has them.  Outputs are as
        Keras has them.
    weights_file
        The name that ``load`` reads from unless it is given another.

    Raises
    ------
    ExportError
        Modules that have no rule, or options that PyTorch has not, all of them named; or the layout cannot be had.
    MissingWeightsError
        A module has no weights.
    """
    if input_layout not in (None, "nhwc", "nchw"):
        raise ParameterError(f'input_layout must be "nhwc", "nchw" or None, got {input_layout!r}')
    graph = without_idle_permutes(with_channels_first(graph) if input_layout == "nchw" else graph)
    parts = Parts.of(graph)
    templates = _templates(graph, parts)
    class_ = class_name(name, known().keys())
    arguments = argument_names((given.name for given in graph.inputs), known().keys())
    body = Body(graph, templates, dict(zip(graph.shapes, arguments, strict=False))).lines()
    code = _file(graph, class_, arguments, body, parts, _origin(name, source), weights_file)
    state = {key: value for part in parts.attributes.values() for key, value in part.tensors.items()}
    return Translation(code, state, class_)


def _templates(graph: Graph, parts: Parts) -> dict[str, str]:
    """Give the expression of each node; ExportError that names all that has none."""
    rules = rules_of(importlib.import_module("keydnn.export.torch"))
    text = [given.name for given in graph.inputs if given.dtype == "string"]
    reasons = dict.fromkeys(text, "an input of text, which PyTorch has not")
    templates = {}
    for node in in_order(graph, [output.value for output in graph.outputs], lambda node: node.inputs):
        node.module.require_tensors()
        kind = type(node.module).__name__
        try:
            if kind in rules:
                templates[node.name] = rules[kind](node.module, Site(node, graph, parts))
            else:
                reasons[node.name] = kind
        except ExportError as error:
            reasons[node.name] = f"{kind}: {error}"
    refuse(reasons, TARGET)
    return templates


def _origin(name: str, source: Mapping[str, Any] | None) -> str:
    """Say where a model came from, in a line."""
    found = source or {}
    file = f" from {found['file']}" if found.get("file") else ""
    version = f" (Keras {found['keras_version']})" if found.get("keras_version") else ""
    text = f"{name}, written by KeyDNN{file}{version}."
    return re.sub(r'[\\"]|[^\x20-\x7e\xa0-\uffff]', "_", text)


def _file(
    graph: Graph, class_: str, arguments: list[str], body: list[str], parts: Parts, origin: str, weights_file: str
) -> str:
    attributes = [line for part in parts.attributes.values() for line in wrapped(*_split(part.statement), 8)]
    forward = [
        "    def __init__(self):",
        "        super().__init__()",
        *attributes,
        "",
        f"    def forward({', '.join(['self', *arguments])}):",
        *body,
    ]
    definitions = [line for text in texts(parts.definitions) for line in (*text.splitlines(), "", "")]
    used = "\n".join([*definitions, *forward])
    functional = ["import torch.nn.functional as F"] if re.search(r"\bF\.", used) else []
    return "\n".join(
        [
            f'"""{origin}"""',
            "",
            "import torch",
            *functional,
            "from torch import nn",
            "",
            "",
            *definitions,
            f"class {class_}(nn.Module):",
            *_class_docstring(graph, arguments),
            "",
            *forward,
            "",
            "",
            f"def load(path={json.dumps(weights_file, ensure_ascii=False)}):",
            '    """Give the model with its weights, in eval mode."""',
            f"    model = {class_}()",
            "    model.load_state_dict(torch.load(path, weights_only=True))",
            "    return model.eval()",
            "",
        ]
    )


def _split(statement: str) -> tuple[str, str]:
    """Split a statement into what stands before its expression, and the expression."""
    before, equals, expression = statement.partition(" = ")
    return (f"{before} = ", expression) if equals else ("", statement)


def _class_docstring(graph: Graph, arguments: list[str]) -> list[str]:
    """Say what goes in and out, by shape, and by name where it is several."""
    given = [f"{name} {shape_text(i.shape)}" for name, i in zip(arguments, graph.inputs, strict=True)]
    results = [f"{_plain(end.name)} {shape_text(graph.shapes[end.value])}" for end in graph.outputs]
    line = f'    """Takes {", ".join(given)}; gives {", ".join(results)}."""'
    if len(line) <= WIDTH:
        return [line]
    return ['    """Takes', *_indented(given), "    and gives", *_indented(results), '    """']


def _indented(lines: list[str]) -> list[str]:
    return [f"        {line}" for line in lines]


def _plain(text: str) -> str:
    return re.sub(r'[\\"]|[^\x20-\x7e\xa0-\uffff]', "_", text)


__all__ = ["Translation", "translate"]
