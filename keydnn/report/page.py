"""The report as one HTML file that needs nothing else: no network, no fonts, no script to be read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from keydnn.modules.base import shape_text
from keydnn.report.data import LayerEntry, ModuleEntry, Report, StoredEntry
from keydnn.report.drawing import LEGEND, graph_svgs
from keydnn.report.escape import html, name
from keydnn.report.figures import (
    Share,
    bounds_text,
    error_text,
    grouped_rewrites,
    made_text,
    ms_text,
    rows_by_layer,
    summary_pairs,
    tensors_of,
    times_by_layer,
    worst_row,
)  # fmt: skip
from keydnn.report.plots import error_plot, latency_plot
from keydnn.report.style import SCRIPT, STYLE
from keydnn.verify.rows import LayerRow

INPUT = "InputLayer"
MOST_NAMED = 12  # layers of one rewrite, before they are folded away
SLOWEST = 12  # operations that are listed by name
SECTIONS = (
    ("graph", "Graph"), ("layers", "Layers"), ("changes", "Rewrites and warnings"), ("verification", "Verification"),
    ("latency", "Latency"), ("digests", "Digests"),
)  # fmt: skip


def report_html(report: Report) -> str:
    """Give the report as HTML."""
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'"
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html(report.model)}: conversion report</title><style>{STYLE}</style></head>\n<body>",
        *_head(report),
        *_graph(report),
        *_layers(report),
        *_changes(report),
        *_verification(report),
        *_latency(report),
        *_digests(report),
        f"<footer>KeyDNN {html(report.keydnn)}</footer><script>{SCRIPT}</script></body></html>\n",
    ]
    return "\n".join(parts)


def _head(report: Report) -> Iterable[str]:
    yield f"<header><h1>{name(report.model)}</h1>"
    yield f'<p class="lead">Converted from {name(report.source)}, written by Keras {html(report.keras_version)}.</p>'
    links = " ".join(f'<a href="#{key}">{title}</a>' for key, title in SECTIONS)
    yield f'<nav aria-label="Sections">{links}</nav></header>'
    yield '<section aria-label="Summary"><dl class="cards">'
    for title, text in summary_pairs(report):
        yield f"<div><dt>{title}</dt><dd{_tone(title, text)}>{html(text)}</dd></div>"
    yield "</dl>"
    ends = [*(("input", end) for end in report.inputs), *(("output", end) for end in report.outputs)]
    yield '<table class="small"><caption>Inputs and outputs</caption><tbody>'
    for kind, end in ends:
        shape = f'<code class="num">{html(shape_text(end.shape))}</code>'
        yield f"<tr><td>{kind}</td><td>{name(end.name)}</td><td>{shape}</td><td>{html(end.dtype)}</td></tr>"
    yield "</tbody></table></section>"


def _tone(title: str, text: str) -> str:
    """Give the colour of a value that is good or bad."""
    if title == "Verified":
        return f' class="{ {"yes": "good", "not": "warn"}.get(text.partition(" ")[0].rstrip(","), "bad") }"'
    return ' class="warn"' if title == "Warnings" and text != "0" else ""


def _graph(report: Report) -> Iterable[str]:
    svgs, kinds = graph_svgs(report)
    yield '<section><h2 id="graph">Graph</h2>'
    more = " It goes on from column to column." if len(svgs) > 1 else ""
    yield (
        '<p class="soft">A row is a call of a Keras layer, a frame a chain of them, with the shape that it gives, in '
        f"Keras' order. Rows lead to the table below.{more}</p>"
    )
    swatch = '<svg width="10" height="10" aria-hidden="true"><rect class="{0}" width="10" height="10" rx="2"/></svg>'
    yield f'<ul class="legend">{"".join(f"<li>{swatch.format(kind)}{LEGEND[kind]}</li>" for kind in kinds)}</ul>'
    yield '<div class="columns">'
    for number, svg in enumerate(svgs, 1):
        caption = f"<figcaption>{number} of {len(svgs)}</figcaption>" if len(svgs) > 1 else ""
        yield f"<figure>{caption}{svg}</figure>"
    yield "</div></section>"


# --- layers -----------------------------------------------------------------------------------------------------------


def _layers(report: Report) -> Iterable[str]:
    checks, times = rows_by_layer(report), times_by_layer(report)
    heads = [("#", "num"), ("Keras layer", ""), ("became", ""), ("output shape", ""), ("parameters", "num")]
    if report.verification:
        heads += [("relative error", "num"), ("bounds", "num")]
    if report.latency:
        heads.append(("latency", "num"))
    yield "<section><h2>Layers</h2>"
    yield (
        '<div class="tools" hidden><label>Find <input id="find" type="search" '
        'placeholder="layer, class, module"></label>'
        '<span id="found" role="status"></span><button id="unfold" type="button">Unfold all</button></div>'
    )
    row = "".join(f'<th scope="col"{_class(kind)}>{title}</th>' for title, kind in heads)
    yield f'<table class="wide" id="layers"><thead><tr>{row}</tr></thead>'
    for number, layer in enumerate(report.layers):
        cells = [
            f'<td class="num place">{number + 1}</td>',
            f'<td class="layer">{name(layer.name)}<span class="class">{html(layer.class_name)}</span></td>',
            f"<td>{_became(layer)}</td>",
            f'<td class="shape" data-is="gives">{_shape(layer)}</td>',
            f'<td class="num" data-is="parameters">{f"{layer.parameters:,}" if layer.parameters else ""}</td>',
        ]
        if report.verification:
            cells += _errors(checks.get(layer.name, ()))
        if report.latency:
            cells.append(_time(times.get(layer.name)))
        more = _more(layer)
        folded = f'<tr class="more"><td></td><td colspan="{len(heads) - 1}">{more}</td></tr>' if more else ""
        yield f'<tbody id="layer-{number}"><tr>{"".join(cells)}</tr>{folded}</tbody>'
    yield "</table></section>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _shape(layer: LayerEntry) -> str:
    return f"<code>{html(shape_text(layer.output_shape))}</code>" if layer.output_shape is not None else ""


def _errors(rows: Sequence[LayerRow]) -> list[str]:
    if not rows:
        return ['<td class="num"></td>'] * 2
    worst = max(rows, key=lambda row: (not row.agrees, row.max_rel_error))
    tone = "" if worst.agrees else " bad"
    bounds = max((row.bounds for row in rows if row.bounds is not None), default=None)
    mark = "" if worst.agrees else "✗ "
    return [
        f'<td class="num{tone}" data-is="relative error">{mark}{error_text(worst.max_rel_error)}</td>',
        f'<td class="num" data-is="bounds">{bounds_text(bounds)}</td>',
    ]


def _time(share: Share | None) -> str:
    if share is None:
        return '<td class="num"></td>'
    text = f'<span class="soft">with {name(share.within, 40)}</span>' if share.within else ms_text(share.seconds)
    return f'<td class="num" data-is="latency">{text}</td>'


def _became(layer: LayerEntry) -> str:
    if not layer.modules:
        word = "input of the model" if layer.class_name == INPUT else "worked out beforehand"
        return f'<span class="soft">{"; ".join(html(what) for what in layer.rewrites) or word}</span>'
    lines = dict.fromkeys(html(module.module, 400) for module in layer.modules)  # once, if it is called several times
    return "".join(f"<code>{line}</code>" for line in lines)


def _more(layer: LayerEntry) -> str:
    """Give what is folded away: options, rewrites, weights; nothing where there is no more than the line shows."""
    more = [layer.weights, layer.modules and layer.rewrites, *(module.options for module in layer.modules)]
    if not any(more):
        return ""
    tensors = len(tensors_of(layer))
    summary = f"options, {tensors} weight{'s' * (tensors != 1)}" if tensors else "options"
    return f"<details><summary>{summary}</summary>{_details(layer)}</details>"


def _details(layer: LayerEntry) -> str:
    parts = []
    if layer.rewrites:
        parts.append(f"<ul>{''.join(f'<li>{html(what, 300)}</li>' for what in layer.rewrites)}</ul>")
    parts += [_options(module) for module in layer.modules]
    stored = {weight.name: weight for weight in layer.weights}
    rows: list[str] = []
    used: set[str] = set()
    for tensor in tensors_of(layer):
        used.update(tensor.made.sources)
        rows.append(
            f"{_stored([stored[source] for source in tensor.made.sources])}<td>{html(made_text(tensor))}</td>"
            f'<td>{name(tensor.name)}</td><td class="shape"><code>{html(tensor.shape)}</code></td></tr>'
        )
    rows += [
        f"{_stored([weight])}<td>plays no part at inference</td><td></td><td></td></tr>"
        for key, weight in stored.items()
        if key not in used
    ]
    if rows:
        titles = ("in the file", "type", "shape", "how", "in the module", "shape")
        head = "".join(f'<th scope="col">{title}</th>' for title in titles)
        parts.append(f'<table class="small"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>')
    return "".join(parts)


def _stored(weights: Sequence[StoredEntry]) -> str:
    """Begin the row of a weight with what the file has."""
    names = "<br>".join(name(weight.name) for weight in weights)
    types = "<br>".join(html(weight.dtype) for weight in weights)
    shapes = "".join(f"<code>{html(weight.shape)}</code>" for weight in weights)
    return f'<tr><td>{names}</td><td>{types}</td><td class="shape">{shapes}</td>'


def _options(module: ModuleEntry) -> str:
    shares = f", shared with {name(module.shares)}" if module.shares else ""
    options = ", ".join(f"{key}={value!r}" for key, value in module.options.items())
    return f'<p class="options">{name(module.name)}{shares}: <code>{html(module.type)}({html(options, 600)})</code></p>'


# --- the rest ---------------------------------------------------------------------------------------------------------


def _changes(report: Report) -> Iterable[str]:
    yield '<section><h2 id="changes">Rewrites and warnings</h2>'
    if report.warnings:
        yield f'<ul class="warn">{"".join(f"<li>{html(warning, 300)}</li>" for warning in report.warnings)}</ul>'
    else:
        yield "<p>There are no warnings.</p>"
    if not report.rewrites:
        yield "<p>Nothing was rewritten.</p></section>"
        return
    yield '<table class="wide"><thead><tr><th scope="col">what</th><th scope="col" class="num">layers</th>'
    yield '<th scope="col">which</th></tr></thead><tbody>'
    for what, layers in grouped_rewrites(report).items():
        names = ", ".join(name(layer) for layer in layers)
        if len(layers) > MOST_NAMED:
            shown = ", ".join(name(layer) for layer in layers[:3])
            names = f"<details><summary>{shown} and {len(layers) - 3} more</summary>{names}</details>"
        yield f'<tr><td>{html(what, 300)}</td><td class="num" data-is="layers">{len(layers)}</td><td>{names}</td></tr>'
    yield "</tbody></table></section>"


def _verification(report: Report) -> Iterable[str]:
    yield '<section><h2 id="verification">Verification</h2>'
    given = report.verification
    if given is None or not given.rows:
        yield '<p class="warn">Not verified: nothing was computed to compare this conversion with.</p></section>'
        return
    wrong = [row for row in given.rows if not row.agrees]
    if wrong:
        yield f'<p class="bad">{len(wrong)} of {len(given.rows)} layers differ from {html(given.against)} by more than '
        yield f"allowed; the first is {name(wrong[0].layer)} ({html(wrong[0].class_name)}).</p>"
    elif not given.problem:
        yield f'<p class="good">All {len(given.rows)} layers agree with {html(given.against)}.</p>'
    if given.problem:
        yield f'<p class="bad">{html(given.problem)}</p>'
    worst = worst_row(report)
    assert worst is not None
    yield (
        f"<p>The largest relative error is {error_text(worst.max_rel_error)}, of {name(worst.layer)}. Relative is to "
        "the largest number of the layer's output; bounds, in the table, are of what float32 roundings explain.</p>"
    )
    yield f'<div class="plotbox">{error_plot(given.rows)}</div></section>'


def _latency(report: Report) -> Iterable[str]:
    yield '<section><h2 id="latency">Latency</h2>'
    latency = report.latency
    if latency is None:
        yield '<p class="soft">Not measured.</p></section>'
        return
    yield (
        f"<p>A run takes {ms_text(latency.seconds)} (median), batch {latency.batch}, threads {latency.threads}. Layers "
        "that are computed together are one operation.</p>"
    )
    yield f'<div class="plotbox">{latency_plot(latency.operations)}</div>'
    total = sum(timing.seconds for timing in latency.operations) or 1.0
    slowest = sorted(enumerate(latency.operations, 1), key=lambda entry: -entry[1].seconds)[:SLOWEST]
    yield '<table class="wide"><caption>The slowest operations</caption><thead><tr><th scope="col" class="num">#</th>'
    yield '<th scope="col">layers</th><th scope="col">computed as</th><th scope="col" class="num">median</th>'
    yield '<th scope="col" class="num">share</th></tr></thead><tbody>'
    for number, timing in slowest:
        yield (
            f'<tr><td class="num" data-is="operation">{number}</td><td>{name(timing.layers, 200)}</td>'
            f'<td>{html(timing.computed)}</td><td class="num">{ms_text(timing.seconds)}</td>'
            f'<td class="num">{timing.seconds / total:.1%}</td></tr>'
        )
    yield "</tbody></table></section>"


def _digests(report: Report) -> Iterable[str]:
    yield '<section><h2 id="digests">Digests</h2><p class="soft">SHA-256. Tensors: the float32 numbers, little '
    yield "endian, in C order, as in the checkpoint.</p>"
    if report.files:
        yield '<table class="wide"><thead><tr><th scope="col">file</th><th scope="col">name</th>'
        yield '<th scope="col" class="num">bytes</th><th scope="col">SHA-256</th></tr></thead><tbody>'
        for file in report.files:
            yield (
                f'<tr><td>{html(file.role)}</td><td>{name(file.name)}</td><td class="num" data-is="bytes">'
                f'{file.bytes:,}</td><td class="hash">{file.sha256}</td></tr>'
            )
        yield "</tbody></table>"
    tensors = [tensor for module in report.modules for tensor in module.tensors]
    yield f"<details><summary>{len(tensors)} tensors</summary>"
    yield '<table class="wide small"><thead><tr><th scope="col">tensor</th><th scope="col">shape</th>'
    yield '<th scope="col">SHA-256</th></tr></thead><tbody>'
    for tensor in tensors:
        yield (
            f'<tr><td>{name(tensor.name)}</td><td><code>{html(tensor.shape)}</code></td><td class="hash">'
            f"{tensor.sha256}</td></tr>"
        )
    yield "</tbody></table></details></section>"
