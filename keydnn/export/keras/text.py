"""Sentences to ids of words."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.lookup import placed, tokens_of
from keydnn.export.keras.site import Rules, Site, Value


def text_vectorization(module: Any, site: Site) -> Value:
    """``TextVectorization``, whose tokens of one text are a row; it cuts rows to a length that is known anyway."""
    (x,) = site.inputs
    if len(x.shape) > 2:
        site.refuse("of texts with more axes than (N, 1)")
    single = module.split is None and len(x.shape) == 1
    if single:
        x = site.operation("numpy.ExpandDims", [x], {"axis": 1}, shape=(x.shape[0], 1), dtype="string")
    length = 1 if single else site.shape[1]
    config = {
        "vocabulary": tokens_of(site, module.vocabulary),
        "standardize": module.standardize,
        "split": module.split,
        "ngrams": module.ngrams,
        "output_sequence_length": length,
    }
    ids = site.layer("TextVectorization", config, inputs=[x], shape=(x.shape[0], length), dtype="int64")
    found = placed(site, ids, True, module.padding_index, module.first_index)
    return site.operation("numpy.Squeeze", [found], {"axis": [1]}) if single else found


RULES: Rules = {"TextVectorization": text_vectorization}
