"""How ``keydnn/data/digits.h5`` and ``digits_test.npz`` were made: real Keras, scikit-learn's bundled digits.

Run with the ``parity`` extra installed: ``python tests/golden/train_digits.py``.  The test set is
the last 360 of the 1,797 digits, written by other people than the first ones, so the accuracy is an honest one.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

DATA = Path(__file__).parents[2] / "keydnn" / "data"
TEST = 360


def main() -> None:
    """Train, save, and say how good the model is."""
    keras.utils.set_random_seed(7)
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[..., None]
    labels = digits.target.astype(np.uint8)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="digit"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1"),
            layers.BatchNormalization(name="norm1"),
            layers.ReLU(name="relu1"),
            layers.SeparableConv2D(24, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool"),
            layers.Dropout(0.25, name="drop"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, activation="softmax", name="classes"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:-TEST], labels[:-TEST], epochs=60, batch_size=32, verbose=0)
    scores = model.predict(images[-TEST:], verbose=0)
    model.save(DATA / "digits.h5", include_optimizer=False)
    np.savez_compressed(DATA / "digits_test.npz", images=images[-TEST:], labels=labels[-TEST:], keras=scores)
    right = int((scores.argmax(1) == labels[-TEST:]).sum())
    print(f"{right} of {TEST} right, keras {keras.__version__}, {(DATA / 'digits.h5').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
