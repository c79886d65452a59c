"""MelSpectrogram: its table of bands against Keras' own, and all else with that table in its place."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from keydnn.convert.build import conv
from keydnn.convert.build.spectrum import mel_of, mel_table
from tests.parity import cases
from tests.parity.kerases import Case, check, keras, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES, kerases=("keras3",), power_to_db=False)
SMALL = {"fft_length": 64, "sequence_stride": 16, "num_mel_bins": 8, "sampling_rate": 8000}
one("plain", "MelSpectrogram", (200,), **SMALL)
one("free", "MelSpectrogram", (None,), fft_length=8, sequence_stride=2, num_mel_bins=3, sampling_rate=8000)
one("magnitude", "MelSpectrogram", (200,), mag_exp=1.0, **SMALL)
one("another-power", "MelSpectrogram", (200,), mag_exp=1.5, **SMALL)
one("short-window", "MelSpectrogram", (200,), sequence_length=41, **SMALL)
one("hamming", "MelSpectrogram", (200,), sequence_length=40, window="hamming", **SMALL)
one("no-window", "MelSpectrogram", (150,), window=None, **SMALL)
one("frequencies", "MelSpectrogram", (150,), min_freq=100.0, max_freq=3000.0, **SMALL)
one("odd", "MelSpectrogram", (150,), fft_length=63, sequence_stride=17, num_mel_bins=5)


def table_of(bins, mels, rate, lowest, highest):
    layer = keras.layers.MelSpectrogram()
    return np.asarray(layer.linear_to_mel_weight_matrix(mels, bins, rate, lowest, highest)).T


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_spectrograms_agree_by_the_table_of_keras(case, name, source, monkeypatch):
    monkeypatch.setattr(conv, "mel_table", table_of)
    check(case, name, source)


@pytest.mark.parametrize(
    "arguments", [(33, 8, 8000, 20.0, 4000.0), (1025, 128, 16000, 20.0, 8000.0), (257, 40, 22050, 0.0, 3800.0)], ids=str
)
def test_the_table_is_that_of_keras(arguments):
    """Keras works it out in float32, from differences of numbers that are large beside them.

    A frequency, its quotient, the sum with 1 and the product are rounded, the logarithm twice as much; the edges by
    three roundings more.  A slope has such an error in both numbers of either difference.
    """
    _, mels, rate, lowest, highest = arguments
    largest = mel_of(np.float64(max(highest, rate / 2)))
    one = 2.0**-24 * (1127.0 * 5 + 7 * largest)
    width = (mel_of(np.float64(highest)) - mel_of(np.float64(lowest))) / (mels + 1)
    bound = 4.1 * one / width + 2.0**-22
    assert bound < 1e-3
    np.testing.assert_allclose(mel_table(*arguments), table_of(*arguments), rtol=0, atol=bound)


def test_decibels_are_refused():
    model = keras.Sequential([keras.Input((200,)), keras.layers.MelSpectrogram(**SMALL)])
    with pytest.raises(KerasInteropError, match=re.escape("the loudest of the batch; use power_to_db=False")):
        from_keras(model, strict=False)
