"""Damages compiled kernels, and looks whether answers stay right.

``python -m tests.faults.cache --count 200`` cuts, flips and overwrites files of a filled kernel cache, one at a time,
and predicts in a new process each: right answers, whatever lies there.  Then others may write into the folder, where a
file lies that would run code when it is unpickled: it must not.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fire

ROOT = Path(__file__).parents[2]
PROGRAM = """
import hashlib, numpy as np
from keydnn import Sequential
from keydnn.modules import Linear, Softmax
random = np.random.default_rng(0)
weight = random.standard_normal((7, 5)).astype(np.float32)
model = Sequential(Linear(5, 7, weight=weight, use_bias=False), Softmax(), input_shape=(None, 5))
print(hashlib.sha256(model.predict(random.standard_normal((3, 5)).astype(np.float32)).tobytes()).hexdigest())
"""


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def answer(cache: Path) -> tuple[str, str]:
    """Predict in a new process; give the digest (or how the process ended) and what it said."""
    environment = os.environ | {"KEYDNN_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    return (done.stdout.strip() if done.returncode == 0 else f"status {done.returncode}"), done.stderr


def damage(path: Path, pick: random.Random) -> str:
    """Damage a file, and say how."""
    content = bytearray(path.read_bytes())
    kind = pick.choice(("cut", "flipped", "emptied", "overwritten"))
    place = pick.randrange(max(1, len(content)))
    if kind == "flipped" and content:
        content[place] ^= 1 << pick.randrange(8)
    elif kind == "overwritten":
        content[place : place + 64] = pick.randbytes(64)
    path.write_bytes(content[:place] if kind == "cut" else b"" if kind == "emptied" else content)
    return kind


def main(count: int = 200, seed: int = 0):
    """Damage the cache so often, print what was wrong, and exit with 1 if anything was.

    Args:
        count: damaged files
        seed: what the damage is picked from
    """
    pick, wrong = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        good, cache, marker = Path(folder) / "good", Path(folder) / "cache", Path(folder) / "marker"
        wanted, _ = answer(good)
        files = sorted(path.relative_to(good) for path in good.rglob("*.nb*"))
        for number in range(count):
            shutil.rmtree(cache, ignore_errors=True)
            shutil.copytree(good, cache, copy_function=shutil.copy2)
            name = pick.choice(files)
            how = damage(cache / name, pick)
            found, said = answer(cache)
            if found != wanted:
                wrong.append(f"{number}: {name} {how}: {found} {said[-200:]}")
        print(f"{count} damaged files of {len(files)} kinds: {len(wrong)} wrong answers", *wrong[:5], sep="\n")
        for path in cache.rglob("*.nb*"):
            path.write_bytes(pickle.dumps(Evil(str(marker))))
        for place in (cache, *(path for path in cache.rglob("*") if path.is_dir())):
            place.chmod(0o777)
        found, said = answer(cache)
        refused = found == wanted and not marker.exists()
        print(f"a folder that others may write into: {'not used' if refused else 'USED'}; said: {said.strip()[:200]}")
    sys.exit(bool(wrong) or not refused or not files)


if __name__ == "__main__":
    fire.Fire(main)
