"""Every architecture of ``keras.applications`` against Keras: ``python perf/zoo.py [--models a,b] [--markdown]``.

Each is made with seeded random weights and calibrated statistics, written as ``.h5`` and as ``.keras``, converted and
run from both; its outputs (logits) are compared with Keras' own.  Keras and KeyDNN run in processes of their own, one
model at a time, and nothing is kept, so that the largest need 8 GB of memory and 3 GB of disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import fire
import numpy as np
from models import QUIET, fill_statistics, names_of

LIMIT = 1e-5  # of the largest output
BATCH = 2
PIXELS = 224  # height and width where a model leaves them free
FORMATS = ("h5", "keras")
ARCHITECTURES = (
    "ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge", "DenseNet121", "DenseNet169",
    "DenseNet201", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
    "EfficientNetV2B3", "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "NASNetMobile", "NASNetLarge", "ResNet50",
    "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2", "VGG16", "VGG19", "Xception",
)  # fmt: skip


def make(name: str, library: str, folder: Path) -> None:
    """Make a model in one of the Kerases: its files, inputs and outputs; report what Keras cannot write."""
    keras: Any = __import__(library)
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    x = (
        np.random.default_rng(0)
        .uniform(0, 255, (BATCH, *(size or PIXELS for size in model.input_shape[1:])))
        .astype(np.float32)
    )
    fill_statistics(model)
    np.savez(folder / "reference.npz", x=x, y=calibrate(model, x))
    for kind in FORMATS:
        model.save(folder / f"model.{kind}")


def calibrate(model: Any, x: np.ndarray) -> np.ndarray:
    """Set the statistics of every BatchNormalization from its input; give the outputs, which then depend on the input.

    With other statistics values grow or vanish from block to block; with just these, a deep random network multiplies
    every rounding by hundreds.  So the variances are set to a little more, as much as lets the outputs still differ.
    """
    for layer in model.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    model(x, training=True)
    named = [(weight, weight.name.rpartition("/")[2]) for weight in model.weights]
    variances = [(weight, np.asarray(weight)) for weight, name in named if name.startswith("moving_variance")]
    for factor in (1.4, 1.3, 1.2, 1.1, 1.05, 1.02, 1.0):
        for weight, variance in variances:
            weight.assign(factor * variance)
        y = np.asarray(model(x, training=False))
        if spread(y) > 0.05 or not variances:
            break
    return y


def spread(y: np.ndarray) -> float:
    """Give the largest difference between the examples' outputs, by the largest output."""
    return float(np.ptp(y, axis=0).max() / np.abs(y).max())


def check(folder: Path) -> None:
    """Convert and run what was made; print the figures as JSON: errors and spread by the largest output."""
    import keydnn

    with np.load(folder / "reference.npz") as reference:
        x, y = reference["x"], reference["y"]
    results: dict[str, Any] = {"spread": spread(y)}
    for kind in FORMATS:
        start = time.perf_counter()
        try:
            model = keydnn.from_keras(folder / f"model.{kind}", strict=False)
        except keydnn.KeyDNNError as error:
            results[kind] = str(error).splitlines()[0]
            continue
        seconds = time.perf_counter() - start
        error = float(np.abs(np.asarray(model.predict(x)) - y).max() / np.abs(y).max())
        results[kind] = {"error": error, "seconds": seconds, "nodes": len(model.graph.nodes)}
        results["parameters"] = sum(array.size for array in model.state_dict().values())
    print(json.dumps(results))


def measure(name: str, library: str) -> dict[str, Any]:
    """Give the figures of one architecture, made and checked in processes of their own."""
    folder = Path(tempfile.mkdtemp(prefix="keydnn-zoo-"))
    try:
        for step in ("make", "check"):
            command = [sys.executable, __file__, f"--{step}-one={name}", f"--library={library}", f"--folder={folder}"]
            done = subprocess.run(command, check=False, env={**os.environ, **QUIET}, capture_output=True, text=True)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
                return dict.fromkeys(FORMATS, f"{step} ended with {done.returncode}: {reason}")
        figures: dict[str, Any] = json.loads(done.stdout)
        return figures
    finally:
        shutil.rmtree(folder)


def row_of(name: str, figures: dict[str, Any]) -> list[str]:
    """Give a row of the table."""
    cells = [name, f"{figures.get('parameters', 0) / 1e6:.1f}", f"{figures.get('spread', 0):.2f}"]
    for kind in FORMATS:
        found = figures[kind]
        cells.append(f"{found['error']:.1e}" if isinstance(found, dict) else str(found))
    return cells


def main(
    models: str | Sequence[str] | None = None,
    library: str = "keras",
    markdown: bool = False,
    make_one: str | None = None,
    check_one: str | None = None,
    folder: str = "",
) -> None:
    """Print the table; the exit status is 1 unless every model is within 1e-5 of its largest output.

    Args:
        models: names separated by commas; all unless given
        library: keras or tf_keras
        markdown: print the table as docs/applications.md has it
        make_one: make this one in this process (that is how the others are made)
        check_one: check this one in this process
        folder: where the files of the one are
    """
    if make_one:
        make(make_one, library, Path(folder))
        return
    if check_one:
        check(Path(folder))
        return
    right = 0
    rows = []
    names = names_of(models, ARCHITECTURES)
    for name in names:
        figures = measure(name, library)
        right += all(isinstance(figures[kind], dict) and figures[kind]["error"] <= LIMIT for kind in FORMATS)
        rows.append(row_of(name, figures))
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    columns = [
        ("architecture", "left"),
        ("parameters, millions", "right"),
        ("spread", "right"),
        *((f".{kind}", "right") for kind in FORMATS),
    ]
    if markdown:
        lines = [
            [heading for heading, _ in columns],
            ["---" if side == "left" else "---:" for _, side in columns],
            *rows,
        ]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        from keydnn.report.tables import table_text

        print(table_text("Largest difference to Keras, by the largest output", columns, rows))
    print(f"\n{right} of {len(names)} within {LIMIT} from both files")
    sys.exit(0 if right == len(names) else 1)


if __name__ == "__main__":
    fire.Fire(main)
