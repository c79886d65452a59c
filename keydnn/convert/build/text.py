"""TextVectorization."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.category import encoded, output_mode
from keydnn.convert.build.lookup import depth, idf_weights_of, require_utf8, vocabulary_of
from keydnn.convert.build.registry import builds
from keydnn.modules.text import SPLIT, STANDARDIZE, TextVectorization


@builds("TextVectorization", reads=("string",))
def text_vectorization(call: LayerCall) -> Value:
    """Tokens to ids; the encodings leave padding out."""
    require_utf8(call)
    mode = output_mode(call, "int", "multi_hot", "count", "tf_idf")
    call.require("ragged", False)
    standardize, split = _word(call, "standardize", STANDARDIZE), _word(call, "split", SPLIT)
    ngrams, length = call.option("ngrams"), None
    if type(ngrams) is int:
        ngrams = tuple(range(1, ngrams + 1))
    if call.option("output_sequence_length") is not None:
        length = call.integer("output_sequence_length")
    first = 1 if mode == "int" else 0
    tokens = vocabulary_of(call, str, [*[""] * first, "[UNK]"])
    classes = depth(call, 1 + len(tokens))
    x = call.input()
    padding = 0 if mode == "int" else classes
    module = TextVectorization(tokens, standardize, split, ngrams, length, padding, first)
    ids = call.emit(module, x, part="" if mode == "int" else "ids")
    idf_weights = idf_weights_of(call, mode, 1, len(tokens), classes)
    return encoded(call, ids, mode, classes, idf_weights=idf_weights)


def _word(call: LayerCall, key: str, words: tuple[str | None, ...]) -> str | None:
    """Read an option that is one of some words or null; functions are refused."""
    value = call.option(key, words[0])
    if value is not None and value not in words:
        call.refuse(key, f"only {', '.join(map(repr, words[:-1]))} and null; functions are never run")
        return None
    return None if value is None else str(value)
