"""Hash and HashedCross, and the hash functions below them, against what TensorFlow gave."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules import Hash, HashedCross
from keydnn.modules.fingerprint import cross, fingerprint64, siphash

BUCKETS = (1 << 63) - 25
# tf.strings.to_hash_bucket_fast and to_hash_bucket_strong (key 1, 2), TensorFlow 2.21, of TEXTS by length
FARMHASH = {
    0: 1936946117179621480, 1: 5161771770385946686, 3: 4662423180930907492, 4: 4685977051251400321,
    7: 8010051901585887521, 8: 3403648104430010945, 16: 663651183927826929, 17: 7736696382783243944,
    32: 3992320350721670009, 33: 3233698670931835622, 64: 1859692024977922309, 65: 444801980686921533,
    128: 6615484076916436450, 129: 5067021833811671751, 200: 202520530910294351,
}  # fmt: skip
SIPHASH = {
    0: 443797209252341652, 1: 4365220300980176642, 3: 9177327969436154596, 4: 7628984649193752657,
    7: 7011804085460567613, 8: 5185305702700180473, 16: 6359786192688210158, 17: 3283781455520671934,
    32: 7510143916510895004, 33: 4978822108739176031, 64: 7409952894465765187, 65: 6934704322802341331,
    128: 7198687326864886296, 129: 6522327540171573629, 200: 497539462450961307,
}  # fmt: skip
TEXTS = {size: bytes((7 * place + size) % 256 for place in range(size)) for size in FARMHASH}


def test_the_hash_functions_are_tensorflows():
    assert {size: fingerprint64(text) % BUCKETS for size, text in TEXTS.items()} == FARMHASH
    assert {size: siphash(text, (1, 2)) % BUCKETS for size, text in TEXTS.items()} == SIPHASH
    big = (1 << 62) - 57  # tf.sparse.cross_hashed([["x"], ["yy"]], [[5], [-7]])
    found = [cross((fingerprint64(text), number)) % big for text, number in ((b"x", 5), (b"yy", -7))]
    assert found == [2121292451635021767, 2075774807999812561]


def test_text_and_integers_have_buckets():
    words = np.array([["ab", "é"], ["", "longer than sixteen bytes"]], object)
    wanted = [[fingerprint64(word.encode()) % 7 for word in row] for row in words]
    found = Hash(7)(words)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(Hash(7)(np.array([5, -30])), [fingerprint64(b"5") % 7, fingerprint64(b"-30") % 7])
    np.testing.assert_array_equal(Hash(7)(np.array([5.9, -30.2])), Hash(7)(np.array([5, -30])))
    np.testing.assert_array_equal(Hash(7, salt=(3, 4))(words[0]), [siphash(w.encode(), (3, 4)) % 7 for w in words[0]])
    assert Hash(7, salt=3).salt == (3, 3)


def test_a_mask_has_the_first_bucket_for_itself():
    found = Hash(3, mask_value="")(np.array(["", "a", "b", "c", "d"]))
    assert found[0] == 0
    np.testing.assert_array_equal(found[1:], [1 + fingerprint64(word.encode()) % 2 for word in "abcd"])
    np.testing.assert_array_equal(Hash(3, mask_value=4)(np.array([4, 5])), [0, 1 + fingerprint64(b"5") % 2])
    np.testing.assert_array_equal(Hash(1, mask_value="")(np.array(["", "a"])), [0, 0])


def test_crosses_take_columns_of_any_types():
    words, numbers = np.array([["x"], ["yy"]]), np.array([[5], [-7]])
    found = HashedCross(1000)(words, numbers, words)
    wanted = [cross((fingerprint64(w), n, fingerprint64(w))) % 1000 for w, n in ((b"x", 5), (b"yy", -7))]
    np.testing.assert_array_equal(found, np.reshape(wanted, (2, 1)))
    assert not np.array_equal(HashedCross(1000)(numbers, words), HashedCross(1000)(words, numbers))


def test_what_does_not_fit_is_refused():
    for arguments in ((0,), ((1 << 24) + 1,), (5, 1.5), (5, None, "salt"), (5, None, (1, 2, 3))):
        with pytest.raises(ParameterError, match=r"num_bins|mask_value|salt"):
            Hash(*arguments)
    with pytest.raises(ParameterError, match="num_bins"):
        HashedCross(0)
    with pytest.raises(ShapeError, match="inputs of one shape"):
        HashedCross(5)([1, 2], [1])
    with pytest.raises(ShapeError, match="two or more inputs"):
        HashedCross(5)([1, 2])
    with pytest.raises(ShapeError, match="surrogate"):
        Hash(5)(np.array(["\ud800"], object))
