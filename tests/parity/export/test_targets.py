"""Exported files under names of all kinds, tried in PyTorch as their user would."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.export.test_targets import export, request

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", ["my-model.pt", "größe 2 \N{SNOWMAN}\N{GRINNING FACE}.pt", "torch.pt", "m.py"])
def test_a_model_under_any_name_is_tried(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = export(request(type(tmp_path)(), name))
    assert done.trial is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in done.files)


def test_the_code_beside_weights_finds_them(tmp_path):
    export(request(tmp_path, "my-model.pt"))
    code = "from my_model import load; assert not load().training"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
