"""Why a class cannot be built, and the way out: for those that are Keras' own, or well known beside it."""

from __future__ import annotations

from keydnn.convert.build.registry import BUILDERS
from keydnn.convert.normalize.lambdas import code_of, is_lambda
from keydnn.convert.read.record import Layer
from keydnn.errors import STATEMENT

TOOLKIT = "a wrapper of the TensorFlow Model Optimization Toolkit; save the model {} it"
LOST = {"einsum", "linalg.einsum"}
REASONS = {
    **dict.fromkeys(
        ("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"),
        "changes images by what is in them; prepare the images before the model, and save it without this layer",
    ),
    **dict.fromkeys(
        ("DenseFeatures", "SequenceFeatures"),
        "reads feature columns, which are Python objects; save the model that reads their numbers",
    ),
    **dict.fromkeys(
        ("QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2"),
        TOOLKIT.format("as it was before quantize_model wrapped"),
    ),
    **dict.fromkeys(
        ("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"),
        "calls a model of another framework, which is not in the file; save the model with Keras' layers in its place",
    ),
    "ClusterWeights": TOOLKIT.format("after strip_clustering has removed"),
    "FeatureSpace": "reads a dictionary of columns; save the model that reads what it encodes",
    "MaxNumBoundingBoxes": "acts on bounding boxes, which no input of a model holds; save the model without this layer",
    "Pipeline": "layers in a list, one called after the other; save the model with the layers themselves in its place",
    "PruneLowMagnitude": TOOLKIT.format("after strip_pruning has removed"),
}


def why(layer: Layer) -> str:
    """Say why no builder takes a layer, and what its owner can do."""
    if layer.package == "tf" and layer.class_name in LOST:
        return "a TensorFlow function whose tensors tf-keras does not save; put a layer in its place"
    if layer.package in ("ops", "tf"):
        return "an operation on tensors, not a layer"
    if is_lambda(layer):
        return f"{code_of(layer)}, which is never run; say what it stands for"
    if "function" in layer.config:
        return "Python code in the file, which is never run; save the model with layers in its place"
    name = layer.class_name
    if name in REASONS:
        return REASONS[name]
    if name in BUILDERS and not layer.package:
        return f"a class that Keras {BUILDERS[name].gone} does not have any more"
    if layer.package:
        return f"a class of {layer.package}, not of Keras; save the model with Keras' layers in its place"
    return "a class that KeyDNN does not know"


def switch_for(layer: Layer) -> str | None:
    """Give the switch that puts something in the place of a layer that no builder takes."""
    return STATEMENT if is_lambda(layer) else None
