"""Crashes and failing disks: the old checkpoint or the new one, never anything else, and nothing left lying about."""

from __future__ import annotations

import errno
import itertools
import os
import stat

import pytest

import keydnn.checkpoint as checkpoint
from keydnn.errors import CheckpointError
from tests.checkpoint import samples

OLD, NEW = samples.tiny(1), samples.tiny(2)
WAYS = {"inline": ("inline", "inline"), "sidecar": ("sidecar", "sidecar"), "to-sidecar": ("inline", "sidecar"),
        "to-inline": ("sidecar", "inline")}  # fmt: skip


class Interrupted(BaseException):
    """As KeyboardInterrupt, but nobody else's."""


def failing(monkeypatch, name, at, error):
    """Let the n-th call of a function of ``os`` fail; give a list that tells whether it came to that."""
    function, calls, reached = getattr(os, name), itertools.count(), []

    def fail(*arguments, **options):
        failed = next(calls) == at
        if not failed or name == "close":  # a failing close closes all the same
            result = function(*arguments, **options)
        if failed:
            reached.append(True)
            raise error
        return result

    monkeypatch.setattr(os, name, fail)
    return reached


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), Interrupted()], ids=["disk", "stop"]
)
@pytest.mark.parametrize("name", ["open", "write", "fsync", "close", "replace"])
@pytest.mark.parametrize(("before", "after"), WAYS.values(), ids=WAYS.keys())
def test_a_failure_at_any_step_leaves_old_or_new(tmp_path, monkeypatch, before, after, name, error):
    for at in itertools.count():
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "m.json"
        checkpoint.write(OLD, path, weights=before)
        existing = names(folder)
        with monkeypatch.context() as patch:
            reached = failing(patch, name, at, error)
            found = error_of_writing(path, after)
        assert isinstance(found, CheckpointError if isinstance(error, OSError) else Interrupted) == bool(reached)
        if isinstance(found, CheckpointError):
            assert str(folder) in str(found)
            assert "\n" not in str(found)
        graph = checkpoint.read(path).graph
        assert samples.same(graph, NEW) or (reached and samples.same(graph, OLD))
        left = [file for file in names(folder) if file not in (*existing, "m.json", "m.safetensors")]
        assert not [file for file in left if file.endswith(".tmp")]
        if samples.same(graph, OLD):
            assert names(folder) == existing
        checkpoint.write(NEW, path, weights=after)  # once the disk works again
        assert samples.same(checkpoint.read(path).graph, NEW)
        if not reached:
            assert at > 0
            break


def error_of_writing(path, weights):
    try:
        checkpoint.write(NEW, path, weights=weights)
    except (CheckpointError, Interrupted) as error:
        return error
    return None


def test_a_retry_keeps_the_pending_file_the_old_checkpoint_relies_on(tmp_path, monkeypatch):
    """A write stopped before its last rename; the same write again stopped before its first."""
    path = tmp_path / "m.json"
    checkpoint.write(OLD, path, weights="sidecar")
    for at in (2, 1):  # replace: 0 the pending sidecar, 1 the JSON file, 2 the sidecar
        with monkeypatch.context() as patch:
            failing(patch, "replace", at, OSError(errno.EIO, "Input/output error"))
            with pytest.raises(CheckpointError):
                checkpoint.write(NEW, path, weights="sidecar")
        assert samples.same(checkpoint.read(path).graph, NEW)
    checkpoint.write(NEW, path, weights="sidecar")
    assert names(tmp_path) == ["m.json", "m.safetensors"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    checkpoint.write(NEW, tmp_path / "m.json", weights="sidecar")
    monkeypatch.undo()
    assert samples.same(checkpoint.read(tmp_path / "m.json").graph, NEW)


def test_a_file_system_that_flushes_no_folders_is_no_error(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(file)

    monkeypatch.setattr(os, "fsync", refuse)
    checkpoint.write(NEW, tmp_path / "m.json")


def test_everything_is_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    events = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)

        def note(*arguments, name=name, function=function):
            kind = "folder" if name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else name
            events.append(kind)
            return function(*arguments)

        monkeypatch.setattr(os, name, note)
    checkpoint.write(NEW, tmp_path / "m.json")
    assert events == ["fsync", "replace", "folder"]
    events.clear()
    checkpoint.write(NEW, tmp_path / "m.json", weights="sidecar")
    assert events == ["fsync", "fsync", "replace", "folder", "replace", "folder", "replace", "folder"]


@pytest.mark.parametrize(
    ("place", "match"),
    [
        pytest.param("missing/m.json", "there is no folder .*missing", id="no-folder"),
        pytest.param("file/m.json", "Not a directory", id="below-a-file"),
        pytest.param("folder", "Is a directory", id="folder"),
        pytest.param("x" * 300, "File name too long|bare name", id="long-name"),
    ],
)
@pytest.mark.parametrize("weights", ["inline", "sidecar"])
def test_places_that_cannot_be_written(tmp_path, place, match, weights):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match=match):
        checkpoint.write(NEW, tmp_path / place, weights=weights)
    assert names(tmp_path) == ["file", "folder"]
    assert not names(tmp_path / "folder")


def test_a_folder_in_the_place_of_the_sidecar_is_named(tmp_path):
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(
        CheckpointError, match=r"Is a directory; the checkpoint is complete, with its weights in m.safe"
    ):
        checkpoint.write(NEW, tmp_path / "m.json", weights="sidecar")
    assert samples.same(checkpoint.read(tmp_path / "m.json").graph, NEW)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)], ids=["022", "077"])
def test_the_mode_is_the_umask_s(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        checkpoint.write(NEW, tmp_path / "m.json", weights="sidecar")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {mode}
