"""Starts the recorder where Keras is: in this Python or in another environment's."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from keydnn.errors import RecordingError
from keydnn.strict_json import clip
from keydnn.verify.recorder.lines import MARK

RECORDER = Path(__file__).parent / "recorder"
OWN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")  # another Python has its own packages
Show = Callable[[str], None]


def record(
    src: Path,
    out: Path,
    *,
    inputs: Sequence[Path] = (),
    examples: int = 2,
    seed: int = 0,
    python: Path | None = None,
    keras: str | None = None,
    architecture: Path | None = None,
    progress: Show | None = None,
) -> str:
    """Let Keras run a file once, and write what every layer gives into a recording; give what was done in one line.

    Parameters
    ----------
    src
        The ``.h5`` or ``.keras`` file.
    out
        The recording to write; a file of that name is replaced.
    inputs
        One ``.npy`` file an input of the model; made up from ``seed`` if there are none.
    examples
        Number of examples that are made up.
    seed
        What they are made up from.
    python
        A Python that has Keras 3 or tf-keras; this one, unless given.
    keras
        ``"keras"``, ``"tf_keras"`` or ``"tensorflow.keras"``; what fits the file, unless given.
    architecture
        The JSON file that says what a file of weights only belongs to.
    progress
        Called with a line that says what is being done, again and again.

    Raises
    ------
    RecordingError
        The Python is none or has no Keras, Keras cannot open the file or not take the inputs, or the recording cannot
        be written.
    """
    if not src.exists():
        raise RecordingError(f"{src}: there is no such file")
    words = [str(python or sys.executable), str(RECORDER), f"--src={src}", f"--out={out}"]
    words += [f"--examples={examples}", f"--seed={seed}", *(f"--input={path}" for path in inputs)]
    words += [f"--keras={keras}"] if keras else []
    words += [f"--architecture={architecture}"] if architecture else []
    environment = {key: value for key, value in os.environ.items() if python is None or key not in OWN}
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
            text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"--python {python}: cannot be run: {reason}; give a Python that has Keras") from None
    said: dict[str, str] = {}
    last = ""
    with process:
        try:
            for line in process.stdout or ():
                if not line.startswith(MARK):
                    last = line.strip() or last
                    continue
                kind, _, text = line.removeprefix(MARK).strip().partition(" ")
                said[kind] = f"{said[kind]}; {text}" if kind == "note" and kind in said else text
                if kind == "progress" and progress is not None:
                    progress(text)
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)  # it is interrupted too, and takes its temporary file away
            raise
        except BaseException:
            process.kill()
            raise
    status = process.returncode
    if status or "done" not in said:
        raise RecordingError(said.get("error") or f"{words[0]} ended with status {status}: {clip(last, 300)}")
    return said["done"] + (f" ({said['note']})" if "note" in said else "")
