"""Steps for volumes (N, D, H, W, C)."""

from __future__ import annotations

from tests.parity.random_models import grows, step

VOLUME = (5,)


@step("Conv3D", "Conv3DTranspose", ranks=VOLUME, weight=3)
def conv3d(make, x):
    layers = make.layers
    if make.chance(0.3) and not grows(x, 2):
        return make.call(layers.Conv3DTranspose(2, 2, 1, padding="same"), x)
    layer = layers.Conv3D(make.integer(2, 4), make.choose(1, 2), make.choose(1, 2), padding="same")
    return None if grows(x, 2) else make.call(layer, x)


@step("MaxPooling3D", "AveragePooling3D", ranks=VOLUME, weight=2)
def pool3d(make, x):
    return getattr(make.layers, make.choose("MaxPooling3D", "AveragePooling3D"))(2, make.choose(1, 2), "same")(x)


@step("AdaptiveMaxPooling3D", "AdaptiveAveragePooling3D", ranks=VOLUME, kerases=("keras3",), weight=0.5)
def adaptive_pool3d(make, x):
    if min(x.shape[1:4]) < 2:  # TensorFlow would crash
        return None
    return getattr(make.layers, make.choose("AdaptiveMaxPooling3D", "AdaptiveAveragePooling3D"))(2)(x)


@step("GlobalAveragePooling3D", "GlobalMaxPooling3D", ranks=VOLUME)
def global_pool3d(make, x):
    name = make.choose("GlobalAveragePooling3D", "GlobalMaxPooling3D")
    return getattr(make.layers, name)(keepdims=make.chance(0.3))(x)


@step("UpSampling3D", "ZeroPadding3D", "Cropping3D", "SpatialDropout3D", ranks=VOLUME)
def shapes3d(make, x):
    layers = make.layers
    if min(x.shape[1:4]) > 2 and make.chance(0.5):
        return layers.Cropping3D(((1, 0), (0, 1), (0, 0)))(x)
    if grows(x, 8):
        return layers.SpatialDropout3D(0.2)(x)
    return make.choose(layers.UpSampling3D((2, 1, 2)), layers.ZeroPadding3D(((0, 1), (1, 0), (0, 0))))(x)


@step("ConvLSTM2D", ranks=VOLUME, weight=0.5)
def conv_lstm2d(make, x):
    return make.call(make.layers.ConvLSTM2D(2, 2, padding="same", return_sequences=make.chance(0.5)), x)
