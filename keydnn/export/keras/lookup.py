"""Lookups: ids of texts and of integers, and back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from keydnn.export.keras.site import Rules, Site, Value

HASHES = {"mod": "floormod", "farmhash": "farmhash"}


def tokens_of(site: Site, tokens: Sequence[Any]) -> list[Any]:
    """Give a vocabulary as Keras takes it."""
    for token in tokens:
        if isinstance(token, str) and not _is_kept(token):
            site.refuse(f"the token {token[:40]!r}, which ends with a zero or is no UTF-8")
    return list(tokens)


def _is_kept(token: str) -> bool:
    """Tell whether a token survives JSON and an array of NumPy."""
    try:
        token.encode()
    except UnicodeEncodeError:
        return False
    return not token.endswith("\0")


def _unused(first: Any, taken: Collection[Any]) -> Any:
    """Give a token that is not taken: the first, or that with something behind it or below it."""
    while first in taken:
        first = first - 1 if isinstance(first, int) else f"{first}]"
    return first


def placed(site: Site, ids: Value, is_masked: bool, mask_index: int, first_index: int) -> Value:
    """Give ids of Keras' layers, 0 for the mask if there is one and then the others, as a module has them."""
    shift = first_index - is_masked
    found = site.cast(ids, "float32")
    shifted = site.operation("numpy.Add", [found, site.number(shift)], shape=ids.shape) if shift else found
    if not is_masked or mask_index == shift:
        return shifted
    is_mask = site.operation("numpy.Equal", [found, site.number(0)], shape=ids.shape, dtype="bool")
    return site.operation("numpy.Where", [is_mask, site.number(mask_index), shifted], shape=ids.shape)


def lookup(module: Any, site: Site) -> Value:
    """The layer of the same name."""
    is_text = type(module).__name__ == "StringLookup"
    tokens, mask = tokens_of(site, module.vocabulary), module.mask_token
    config = {"vocabulary": tokens, "num_oov_indices": module.num_oov_indices, "mask_token": mask}
    tokens_of(site, [] if mask is None else [mask])
    config["oov_token"] = _unused("[UNK]" if is_text else -1, {*tokens, mask})
    (x,) = site.inputs
    if not is_text:
        x = site.cast(x, "int64") if site.inputs[0].dtype != "int64" else x
        config["oov_method"] = HASHES[module.oov_hash]
    if module.num_oov_indices > 1 and (is_text or module.oov_hash == "farmhash"):
        config["salt"] = module.salt
    ids = site.layer(type(module).__name__, config, inputs=[x], dtype="int64")
    return placed(site, ids, mask is not None, module.mask_index, module.first_index)


def inverse(module: Any, site: Site) -> Value:
    """The layer of the lookup, with ``invert``."""
    tokens, mask = tokens_of(site, module.vocabulary), module.mask_token
    special = [module.oov_token, *([] if mask is None else [mask])]
    tokens_of(site, special)
    outside = module.first_index - (mask is not None)
    if outside < 0:
        site.refuse("first_index=0 with a mask, whose id is 0")
    if set(special) & set(tokens):
        site.refuse("a vocabulary with the token of unknown ids or of the mask")
    config = {"vocabulary": tokens, "mask_token": mask, "oov_token": special[0], "num_oov_indices": outside}
    class_name = type(module).__name__.removeprefix("Inverse")
    return site.layer(class_name, config | {"invert": True}, inputs=[site.cast(site.inputs[0], "int64")])


def to_float(module: Any, site: Site) -> Value:
    """``ops.cast``."""
    return site.cast(site.inputs[0], "float32")


RULES: Rules = {
    "StringLookup": lookup,
    "IntegerLookup": lookup,
    "InverseStringLookup": inverse,
    "InverseIntegerLookup": inverse,
    "ToFloat": to_float,
}
