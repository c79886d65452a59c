"""The documentation holds: links, completeness, and every Python example with its output."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import re
import shutil
import typing
from pathlib import Path

import numpy as np
import pytest

import keydnn
from keydnn import cli
from keydnn.convert.build import BUILDERS
from keydnn.modules import MODULE_TYPES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FENCED = re.compile(r"^(```+)(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
# A Python block and, directly behind it, what it prints.
EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
NEEDS_MORE = re.compile(r"^import (keras|onnxruntime|torch)$", re.MULTILINE)
WITH_EXAMPLES = [page for page in PAGES if EXAMPLE.search(page.read_text(encoding="utf-8"))]


def _load_writer():
    spec = importlib.util.spec_from_file_location("write_layers", DOCS / "write_layers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_layers = _load_writer()


def page_id(page):
    return page.relative_to(ROOT).as_posix()


def text_of(page):
    return page.read_text(encoding="utf-8")


def rows(page):
    """Give the first cells of the tables of a page that are names of code."""
    return set(re.findall(r"^\| `([^`]+)` \|", text_of(page), re.MULTILINE))


def slug(heading):
    """Give the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page):
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(page)), re.MULTILINE)}


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_point_to_something(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text_of(page))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


def test_every_page_is_listed_in_the_index():
    index = text_of(DOCS / "README.md") + text_of(DOCS / "layers" / "README.md")
    for page in PAGES[1:]:
        assert page.parent / "README.md" == page or f"{page.name})" in index, page_id(page)


# --- completeness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", sorted(BUILDERS))
def test_every_keras_class_has_a_row_on_the_page_of_its_stem_and_in_the_list(class_name):
    stem = BUILDERS[class_name].stem
    assert class_name in rows(DOCS / "layers" / f"{stem}.md")


@pytest.mark.parametrize("class_name", sorted(BUILDERS))
def test_every_option_that_is_read_is_named_on_the_page_of_its_stem(class_name):
    page = text_of(DOCS / "layers" / f"{BUILDERS[class_name].stem}.md")
    missing = [key for key in write_layers.options_of(BUILDERS[class_name].build) if not re.search(rf"\b{key}\b", page)]
    assert not missing, f"{BUILDERS[class_name].stem}.md does not name {missing}"


def test_the_list_of_layers_is_the_registry():
    assert write_layers.PAGE.read_text() == write_layers.page(), "run: python docs/write_layers.py"


def test_options_are_read_off_the_code_of_builders_and_of_what_they_call():
    conv = write_layers.options_of(BUILDERS["Conv2D"].build)
    assert conv["use_bias"] == ""
    assert "activation" not in conv
    assert write_layers.options_of(BUILDERS["Dense"].build).keys() >= {"units", "use_bias"}


@pytest.mark.parametrize("name", sorted(MODULE_TYPES))
def test_every_module_is_documented(name):
    pages = [DOCS / "activations.md", *DOCS.glob("layers/*.md")]
    assert any(re.search(rf"`[^`]*\b{name}\b[^`]*`", text_of(page)) for page in pages)


@pytest.mark.parametrize("name", sorted(MODULE_TYPES))
def test_every_activation_has_its_signature_in_the_table(name):
    module = MODULE_TYPES[name]
    if module.__module__.rpartition(".")[2] not in ("activation", "softmax"):
        return
    arguments = ", ".join(
        key if p.default is p.empty else f"{key}={p.default!r}".replace("'", '"')
        for key, p in inspect.signature(module).parameters.items()
    )
    assert f"{name}({arguments})" in rows(DOCS / "activations.md")


@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_every_verb_has_its_section_with_all_its_flags(verb):
    found = re.search(rf"^## {verb}\n(.*?)(?=^## |\Z)", text_of(DOCS / "cli.md"), re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section {verb}"
    hints = typing.get_type_hints(cli.VERBS[verb])
    for name, parameter in inspect.signature(cli.VERBS[verb]).parameters.items():
        flag = f"--{'no' if hints[name] is bool and parameter.default else ''}{name.rstrip('_').replace('_', '-')}"
        wanted = f"{name.upper()}..." if parameter.kind is parameter.VAR_POSITIONAL else flag
        assert re.search(rf"^\| `{re.escape(wanted)}[ `]", found[1], re.MULTILINE), f"{verb}: {wanted} has no row"
    assert f"keydnn {verb}" in text_of(ROOT / "README.md")


@pytest.mark.parametrize("name", sorted(keydnn.__all__))
def test_every_exported_name_is_documented(name):
    code = "\n".join(
        part
        for page in PAGES
        for part in (
            *re.findall(r"`([^`\n]+)`", text_of(page)),
            *(block[3] for block in FENCED.finditer(text_of(page))),
        )
    )
    assert re.search(rf"\b{name}\b", code)


def test_the_code_of_the_walk_through_is_that_of_the_tree():
    blocks = re.findall(r"^```py\n(.*?)^```$", text_of(DOCS / "adding-a-layer.md"), re.MULTILINE | re.DOTALL)
    files = [path.read_text() for path in ROOT.glob("*/**/*rescale.py") if ".venv" not in path.parts]
    assert len(blocks) >= 6
    for block in blocks:
        assert any(block in text for text in files), block


# --- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=page_id)
def test_python_examples_run_and_print_what_they_say(page, tmp_path, monkeypatch):
    shutil.copy(Path(keydnn.__file__).parent / "data" / "digits.h5", tmp_path / "model.h5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)  # rich would draw for a terminal
    keydnn.from_keras("model.h5", strict=False).save("model.json")
    names = {"x": np.zeros((1, 8, 8, 1))}  # the README's "x"
    for code, printed in EXAMPLE.findall(text_of(page)):
        if NEEDS_MORE.search(code):
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, page_id(page), "exec"), names)
        if printed:
            assert out.getvalue().split() == printed.split()
