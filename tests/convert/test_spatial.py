"""Options of convolutions, pools and their kin as old files have them, and those that are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from tests.convert import files

WINDOW = {"name": "c", "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_first"}
LOCAL = {**WINDOW, "filters": 2, "activation": "linear", "use_bias": False}


def refusal(path, layer, shape, version="2.4.0"):
    """Give what stands in the way of a model of one layer without weights."""
    config = files.sequential(layer, shape=shape)
    with pytest.raises(KerasInteropError) as caught:
        from_keras(files.write_h5(path / "m.h5", config, {"c": {}}, version), strict=False)
    (obstacle,) = caught.value.obstacles
    return obstacle.found


def test_depthwise_files_of_keras_2_with_groups_and_filters_open(tmp_path):
    kernel = np.random.default_rng(0).standard_normal((3, 3, 2, 1)).astype(np.float32)
    config = {**WINDOW, "groups": 1, "filters": None, "depth_multiplier": 1, "use_bias": False, "activation": "linear"}
    model = files.sequential(("DepthwiseConv2D", config), shape=(None, 2, 5, 5))
    path = files.write_h5(tmp_path / "m.h5", model, {"c": {"depthwise_kernel:0": kernel}})
    x = np.random.default_rng(1).standard_normal((1, 2, 3, 3)).astype(np.float32)
    wanted = np.einsum("nchw,hwc->nc", x, kernel[..., 0])
    np.testing.assert_allclose(from_keras(path)(np.pad(x, [(0, 0), (0, 0), (0, 2), (0, 2)]))[..., 0, 0], wanted, 1e-5)


IMAGE = (None, 2, 5, 5)
REFUSED = {
    "groups": ("DepthwiseConv2D", {**WINDOW, "groups": 2}, IMAGE, "groups=2"),
    "full": ("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "full"}, (None, 5, 2), "padding"),
    "cubic": ("UpSampling2D", {"size": 2, "interpolation": "cubic"}, IMAGE, "interpolation"),
    "fraction": ("UpSampling2D", {"size": 2.5}, IMAGE, "size"),
    "padding-of-three": ("ZeroPadding1D", {"padding": [1, 2, 3]}, (None, 4, 2), "padding"),
    "one-pair": ("Cropping3D", {"cropping": [[1, 1]]}, (None, 4, 4, 4, 2), "cropping"),
    "repeat-0": ("RepeatVector", {"n": 0}, (None, 4), "n=0"),
    "one-size": ("AdaptiveMaxPooling2D", {"output_size": [2]}, IMAGE, "output_size"),
    "local-4": ("LocallyConnected2D", {**LOCAL, "implementation": 4}, IMAGE, "implementation=4"),
    "local-same": ("LocallyConnected2D", {**LOCAL, "padding": "same"}, IMAGE, "padding='same'"),
    "local-wide": ("LocallyConnected2D", {**LOCAL, "kernel_size": [6, 1]}, IMAGE, "kernel_size"),
    "local-huge": (
        "LocallyConnected2D", {**LOCAL, "implementation": 3, "kernel_size": [1, 1 << 30]}, (None, 2, 5, 1 << 31),
        "filters=2 (more weights than any memory holds)",
    ),
    "local-free": ("LocallyConnected2D", LOCAL, (None, 2, None, 5), "must be fixed"),
}  # fmt: skip


@pytest.mark.parametrize(("class_name", "config", "shape", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named(tmp_path, class_name, config, shape, words):
    assert words in refusal(tmp_path, (class_name, {"name": "c", **config}), shape)


def test_bilinear_upsampling_before_keras_2_3_is_refused(tmp_path):
    layer = (
        "UpSampling2D",
        {"name": "c", "size": [2, 2], "interpolation": "bilinear", "data_format": "channels_first"},
    )
    assert "before Keras 2.3" in refusal(tmp_path, layer, (None, 1, 2, 2), "2.2.4")
    from_keras(files.write_h5(tmp_path / "m.h5", files.sequential(layer, shape=(None, 1, 2, 2)), {"c": {}}, "2.3.0"))


def test_a_list_that_is_as_long_as_it_must_be_counts_every_kind_of_connection(tmp_path):
    """Implementation 3 stores as many numbers as there are pairs of a place and a cell, whichever are more."""
    for size, kernel, stride in ((5, 3, 1), (4, 7, 1), (7, 2, 3), (3, 6, 2)):
        pairs = sum(
            0 <= place * stride - kernel // 2 + tap < size
            for place in range(-(-size // stride))
            for tap in range(kernel)
        )
        config = {
            **LOCAL, "kernel_size": [kernel], "strides": [stride], "padding": "same", "implementation": 3,
        }  # fmt: skip
        model = files.sequential(("LocallyConnected1D", config), shape=(None, 3, size))
        weights = {"c": {"kernel:0": np.ones(pairs * 3 * 2, np.float32)}}
        found = from_keras(files.write_h5(tmp_path / "m.h5", model, weights))(np.ones((1, 3, size)))
        assert found.sum() == pairs * 3 * 2
