"""StringLookup and IntegerLookup in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import KerasInteropError, ShapeError
from tests.parity import cases
from tests.parity.kerases import Case, check, parameters, quiet, save

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)
ADAPTED = ("keras", "live")  # an .h5 file holds no vocabulary that was learnt
TEXT, INTEGERS = {"dtypes": ("string",)}, {"dtypes": ("int64",)}
WORDS, NUMBERS = ["a", "zz", "\u4e2d\u6587", "é"], [3, -7, 5, 0]
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
KINDS = {"StringLookup": (TEXT, WORDS, "m"), "IntegerLookup": (INTEGERS, NUMBERS, 1)}

for class_name, (types, tokens, mask) in KINDS.items():
    words = {"vocabulary": tokens}
    for what, shape in {"rank-1": (), "rank-2": (9,), "rank-3": (2, 3), "free": (None,)}.items():
        one(what, class_name, shape, case=types, **words)
    for count in (1, 2, 5):
        one(f"oov-{count}", class_name, (9,), case=types, num_oov_indices=count, **words)
        one(f"oov-{count}-mask", class_name, (9,), case=types, num_oov_indices=count, mask_token=mask, **words)
    for mode in MODES[1:]:
        options = {"output_mode": mode, **words, **({"idf_weights": [0.5, 2.0, 1.25, 3.0]} if mode == "tf_idf" else {})}
        one(f"{mode}-1", class_name, (1,), case=types, **options)
        if mode != "one_hot":
            one(f"{mode}-9", class_name, (9,), case=types, **options)
            one(f"{mode}-mask", class_name, (9,), case=types, mask_token=mask, **options)
            padded = {"max_tokens": 8, "pad_to_max_tokens": True}
            one(f"{mode}-padded", class_name, (9,), case=types, **padded, **options)
    one("one_hot-rank-1", class_name, (), case=types, output_mode="one_hot", **words)
    one("one_hot-9", class_name, (9,), case=types, kerases=("keras3",), output_mode="one_hot", mask_token=mask, **words)
    one("max_tokens", class_name, (9,), case=types, max_tokens=9, **words)
    ids = {"draw": lambda random, shape: random.integers(-1, 8, shape), "dtypes": ("int64",)}
    for what, options in {"": {}, "-mask": {"mask_token": mask}, "-oov-3": {"num_oov_indices": 3}}.items():
        one(f"invert{what}", class_name, (9,), case=ids, invert=True, **options, **words)
    one("salt", class_name, (9,), case=types, kerases=("keras3",), num_oov_indices=4, salt=(1, 2), **words, **(
        {"oov_method": "farmhash"} if types is INTEGERS else {}
    ))  # fmt: skip
    special = [mask, "[UNK]" if types is TEXT else -1, *tokens]
    one("special-tokens", class_name, (9,), case=types, vocabulary=special, mask_token=mask)
one("farmhash", "IntegerLookup", (9,), case=INTEGERS, kerases=("keras3",), vocabulary=NUMBERS, num_oov_indices=3,
    oov_method="farmhash")  # fmt: skip
one("oov-token-among-words", "StringLookup", (9,), case=TEXT, vocabulary=["a", "[UNK]", "b"])
one("no-oov-token", "StringLookup", (9,), case=TEXT, vocabulary=["a", "b"], oov_token="?", mask_token="")
one("floats", "IntegerLookup", (9,), vocabulary=[0, 1, -1])
one(
    "int32", "IntegerLookup", (9,), vocabulary=NUMBERS,
    case={"dtypes": ("int32",), "draw": lambda random, shape: random.integers(-9, 9, shape)},
)  # fmt: skip
HUGE = (1 << 40, (1 << 40) + 1, 1 << 62)
one(
    "beyond-float32", "IntegerLookup", (9,), vocabulary=list(HUGE),
    case={"dtypes": ("int64",), "draw": lambda random, shape: random.choice([*HUGE, (1 << 40) - 1], shape)},
)  # fmt: skip


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_lookups_agree(case, name, source):
    check(case, name, source)


def adapted(class_name, tokens, **options):
    """Build a layer that learns its vocabulary."""

    def build(library, x):
        layer = getattr(library.layers, class_name)(**options)
        layer.adapt(np.array(tokens, object if isinstance(tokens[0], str) else np.int64).reshape(-1, 1))
        return layer(x)

    return build


LEARNT: list[Case] = []
for class_name, (types, tokens, mask) in KINDS.items():
    seen = [*tokens, tokens[0], tokens[0], tokens[1], mask]
    for mode in MODES:
        for what, options in {"": {}, "-mask": {"mask_token": mask}}.items():
            build = adapted(class_name, seen, output_mode=mode, **options)
            LEARNT.append(Case(f"{class_name}-{mode}{what}", ((1,),), build, sources=ADAPTED, **types))
    build = adapted(class_name, seen, max_tokens=4, num_oov_indices=2)
    LEARNT.append(Case(f"{class_name}-max-tokens", ((9,),), build, sources=ADAPTED, **types))
    build = adapted(class_name, seen, output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True)
    LEARNT.append(Case(f"{class_name}-padded", ((9,),), build, sources=ADAPTED, **types))
SPACES = ["a b", " a", "a ", "\t", "é\u2028é", "x\x85y", "\u00a0", "a"]
LEARNT.append(
    Case(
        "odd-words", ((9,),), adapted("StringLookup", SPACES), sources=ADAPTED,
        draw=lambda random, shape: random.choice(np.array([*SPACES, "b"], object), shape), **TEXT,
    )
)  # fmt: skip


@pytest.mark.parametrize(("case", "name", "source"), parameters(LEARNT))
def test_what_was_learnt_agrees(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize("name", ["keras3", "keras2"])
@pytest.mark.parametrize("class_name", sorted(KINDS))
def test_what_is_out_of_the_vocabulary_is_refused_where_keras_refuses_it(name, class_name):
    types, tokens, _ = KINDS[class_name]
    case = Case("x", ((2,),), adapted_with(class_name, vocabulary=tokens, num_oov_indices=0), **types)
    model, x = case.model(name), np.array([[tokens[1], tokens[0]]])
    ours = from_keras(model)
    np.testing.assert_array_equal(ours(x), [[1, 0]])
    x = np.array([[tokens[1], "nowhere" if class_name == "StringLookup" else 99]])
    with quiet(), pytest.raises(tf.errors.InvalidArgumentError):
        model(tf.constant(x))
    with pytest.raises(ShapeError, match=r"has no '(nowhere|99)' in its vocabulary"):
        ours(x)


def adapted_with(class_name, **options):
    return lambda library, x: getattr(library.layers, class_name)(**options)(x)


def test_h5_files_hold_no_vocabulary_that_was_learnt():
    model = Case("h5", ((1,),), adapted("StringLookup", WORDS), **TEXT).model("keras3")
    with pytest.raises(KerasInteropError, match=r"\.h5 files hold none that was learnt: save as \.keras"):
        from_keras(save(model, "learnt", ("h5",))["h5"])


@pytest.mark.parametrize("name", ["keras3", "keras2"])
def test_a_lookup_beside_an_embedding_of_the_same_integers(name):
    """One input, read exactly by a lookup, as numbers by another layer, and in a nested model."""

    def build(library, x):
        layers = library.layers
        inner_input = library.Input((3,), dtype="int64")
        inner = library.Model(inner_input, layers.IntegerLookup(vocabulary=NUMBERS)(inner_input))
        return [inner(x), layers.Embedding(10, 4)(x), inner(layers.IntegerLookup(vocabulary=[3, 5])(x))]

    case = Case("mixed", ((3,),), build, draw=lambda random, shape: random.integers(0, 9, shape), dtypes=("int64",))
    for source in ("h5", "keras", "live"):
        check(case, name, source)


def test_operations_on_the_integers_of_a_lookup():
    """They compute in float32, the lookup does not."""

    def build(library, x):
        ids = library.layers.IntegerLookup(vocabulary=NUMBERS)(x)
        return [ids, x != 0, x + 1, library.ops.where(x > 2, ids, x), library.ops.cast(x, "float32") * 0.5]

    check(Case("operations", ((3,),), build, dtypes=("int64",)), "keras3", "live")


@pytest.mark.parametrize("source", ["h5", "keras", "live"])
@pytest.mark.parametrize("name", ["keras3", "keras2"])
def test_text_is_reshaped(name, source):
    def build(library, x):
        layers = library.layers
        pair = layers.Reshape((2, 1))(layers.Concatenate()([x, x]))
        return layers.StringLookup(vocabulary=WORDS)(layers.Flatten()(layers.Permute((2, 1))(pair)))

    check(Case("reshaped", ((1,),), build, **TEXT), name, source)


def structured(library, age, kind, code, weight):
    """The model of Keras' tutorial on structured data: every feature its own way into one table."""
    layers = library.layers
    ids = layers.StringLookup(vocabulary=WORDS, num_oov_indices=2)(kind)
    kinds = layers.CategoryEncoding(6, output_mode="one_hot")(ids)
    codes = layers.IntegerLookup(vocabulary=NUMBERS, output_mode="multi_hot")(code)
    ages = layers.CategoryEncoding(4, output_mode="one_hot")(layers.Discretization([-1.0, 0.0, 1.0])(age))
    crossed = layers.HashedCrossing(8, output_mode="one_hot")([kind, layers.Hashing(5)(code)])
    hidden = layers.Dense(7, activation="relu")(layers.Concatenate()([ages, kinds, codes, crossed, weight]))
    return layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(hidden))


@pytest.mark.parametrize("name", ["keras3", "keras2"])
@pytest.mark.parametrize("source", ["h5", "keras", "live"])
def test_a_table_of_features(name, source):
    case = Case(
        "structured", ((1,),) * 4, structured, names=("age", "kind", "code", "weight"),
        dtypes=("float32", "string", "int64", "float32"),
    )  # fmt: skip
    check(case, name, source)
