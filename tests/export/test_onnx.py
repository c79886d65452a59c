"""The exporter to ONNX without ``onnx``."""

from __future__ import annotations

import sys

import pytest

from keydnn.errors import ExportError
from keydnn.export import onnx as target
from keydnn.export.onnx import translate
from keydnn.export.rules import rules_of
from keydnn.modules import MODULE_TYPES
from tests.export.cases import CASES


def test_where_onnx_is_missing_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match="pip install onnx"):
        translate(CASES["dense-rank 2"].graph, "model")


def test_rules_are_of_modules_in_the_files_of_their_stems():
    for name, rule in rules_of(target).items():
        stem = MODULE_TYPES[name].__module__.rpartition(".")[2]
        assert getattr(rule, "func", rule).__module__ == f"keydnn.export.onnx.{stem}"


def test_every_rule_has_a_case():
    assert set(rules_of(target)) <= {type(case.module).__name__ for case in CASES.values()}
