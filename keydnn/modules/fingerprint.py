"""The hash functions by which TensorFlow puts text into buckets: FarmHash's Fingerprint64 and SipHash-2-4.

Written from their definitions, on Python's integers modulo 2**64; there is no kernel.  A word takes a few microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable

M = (1 << 64) - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
CAT = 0xC6A4A7935BD1E995
CROSS_KEY = 0xDECAFCAFFE  # what tf.sparse.cross_hashed starts from


def _u64(text: bytes, place: int) -> int:
    return int.from_bytes(text[place : place + 8], "little")


def _u32(text: bytes, place: int) -> int:
    return int.from_bytes(text[place : place + 4], "little")


def _rotate(value: int, shift: int) -> int:
    """Rotate right."""
    return (value >> shift | value << (64 - shift)) & M


def _mix(value: int) -> int:
    return value ^ (value >> 47)


def _len16(u: int, v: int, mul: int) -> int:
    a = _mix((u ^ v) * mul & M)
    return _mix((v ^ a) * mul & M) * mul & M


def fingerprint64(text: bytes) -> int:
    """Give FarmHash's Fingerprint64, which is ``farmhashna::Hash64``: what ``tf.strings.to_hash_bucket_fast`` takes."""
    size = len(text)
    if size <= 16:
        return _up_to_16(text, size)
    if size <= 32:
        return _17_to_32(text, size)
    if size <= 64:
        return _33_to_64(text, size)
    return _long(text, size)


def _up_to_16(text: bytes, size: int) -> int:
    if size >= 8:
        mul = K2 + size * 2
        a, b = (_u64(text, 0) + K2) & M, _u64(text, size - 8)
        c, d = (_rotate(b, 37) * mul + a) & M, (_rotate(a, 25) + b) * mul & M
        return _len16(c, d, mul)
    if size >= 4:
        return _len16(size + (_u32(text, 0) << 3), _u32(text, size - 4), K2 + size * 2)
    if size:
        y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
        return _mix(y * K2 & M ^ z * K0 & M) * K2 & M
    return K2


def _17_to_32(text: bytes, size: int) -> int:
    mul = K2 + size * 2
    a, b = _u64(text, 0) * K1 & M, _u64(text, 8)
    c, d = _u64(text, size - 8) * mul & M, _u64(text, size - 16) * K2 & M
    first = _rotate((a + b) & M, 43) + _rotate(c, 30) + d
    return _len16(first & M, (a + _rotate((b + K2) & M, 18) + c) & M, mul)


def _33_to_64(text: bytes, size: int) -> int:
    mul = K2 + size * 2
    a, b = _u64(text, 0) * K2 & M, _u64(text, 8)
    c, d = _u64(text, size - 8) * mul & M, _u64(text, size - 16) * K2 & M
    y = (_rotate((a + b) & M, 43) + _rotate(c, 30) + d) & M
    z = _len16(y, (a + _rotate((b + K2) & M, 18) + c) & M, mul)
    e, f = _u64(text, 16) * mul & M, _u64(text, 24)
    g, h = (y + _u64(text, size - 32)) * mul & M, (z + _u64(text, size - 24)) * mul & M
    first = _rotate((e + f) & M, 43) + _rotate(g, 30) + h
    return _len16(first & M, (e + _rotate((f + a) & M, 18) + g) & M, mul)


def _weak32(text: bytes, place: int, a: int, b: int) -> tuple[int, int]:
    """Hash 32 bytes with two seeds."""
    w, x, y, z = (_u64(text, place + 8 * step) for step in range(4))
    a = a + w & M
    b = _rotate((b + a + z) & M, 21)
    c = a
    a = (a + x + y) & M
    b = b + _rotate(a, 44) & M
    return (a + z) & M, (b + c) & M


def _long(text: bytes, size: int) -> int:
    seed = 81
    x = (seed * K2 + _u64(text, 0)) & M
    y = (seed * K1 + 113) & M
    z = _mix((y * K2 + 113) & M) * K2 & M
    v, w = (0, 0), (0, 0)
    end = (size - 1) // 64 * 64
    last = size - 64
    for at in range(0, end, 64):
        x = _rotate((x + y + v[0] + _u64(text, at + 8)) & M, 37) * K1 & M
        y = _rotate((y + v[1] + _u64(text, at + 48)) & M, 42) * K1 & M
        x ^= w[1]
        y = (y + v[0] + _u64(text, at + 40)) & M
        z = _rotate((z + w[0]) & M, 33) * K1 & M
        v = _weak32(text, at, v[1] * K1 & M, (x + w[0]) & M)
        w = _weak32(text, at + 32, (z + w[1]) & M, (y + _u64(text, at + 16)) & M)
        z, x = x, z
    mul = (K1 + ((z & 0xFF) << 1)) & M
    w = ((w[0] + ((size - 1) & 63)) & M, w[1])
    v = ((v[0] + w[0]) & M, v[1])
    w = ((w[0] + v[0]) & M, w[1])
    x = _rotate((x + y + v[0] + _u64(text, last + 8)) & M, 37) * mul & M
    y = _rotate((y + v[1] + _u64(text, last + 48)) & M, 42) * mul & M
    x ^= w[1] * 9 & M
    y = (y + v[0] * 9 + _u64(text, last + 40)) & M
    z = _rotate((z + w[0]) & M, 33) * mul & M
    v = _weak32(text, last, v[1] * mul & M, (x + w[0]) & M)
    w = _weak32(text, last + 32, (z + w[1]) & M, (y + _u64(text, last + 16)) & M)
    z, x = x, z
    first = (_len16(v[0], w[0], mul) + _mix(y) * K0 + z) & M
    return _len16(first, (_len16(v[1], w[1], mul) + x) & M, mul)


def siphash(text: bytes, key: tuple[int, int]) -> int:
    """Give SipHash-2-4 under a key of two 64-bit numbers: what ``tf.strings.to_hash_bucket_strong`` takes."""
    k0, k1 = key[0] & M, key[1] & M
    state = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)
    whole = len(text) // 8 * 8
    for at in range(0, whole, 8):
        state = _absorb(state, _u64(text, at))
    state = _absorb(state, int.from_bytes(text[whole:], "little") | (len(text) & 0xFF) << 56)
    a, b, c, d = state
    state = (a, b, c ^ 0xFF, d)
    for _ in range(4):
        state = _round(*state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _absorb(state: tuple[int, int, int, int], word: int) -> tuple[int, int, int, int]:
    a, b, c, d = state
    a, b, c, d = _round(*_round(a, b, c, d ^ word))
    return a ^ word, b, c, d


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a, c = (a + b) & M, (c + d) & M
    b, d = _rotate(b, 51) ^ a, _rotate(d, 48) ^ c
    a, c = (_rotate(a, 32) + d) & M, (c + b) & M
    b, d = _rotate(b, 47) ^ c, _rotate(d, 43) ^ a
    return a, b, _rotate(c, 32), d


def cross(fingerprints: Iterable[int]) -> int:
    """Give the fingerprint of several in order, as ``tf.sparse.cross_hashed`` does."""
    result = CROSS_KEY
    for other in fingerprints:
        result ^= CAT ^ _mix((other & M) * CAT & M) * CAT & M
        result = _mix(_mix(result * CAT & M) * CAT & M)
    return result
