"""The house rules: a layer is one slice with one stem, listed nowhere else; files stay small; imports stay lazy."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from keydnn.convert.build import BUILDERS
from keydnn.modules import MODULE_TYPES
from keydnn.reference import RULES

ROOT = Path(__file__).parents[1]
STEMS = sorted({builder.stem for builder in BUILDERS.values()})
SOURCES = sorted([*ROOT.glob("keydnn/**/*.py"), *ROOT.glob("jit_kernels/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))


@pytest.mark.parametrize("stem", STEMS)
def test_a_layer_family_has_its_builder_modules_test_and_docs_by_one_stem(stem):
    for path in ("keydnn/convert/build", "keydnn/modules"):
        assert (ROOT / path / f"{stem}.py").exists(), f"{path}/{stem}.py is missing"
    assert (ROOT / "tests" / "layers" / f"test_{stem}.py").exists()
    assert (ROOT / "docs" / "layers" / f"{stem}.md").exists()


@pytest.mark.parametrize("stem", STEMS)
def test_a_family_has_kernels_or_says_that_it_needs_none(stem):
    if (ROOT / "jit_kernels" / f"{stem}.py").exists():
        return
    docstring = ast.get_docstring(ast.parse((ROOT / "keydnn" / "modules" / f"{stem}.py").read_text())) or ""
    assert re.search(r"no kernel|jit_kernels", docstring, re.IGNORECASE), f"modules/{stem}.py does not say why"


@pytest.mark.parametrize("class_name", sorted(BUILDERS))
def test_every_keras_class_is_named_in_the_docs_of_its_stem(class_name):
    page = (ROOT / "docs" / "layers" / f"{BUILDERS[class_name].stem}.md").read_text()
    assert re.search(rf"\b{class_name}\b", page)


# tests/parity/test_operations.py looks at the models themselves for operations, which have no class names there.
@pytest.mark.parametrize("class_name", sorted(name for name in BUILDERS if not name.startswith("ops>")))
def test_every_keras_class_is_compared_with_the_real_keras(class_name):
    """Those that today's Keras and tf-keras do not have any more are compared with the formulas of Keras 1."""
    folder = "convert" if BUILDERS[class_name].gone else "parity"
    pages = [path.read_text() for path in ROOT.glob(f"tests/{folder}/*.py")]
    assert any(re.search(rf"\b{class_name}\b", page) for page in pages)


@pytest.mark.parametrize("name", sorted(MODULE_TYPES))
def test_every_module_is_tested_in_the_file_of_its_stem_and_documented(name):
    stem = MODULE_TYPES[name].__module__.rpartition(".")[2]
    assert re.search(rf"\b{name}\b", (ROOT / "tests" / "layers" / f"test_{stem}.py").read_text())
    assert inspect.getdoc(MODULE_TYPES[name])


@pytest.mark.parametrize("name", sorted(MODULE_TYPES))
def test_every_module_has_a_rule_in_the_reference_by_its_stem(name):
    stem = MODULE_TYPES[name].__module__.rpartition(".")[2]
    assert name in importlib.import_module(f"keydnn.reference.{stem}").RULES


def test_the_reference_has_rules_of_modules_only():
    assert set(RULES) == set(MODULE_TYPES)


def test_nothing_else_lists_layers():
    """A Keras class may be named in its builder, in the spellings of old versions and files, and nowhere else.

    Wrappers are read with the layers that they hold, and written out as those: both must name them.  Operations on
    sizes of tensors are worked out in one place, and so are the functions of statements about Lambdas.  The rules of
    the reference, of exporters and of ``keydnn/transfer`` go by modules, and write operators, some of which have the
    names of Keras classes.
    """
    old = (
        "normalize/spelling",
        "normalize/keras1",
        "normalize/keras1_weights",
        "normalize/tensorflow",
        "normalize/raw_operations",
        "normalize/language",
    )
    wrappers = ("normalize/wrappers", "read/architecture")
    allowed = {ROOT / "keydnn" / "convert" / f"{name}.py" for name in (*old, *wrappers, "build/sizes")}
    allowed.add(ROOT / "keydnn" / "checkpoint" / "earlier.py")
    allowed |= {*ROOT.glob("keydnn/reference/*.py"), *ROOT.glob("keydnn/export/*/*.py")}
    allowed.add(ROOT / "keydnn" / "transfer" / "rules.py")
    allowed |= {ROOT / "keydnn" / "convert" / "build" / f"{stem}.py" for stem in STEMS}
    common = {"Activation", "Identity"}  # the form that unfused activations take; a module's name, too
    for path in set(SOURCES) - allowed:
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        listed = strings & set(BUILDERS) - common
        assert not listed, f"{path.relative_to(ROOT)} lists {sorted(listed)}"


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 500


def test_there_is_no_drawer_for_everything():
    names = {path.stem for path in [*SOURCES, *TESTS]}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_silenced_check_says_why(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if re.search(r"# (noqa|type: ignore)", line):
            assert re.search(r"# (noqa: \w+|type: ignore\[[\w-]+\])  # \w", line), f"line {number}: {line.strip()}"
