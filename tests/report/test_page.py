"""The HTML report: well-formed, complete, needs nothing else, and safe whatever layers are called."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from keydnn.report.escape import fitted, markdown, visible
from keydnn.report.figures import bounds_text, error_text, ms_text
from keydnn.report.page import report_html
from keydnn.report.plots import error_plot, latency_plot
from tests.report.reports import full_report, hostile_file, report_of, row

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Takes a page apart, and refuses tags that are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID and tag not in ("path", "rect", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in ("path", "rect", "circle", "polyline"):
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def found(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def page():
    return report_html(full_report())


def test_a_page_is_well_formed_and_has_every_section(page):
    found = Page(page)
    for key in ("graph", "layers", "changes", "verification", "latency", "digests"):
        assert [attrs for _, attrs in found.tags if attrs.get("id") == key], key
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs["href"] for attrs in found.found("a")}
    assert targets <= {f"#{key}" for key in ids}
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


def test_a_page_says_what_became_of_a_layer(page):
    text = " ".join(" ".join(Page(page).text).split())
    for words in (
        "conv1 Conv2D Permute((0, 3, 1, 2)) Conv2d(1, 16, 3, padding=same, use_bias=False)",
        "digits/conv1/kernel float32 (3, 3, 1, 16) transposed (3, 2, 0, 1) conv1.weight (16, 1, 3, 3)",
        "computed with channels first",
        "4,610",
        "All 3 layers agree with the float64 reference.",
        "0.320 ms",
        "with conv1",
    ):
        assert words in text


def test_a_page_needs_nothing_else(page):
    found = Page(page)
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in found.tags}
    for _, attrs in found.tags:
        assert not {"src", "srcset", "data", "style"} & attrs.keys()
        assert not any(name.startswith("on") for name in attrs)
    assert set(re.findall(r"https?://[^\"\s]*", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", page)


def test_the_policy_allows_the_script_and_nothing_else(page):
    policy = next(attrs["content"] for attrs in Page(page).found("meta") if "http-equiv" in attrs)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_the_same_report_gives_the_same_bytes(page):
    assert report_html(full_report()) == page


def test_what_was_not_done_is_said():
    text = " ".join(Page(report_html(report_of())).text)
    assert "Not verified: nothing was computed to compare this conversion with." in text
    assert "Not measured." in text


def test_the_first_layer_that_differs_is_named():
    text = " ".join(Page(report_html(full_report((1e-7, 0.5, float("inf")), (True, False, False)))).text)
    assert "2 of 3 layers differ from the float64 reference by more than" in text
    assert "the first is norm1" in re.sub(r"\s+", " ", text)
    assert "✗ 5.0e-01" in text


def test_hostile_names_are_shown_and_do_nothing(tmp_path):
    text = report_html(full_report(path=hostile_file(tmp_path / "m.h5")))
    found = Page(text)
    assert len(found.found("script")) == 1
    assert not found.found("img")
    assert not found.found("b")
    assert not set(text) & {"\x1b", "\t", "\u202e", "\u2066"}
    assert len(text) < 200_000
    shown = " ".join(found.text)
    assert "<script>alert(1)<b>&amp;\"'" in shown
    assert "(10,000 characters)" in shown
    assert r"a\x1b[31m\x0ab\x09|`" in shown
    assert r"\u202edesrever\u2066" in shown
    assert "层" in shown
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


# --- texts and plots --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\0b", r"a\x00b"),
        ("\ud800", r"\ud800"),
        ("\ufffe", r"\ufffe"),
        ("\u2028", r"\u2028"),
        ("é", "é"),
        ("x" * 200, "x" * 80 + "…" + "x" * 30 + " (200 characters)"),
    ],
)
def test_unseen_characters_are_written_out_and_long_texts_cut(text, shown):
    assert visible(text) == shown
    visible(text).encode()


def test_paths_keep_their_end_and_cells_their_bars():
    assert fitted("encoder/block/conv2d", 10) == "…/conv2d"
    assert len(fitted("a" * 50, 10)) == 10
    assert fitted("a" * 10_000 + "z", 10) == "aaaaaa…aaz"
    assert markdown("a|b<c\\") == "a\\|b&lt;c\\\\"


def test_figures_are_short():
    assert [error_text(value) for value in (None, 0.0, 1.23e-7, float("inf"))] == ["", "0", "1.2e-07", "inf"]
    assert [bounds_text(value) for value in (None, 0.123, 2e5)] == ["", "0.12", "2.0e+05"]
    assert [ms_text(value) for value in (1.0, 0.0123, 1e-5)] == ["1,000 ms", "12.3 ms", "0.010 ms"]


@pytest.mark.parametrize(
    "errors", [[0.0], [0.0, 0.0], [1e-7], [1e-300, 1e300], [float("inf")], [float("nan"), 0.0, 1e-7]]
)
def test_every_error_has_its_place_in_the_plot(errors):
    root = ElementTree.fromstring(error_plot([row("a", error) for error in errors]))
    marks = [element for element in root.iter() if element.get("class") == "good"]
    assert len(marks) == len(errors)
    assert all(0 <= float(mark.get("cy")) <= 260 for mark in marks)


def test_bars_are_as_high_as_times():
    root = ElementTree.fromstring(latency_plot(full_report().latency.operations))
    first, second = (float(bar.get("height")) for bar in root.iter() if bar.get("class") == "bar")
    assert first > 100 * second
    ElementTree.fromstring(latency_plot([]))
