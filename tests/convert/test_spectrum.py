"""MelSpectrogram's numbers against NumPy's Fourier transform, and its options that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from keydnn.convert.build.spectrum import fourier, mel_of, mel_table, window_of
from tests.convert.files import keras3_sequential, write_h5


@pytest.mark.parametrize(("length", "whole"), [(8, 8), (5, 8), (7, 9), (1, 4)])
@pytest.mark.parametrize("kind", ["hann", "hamming", None])
def test_the_kernels_are_the_fourier_transform_of_what_the_window_leaves(kind, length, whole):
    window, samples = window_of(kind, length), np.random.default_rng(0).standard_normal(whole)
    before = (whole - length) // 2
    wanted = np.fft.rfft(samples * np.pad(window, (before, whole - length - before)))
    real, imaginary = fourier(window, whole)
    np.testing.assert_allclose(real @ samples + 1j * (imaginary @ samples), wanted, atol=1e-12)


def test_bands_rise_and_fall_in_mels_and_leave_nothing_between_them():
    table = mel_table(2049, 6, 8000, 100.0, 3000.0)
    mels = mel_of(np.linspace(0, 4000, 2049))
    centers = np.linspace(*mel_of(np.array([100.0, 3000.0])), 8)
    between = (mels >= centers[1]) & (mels <= centers[-2])
    np.testing.assert_allclose(table[:, between].sum(0), 1, atol=1e-12)
    np.testing.assert_array_equal(table.argmax(1), [abs(mels - center).argmin() for center in centers[1:-1]])
    assert not table[:, (mels <= centers[0]) | (mels >= centers[-1])].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "the loudest of the batch; use power_to_db=False"),
        ({"power_to_db": False, "window": [1.0]}, "only 'hann', 'hamming'"),
        ({"power_to_db": False, "fft_length": 8, "sequence_length": 9}, "sequence_length=9"),
        ({"power_to_db": False, "min_freq": 9000.0}, "min_freq=9000 and max_freq=8000 do not fit"),
    ],
)
def test_spectrograms_that_are_refused(tmp_path, options, words):
    config = keras3_sequential(("MelSpectrogram", {"name": "layer", **options}), shape=(None, 4000))
    with pytest.raises(KerasInteropError, match=words):
        from_keras(write_h5(tmp_path / "m.h5", config, {"layer": {}}, "3.10.0"), strict=False)
