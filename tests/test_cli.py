"""The command line as a user types it: real processes for the exit statuses, Fire's traps one by one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from keydnn import get_num_threads, load, set_num_threads
from keydnn.cli import VERBS
from keydnn.commandline import bind, execute
from keydnn.errors import UsageError
from tests.convert import files

DIGITS = Path(__file__).parents[1] / "keydnn" / "data" / "digits.h5"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a Keras file, a checkpoint and an input."""
    monkeypatch.chdir(tmp_path)
    files.write_h5("m.h5", files.sequential(files.dense(activation="relu")), {"d": files.dense_weights()})
    np.save("x.npy", np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4))
    assert execute(["convert", "m.h5", "m.json", "--nostrict"]) == 0
    return tmp_path


def fails(capsys, status, *words):
    """Run a command that must fail; give its one line on standard error."""
    capsys.readouterr()
    assert execute(words) == status
    error = capsys.readouterr().err
    assert error.startswith("keydnn: ")
    assert "Traceback" not in error
    return error


# --- the verbs --------------------------------------------------------------------------------------------------------


def test_convert_run_top_and_output(folder, capsys):
    assert execute(["run", "m.json", "x.npy", "--top", "2", "--output", "y.npy"]) == 0
    out = capsys.readouterr().out
    assert "d: float32 (3, 3)" in out
    assert "written to y.npy" in out
    np.testing.assert_array_equal(np.load("y.npy"), load("m.json").predict(np.load("x.npy")))


def test_the_named_switch_does_what_nostrict_does_here(folder):
    words = ["convert", "--src", "m.h5", "--dst", "n.json", "--allow-non-linear-activation"]
    assert execute(words) == 0
    assert Path("n.json").read_bytes() == Path("m.json").read_bytes()


def test_a_strict_refusal_writes_nothing(folder, capsys):
    error = fails(capsys, 1, "convert", "m.h5", "strict.json")
    assert "Non-linear activation fused into Dense is not allowed" in error
    assert "--allow-non-linear-activation" in error
    assert not Path("strict.json").exists()


def test_sidecar_and_reports(folder):
    words = ["convert", "m.h5", "s.json", "--nostrict", "--weights=sidecar"]
    assert execute([*words, "--report", "r.json"]) == 0
    assert Path("s.safetensors").exists()
    report = json.loads(Path("r.json").read_text())
    assert [node["keras_class"] for node in report["nodes"]] == ["Dense", "Dense"]
    assert [node["module"] for node in report["nodes"]] == ["Linear(4, 3)", "ReLU()"]
    assert report["rewrites"][0]["layer"] == "d"
    assert execute([*words, "--report", "r.md"]) == 0
    assert "| d | Dense | `Linear(4, 3)` | (N, 3) | 15 |" in Path("r.md").read_text()
    assert [(file["role"], file["name"]) for file in report["files"]] == [
        ("source", "m.h5"), ("checkpoint", "s.json"), ("weights", "s.safetensors"),
    ]  # fmt: skip
    digests = {file["name"]: file["sha256"] for file in report["files"]}
    assert digests["m.h5"] == hashlib.sha256(Path("m.h5").read_bytes()).hexdigest()
    assert execute([*words, "--report", "r.html"]) == 0
    once = Path("r.html").read_bytes()
    assert digests["s.json"].encode() in once
    assert execute([*words, "--report", "r.html"]) == 0
    assert Path("r.html").read_bytes() == once


def test_reports_have_latencies_where_they_are_asked_for(folder):
    assert execute(["convert", "m.h5", "p.json", "--nostrict", "--report", "p.report.json", "--profile"]) == 0
    latency = json.loads(Path("p.report.json").read_text())["latency"]
    assert latency["seconds"] > 0
    assert {"d", "d.activation"} <= {node for timed in latency["operations"] for node in timed["nodes"]}


def test_inspect_shows_files_and_checkpoints(folder, capsys):
    assert execute(["inspect", "m.h5"]) == 0
    out = capsys.readouterr().out
    assert "--allow-non-linear-activation" in out
    assert "Linear(4, 3)" in out
    assert execute(["inspect", "m.json"]) == 0
    assert "15 parameters" in capsys.readouterr().out


def test_weights_only_are_listed_and_convert_with_their_architecture(folder, capsys):
    weights = files.dense_weights()
    config = files.sequential(files.dense(activation="relu"))
    files.write_h5("whole.h5", config, {"d": weights})
    with h5py.File("whole.h5") as whole, h5py.File("w.h5", "w") as file:
        whole.copy(whole["model_weights/d"], file, "d")
        file.attrs.update(whole["model_weights"].attrs)
    Path("arch.json").write_text(json.dumps({**config, "keras_version": "2.4.0"}))
    assert execute(["inspect", "w.h5"]) == 0
    out = capsys.readouterr().out
    assert "d/d/kernel:0" in out
    assert "(4, 3)" in out
    assert "15 numbers" in out
    assert "--architecture" in out
    assert "weights without an architecture" in fails(capsys, 1, "convert", "w.h5", "w.json", "--nostrict")
    assert not Path("w.json").exists()
    assert execute(["inspect", "w.h5", "--architecture", "arch.json"]) == 0
    assert "--dst model.json --architecture arch.json --nostrict" in capsys.readouterr().out
    assert execute(["inspect", "w.h5", "--architecture", "arch.json", "--plan"]) == 0
    assert execute(["convert", "w.h5", "w.json", "--architecture=arch.json", "--nostrict"]) == 0
    x = np.load("x.npy")
    np.testing.assert_array_equal(load("w.json").predict(x), load("m.json").predict(x))
    assert "arch.json" in fails(capsys, 2, "convert", "w.h5", "arch.json", "--architecture", "arch.json")


def test_inspect_shows_the_plan_of_files_and_checkpoints(folder, capsys):
    for name in ("m.h5", "m.json"):
        assert execute(["inspect", name, "--plan"]) == 0
        out = capsys.readouterr().out
        assert "d (Linear) + d (ReLU)" in out
        assert "(1, 3)" in out
        assert "2 modules in " in out
    before = get_num_threads()
    try:
        assert execute(["inspect", "m.json", "--plan", "--batch-size", "5", "--threads", "1"]) == 0
    finally:
        set_num_threads(before)
    out = capsys.readouterr().out
    assert "(5, 3)" in out
    assert "threads 1" in out


def test_profile_names_the_keras_layers(folder, capsys):
    assert execute(["profile", "m.json", "--repeat=3"]) == 0
    out = capsys.readouterr().out
    assert "d (Linear) + d (ReLU)" in out
    assert "peak measured here" in out
    assert execute(["profile", "m.json", "--repeat=3", "--modules"]) == 0
    out = capsys.readouterr().out
    assert "d (Dense)" in out
    assert "module by module" in out
    assert execute(["profile", "m.json", "--input", "x.npy", "--repeat", "2"]) == 0
    assert "batch 3" in capsys.readouterr().out


def test_info_says_what_is_used(capsys):
    assert execute(["info"]) == 0
    out = capsys.readouterr().out
    for word in ("keydnn", "numba", "cpu", "threads", "threading layer", "kernel cache"):
        assert word in out


def test_demo_agrees_with_keras(capsys):
    assert execute(["demo"]) == 0
    out = capsys.readouterr().out
    assert "343 of 360 right" in out
    assert "360 of 360 the same answer" in out


# --- exit statuses and usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["convrt"], "unknown command 'convrt' (did you mean convert?)", id="unknown-verb"),
        pytest.param(["convert", "m.h5"], "convert needs --dst", id="missing"),
        pytest.param(["convert", "m.h5", "n.json", "more"], "no use for 'more'", id="leftover-word"),
        pytest.param(["convert", "m.h5", "n.json", "--nostrct"], "did you mean --nostrict?", id="unknown-flag"),
        pytest.param(["convert", "m.h5", "n.json", "--strict=no"], "--strict must be true or false, got 'no'", id="no"),
        pytest.param(["convert", "m.h5", "n.json", "--strict=0"], "true or false", id="zero"),
        pytest.param(["convert", "m.h5", "n.json", "--nostrict=true"], "takes no value", id="negated-value"),
        pytest.param(["convert", "--src", "--dst", "n.json"], "--src needs a value", id="flag-as-value"),
        pytest.param(["convert", "m.h5", "--dst"], "--dst needs a value", id="flag-at-the-end"),
        pytest.param(["convert", "m.h5", "--dst="], "must not be empty", id="empty-value"),
        pytest.param(["convert", "m.h5", "--dst", "a", "--dst", "b"], "given twice", id="twice"),
        pytest.param(["convert", "m.h5", "n.json", "-n"], "unknown flag -n", id="short-flag"),
        pytest.param(["convert", "m.h5", "n.json", "--weights", "both"], "inline or sidecar", id="choice"),
        pytest.param(["convert", "m.h5", "n.json", "--channels-last", "keep"], "must be transpose", id="channels-last"),
        pytest.param(["convert", "m.h5", "n.json", "--report", "r.txt"], "in .html, .md or .json", id="report"),
        pytest.param(["convert", "m.h5", "n.json", "--report", "no/r.md"], "there is no folder no", id="no-folder"),
        pytest.param(["convert", "m.h5", "n.json", "--profile"], "--profile goes with --report", id="profile-alone"),
        pytest.param(["convert", "m.h5", "./m.h5", "--nostrict"], "dst and src are both m.h5", id="over-the-source"),
        pytest.param(["convert", "m.h5", "n.json", "--report=n.json"], "report and dst are both", id="report-over-it"),
        pytest.param(
            ["run", "m.json", "x.npy", "--output", "m.json"], "output and model are both", id="over-the-model"
        ),
        pytest.param(["run", "m.json", "x.npy", "--output=x.npy"], "output and input 0 are both", id="over-the-input"),
        pytest.param(["run", "m.json"], "at least one input", id="no-input"),
        pytest.param(["run", "m.json", "x.npy", "--top", "many"], "--top must be a whole number", id="number"),
        pytest.param(["run", "m.json", "x.npy", "--top", "1e2"], "--top must be a whole number", id="float"),
        pytest.param(["run", "m.json", "x.npy", "--batch-size", "0"], "--batch-size", id="batch-0"),
        pytest.param(["inspect", "m.json", "--batch-size", "2"], "go with --plan", id="batch-without-plan"),
        pytest.param(["inspect", "m.json", "--plan", "--batch-size=0"], "--batch-size must be", id="plan-of-nothing"),
        pytest.param(["inspect", "m.json", "--plan", "--threads=0"], "--threads: the number", id="plan-no-threads"),
        pytest.param(["run", "m.json", "x.npy", "__class__"], "has 1 input(s)", id="attribute-word"),
        pytest.param(["convert", "m.h5", "n.json", "--max-weights=4 GB"], "whole number of bytes, KiB", id="size"),
        pytest.param(["convert", "m.h5", "n.json", "--max-weights=0"], "--max-weights must be bytes", id="no-size"),
        pytest.param(["inspect", "m.h5", "--timeout=0"], "--timeout must be seconds, above 0", id="no-time"),
        pytest.param(["info", "now"], "no use for 'now'", id="word-after-info"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_done(folder, capsys, words, message):
    status = 1 if words[-1] == "__class__" else 2
    before = sorted(path.name for path in folder.iterdir())
    error = fails(capsys, status, *words)
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["convert", "none.h5", "n.json", "--nostrict"], "No such file", id="no-source"),
        pytest.param(["convert", "x.npy", "n.json"], "NumPy array", id="no-keras-file"),
        pytest.param(["convert", "m.h5", "none/n.json", "--nostrict"], "cannot be written", id="no-folder"),
        pytest.param(["convert", "m.h5", "n.json", "--max-weights=9"], "more than 9; --max-weights", id="too-large"),
        pytest.param(["run", "m.h5", "x.npy"], "CheckpointError", id="no-checkpoint"),
        pytest.param(["run", "m.json", "m.h5"], "not a .npy file", id="no-npy"),
        pytest.param(["run", "m.json", "x.npy", "x.npy"], "has 1 input(s) (x), but 2 array(s)", id="two-inputs"),
        pytest.param(["inspect", "none"], "No such file", id="inspect-nothing"),
    ],
)
def test_failed_work_is_one_line_and_status_1(folder, capsys, words, message):
    error = fails(capsys, 1, *words)
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["2024", "1e5", "None", "True", "[1]", "a b", "ü.h5", "x=y", "'q'", "-leading"])
def test_paths_arrive_as_typed(folder, name):
    os.rename("m.h5", name)
    words = ["--", name, "out.json"] if name.startswith("-") else [name, "out.json"]
    assert execute(["convert", "--nostrict", *words]) == 0
    assert load("out.json").source["file"] == name
    assert execute(["convert", f"--src={name}", "--dst", "again.json", "--strict", "false"]) == 0
    assert Path("again.json").read_bytes() == Path("out.json").read_bytes()


def test_flags_may_stand_anywhere_and_in_either_spelling(folder):
    assert execute(["convert", "--nostrict", "m.h5", "--channels_last=transpose", "n.json"]) == 0
    assert Path("n.json").read_bytes() == Path("m.json").read_bytes()


def test_bind_writes_every_word_as_a_named_value():
    words = ["m.json", "--top=3", "a.npy", "b.npy", "--output", "2024"]
    expected = ["--top=3", "--output=2024", "--model=m.json", "--inputs_0=a.npy", "--inputs_1=b.npy"]
    assert bind("run", VERBS["run"], words) == expected
    with pytest.raises(UsageError, match="no flag --inputs"):
        bind("run", VERBS["run"], ["m.json", "--inputs", "a.npy"])


def test_flags_for_several_values_are_given_several_times():
    words = ["--inputs=a.npy", "m.json", "--inputs", "b,c.npy", "--labels=1"]
    expected = ["--inputs_0=a.npy", "--inputs_1=b,c.npy", "--labels=1", "--model=m.json"]
    assert bind("evaluate", VERBS["evaluate"], words) == expected
    expected = ["--model=m.json", "--inputs_0=x.npy", "--labels=y.npy"]
    assert bind("evaluate", VERBS["evaluate"], ["m.json", "x.npy", "y.npy"]) == expected
    with pytest.raises(UsageError, match=r"no use for 'b.npy'.*--inputs A --inputs B"):
        bind("evaluate", VERBS["evaluate"], ["m.json", "--inputs", "a.npy", "b.npy", "--labels=y.npy"])
    with pytest.raises(UsageError, match="evaluate needs --inputs;"):
        bind("evaluate", VERBS["evaluate"], ["m.json", "--labels=y.npy"])


def test_debug_shows_the_traceback(folder, capsys):
    assert execute(["inspect", "none", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_is_there_for_every_verb(verb, capsys):
    assert execute([*([verb] if verb else []), "--help"]) == 0
    out = capsys.readouterr().out
    assert "usage: keydnn" in out
    assert "\n\n" in out


def test_the_module_is_the_command(folder):
    done = subprocess.run(
        [sys.executable, "-m", "keydnn", "inspect", "none"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("keydnn: KerasFileError: none: cannot be read")


def test_a_closed_pipe_is_no_error_message(folder):
    command = f"{sys.executable} -m keydnn inspect {DIGITS} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_converting_twice_gives_the_same_bytes_anywhere(folder, tmp_path):
    results = []
    for seed, locale in (("1", "C"), ("2", "C.UTF-8")):
        place = tmp_path / f"at{seed}"
        place.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": f"UTC+{seed}"}
        command = [sys.executable, "-m", "keydnn", "convert", str(DIGITS), "d.json", "--nostrict", "--report", "r.md"]
        subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
        results.append((place / "d.json").read_bytes() + (place / "r.md").read_bytes())
    assert results[0] == results[1]


def test_inspect_shows_what_could_be_built_and_what_stands_in_the_way(folder, capsys):
    config = files.sequential(
        files.dense(), ("Lambda", {"name": "twice", "function": ["4wEA", None, None]}), files.dense("e", 2)
    )
    weights = {"d": files.dense_weights(), "e": files.dense_weights(3, 2)}
    files.write_h5(folder / "lambda.h5", config, weights)
    assert execute(["inspect", "lambda.h5"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    rows = {row[0]: row[1:] for row in rows}
    assert rows["x"] == ["InputLayer", "(N,", "4)"]
    assert rows["d"] == ["Dense", "Linear(4,", "3)", "(N,", "3)", "15"]
    assert rows["twice"][:4] == ["Lambda", "Python", "code,", "SHA-256"]
    assert rows["e"] == ["Dense", "8"]  # waits for what stands in the way; its weights are counted all the same


@pytest.mark.parametrize("name", ["b.h5", "b.KERAS", "b.npz", "b.safetensors"])
def test_a_checkpoint_is_not_written_under_the_name_of_another_kind_of_file(name, tmp_path, capsys):
    source = tmp_path / "a.h5"
    source.write_bytes(b"kept")
    assert execute(["convert", str(source), str(tmp_path / name)]) == 2
    assert "ends in .json" in capsys.readouterr().err
    assert not (tmp_path / name).exists()
