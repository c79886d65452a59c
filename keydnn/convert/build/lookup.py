"""StringLookup, IntegerLookup, and how a layer's vocabulary is found: in the file's own assets or its configuration."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.category import encoded, output_mode
from keydnn.convert.build.registry import builds
from keydnn.errors import KerasFileError
from keydnn.modules.base import Array, Module
from keydnn.modules.lookup import IntegerLookup, InverseIntegerLookup, InverseStringLookup, StringLookup
from keydnn.strict_json import clip

OOV_HASHES = {"floormod": "mod", "farmhash": "farmhash"}
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


@builds("StringLookup", reads=("string",))
def string_lookup(call: LayerCall) -> Value:
    """From text to ids, or back."""
    require_utf8(call)
    return _lookup(call, str, "[UNK]")


@builds("IntegerLookup", reads=("int64",))
def integer_lookup(call: LayerCall) -> Value:
    """From integers to ids, or back."""
    call.require("vocabulary_dtype", "int64", "int32")
    return _lookup(call, int, -1)


def require_utf8(call: LayerCall) -> None:
    """Refuse vocabularies in other encodings."""
    if str(call.option("encoding", "utf-8")).lower() not in ("utf-8", "utf8"):
        call.refuse("encoding", "only UTF-8")


def _lookup(call: LayerCall, kind: type, oov: Any) -> Value:
    mode = output_mode(call, *MODES)
    count = call.integer("num_oov_indices", 1, 0)
    mask_token, oov_token = call.option("mask_token"), call.option("oov_token", oov)
    hashing = call.choice("oov_method", "floormod", tuple(OOV_HASHES))
    salt, invert = call.option("salt"), call.boolean("invert", False)
    special = [mask_token] if mask_token is not None and mode == "int" else []
    first = len(special)
    tokens = vocabulary_of(call, kind, [*special, *[oov_token] * count])
    classes = depth(call, count + len(tokens))
    if invert:
        inverse = InverseStringLookup if kind is str else InverseIntegerLookup
        if oov_token is None:
            call.refuse("oov_token", "a token is expected where ids become tokens")
        x = call.input()
        return call.emit(inverse(tokens, oov_token, mask_token, first + count), x)
    x = call.input()
    mask_index = 0 if mode == "int" else classes  # an id without a class is left out
    module: Module = (
        StringLookup(tokens, count, mask_token, mask_index, first, salt)
        if kind is str
        else IntegerLookup(tokens, count, mask_token, mask_index, first, OOV_HASHES[hashing], salt)
    )
    ids = call.emit(module, x, part="" if mode == "int" else "ids")
    idf_weights = idf_weights_of(call, mode, count, len(tokens), classes)
    return encoded(call, ids, mode, classes, idf_weights=idf_weights)


def depth(call: LayerCall, size: int) -> int:
    """Give the number of classes of encodings: the vocabulary's size, or ``max_tokens`` if they are padded to it."""
    padded = call.boolean("pad_to_max_tokens", False)
    if call.option("max_tokens") is None:
        return size
    most = call.integer("max_tokens", least=2)
    if size > most:
        call.refuse("max_tokens", f"the vocabulary has {size} tokens")
    return most if padded else size


def vocabulary_of(call: LayerCall, kind: type, special: list[Any]) -> tuple[Any, ...]:
    """Give the tokens without the special ones, which a vocabulary may begin with.

    Parameters
    ----------
    call
        The layer's.
    kind
        ``str`` or ``int``.
    special
        The special tokens, in order.
    """
    size = call.option("vocabulary_size")
    call.ignore("has_input_vocabulary", "idf_weights")
    given = call.option("vocabulary")
    stored = call.vocabulary()
    if stored is not None:
        if type(size) is int and len(stored) != size:
            raise KerasFileError(
                f"layer {call.name!r}: the vocabulary has {len(stored)} lines, but its configuration says {size}"
            )
        head = [str(token) for token in special]
        lines = stored[len(head) :] if list(stored[: len(head)]) == head else stored
        return lines if kind is str else tuple(_integer(call, line) for line in lines)
    if isinstance(given, list) and all(type(token) is kind for token in given):
        return tuple(given[len(special) :] if given[: len(special)] == special else given)
    if given is None:
        why = "the file does not hold the vocabulary; .h5 files hold none that was learnt: save as .keras"
    elif isinstance(given, str):
        why = "a path; vocabularies are read from the file itself only: save as .keras"
    else:
        why = "a list of tokens is expected"
    call.refuse("vocabulary", why)
    return ("",) if kind is str else (0,)


def _integer(call: LayerCall, line: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", line):
        raise KerasFileError(f"layer {call.name!r}: {clip(line, 40)!r} in its vocabulary is no integer")
    return int(line)


def idf_weights_of(call: LayerCall, mode: str, count: int, tokens: int, classes: int) -> Array | None:
    """Give the factors of ``tf_idf``, stored or in the configuration, for all classes; None in the other modes.

    Those of a configuration may be without special tokens, which get the mean.
    """
    given = call.option("idf_weights")
    if mode != "tf_idf":
        return None
    if call.stored_shape("idf_weights") is not None:
        return call.weights(idf_weights=(classes,))[0]
    number = all(type(item) in (int, float) for item in given) if isinstance(given, list) else False
    if not number or len(given) not in (tokens, count + tokens):
        call.refuse("idf_weights", "a list of numbers, one a token, is expected")
        call.stop()
    front = count + tokens - len(given)
    values = [float(np.average(given))] * front + [float(item) for item in given]
    return np.array(values + [0.0] * (classes - len(values)), np.float32)
