"""A module graph for ONNX.

A rule writes one type of module.  The files of this folder have the stems of ``keydnn/modules``, and each has its rules
in ``RULES``, by the names of the module types::

    def linear(module: Any, site: Site) -> str:
        (x,) = site.inputs
        return site.op("Gemm", x, site.weight("weight"), site.optional("bias"), transB=1)

    RULES: Rules = {"Linear": linear}

It adds operators with :meth:`Site.op`, each of which gives the name of its value, and gives the name of the last, which
the writer then renames to the graph's.  Arrays among an operator's arguments become constants (:func:`ints`,
:func:`integer`, :func:`number`).  What a rule cannot express it refuses with :meth:`Site.refuse`.

Values are float32, masks and numbers of categories too, unless ``site.dtypes`` says otherwise; :meth:`Site.cast` gives
what an operator takes.  Sizes are in ``site.shapes``, None where they are free: operators such as ``Reshape`` (0: the
size of that axis of its input; -1: what is left) and ``Shape`` work with those.  Operators are those of opset 20:
https://github.com/onnx/onnx/blob/main/docs/Operators.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from keydnn.export.onnx.writer import Writer
from keydnn.export.rules import rules_of
from keydnn.graph import Graph

__all__ = ["to_bytes", "translate"]


def translate(graph: Graph, name: str, source: Mapping[str, Any] | None = None) -> Any:
    """Give a graph as a model of ONNX.

    Inputs and outputs have the graph's names; an output that has an input's name gets ``.output`` behind it, and the
    next state ``.next``.  Nodes and values have the names of the graph's nodes, weights ``<node>.<weight>``.

    Parameters
    ----------
    graph
        With weights.
    name
        The model's name.
    source
        What a checkpoint says about where the model came from (``Model.source``).

    Returns
    -------
    onnx.ModelProto, of opset 20, checked by ``onnx.checker``.  It is the same for the same graph.  The batch size is
    ``N`` unless the graph fixes it; other free sizes are ``<input>.<axis>``.

    Raises
    ------
    ExportError
        There is no ``onnx``; modules cannot be exported, all of which are named; or the weights are 2 GiB or more.
    MissingWeightsError
        A module has no weights.
    """
    return Writer(graph, name, source).write(rules_of(sys.modules[__name__]))


def to_bytes(model: Any) -> bytes:
    """Give what a file of the model holds: the same bytes for the same model."""
    written: bytes = model.SerializeToString(deterministic=True)
    return written
