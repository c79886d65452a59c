"""Hashing and HashedCrossing in both Kerases and from every source; the hash functions against TensorFlow's."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn.modules.fingerprint import cross, fingerprint64, siphash
from tests.parity import cases
from tests.parity.kerases import Case, check, parameters

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)
BUCKETS = (1 << 62) - 57

for dtype, mask in (("string", "m"), ("int64", 0)):
    types = {"dtypes": (dtype,)}
    one(f"{dtype}-rank-1", "Hashing", (), case=types, num_bins=5)
    one(f"{dtype}-rank-2", "Hashing", (9,), case=types, num_bins=5)
    one(f"{dtype}-rank-3", "Hashing", (3, 2), case=types, num_bins=1000)
    one(f"{dtype}-mask", "Hashing", (9,), case=types, num_bins=5, mask_value=mask)
    one(f"{dtype}-one-bin", "Hashing", (9,), case=types, num_bins=1, mask_value=mask)
    one(f"{dtype}-salt", "Hashing", (9,), case=types, num_bins=50, salt=137)
    one(f"{dtype}-salts", "Hashing", (9,), case=types, num_bins=50, salt=[137, 1 << 60], mask_value=mask)
    one(f"{dtype}-one_hot", "Hashing", (1,), case=types, num_bins=5, output_mode="one_hot")
    one(f"{dtype}-one_hot-rank-1", "Hashing", (), case=types, num_bins=5, output_mode="one_hot")
    one(f"{dtype}-multi_hot", "Hashing", (9,), case=types, num_bins=5, output_mode="multi_hot")
    one(f"{dtype}-count", "Hashing", (9,), case=types, num_bins=5, output_mode="count")
one("floats", "Hashing", (9,), kerases=("keras3",), num_bins=5)
one(
    "int32",
    "Hashing",
    (9,),
    case={"dtypes": ("int32",), "draw": lambda r, shape: r.integers(-99, 99, shape)},
    num_bins=5,
)
for shape in ((), (1,)):
    for mode in ("int", "one_hot"):
        what = f"{mode}-rank-{1 + len(shape)}"
        options = {"num_bins": 50, "output_mode": mode}
        one(f"{what}-two", "HashedCrossing", shape, shape, case={"dtypes": ("string", "int64")}, **options)
        types = {"dtypes": ("int64", "string", "int64")}  # in Keras 3 two inputs only
        one(f"{what}-three", "HashedCrossing", *[shape] * 3, case=types, kerases=("keras2",), **options)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_hashing_agrees(case, name, source):
    check(case, name, source)


def test_the_hash_functions_are_tensorflows_for_every_length():
    random = np.random.default_rng(0)
    texts = [random.bytes(size) for size in [*range(140), 255, 256, 257, 4096, 4097]]
    found = tf.strings.to_hash_bucket_fast(texts, BUCKETS).numpy()
    np.testing.assert_array_equal([fingerprint64(text) % BUCKETS for text in texts], found)
    for key in ((0, 0), (137, -137), ((1 << 63) - 1, -(1 << 63))):
        found = tf.strings.to_hash_bucket_strong(texts, BUCKETS, key).numpy()
        np.testing.assert_array_equal([siphash(text, key) % BUCKETS for text in texts], found)


def test_crosses_are_tensorflows():
    random = np.random.default_rng(1)
    texts, numbers = [random.bytes(5) for _ in range(20)], random.integers(-(1 << 62), 1 << 62, 20)
    columns = [tf.constant(texts)[:, None], tf.constant(numbers)[:, None]]
    found = tf.sparse.to_dense(tf.sparse.cross_hashed(columns, BUCKETS)).numpy().ravel()
    pairs = zip(texts, numbers.tolist(), strict=True)
    np.testing.assert_array_equal([cross((fingerprint64(text), n)) % BUCKETS for text, n in pairs], found)
