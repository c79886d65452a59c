"""TextVectorization against regular expressions, which say what TensorFlow says of its own."""

from __future__ import annotations

import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import TextVectorization
from keydnn.reference.text import tokens_of

WORDS = ("hello", "world", "hello world", "a", "b", "é", "É", "x", "中")
CHARACTERS = st.sampled_from("aAbB xé\u00c9\u4e2d!,.'-_ \t\n\r\x0b\x0c\x1c\x85\xa0\u2003\U0001f40d")
STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(CHARACTERS, max_size=9) | st.text(max_size=5), min_size=1, max_size=4),
    st.sampled_from(STANDARDIZE),
    st.sampled_from(["whitespace", "character"]),
    st.sampled_from([None, (1, 2), (2,), (3, 1)]),
    st.none() | st.integers(1, 6),
)
def test_ids_are_those_of_the_tokens(texts, standardize, split, ngrams, length):
    module = TextVectorization(WORDS, standardize, split, ngrams, length, 7, 3)
    ids = {word: place for place, word in enumerate(WORDS, 4)}
    rows = [[ids.get(token, 3) for token in tokens_of(text, standardize, split, ngrams)] for text in texts]
    width = max(map(len, rows)) if length is None else length
    wanted = [(row + [7] * width)[:width] for row in rows]
    found = module(np.array(texts, object))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.reshape(wanted, (len(texts), width)))
    np.testing.assert_array_equal(module(np.array(texts, object).reshape(-1, 1)), found)


def test_only_ascii_is_made_lower_and_only_ascii_spaces_split():
    found = TextVectorization(WORDS)(
        ["Hello, WORLD! x", "  a\u00a0b A\tb\x0bhello\x1cworld ", "É é\r\nhello-world", ""]
    )
    np.testing.assert_array_equal(found, [[2, 3, 9, 0], [1, 5, 6, 1], [8, 7, 1, 0], [0, 0, 0, 0]])  # tf-keras, too


def test_without_split_the_last_axis_holds_the_tokens():
    x = [["Hello", "a", ""], ["world", "q", "b"]]
    np.testing.assert_array_equal(TextVectorization(WORDS, split=None)(x), [[2, 5, 0], [3, 1, 6]])
    np.testing.assert_array_equal(TextVectorization(WORDS, split=None, output_length=2)(x), [[2, 5], [3, 1]])
    np.testing.assert_array_equal(
        TextVectorization(WORDS, split=None, output_length=4)(x), [[2, 5, 0, 0], [3, 1, 6, 0]]
    )
    x = [["hello", "world", "a"], ["b", "q", "b"]]
    np.testing.assert_array_equal(
        TextVectorization(WORDS, split=None, ngrams=(1, 2))(x), [[2, 3, 5, 4, 1], [6, 1, 6, 1, 1]]
    )
    np.testing.assert_array_equal(TextVectorization(WORDS, split=None)(["hello", "q"]), [2, 1])


def test_shapes_are_those_of_the_results():
    module = TextVectorization(WORDS)
    assert module.output_shape((None,)) == module.output_shape((None, 1)) == (None, None)
    assert module.output_shape((None, 5, 1)) == (None, 5, None)
    assert module([[["a b"], ["b"]]]).shape == (1, 2, 2)
    assert TextVectorization(WORDS, output_length=7).output_shape((None, 1)) == (None, 7)
    assert TextVectorization(WORDS, split=None, ngrams=(1, 2)).output_shape((None, 3)) == (None, 5)
    assert module(np.zeros((0, 1), "U1")).shape == (0, 0)
    assert module(["", " "]).shape == (2, 0)
    for wrong, options in (((None, 2), {}), ((None,), {"split": None, "output_length": 3})):
        with pytest.raises(ShapeError, match="takes an input"):
            TextVectorization(WORDS, **options).output_shape(wrong)


def test_a_hundred_thousand_texts_take_seconds():
    texts = np.full(100_000, "The quick brown fox, jumps over the lazy dog; it's nothing new, is it?", object)
    start = time.perf_counter()
    assert TextVectorization(WORDS)(texts).shape == (100_000, 14)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"vocabulary": []}, "vocabulary"),
        ({"vocabulary": ["a", ""]}, "vocabulary"),
        ({"standardize": "upper"}, "standardize"),
        ({"split": " "}, "split"),
        ({"ngrams": 2}, "ngrams"),
        ({"ngrams": []}, "ngrams"),
        ({"ngrams": (0,)}, "ngrams"),
        ({"output_length": 0}, "output_length"),
        ({"padding_index": -1}, "padding_index"),
        ({"first_index": 1 << 25}, "padding_index"),
    ],
)
def test_bad_parameters_are_refused_by_name(options, word):
    with pytest.raises(ParameterError, match=f"^{word}"):
        TextVectorization(**{"vocabulary": WORDS, **options})
