"""Reports to test with: of the bundled model, and of small files made for the purpose."""

from __future__ import annotations

from pathlib import Path

import keydnn
from keydnn.convert import Options, convert
from keydnn.report.data import Verification, make_report
from keydnn.report.latency import Latency, Timing
from keydnn.verify.rows import LayerRow
from tests.convert import files

DIGITS = Path(keydnn.__file__).parent / "data" / "digits.h5"
ALL = Options(allow_non_linear_activation=True, channels_last=True)
HOSTILE = "<script>alert(1)<b>&amp;\"'", "x" * 10_000, "a\x1b[31m\nb\t|`", "\u202edesrever\u2066", "层", "ناموس", ""


def row(layer, error, agrees=True, bounds=0.5):
    return LayerRow(layer, "Dense", ("Linear",), (2, 3), 2 * error, error, 1.0, bounds, agrees)


def report_of(path=DIGITS, rows=None, latency=None, **options):
    conversion = convert(path, ALL, keep_weights=True)
    verification = Verification("the float64 reference", tuple(rows)) if rows is not None else None
    return make_report(conversion, conversion.require_graph(), verification=verification, latency=latency, **options)


def full_report(errors=(1e-7, 0.0, 3e-6), agrees=(True, True, True), path=DIGITS):
    """Give a report in which nothing is missing."""
    plain = report_of(path)
    layers = [layer.name for layer in plain.layers if layer.modules]
    given = zip(layers, errors, agrees, strict=False)
    timings = [Timing(" + ".join(layers[:2]), tuple(m.name for m in plain.modules[:3]), "direct convolution", 3e-4, 9)]
    timings.append(Timing(layers[-1], (plain.modules[-1].name,), "sum", 1e-6, 0))
    latency = Latency(3.2e-4, 1, 2, tuple(timings))
    return report_of(path, [row(name, error, fits) for name, error, fits in given], latency)


def hostile_file(path):
    """Write a model whose layers and name are made to break what shows them."""
    layers = [files.dense(name, 4) for name in HOSTILE[:-1]]
    weights = {name: files.dense_weights(4, 4, seed) for seed, name in enumerate(HOSTILE[:-1])}
    return files.write_h5(path, files.sequential(*layers, name="</title></svg><img src=x onerror=alert(1)>"), weights)
