"""A module graph for Keras 3, written without Keras: a functional model, and its weights in the old format.

A rule writes one type of module.  The files of this folder have the stems of ``keydnn/modules``, and each has its rules
in ``RULES``, by the names of the module types::

    def linear(module: Any, site: Site) -> Ref:
        config = {"units": module.out_features, "use_bias": module.use_bias}
        return site.layer("Dense", config, kernel_and_bias(module, module.weight.T))

    RULES: Rules = {"Linear": linear}

It calls layers with :meth:`Site.layer`, and what Keras has no layer for with :meth:`Site.operation`, as ``keras.ops``
leaves them in functional models; each gives a :class:`Ref`, and the rule gives the last.  What a rule cannot express
it refuses with :meth:`Site.refuse`.  What to know:

* Configs hold what differs from Keras' defaults and everything that changes the numbers; names, data types and the like
  are the writer's.  Weights are in the order in which the layer makes them, trainable ones first; a name with a folder
  (``"cell/kernel"``) is of a sub-layer, by the attribute of the layer that holds it.  ``fixed`` are those that training
  does not change.
* A rule of a module with channels first is marked: ``"Conv2d": channels_last(convolution)``.  Its site has the *last*
  axis for channels (``site.shapes``, ``site.shape``), and the module's parameters are about the other axes.  The
  default moves axis 1 of each value of rank 3 or more; :func:`channels_last` takes another function for others.
* Module objects are called once or several times; the writer makes one layer of what rules ask for with the same words.
  The layer that has the weights, or else the last one, gets the node's name.
* ``site.inputs`` are Refs or, where a :class:`keydnn.modules.Constant` is read, arrays.  Operations take both;
  :meth:`Site.layer` refuses arrays.
* Values between the layers of a rule have shapes of their own: ``shape=`` and ``dtype=`` (``"bool"`` of comparisons),
  which must be what Keras works out (a test looks).  Without them it is the value that the module gives.
* An operation has arguments of its class (``config``, as ``get_config`` gives them) and of its call (``args`` and
  ``kwargs``): write one with Keras 3.15 and look.  Arrays among the latter are stored exactly, as text.

Classes and their parameters: https://keras.io/api/layers/, https://keras.io/api/ops/.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from keydnn.export.keras.document import KerasDocument
from keydnn.export.keras.writer import Writer
from keydnn.export.rules import rules_of
from keydnn.graph import Graph

__all__ = ["KerasDocument", "translate"]


def translate(graph: Graph, name: str, source: Mapping[str, Any] | None = None) -> KerasDocument:
    """Give a graph as a functional model of Keras 3.

    Layers have the names that they had in the Keras model that the graph was made from, where one layer stands for the
    whole of it, with ``_`` for the ``/`` of nested models; their classes are those of Keras 3.

    Parameters
    ----------
    graph
        With weights.
    name
        The model's name.
    source
        What a checkpoint says about where the model came from (``Model.source``): which layers were within others.

    Returns
    -------
    The model, which makes files: the same bytes for the same graph.

    Raises
    ------
    ExportError
        Modules cannot be exported, all of which are named; or the graph has states.
    MissingWeightsError
        A module has no weights.
    """
    return Writer(graph, name, rules_of(sys.modules[__name__])).write(_containers(source))


def _containers(source: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Give the layers that were written out as those within, with their classes; None if nothing is known."""
    if source is None or "rewrites" not in source:
        return None
    rewrites = source["rewrites"]
    return {rewrite["layer"]: rewrite["class"] for rewrite in rewrites if "written out" in rewrite["what"]}
