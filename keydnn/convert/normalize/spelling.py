"""Pass: class and option names of older Keras in today's spelling, where only the name has changed."""

from __future__ import annotations

import dataclasses

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import KerasModel, Layer

CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "DepthwiseConvolution1D": "DepthwiseConv1D",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "UnifiedLSTM": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "UnifiedGRU": "GRU",
}
OPTIONS = {
    ("LeakyReLU", "alpha"): "negative_slope",
    ("Reshape", "newshape"): "target_shape",
    ("Discretization", "bins"): "bin_boundaries",
    ("IntegerLookup", "max_values"): "max_tokens",
    ("IntegerLookup", "mask_value"): "mask_token",
    ("IntegerLookup", "oov_value"): "oov_token",
}


def modernize(model: KerasModel, notes: Notes) -> KerasModel:
    """Rename classes and options."""
    return dataclasses.replace(model, layers=tuple(map(renamed, model.layers)))


def renamed(layer: Layer) -> Layer:
    """Rename the class and the options of one layer."""
    class_name = CLASSES.get(layer.class_name, layer.class_name) if not layer.package else layer.class_name
    config = {OPTIONS.get((class_name, key), key): value for key, value in layer.config.items()}
    return dataclasses.replace(layer, class_name=class_name, config=config)
