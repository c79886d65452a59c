"""The demonstration: the bundled digits model, converted, run on the bundled test digits, and timed."""

from __future__ import annotations

import statistics
import tempfile
import time
from importlib import resources
from pathlib import Path

import numpy as np

from keydnn.model import Model, from_keras, load
from keydnn.profile import measure_plan, plan_latency_table

SHADES = " .:-=+*#%@"
SHOWN = 6


def digits() -> Model:
    """Convert the bundled digits model."""
    with resources.as_file(resources.files("keydnn") / "data" / "digits.h5") as source:
        return from_keras(source, strict=False)


def show() -> None:
    """Print what happens, step by step."""
    data = resources.files("keydnn") / "data"
    with resources.as_file(data / "digits.h5") as source, tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "digits.json"
        from_keras(source, strict=False).save(checkpoint)
        print(
            f"converted {source.name} ({source.stat().st_size:,} bytes, written by Keras) "
            f"into {checkpoint.name}, without Keras\n"
        )
        model = load(checkpoint)
    print(model.summary())
    with resources.as_file(data / "digits_test.npz") as path, np.load(path, allow_pickle=False) as test:
        images, labels, keras = test["images"], test["labels"], test["keras"]

    start = time.perf_counter()
    first = np.asarray(model(images[:1]))
    compiled = time.perf_counter() - start
    scores = np.asarray(model.predict(images))
    answers = scores.argmax(axis=1)

    print(f"\nfirst answer after {compiled:.2f} s (kernels compiled, or loaded from the cache): {first.argmax()}\n")
    print(draw(images[:SHOWN]))
    print(
        "  ".join(
            f"{answer} ({score.max():.0%})".ljust(16) for answer, score in zip(answers[:SHOWN], scores, strict=False)
        )
    )
    right = int((answers == labels).sum())
    same = int((answers == keras.argmax(axis=1)).sum())
    worst = np.abs(scores - keras).max()
    print(f"\naccuracy: {right} of {len(labels)} right ({right / len(labels):.1%})")
    print(f"agreement with Keras: {same} of {len(labels)} the same answer, largest difference of a score {worst:.1e}\n")
    taken = []
    for _ in range(200):
        start = time.perf_counter()
        model.predict(images[:1])
        taken.append(time.perf_counter() - start)
    print(f"one digit by model.predict, which fuses modules: {statistics.median(taken) * 1e3:.3f} ms\n")
    print(plan_latency_table("one digit, operation by operation", measure_plan(model.graph, [images[:1]], repeat=50)))


def draw(images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    """Draw images (N, 8, 8, 1) with values in 0..1 side by side, two characters a pixel."""
    levels = np.clip(images[..., 0] * (len(SHADES) - 1), 0, len(SHADES) - 1).round().astype(int)
    rows = []
    for row in range(images.shape[1]):
        rows.append("  ".join("".join(SHADES[level] * 2 for level in digit[row]) for digit in levels))
    return "\n".join(rows)
