"""MultiHeadAttention, GroupQueryAttention, Attention, AdditiveAttention against both Kerases."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import KerasInteropError
from tests.parity.cases import COVERED
from tests.parity.kerases import (
    Case,
    adding_to,
    answer,
    assert_agrees,
    check,
    filled,
    keras,
    parameters,
    quiet,
    save,
    tf_keras,
)

pytestmark = pytest.mark.parity

CASES: list[Case] = []
case = adding_to(CASES)
# GroupQueryAttention is GroupedQueryAttention in .h5 files.
COVERED.update(("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention"))
BOTH = ("keras3", "keras2")
STEPS, OTHERS = (5, 6), (7, 6)


def one(what, class_name, *shapes, kerases=BOTH, call=None, **options):
    """Add a case of a layer called with all inputs."""

    def build(library, *inputs):
        layer = getattr(library.layers, class_name)(**options)
        arguments = call or {}
        if class_name in ("MultiHeadAttention", "GroupQueryAttention"):
            found = layer(*(inputs if len(inputs) > 1 else inputs * 2), **arguments)
        else:
            found = layer(list(inputs), **arguments)
        return list(found) if isinstance(found, tuple) else found

    CASES.append(Case(f"{class_name}-{what}", shapes, build, kerases))


# --- MultiHeadAttention -----------------------------------------------------------------------------------------------

HEADS = {"num_heads": 2, "key_dim": 3}
CAUSAL, SCORES = {"use_causal_mask": True}, {"return_attention_scores": True}

one("self", "MultiHeadAttention", STEPS, **HEADS)
one("free-steps", "MultiHeadAttention", (None, 6), **HEADS)
one("query-and-value", "MultiHeadAttention", STEPS, OTHERS, **HEADS)
one("key", "MultiHeadAttention", (5, 4), (7, 3), (7, 6), **HEADS)
one("value-dim", "MultiHeadAttention", STEPS, OTHERS, **HEADS, value_dim=5)
one("no-bias", "MultiHeadAttention", STEPS, **HEADS, use_bias=False)
one("dropout", "MultiHeadAttention", STEPS, **HEADS, dropout=0.5)
one("output-shape", "MultiHeadAttention", STEPS, **HEADS, output_shape=4)
one("output-shape-of-two", "MultiHeadAttention", STEPS, **HEADS, output_shape=(4, 2))
one("output-shape-of-two-free", "MultiHeadAttention", (None, 6), **HEADS, output_shape=(4, 2))
one("causal", "MultiHeadAttention", STEPS, **HEADS, call=CAUSAL)
one("causal-more-keys", "MultiHeadAttention", STEPS, OTHERS, **HEADS, call=CAUSAL)
one("causal-fewer-keys", "MultiHeadAttention", OTHERS, STEPS, **HEADS, call=CAUSAL)
one("causal-dropout", "MultiHeadAttention", STEPS, **HEADS, dropout=0.1, call=CAUSAL)
one("scores", "MultiHeadAttention", STEPS, OTHERS, **HEADS, call=SCORES)
one("scores-causal", "MultiHeadAttention", STEPS, **HEADS, call=SCORES | CAUSAL)
one("axes", "MultiHeadAttention", STEPS, **HEADS, attention_axes=[1])
one("images", "MultiHeadAttention", (3, 4, 6), **HEADS)
one("rows-of-images", "MultiHeadAttention", (3, 4, 6), **HEADS, attention_axes=(2,))
one("columns-of-images", "MultiHeadAttention", (3, 4, 6), (5, 4, 6), **HEADS, attention_axes=1)
one("rows-of-free-images", "MultiHeadAttention", (3, None, 6), **HEADS, attention_axes=(2,), value_dim=2)
one("two-axes-of-three", "MultiHeadAttention", (2, 3, 4, 6), **HEADS, attention_axes=(2, 3), output_shape=5)
one("first-and-last-of-three", "MultiHeadAttention", (2, 3, 4, 6), **HEADS, attention_axes=(1, 3))
one("axis-from-the-end", "MultiHeadAttention", (3, 4, 6), **HEADS, attention_axes=(-2,), kerases=("keras3",))
one("gate", "MultiHeadAttention", STEPS, OTHERS, **HEADS, value_dim=4, use_gate=True, kerases=("keras3",))
one("window", "MultiHeadAttention", STEPS, OTHERS, **HEADS, sliding_window=2, kerases=("keras3",))
one("window-causal", "MultiHeadAttention", (9, 6), **HEADS, sliding_window=3, call=CAUSAL, kerases=("keras3",))
one("window-dropout", "MultiHeadAttention", OTHERS, STEPS, **HEADS, sliding_window=1, dropout=0.1, kerases=("keras3",))
one("window-none-seen", "MultiHeadAttention", OTHERS, (4, 6), **HEADS, sliding_window=1, kerases=("keras3",))
one("robust", "MultiHeadAttention", STEPS, **HEADS, softmax_robust_masking=True, call=CAUSAL, kerases=("keras2",))


@case(STEPS, OTHERS)
def attention_by_keywords(library, x, y):
    return library.layers.MultiHeadAttention(**HEADS)(query=x, value=y, key=y)


@case(STEPS, OTHERS)
def attention_called_twice(library, x, y):
    layer = library.layers.MultiHeadAttention(**HEADS)
    return [layer(x, y), layer(y, x)]


@case(STEPS)
def a_layer_that_is_named_as_one_of_its_parts(library, x):
    return library.layers.MultiHeadAttention(**HEADS, name="value")(x, x)


@case(STEPS, relative=0.05)
def a_block_of_a_transformer(library, x):
    y = library.layers.LayerNormalization(epsilon=1e-6)(x)
    x = library.layers.Add()([x, library.layers.MultiHeadAttention(**HEADS, dropout=0.1)(y, y)])
    y = library.layers.LayerNormalization(epsilon=1e-6)(x)
    y = library.layers.Dense(8, activation="gelu")(y)
    return library.layers.GlobalAveragePooling1D()(library.layers.Add()([x, library.layers.Dense(6)(y)]))


@case((4, 6))
def attention_inside_of_a_model(library, x):
    given = library.Input((4, 6))
    inner = library.Model(given, library.layers.MultiHeadAttention(**HEADS)(given, given))
    return inner(x)


@case((3, 6))
def attention_with_a_constant_mask(library, x):
    return library.layers.MultiHeadAttention(**HEADS)(x, x, attention_mask=np.tril(np.ones((3, 3), bool)))


# --- GroupQueryAttention, Attention, AdditiveAttention ----------------------------------------------------------------

GROUP = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
GROUPS = {"head_dim": 3, "num_query_heads": 4, "kerases": ("keras3",)}
one("self", "GroupQueryAttention", STEPS, **GROUPS, num_key_value_heads=2)
one("one-head-for-all", "GroupQueryAttention", STEPS, OTHERS, **GROUPS, num_key_value_heads=1)
one("as-many", "GroupQueryAttention", STEPS, **GROUPS, num_key_value_heads=4, use_bias=False)
one("causal", "GroupQueryAttention", (None, 6), **GROUPS, num_key_value_heads=2, call=CAUSAL)
one("causal-dropout", "GroupQueryAttention", STEPS, **GROUPS, num_key_value_heads=2, dropout=0.1, call=CAUSAL)
one("scores", "GroupQueryAttention", STEPS, OTHERS, **GROUPS, num_key_value_heads=2, call=SCORES)
one("gate", "GroupQueryAttention", STEPS, **GROUPS, num_key_value_heads=2, use_gate=True)
one("window", "GroupQueryAttention", OTHERS, (3, 6), **GROUPS, num_key_value_heads=2, sliding_window=2)

for name in ("Attention", "AdditiveAttention"):
    one("pair", name, STEPS, OTHERS)
    one("key", name, STEPS, OTHERS, OTHERS)
    one("free-steps", name, (None, 6), (None, 6))
    one("scale", name, STEPS, OTHERS, use_scale=True)
    one("no-scale", name, STEPS, OTHERS, use_scale=False)
    one("dropout", name, STEPS, OTHERS, dropout=0.4)
    one("causal", name, STEPS, OTHERS, call=CAUSAL)
    one("scores", name, STEPS, OTHERS, (7, 6), call=SCORES | CAUSAL)
one("value-of-another-size", "Attention", STEPS, (7, 4), OTHERS)
one("value-of-another-size", "AdditiveAttention", STEPS, (7, 4), OTHERS, kerases=("keras3",))
one("concat", "Attention", STEPS, OTHERS, score_mode="concat")
one("concat-scale", "Attention", STEPS, OTHERS, score_mode="concat", use_scale=True)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_attention_agrees_with_keras(case, name, source):
    check(case, name, source)


# --- masks ------------------------------------------------------------------------------------------------------------

QUERY_MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
VALUE_MASK = np.array(
    [[1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]], bool
)
ATTENTION_MASK = np.random.default_rng(0).random((4, 5, 7)) < 0.4
ATTENTION_MASK[0, 1] = False


def small(random, name, shape):
    """Draw weights that give scores which are lost in 1e9."""
    return 0.3 * random.standard_normal(shape)


def agrees(library, inputs, outputs, arrays, name):
    """Compare a masked model from all sources."""
    with quiet():
        model = filled(library.Model(inputs, outputs), seed=5, draw=small)
    wanted = answer(model, arrays)
    for source in save(model, f"{library.__name__}-{name}").values():
        assert_agrees(from_keras(source, strict=False), arrays, wanted, 1e-3)


def sequences(library):
    """Give two inputs and their arrays."""
    random = np.random.default_rng(1)
    arrays = [random.standard_normal((4, *shape)).astype(np.float32) for shape in (STEPS, OTHERS)]
    return [library.Input(STEPS), library.Input(OTHERS)], arrays


OPTIONS = {"plain": {}, "dropout": {"dropout": 0.1}, "scores": {}}
LIBRARIES = pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])


@pytest.mark.parametrize("is_causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("what", OPTIONS)
@pytest.mark.parametrize("rank", [3, 4])
@LIBRARIES
def test_an_attention_mask_hides_what_it_hides_in_keras(library, rank, what, is_causal):
    (x, y), arrays = sequences(library)
    shape = (5, 7) if rank == 3 else (2, 5, 7)
    mask = library.Input(shape, dtype="bool")
    hidden = ATTENTION_MASK if rank == 3 else np.stack([ATTENTION_MASK, ATTENTION_MASK[::-1]], 1)
    layer = library.layers.MultiHeadAttention(**HEADS, **OPTIONS[what])
    found = layer(x, y, attention_mask=mask, use_causal_mask=is_causal, return_attention_scores=what == "scores")
    agrees(library, [x, y, mask], found, [*arrays, hidden], f"attention-mask-{rank}-{what}-{is_causal}")


@pytest.mark.parametrize("names", [("query",), ("value",), ("key",), ("query", "value", "key")], ids="-".join)
@pytest.mark.parametrize("what", OPTIONS)
@pytest.mark.parametrize("class_name", ["MultiHeadAttention", "GroupQueryAttention"])
def test_masks_among_the_arguments_of_keras_3(class_name, what, names):
    """MultiHeadAttention overlooks the one of the query."""
    (x, y), arrays = sequences(keras)
    options = (HEADS if class_name == "MultiHeadAttention" else GROUP) | OPTIONS[what]
    masks = {f"{name}_mask": keras.Input((5 if name == "query" else 7,), dtype="bool") for name in names}
    given = {"query_mask": QUERY_MASK, "value_mask": VALUE_MASK, "key_mask": VALUE_MASK[::-1]}
    layer = getattr(keras.layers, class_name)(**options)
    found = layer(x, y, y, **masks, return_attention_scores=what == "scores")
    arrays += [given[name] for name in masks]
    agrees(keras, [x, y, *masks.values()], found, arrays, f"{class_name}-masks-{what}-{'-'.join(names)}")


@pytest.mark.parametrize("call", [{}, CAUSAL, SCORES], ids=["plain", "causal", "scores"])
@pytest.mark.parametrize("which", [(True, True), (False, True), (True, False)], ids=["both", "value", "query"])
@pytest.mark.parametrize("class_name", ["Attention", "AdditiveAttention"])
@LIBRARIES
def test_masks_of_attention(library, class_name, which, call):
    (x, y), arrays = sequences(library)
    masks = [library.Input((n,), dtype="bool") if wanted else None for n, wanted in zip((5, 7), which, strict=True)]
    layer = getattr(library.layers, class_name)(use_scale=True)
    found = layer([x, y], mask=masks, **call)
    arrays += [array for array, wanted in zip((QUERY_MASK, VALUE_MASK), which, strict=True) if wanted]
    inputs = [x, y, *(mask for mask in masks if mask is not None)]
    agrees(library, inputs, found, arrays, f"{class_name}-mask-{which}-{'-'.join(call)}")


IDS = np.array([[3, 1, 4, 0, 0], [0, 0, 2, 5, 1], [0, 2, 0, 4, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]])


HOW = {"plain": ({}, {}), "dropout": ({"dropout": 0.1}, {}), "causal": ({}, CAUSAL), "scores": ({}, SCORES)}
LAYERS = [(keras, "GroupQueryAttention")] + [
    (library, name)
    for library in (keras, tf_keras)
    for name in ("MultiHeadAttention", "Attention", "AdditiveAttention")
]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("which", ["self", "cross", "value", "key"])
@pytest.mark.parametrize(("library", "class_name"), LAYERS, ids=lambda item: getattr(item, "__name__", item))
def test_masks_that_come_with_the_inputs(library, class_name, which, how):
    """Of ids that are 0; an LSTM behind shows which mask goes on."""
    x, other = library.Input((5,)), library.Input((7, 6))
    embedded = library.layers.Embedding(6, 6, mask_zero=True)(x)
    q, v, *k = {"self": [embedded] * 2, "cross": [embedded, other], "value": [other, embedded],
                "key": [other, embedded, embedded]}[which]  # fmt: skip
    options = {"MultiHeadAttention": HEADS, "GroupQueryAttention": GROUP}.get(class_name, {})
    more, call = HOW[how]
    layer = getattr(library.layers, class_name)(**options, **more)
    found = layer(*([q, v, *k] if options else [[q, v, *k]]), **call)
    first, *scores = found if isinstance(found, (list, tuple)) else [found]
    outputs = [first, library.layers.LSTM(2)(first), *scores]
    arrays = [IDS, np.random.default_rng(3).standard_normal((len(IDS), 7, 6)).astype(np.float32)]
    used = slice(None) if which != "self" else slice(1)
    agrees(library, [x, other][used], outputs, arrays[used], f"{class_name}-implicit-{which}-{how}")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        pytest.param(
            lambda x: keras.layers.MultiHeadAttention(**HEADS, dropout=0.1)(x, x, training=True), "training=True",
            id="dropout",
        ),
        pytest.param(
            lambda x: keras.layers.MultiHeadAttention(**HEADS)(x, x, return_attention_scores=True)[1],
            "rank 4 with masks or attention scores", id="scores-of-images",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(build, message):
    x = keras.Input((3, 4, 6) if "rank 4" in message else STEPS)
    with quiet():
        model = keras.Model(x, build(x))
    with pytest.raises(KerasInteropError, match=message):
        from_keras(model, strict=False)
