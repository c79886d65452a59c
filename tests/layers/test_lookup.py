"""StringLookup, IntegerLookup, their inverses and ToFloat against dictionaries."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import IntegerLookup, InverseIntegerLookup, InverseStringLookup, StringLookup, ToFloat
from keydnn.modules.fingerprint import fingerprint64, siphash

WORDS = ("a", "b", "é", "\u4e2d\u6587", "a b", "[UNK]", "\U0001f40d")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_words_have_the_ids_of_a_dictionary(data):
    words = data.draw(st.lists(st.text(max_size=3), min_size=1, max_size=6, unique=True))
    mask = data.draw(st.none() | st.text(max_size=3).filter(lambda word: word not in words))
    first, mask_index = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 9))
    module = StringLookup(words, 1, mask, mask_index, first)
    ids = {word: place for place, word in enumerate(words, first + 1)}
    if mask is not None:
        ids[mask] = mask_index
    x = data.draw(st.lists(st.sampled_from([*words, mask or "?"]) | st.text(max_size=3), min_size=0, max_size=9))
    found = module(np.array(x, object).reshape(-1, 1))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.reshape([ids.get(word, first) for word in x], (-1, 1)))


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.array([["b", "é"], ["z", "\u4e2d\u6587"]]), id="U"),
        pytest.param(np.array([["b", "é"], ["z", "\u4e2d\u6587"]], object), id="objects"),
        pytest.param(np.char.encode(np.array([["b", "é"], ["z", "\u4e2d\u6587"]]), "utf-8"), id="S"),
        pytest.param(np.array([[b"b", "é".encode()], [b"z", "\u4e2d\u6587".encode()]], object), id="bytes-objects"),
        pytest.param(np.array([["b", "é"], ["z", "\u4e2d\u6587"]], np.dtypes.StringDType()), id="T"),
        pytest.param([["b", "é"], ["z", "\u4e2d\u6587"]], id="lists"),
        pytest.param(np.array([["b", "z"], ["é", "\u4e2d\u6587"]]).T, id="strided"),
    ],
)
def test_text_comes_in_any_form(x):
    np.testing.assert_array_equal(StringLookup(WORDS)(x), [[2, 3], [0, 4]])


@pytest.mark.parametrize(
    "x", [[1, 2], [None], ["a", 1.5], [["a"], ["a", "b"]], np.array([np.datetime64("2020")]), np.zeros(2)]
)
def test_what_is_no_text_is_refused(x):
    with pytest.raises(ShapeError, match="must be an array of text"):
        StringLookup(WORDS)(x)


def test_bytes_that_are_no_utf8_are_a_text_like_others():
    np.testing.assert_array_equal(StringLookup(WORDS)(np.array([b"\xff", b"a"])), [0, 1])
    found = StringLookup(["a"], 5)(np.array([b"\xff\xfe"], object))
    np.testing.assert_array_equal(found, [fingerprint64(b"\xff\xfe") % 5])


def test_words_out_of_the_vocabulary_are_refused_or_hashed():
    with pytest.raises(ShapeError, match="has no 'zz' in its vocabulary"):
        StringLookup(WORDS, 0)(["a", "zz"])
    np.testing.assert_array_equal(StringLookup(WORDS, 0)(["a", "b"]), [0, 1])
    words = ["zz", "a", "ü", "longer words than all of the vocabulary's"]
    for salt, function in ((None, fingerprint64), ((5, 6), lambda word: siphash(word, (5, 6)))):
        found = StringLookup(WORDS, 4, "m", 0, 1, salt)([*words, "m"])
        wanted = [5 if word == "a" else 1 + function(word.encode()) % 4 for word in words]
        np.testing.assert_array_equal(found, [*wanted, 0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_integers_have_the_ids_of_a_dictionary(data):
    numbers = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-9, 9)
    tokens = data.draw(st.lists(numbers, min_size=1, max_size=6, unique=True))
    mask = data.draw(st.none() | numbers.filter(lambda number: number not in tokens))
    count, first, mask_index = data.draw(st.sampled_from([(1, 0, 0), (1, 1, 0), (3, 0, 9), (3, 1, 0)]))
    ids = {token: place for place, token in enumerate(tokens, first + count)}
    if mask is not None:
        ids[mask] = mask_index
    x = data.draw(st.lists(st.sampled_from(tokens) | numbers, max_size=9))
    found = IntegerLookup(tokens, count, mask, mask_index, first)(np.array(x, np.int64))
    np.testing.assert_array_equal(found, [ids.get(number, first + number % count) for number in x])


def test_integers_out_of_the_vocabulary_are_refused_or_hashed():
    with pytest.raises(ShapeError, match="has no '8' in its vocabulary"):
        IntegerLookup([7, 9], 0)(np.array([7, 8]))
    x = np.array([-5, 7, 123456789012345])
    wanted = [fingerprint64(b"-5") % 3, 3, fingerprint64(b"123456789012345") % 3]
    np.testing.assert_array_equal(IntegerLookup([7, 9], 3, oov_hash="farmhash")(x), wanted)
    wanted = [siphash(b"-5", (1, 2)) % 3, 3, siphash(b"123456789012345", (1, 2)) % 3]
    np.testing.assert_array_equal(IntegerLookup([7, 9], 3, oov_hash="farmhash", salt=(1, 2))(x), wanted)


def test_numbers_lose_their_fraction():
    np.testing.assert_array_equal(IntegerLookup([7, 0, -1])(np.array([7.9, -0.5, -1.5, 8])), [1, 2, 3, 0])


def test_inverses_give_tokens_back():
    ids = np.array([[0, 1, 2], [3, 4, -1], [2.9, 99, np.nan]])
    found = InverseStringLookup(["a", "é"], "?", None, 1)(ids)
    assert found.dtype == object
    np.testing.assert_array_equal(found, [["?", "a", "é"], ["?", "?", "?"], ["é", "?", "?"]])
    np.testing.assert_array_equal(
        InverseStringLookup(["a", "é"], "?", "", 2)(ids), [["", "?", "a"], ["é", "?", "?"], ["a", "?", "?"]]
    )
    found = InverseIntegerLookup([7, 1 << 60], -1, 5, 2)(ids)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [[5, -1, 7], [1 << 60, -1, -1], [7, -1, -1]])


def test_to_float_holds_what_float32_can():
    np.testing.assert_array_equal(ToFloat()(np.array([1 << 24, -(1 << 24)])), [1 << 24, -(1 << 24)])
    with pytest.raises(ShapeError, match="got 16777217"):
        ToFloat()(np.array([0, (1 << 24) + 1]))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: StringLookup([]), "vocabulary"),
        (lambda: StringLookup("abc"), "vocabulary"),
        (lambda: StringLookup(["a", 1]), "vocabulary"),
        (lambda: StringLookup(["a", "a"]), "vocabulary"),
        (lambda: StringLookup(["a", "m"], 1, "m"), "vocabulary"),
        (lambda: StringLookup(["a"], -1), "num_oov_indices"),
        (lambda: StringLookup(["a"], 1 << 25), "num_oov_indices"),
        (lambda: StringLookup(["a"], 1, 5), "mask_token"),
        (lambda: StringLookup(["a"], salt=1.5), "salt"),
        (lambda: IntegerLookup([1, 1]), "vocabulary"),
        (lambda: IntegerLookup([1 << 63]), "vocabulary"),
        (lambda: IntegerLookup([True]), "vocabulary"),
        (lambda: IntegerLookup([1], mask_token=1 << 63), "mask_token"),
        (lambda: IntegerLookup([1], oov_hash="md5"), "oov_hash"),
        (lambda: InverseStringLookup(["a"], None), "vocabulary"),
        (lambda: InverseIntegerLookup([1], "x"), "vocabulary"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=f"^{word}"):
        make()


def test_a_long_vocabulary_is_not_shown():
    assert str(StringLookup([str(number) for number in range(1000)])) == (
        "StringLookup(num_oov_indices=1, mask_token=None, mask_index=0, first_index=0, salt=None)"
    )
