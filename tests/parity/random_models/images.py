"""Steps for images (N, H, W, C)."""

from __future__ import annotations

from tests.parity.random_models import FILTERS_FIRST, grows, step

IMAGE = (4,)
RANDOM = {
    "RandomFlip": (), "RandomRotation": (0.1,), "RandomZoom": (0.1,), "RandomContrast": (0.1,),
    "RandomBrightness": (0.1,), "RandomTranslation": (0.1, 0.2),
}  # fmt: skip


@step("Conv2D", ranks=IMAGE, weight=4)
def conv2d(make, x):
    options = make.format()
    size, stride = make.choose(1, 2, 3), make.choose(1, 1, 2)
    if FILTERS_FIRST in (x.shape[3], (x.shape[3] + 1) // 2):
        return None
    filters = FILTERS_FIRST if options["data_format"] == "channels_first" else make.integer(2, 6)
    layer = make.layers.Conv2D(
        filters, size, stride, padding="same", activation=make.activation(), use_bias=make.chance(0.7), **options
    )
    return make.call(layer, x)


@step("Conv2D", ranks=IMAGE)
def conv2d_with_groups(make, x):
    groups = next((count for count in (4, 3, 2) if x.shape[-1] % count == 0), 1)
    dilation = make.choose(1, 2)
    if min(x.shape[1:3]) < 2 * dilation:
        return None
    return make.call(make.layers.Conv2D(2 * groups, 2, groups=groups, dilation_rate=dilation), x)


@step("DepthwiseConv2D", "SeparableConv2D", ranks=IMAGE, weight=2)
def depthwise(make, x):
    layers = make.layers
    if make.chance(0.4):
        return make.call(layers.SeparableConv2D(3, 3, padding="same", activation=make.activation()), x)
    if x.shape[-1] > 17:
        return None
    layer = layers.DepthwiseConv2D(
        make.choose(2, 3), padding="same", depth_multiplier=make.choose(1, 2), activation=make.activation()
    )
    return None if grows(x, 2) else make.call(layer, x)


@step("Conv2DTranspose", ranks=IMAGE)
def transposed(make, x):
    if max(x.shape[1:3]) > 12 or grows(x, 4):
        return None
    return make.call(make.layers.Conv2DTranspose(3, make.choose(2, 3), make.choose(1, 2), padding="same"), x)


@step("LocallyConnected2D", ranks=IMAGE, kerases=("keras2",), weight=0.5)
def locally_connected(make, x):
    return make.layers.LocallyConnected2D(2, 2)(x) if min(x.shape[1:3]) > 1 else None


@step("MaxPooling2D", "AveragePooling2D", ranks=IMAGE, weight=2)
def pool2d(make, x):
    name = make.choose("MaxPooling2D", "AveragePooling2D")
    return getattr(make.layers, name)(2, make.choose(1, 2), padding="same", **make.format())(x)


@step("AdaptiveMaxPooling2D", "AdaptiveAveragePooling2D", ranks=IMAGE, kerases=("keras3",), weight=0.5)
def adaptive_pool2d(make, x):
    if min(x.shape[1:3]) < 2:  # TensorFlow would crash
        return None
    return getattr(make.layers, make.choose("AdaptiveMaxPooling2D", "AdaptiveAveragePooling2D"))(2)(x)


@step("GlobalAveragePooling2D", "GlobalMaxPooling2D", ranks=IMAGE)
def global_pool2d(make, x):
    name = make.choose("GlobalAveragePooling2D", "GlobalMaxPooling2D")
    return getattr(make.layers, name)(keepdims=make.chance(0.3))(x)


@step("UpSampling2D", "ZeroPadding2D", ranks=IMAGE)
def larger(make, x):
    if grows(x, 4):
        return None
    if make.chance(0.5):
        return make.layers.ZeroPadding2D(((1, 0), (0, 1)))(x)
    return make.layers.UpSampling2D(2, interpolation=make.choose("nearest", "bilinear"))(x)


@step("Cropping2D", "SpatialDropout2D", ranks=IMAGE)
def smaller(make, x):
    if min(x.shape[1:3]) < 4:
        return make.layers.SpatialDropout2D(0.2)(x)
    return make.layers.Cropping2D(((1, 0), (0, 2)))(x)


@step("Resizing", "CenterCrop", *RANDOM, ranks=IMAGE)
def resized(make, x):
    layers = make.layers
    if make.chance(0.3):
        name = make.choose(*RANDOM)
        return getattr(layers, name)(*RANDOM[name])(x)
    if make.chance(0.4):
        return layers.CenterCrop(min(x.shape[1], 3), min(x.shape[2], 4))(x)
    return layers.Resizing(make.integer(3, 6), make.integer(3, 6), interpolation=make.choose("bilinear", "nearest"))(x)


@step("ConvLSTM1D", ranks=IMAGE, weight=0.5)
def conv_lstm1d(make, x):
    return make.call(make.layers.ConvLSTM1D(2, 2, padding="same", return_sequences=make.chance(0.5)), x)
