"""A module graph written as a model of ONNX, by the rules of its modules."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keydnn.errors import ExportError
from keydnn.export.onnx.site import AnyArray, Refused, Rule, Site
from keydnn.export.rules import refuse
from keydnn.graph import Graph
from keydnn.modules.base import Module, Shape
from keydnn.names import Names

OPSET = 20  # the first with Gelu; onnxruntime has it from 1.17 on
ML_OPSET = 4  # of ai.onnx.ml, as old
IR_VERSION = 9  # as old
LARGEST = 2**31 - 2**20  # bytes: a protobuf message has less than 2 GiB
BATCH = "N"


class Writer:
    """A model in the making.

    Parameters
    ----------
    graph
        What is exported.
    name
        The model's name.
    source
        What a checkpoint says about where the model came from, or None.

    Raises
    ------
    ExportError
        There is no ``onnx``.
    """

    def __init__(self, graph: Graph, name: str, source: Mapping[str, Any] | None) -> None:
        try:
            self._onnx: Any = importlib.import_module("onnx")
        except ImportError as error:
            raise ExportError(f"ONNX files are written with the onnx package: pip install onnx ({error})") from None
        self._graph, self._name, self._source = graph, name, source
        self.names = Names(given.name for given in graph.inputs)
        self._outputs = self._output_names()
        self._values = self._value_names()
        self._owners = {id(module): owner for owner, module in graph.modules()}
        self._initializers: dict[str, Any] = {}
        self._weights: dict[tuple[int, str], str] = {}
        self._constants: dict[tuple[object, ...], str] = {}
        self._domains = {""}
        self._bytes = 0

    def write(self, rules: Mapping[str, Rule]) -> Any:
        """Give the model, checked by ``onnx.checker``.

        Raises
        ------
        ExportError
            Modules have no rule, or parameters that their rules refuse; or the weights are 2 GiB or more.
        MissingWeightsError
            A module has no weights.
        """
        nodes: list[Any] = []
        reasons: dict[str, str] = {}
        for node in self._graph.nodes:
            node.module.require_tensors()
            given = [(self._values[name], *self._type(name)) for name in node.inputs]
            site = Site(self, node.name, node.module, given, *self._type(node.name))
            kind = type(node.module).__name__
            if kind not in rules:
                reasons[node.name] = kind
                continue
            try:
                found = rules[kind](node.module, site)
            except Refused as error:
                reasons[node.name] = str(error)
            else:
                nodes += self._named(site, found, self._values[node.name], node.name)
        refuse(reasons, "ONNX")
        for output, name in zip(self._graph.outputs, self._outputs, strict=True):
            if self._values[output.value] != name:
                nodes.append(self.node("Identity", [self._values[output.value]], (name,), {}))
        return self._model(nodes)

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Any]) -> Any:
        """Make a node, named as its first output."""
        self._domains.add(attributes.get("domain", ""))
        return self._onnx.helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes)

    def type_number(self, dtype: str) -> int:
        """Give ONNX's number of a dtype."""
        if dtype == "string":
            return int(self._onnx.TensorProto.STRING)
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def weight(self, module: Module, name: str, array: AnyArray) -> str:
        """Give the initializer of a module's weight."""
        key = id(module), name
        if key not in self._weights:
            self._weights[key] = self._initializer(f"{self._owners[id(module)]}.{name}", array)
        return self._weights[key]

    def constant(self, array: AnyArray) -> str:
        """Give the initializer of a constant."""
        content = tuple(array.reshape(-1).tolist()) if array.dtype == object else array.tobytes()
        key = str(array.dtype), array.shape, content
        if key not in self._constants:
            self._constants[key] = self._initializer("constant", array)
        return self._constants[key]

    def graph(
        self,
        name: str,
        nodes: Sequence[Any],
        inputs: Sequence[tuple[str, Shape, str]],
        outputs: Sequence[tuple[str, Shape, str]],
        **more: Any,
    ) -> Any:
        """Make a graph of nodes, with the name, shape and dtype of each input and output."""
        given, results = ([self._info(*one) for one in several] for several in (inputs, outputs))
        return self._onnx.helper.make_graph(nodes, name, given, results, **more)

    def _output_names(self) -> list[str]:
        """Give the outputs' names in ONNX, where an output cannot have an input's; states have ``.next`` behind it."""
        first_state = len(self._graph.results)
        taken = {given.name for given in self._graph.inputs}
        names = []
        for place, output in enumerate(self._graph.outputs):
            clash = output.name in taken
            names.append(
                self.names.new(
                    f"{output.name}{'.next' if place >= first_state else '.output'}" if clash else output.name
                )
            )
        return names

    def _value_names(self) -> dict[str, str]:
        """Give the values' names in ONNX: the output's that they are, or the node's, unless an output has taken it."""
        found = {given.name: given.name for given in self._graph.inputs}
        for output, name in zip(self._graph.outputs, self._outputs, strict=True):
            found.setdefault(output.value, name)
        used = set(found.values())
        for node in self._graph.nodes:
            if node.name not in found:
                found[node.name] = self.names.new(f"{node.name}.value" if node.name in used else node.name)
        return found

    def _type(self, value: str) -> tuple[Shape, str]:
        return self._graph.shapes[value], self._graph.dtypes[value]

    def _named(self, site: Site, found: str, value: str, name: str) -> list[Any]:
        """Give the site's nodes with the value found under the name that it has in the model."""
        for node in site.nodes:
            if found in node.output:
                node.name = name
                _rename(site.nodes, found, value)
                return site.nodes
        identity = self.node("Identity", [found], (value,), {})
        identity.name = name
        return [*site.nodes, identity]

    def _initializer(self, name: str, array: AnyArray) -> str:
        name = self.names.new(name)
        self._bytes += array.nbytes
        if self._bytes > LARGEST:
            raise ExportError("the weights take 2 GiB or more, which one ONNX file cannot hold")
        self._initializers[name] = self._onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def _info(self, name: str, shape: Shape, dtype: str) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self.type_number(dtype), shape)

    def _named_sizes(self, name: str, shape: Shape) -> Any:
        """Give a shape with names for its free sizes."""
        return [size if size is not None else f"{name}.{axis}" if axis else BATCH for axis, size in enumerate(shape)]

    def _public(self, names: Sequence[str], values: Sequence[str]) -> list[tuple[str, Any, str]]:
        types = [self._type(value) for value in values]
        return [
            (name, self._named_sizes(name, shape), dtype) for name, (shape, dtype) in zip(names, types, strict=True)
        ]

    def _model(self, nodes: Sequence[Any]) -> Any:
        inputs = [given.name for given in self._graph.inputs]
        known = {*inputs, *self._outputs}
        inner = [self._info(name, *self._type(value)) for value, name in self._values.items() if name not in known]
        graph = self.graph(
            self._name,
            nodes,
            self._public(inputs, inputs),
            self._public(self._outputs, [output.value for output in self._graph.outputs]),
            initializer=list(self._initializers.values()),
            value_info=inner,
        )
        helper = self._onnx.helper
        versions = {"": OPSET, "ai.onnx.ml": ML_OPSET}
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid(domain, versions[domain]) for domain in sorted(self._domains)],
            producer_name="keydnn",
            producer_version=importlib.import_module("keydnn").__version__,  # below it, nothing imports it
            doc_string=self._doc(),
        )
        self._onnx.checker.check_model(model, full_check=True)
        return model

    def _doc(self) -> str:
        """Say where the model came from, and what its states are."""
        file = (self._source or {}).get("file")
        lines = [f"{self._name}, {f'read from {file} and ' if file else ''}written by KeyDNN."]
        lines += [
            f"State: what {name} gives is {given.name} of the next call; at the first it is zeros."
            for given, name in zip(
                self._graph.inputs[len(self._graph.given) :], self._outputs[len(self._graph.results) :], strict=True
            )
        ]
        return "\n".join(lines)


def _rename(nodes: Sequence[Any], old: str, new: str) -> None:
    """Rename a value wherever nodes name it; bodies, which stand before their node's value, cannot."""
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
