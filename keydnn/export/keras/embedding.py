"""Rows of a table."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def embedding(module: Any, site: Site) -> Value:
    """``Embedding``, which counts negative ids from the end."""
    config = {"input_dim": module.num_embeddings, "output_dim": module.embedding_dim}
    return site.layer("Embedding", config, {"embeddings": module.weight})


RULES: Rules = {"Embedding": embedding}
