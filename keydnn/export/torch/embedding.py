"""Rows of a table: ``nn.Embedding``; ids are floats in KeyDNN, so they are cut to integers."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site


def embedding(module: Any, site: Site) -> str:
    """Index the table where ids may count from its end, which the layer does not allow."""
    constructor = call("nn.Embedding", module.num_embeddings, module.embedding_dim)
    layer = site.attribute(constructor, weight=module.weight)
    ids = f"{site.inputs[0]}.long()"
    return f"{layer}.weight[{ids}]" if module.negative_ids else f"{layer}({ids})"


RULES = {"Embedding": embedding}
