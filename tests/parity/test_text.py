"""TextVectorization in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import KerasFileError, KerasInteropError
from tests.parity import cases
from tests.parity.kerases import Case, check, parameters, quiet, save

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)
WORDS = ["hello", "world", "hello world", "a", "b", "é", "É", "x", "\u4e2d"]
SENTENCES = [
    "Hello, WORLD! x", "  a\u00a0b a\tb\x0bhello\x1cworld ", "É é\r\nhello-world", "", "\u4e2d\u6587 b", "a b a b a",
    "it's_a [test] {of} \\all\\ `the` ~punctuation~ |there| <is> $5^2 @x #y %z & more?", "\u2003\x85a\x00b", "x",
]  # fmt: skip


def texts(choices, **more):
    """Draw texts."""
    return {
        "dtypes": ("string",), "draw": lambda random, shape: random.choice(np.array(choices, object), shape), **more
    }  # fmt: skip


for what, shape in {"rank-1": (), "rank-2": (1,), "rank-3": (3, 1)}.items():
    one(what, "TextVectorization", shape, case=texts(SENTENCES), vocabulary=WORDS)
    one(f"length-{what}", "TextVectorization", shape, case=texts(SENTENCES), vocabulary=WORDS, output_sequence_length=4)
for standardize in ("lower", "strip_punctuation", None):
    for split in ("whitespace", "character"):
        one(
            f"{standardize}-{split}", "TextVectorization", (1,), case=texts(SENTENCES),
            vocabulary=WORDS, standardize=standardize, split=split,
        )  # fmt: skip
for ngrams in (1, 2, 3, (2,), (3, 1)):
    one(f"ngrams-{ngrams}", "TextVectorization", (1,), case=texts(SENTENCES), vocabulary=WORDS, ngrams=ngrams)
one("long", "TextVectorization", (1,), case=texts(SENTENCES), vocabulary=WORDS, ngrams=2, output_sequence_length=60)
for mode in ("multi_hot", "count", "tf_idf"):
    idf = {"idf_weights": [0.5 + place for place in range(len(WORDS))]} if mode == "tf_idf" else {}
    for what, options in {
        "": {}, "-ngrams": {"ngrams": 2}, "-padded": {"max_tokens": 14, "pad_to_max_tokens": True},
        "-rank-1": {}, "-no-split": {"split": None},
    }.items():  # fmt: skip
        shape = {"-rank-1": (), "-no-split": (4,)}.get(what, (1,))
        words = texts(SENTENCES if what != "-no-split" else [*WORDS, "", "q"])
        one(
            f"{mode}{what}",
            "TextVectorization",
            shape,
            case=words,
            vocabulary=WORDS,
            output_mode=mode,
            **idf,
            **options,
        )
for what, options in {
    "": {}, "-2": {"output_sequence_length": 2}, "-6": {"output_sequence_length": 6}, "-ngrams": {"ngrams": 2},
}.items():  # fmt: skip
    words = texts([*WORDS, "", "Hello!", "q"])
    one(f"no-split{what}", "TextVectorization", (4,), case=words, vocabulary=WORDS, split=None, **options)
one("no-split-rank-1", "TextVectorization", (), case=texts([*WORDS, "q"]), vocabulary=WORDS, split=None)
one("with-special-tokens", "TextVectorization", (1,), case=texts(SENTENCES), vocabulary=["", "[UNK]", *WORDS])


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_texts_agree(case, name, source):
    check(case, name, source)


def learning(**options):
    def build(library, x):
        layer = library.layers.TextVectorization(**options)
        layer.adapt(np.array([*SENTENCES[:2], *SENTENCES[3:6], "hello a", "hello"], object))
        return layer(x)

    return build


LEARNT = [
    Case(what, ((1,),), learning(**options), sources=("keras", "live"), **texts(SENTENCES))
    for what, options in {
        "int": {}, "max-tokens": {"max_tokens": 5}, "ngrams": {"ngrams": 2}, "characters": {"split": "character"},
        "count": {"output_mode": "count"}, "tf_idf": {"output_mode": "tf_idf"},
        "tf_idf-padded": {"output_mode": "tf_idf", "max_tokens": 40, "pad_to_max_tokens": True},
    }.items()
]  # fmt: skip


@pytest.mark.parametrize(("case", "name", "source"), parameters(LEARNT))
def test_what_was_learnt_agrees(case, name, source):
    check(case, name, source)


def whole(library, x):
    """From sentences to a score."""
    layers = library.layers
    ids = layers.TextVectorization(vocabulary=WORDS, output_sequence_length=6)(x)
    words = layers.Embedding(len(WORDS) + 2, 5)(ids)
    return layers.Dense(1, activation="sigmoid")(layers.Flatten()(words))


@pytest.mark.parametrize("name", ["keras3", "keras2"])
@pytest.mark.parametrize("source", ["h5", "keras", "live"])
def test_a_whole_model_reads_sentences(name, source):
    check(Case("whole", ((1,),), whole, **texts(SENTENCES)), name, source)


@pytest.mark.parametrize("name", ["keras3", "keras2"])
@pytest.mark.parametrize("source", ["h5", "keras", "live"])
def test_a_sequential_model_that_begins_with_text(name, source):
    def build(library, x):
        layers = library.layers
        return library.Sequential(
            [
                library.Input((1,), dtype="string"),
                layers.TextVectorization(vocabulary=WORDS, output_mode="count"),
                layers.Dense(3),
            ]
        )

    check(Case("sequential", ((1,),), build, **texts(SENTENCES)), name, source)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"standardize": lambda x: x}, "standardize=.*functions are never run"),
        ({"split": lambda x: x}, "split=.*functions are never run"),
        ({"ragged": True}, "ragged=True"),
        ({"sparse": True, "output_mode": "count"}, "sparse=True"),
    ],
)
def test_functions_ragged_and_sparse_results_are_refused(options, match):
    def build(library, x):
        return library.layers.TextVectorization(vocabulary=WORDS, **options)(x)

    model = Case("refused", ((1,),), build, dtypes=("string",)).model("keras2")
    with quiet(), pytest.raises(KerasInteropError, match=match):
        from_keras(model)


def test_a_learnt_line_break_is_refused_not_misread():
    """Keras writes a token a line: with "\\n" among the tokens there is a line more than the configuration says."""

    def build(library, x):
        layer = library.layers.TextVectorization(split="character")
        layer.adapt(np.array(["a\nb", "ab"], object))
        return layer(x)

    case = Case("line-break", ((1,),), build, dtypes=("string",), sources=("keras", "live"))
    with pytest.raises(KerasFileError, match="the vocabulary has 6 lines, but its configuration says 5"):
        from_keras(save(case.model("keras3"), "line-break", ("keras",))["keras"])
    check(case, "keras3", "live")
