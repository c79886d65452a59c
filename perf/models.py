"""The models that are raced: Keras file, ONNX file, seeded inputs, Keras' own outputs; made once, kept in a folder.

``python perf/models.py [--folder .perf-cache] [--models a,b]`` makes them and lists them.  Making a model loads
TensorFlow, so that :func:`prepare` does it in a process of its own: nothing of it is left in the process that measures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fire
import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data" / "models"
FOLDER = ".perf-cache"
EXAMPLES = 32
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "1"}


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes
    ----------
    source
        A Keras 2 file, the name of a class in ``keras.applications``, or ``"mlp"``.
    pixels
        Inputs are uniform between 0 and this; None: they are normal.
    """

    source: Path | str
    pixels: float | None = None


RECIPES = {
    "resnet8": Recipe(SHARED / "pretrainedResnet.h5", pixels=255.0),
    "vww": Recipe(SHARED / "vww_96.h5", pixels=1.0),
    "ad01": Recipe(SHARED / "ad01.h5"),
    "mlp": Recipe("mlp"),
    "mobilenetv2": Recipe("MobileNetV2"),
    "efficientnetb0": Recipe("EfficientNetB0"),
    "densenet121": Recipe("DenseNet121"),
    "resnet50": Recipe("ResNet50"),
    "vgg16": Recipe("VGG16"),
}
SPARE = {"digits": Recipe(ROOT / "keydnn" / "data" / "digits.h5", pixels=1.0)}  # where the shared files are not there


@dataclass(frozen=True)
class Made:
    """The files of one model.

    Attributes
    ----------
    name
        Its name in :data:`RECIPES`.
    folder
        Where they are.
    """

    name: str
    folder: Path

    @property
    def keras_file(self) -> Path:
        """Give the .h5 or .keras file."""
        h5 = self.folder / "model.h5"
        return h5 if h5.exists() else self.folder / "model.keras"

    @property
    def onnx_file(self) -> Path:
        """Give the .onnx file, made from the Keras file's model."""
        return self.folder / "model.onnx"

    def examples(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Give ``batch`` inputs and what Keras answers; they repeat beyond :data:`EXAMPLES`."""
        which = np.arange(batch) % EXAMPLES
        return np.load(self.folder / "x.npy")[which], np.load(self.folder / "y.npy")[which]


def names_of(value: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Read a list of names as Fire gives it: ``"a,b"`` may come as a text or a tuple."""
    if value is None:
        return list(known)
    names = value.split(",") if isinstance(value, str) else list(map(str, value))
    names = [name.strip() for name in names if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no such model: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def prepare(names: Sequence[str], folder: str | Path = FOLDER) -> list[Made]:
    """Make what is not there yet; a model that cannot be made is left out with a message."""
    made = []
    for name in names:
        source = (RECIPES | SPARE)[name].source
        if isinstance(source, Path) and not source.exists():
            print(f"{name}: left out, {source} is not there", file=sys.stderr)
            continue
        target = Path(folder).resolve() / name
        if not target.exists():
            print(f"{name}: being made in {target}", file=sys.stderr)
            command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
            done = subprocess.run(command, check=False, env={**os.environ, **QUIET}, capture_output=True, text=True)
            if done.returncode:
                print(
                    f"{name}: left out, making it ended with {done.returncode}:\n{done.stderr[-1500:]}", file=sys.stderr
                )
                continue
        made.append(Made(name, target))
    return made


def make(name: str, folder: str | Path) -> None:
    """Make one model (needs Keras, TensorFlow and tf2onnx); the folder appears when all of it is there."""
    target = Path(folder).resolve() / name
    work = target.with_name(f"{name}.{os.getpid()}.part")
    work.mkdir(parents=True)
    try:
        recipe = (RECIPES | SPARE)[name]
        model = read_keras(recipe.source) if isinstance(recipe.source, Path) else build(recipe.source)
        random = np.random.default_rng(0)
        shape = (EXAMPLES, *model.input_shape[1:])
        drawn = random.normal(size=shape) if recipe.pixels is None else random.uniform(0, recipe.pixels, shape)
        x = drawn.astype(np.float32)
        np.save(work / "x.npy", x)
        np.save(work / "y.npy", np.asarray(model.predict(x, batch_size=8, verbose=0)))
        if isinstance(recipe.source, Path):
            shutil.copyfile(recipe.source, work / "model.h5")
        else:
            model.save(work / "model.keras")
        if type(model).__module__.startswith("tf_keras"):
            import tf2onnx

            tf2onnx.convert.from_keras(model, output_path=str(work / "model.onnx"))
        else:
            model.export(str(work / "model.onnx"), format="onnx", verbose=False)
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_keras(path: str | Path) -> Any:
    """Open a file with the Keras that wrote it: tf-keras stands for Keras 2."""
    if Path(path).suffix == ".h5" and not h5py.File(path).attrs["keras_version"].startswith("3"):
        import tf_keras as keras
    else:
        import keras
    return keras.models.load_model(path, compile=False)


def build(source: str | Literal["mlp"]) -> Any:
    """Build a model with seeded random weights, statistics of BatchNormalization included."""
    import keras

    keras.utils.set_random_seed(0)
    if source == "mlp":
        layers = [keras.layers.Dense(64, activation="relu") for _ in range(10)]
        model = keras.Sequential([keras.Input((64,)), *layers])
    else:
        # Logits: a softmax over a thousand nearly equal numbers would hide errors.
        # VGG16 without its dense layers: 500 MB of weights that no tool here exports in reasonable memory.
        top = {"include_top": False, "pooling": "avg", "input_shape": (224, 224, 3)} if source == "VGG16" else {}
        model = getattr(keras.applications, source)(weights=None, **(top or {"classifier_activation": None}))
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # export wants a model that was called
    fill_statistics(model)
    if source == "EfficientNetB0":  # without its Rescaling and Normalization, which Keras exports to no valid ONNX file
        model = keras.Model(model.get_layer("stem_conv_pad").input, model.output, name=model.name)
        model(np.zeros((1, *model.input_shape[1:]), np.float32))
    return model


def fill_statistics(model: Any) -> None:
    """Draw what Keras starts at 0 and 1, so that nothing in a model is without effect: statistics, scales, offsets."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        name = weight.name.rsplit("/", 1)[-1].partition(":")[0]
        if name in ("gamma", "moving_variance", "variable"):  # LayerScale of ConvNeXt does not name its own
            weight.assign(random.uniform(0.8, 1.2, weight.shape))
        elif name in ("beta", "bias", "moving_mean"):
            weight.assign(random.normal(0, 0.1, weight.shape))


def main(folder: str = FOLDER, models: str | None = None, one: str | None = None) -> None:
    """Make models, if they are not there yet.

    Args:
        folder: where they are kept
        models: names, comma-separated; all unless given
        one: make this one in this process (that is how the others are made)
    """
    if one:
        make(one, folder)
        return
    for made in prepare(names_of(models, [*RECIPES, *SPARE]), folder):
        print(f"{made.name}: {made.folder}, {made.keras_file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    fire.Fire(main)
