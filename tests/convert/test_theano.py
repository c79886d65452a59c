"""What Keras 1 and 2 computed otherwise on Theano: mirrored kernels, and padding that begins in front."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.convert import files

RANDOM = np.random.default_rng(8)


def numbers(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def theano_convolution(x, kernel, stride, padding):
    """Compute what Theano does on the last axis of (N, in, T): the kernel is mirrored, ``half`` pads on both sides."""
    length = kernel.shape[0]
    padded = np.pad(x, ((0, 0), (0, 0), (length // 2, length // 2))) if padding == "same" else x
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=2)[:, :, ::stride]
    found = np.einsum("nctk,kco->not", windows, kernel[::-1])
    return found[:, :, : -(-x.shape[2] // stride)] if padding == "same" else found


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("length", [2, 3, 4])
def test_theanos_kernels_are_mirrored_and_its_padding_begins_in_front(tmp_path, length, stride, padding):
    """Files of Keras 2 say the backend; in Keras 1, Theano's weights have no ``:0``."""
    kernel = numbers(length, 1, 4, 5)
    old = {"nb_filter": 5, "filter_length": length, "border_mode": padding, "subsample_length": stride, "bias": False}
    new = {"filters": 5, "kernel_size": [length], "padding": padding, "strides": [stride], "use_bias": False}
    shape = {"name": "c", "batch_input_shape": [None, 11, 4]}
    entry = {"class_name": "Sequential", "config": [{"class_name": "Convolution1D", "config": {**shape, **old}}]}
    one = files.write_h5(tmp_path / "1.h5", entry, {"c": {"c_W": kernel}}, "1.2.2")
    entry = {"class_name": "Sequential", "config": [{"class_name": "Conv1D", "config": {**shape, **new}}]}
    two = files.write_h5(tmp_path / "2.h5", entry, {"c": {"kernel": kernel[:, 0]}}, "2.1.3")
    with h5py.File(two, "a") as file:
        file.attrs["backend"] = "theano"
    x = numbers(2, 11, 4)
    wanted = theano_convolution(x.transpose(0, 2, 1), kernel[:, 0], stride, padding).transpose(0, 2, 1)
    for path in (one, two):
        np.testing.assert_allclose(from_keras(path, strict=False).predict(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "stride", "refused"),
    [(1, 1, False), (1, 2, False), (3, 1, False), (2, 1, True), (3, 2, True), (5, 1, True), (2, 2, True)],
)
def test_padded_pooling_that_theano_lays_otherwise_is_refused(tmp_path, pool, stride, refused):
    layer = ("MaxPooling1D", {"name": "p", "pool_size": [pool], "strides": [stride], "padding": "same"})
    path = files.write_h5(tmp_path / "m.h5", files.sequential(layer, shape=(None, 9, 4)), {"p": {}}, "2.1.3")
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = "theano"
    if refused:
        with pytest.raises(KerasInteropError, match="padding='same' on Theano"):
            from_keras(path, strict=False)
    else:
        assert from_keras(path, strict=False).predict(numbers(2, 9, 4)).shape == (2, -(-9 // stride), 4)
