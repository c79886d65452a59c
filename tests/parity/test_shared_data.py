"""The real ResNet8 on real images: tf-keras' answer on every one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.evaluate import evaluate
from tests.parity.kerases import KERASES, quiet

pytestmark = pytest.mark.parity

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_resnet8_gives_kerases_answer_on_every_image():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: real files are not compared")
    path = DATA / "models" / "pretrainedResnet.h5"
    with np.load(DATA / "cifar10_test_846.npz", allow_pickle=False) as images:
        x, labels = images["images"].astype(np.float32), images["labels"]
    with quiet():
        wanted = KERASES["keras2"].models.load_model(path, compile=False).predict(x, verbose=0)
    model = from_keras(path, strict=False)
    found = model.predict(x)
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    judged = evaluate(model, [x], labels, wanted)
    assert judged.classified.right == judged.agreement.source_right == 742
    assert judged.agreement.same == len(x) == 846
