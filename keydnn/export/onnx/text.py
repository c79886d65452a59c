"""Sentences to ids of words, where they are tokens already.

ONNX does not say which spaces separate words, and lower case depends on a locale.
"""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.lookup import table
from keydnn.export.onnx.site import Rules, Site, ints, number


def vectorize(module: Any, site: Site) -> str:
    """Look up the tokens, and cut or pad their sequences."""
    if module.standardize is not None or module.split is not None or module.ngrams not in (None, (1,)):
        site.refuse("ONNX has no operators that change texts to lower case, split and join them as Keras does")
    (x,) = site.inputs
    keys = ["", *module.vocabulary]
    first = module.first_index + 1
    places = [float(place) for place in (module.padding_index, *range(first, first + len(keys) - 1))]
    ids = table(site, x, keys, places, float(module.first_index))
    length = module.output_length
    if length is None:
        return ids
    sizes = site.op("Concat", site.op("Shape", ids, end=-1), ints(length), axis=0)
    padded = site.op("Concat", ids, site.op("Expand", number(module.padding_index), sizes), axis=-1)
    return site.op("Slice", padded, ints(0), ints(length), ints(-1))


RULES: Rules = {"TextVectorization": vectorize}
