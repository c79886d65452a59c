"""The report of a conversion as JSON."""

from __future__ import annotations

from typing import Any

from keydnn.report.data import LayerEntry, ModuleEntry, Report
from keydnn.report.plain import json_text
from keydnn.verify.rows import LayerRow


def report_data(report: Report) -> dict[str, Any]:
    """Give the report as plain data, JSON's types only."""
    return {
        "keydnn": report.keydnn,
        "source": report.source,
        "model": report.model,
        "keras_version": report.keras_version,
        "parameters": report.parameters,
        "inputs": [{"name": end.name, "shape": list(end.shape), "dtype": end.dtype} for end in report.inputs],
        "outputs": [{"name": end.name, "shape": list(end.shape)} for end in report.outputs],
        "nodes": [_module(entry) for entry in report.modules],
        "layers": [_layer(layer) for layer in report.layers],
        "rewrites": [{"layer": r.layer, "class": r.class_name, "what": r.what} for r in report.rewrites],
        "warnings": list(report.warnings),
        "files": [
            {"role": file.role, "name": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in report.files
        ],
        "verification": report.verification
        and {
            "against": report.verification.against,
            "problem": report.verification.problem or None,
            "agrees": report.verification.agrees,
            "rows": [_row(row) for row in report.verification.rows],
        },
        "latency": report.latency
        and {
            "seconds": report.latency.seconds,
            "batch": report.latency.batch,
            "threads": report.latency.threads,
            "operations": [
                {
                    "layers": timing.layers,
                    "nodes": list(timing.nodes),
                    "computed": timing.computed,
                    "seconds": timing.seconds,
                    "macs": timing.macs,
                }
                for timing in report.latency.operations
            ],
        },
    }


def report_json(report: Report) -> str:
    """Give the report as JSON."""
    return json_text(report_data(report))


def _module(entry: ModuleEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "keras_layer": entry.keras_layer,
        "keras_class": entry.keras_class,
        "module": entry.module,
        "type": entry.type,
        "options": dict(entry.options),
        "inputs": list(entry.inputs),
        "output_shape": list(entry.output_shape),
        "parameters": entry.parameters,
        "shares": entry.shares,
        "tensors": [
            {
                "name": tensor.name,
                "shape": list(tensor.shape),
                "sha256": tensor.sha256,
                "made_of": list(tensor.made.sources),
                "how": tensor.made.how,
                "order": list(tensor.made.order),
            }
            for tensor in entry.tensors
        ],
    }


def _layer(layer: LayerEntry) -> dict[str, Any]:
    return {
        "name": layer.name,
        "class": layer.class_name,
        "nodes": [module.name for module in layer.modules],
        "output_shape": None if layer.output_shape is None else list(layer.output_shape),
        "parameters": layer.parameters,
        "weights": [{"name": w.name, "shape": list(w.shape), "dtype": w.dtype} for w in layer.weights],
        "rewrites": list(layer.rewrites),
    }


def _row(row: LayerRow) -> dict[str, Any]:
    return {
        "layer": row.layer,
        "class": row.class_name,
        "shape": list(row.shape),
        "max_abs_error": row.max_abs_error,
        "max_rel_error": row.max_rel_error,
        "cosine": row.cosine,
        "bounds": row.bounds,
        "agrees": row.agrees,
    }
