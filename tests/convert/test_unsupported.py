"""Classes that are refused say why, and what to do instead."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.convert.build import BUILDERS
from keydnn.convert.build.unsupported import REASONS
from keydnn.errors import KerasInteropError
from tests.convert.files import sequential, write_h5

CONFIGS = {"TFSMLayer": {"filepath": "m"}, "DenseFeatures": {"feature_columns": []}}


@pytest.mark.parametrize("class_name", sorted(REASONS))
def test_a_class_that_is_refused_says_why(class_name, tmp_path):
    config = {"name": "layer", "trainable": True, **CONFIGS.get(class_name, {})}
    path = write_h5(tmp_path / "m.h5", sequential((class_name, config)), {"layer": {}})
    with pytest.raises(KerasInteropError, match=f"^Unsupported Keras layer: {class_name}") as caught:
        from_keras(path, strict=False)
    (obstacle,) = caught.value.obstacles
    assert obstacle.found == REASONS[class_name]
    assert obstacle.switch is None


def test_no_class_is_both_built_and_refused():
    assert not set(REASONS) & set(BUILDERS)


@pytest.mark.parametrize("axis", [0, -2])
@pytest.mark.parametrize(
    "class_name",
    ["BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization", "RMSNormalization", "Softmax",
     "UnitNormalization"],
)  # fmt: skip
def test_the_batch_is_no_axis_of_a_layer(class_name, axis, tmp_path):
    config = {"name": "layer", "trainable": True, "axis": axis}
    path = write_h5(tmp_path / "m.h5", sequential((class_name, config)), {"layer": {}}, version="3.12.0")
    with pytest.raises(KerasInteropError, match=f"^Unsupported Keras layer: {class_name} with axis={axis}") as caught:
        from_keras(path, strict=False)
    assert "without the batch" in caught.value.obstacles[0].found


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        pytest.param({"value": ["4wEAAA==", None, None]}, "Python code in the file, never run", id="code"),
        pytest.param(
            {"class_name": "__lambda__", "config": {"value": ["4wEAAA==", None, None]}},
            "never run",
            id="code-as-object",
        ),
        pytest.param(
            {"module": "builtins", "class_name": "function", "config": "my", "registered_name": "function"},
            "a function that KeyDNN does not know",
            id="function-of-ones-own",
        ),
        pytest.param(
            {"module": "builtins", "class_name": "function", "config": "pkg>gelu", "registered_name": "function"},
            "a function that KeyDNN does not know",
            id="registered-function",
        ),
    ],
)
@pytest.mark.parametrize("layer", [("Activation", {}), ("Dense", {"units": 3})], ids=["Activation", "Dense"])
def test_functions_of_ones_own_are_refused(layer, activation, words, tmp_path):
    class_name, options = layer
    config = {"name": "layer", "trainable": True, "activation": activation, **options}
    weights = {"kernel:0": np.zeros((4, 3), np.float32), "bias:0": np.zeros(3, np.float32)} if options else {}
    path = write_h5(tmp_path / "m.h5", sequential((class_name, config)), {"layer": weights})
    with pytest.raises(KerasInteropError) as caught:
        from_keras(path, strict=False)
    assert [obstacle for obstacle in caught.value.obstacles if words in obstacle.found]
