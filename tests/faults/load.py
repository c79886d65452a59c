"""Many threads and processes at once: 16 threads on one model, cold starts beside each other, forks after a prediction.

``python -m tests.faults.load --threads 16 --predictions 1000`` runs under both threading layers, and prints how many
results have other bits than a single thread's; ``--starts 20`` starts eight processes at once, so often, on an empty
kernel cache each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fire

ROOT = Path(__file__).parents[2]
LAYERS = ("omp", "workqueue")

IMAGES = """
import numpy as np
from importlib import resources
from keydnn.demo import digits
with resources.as_file(resources.files("keydnn") / "data" / "digits_test.npz") as path, np.load(path) as test:
    x = test["images"]
"""
THREADS = f"""{IMAGES}
import sys, threading
count, times = int(sys.argv[1]), int(sys.argv[2])
model = digits()
batches = [np.ascontiguousarray(x[start : start + size]) for start, size in ((0, 1), (1, 3), (4, 1), (5, 16))]
wanted = [model.predict(batch).tobytes() for batch in batches]
wrong, start = [], threading.Barrier(count)
def work(number):
    start.wait()
    for turn in range(times):
        place = (number + turn) % len(batches)
        try:
            if model.predict(batches[place]).tobytes() != wanted[place]: wrong.append("bits")
        except BaseException as error:
            wrong.append(repr(error))
threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import numba
print(len(wrong), numba.threading_layer(), *wrong[:3])
"""

START = """
import hashlib
import numpy as np
from keydnn import Sequential
from keydnn.modules import Linear, Softmax
weight = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
model = Sequential(Linear(8, 8, weight=weight, use_bias=False), Softmax(), input_shape=(None, 8))
print(hashlib.sha256(model.predict(weight).tobytes()).hexdigest())
"""

POOL = f"""{IMAGES}
import multiprocessing, hashlib, sys, warnings
warnings.simplefilter("ignore")
model = digits()
def digest(_):
    return hashlib.sha256(model.predict(x[:20]).tobytes()).hexdigest()
if __name__ == "__main__":
    wanted = digest(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:
        print(sum(found != wanted for found in pool.map(digest, range(16))))
"""


def environment(layer="omp", cache=None):
    """Give this process' environment with a threading layer and perhaps a kernel cache."""
    more = {"NUMBA_THREADING_LAYER": layer, "PYTHONPATH": str(ROOT)}
    return os.environ | more | ({"KEYDNN_CACHE_DIR": str(cache)} if cache else {})


def run_threads(count, predictions, layer):
    """Let threads predict on one model at once; give what was said: the number of faults, the layer, examples."""
    words = [sys.executable, "-c", THREADS, str(count), str(predictions)]
    done = subprocess.run(words, env=environment(layer), capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else [f"status {done.returncode}", done.stderr[-300:]]


def run_starts(at_once, cache):
    """Start processes at once on a kernel cache; give the set of their digests, and the worst exit status."""
    started = [
        subprocess.Popen([sys.executable, "-c", START], env=environment(cache=cache), stdout=subprocess.PIPE, text=True)
        for _ in range(at_once)
    ]
    said = [process.communicate()[0].strip() for process in started]
    return set(said), max(abs(process.returncode) for process in started)


def run_pool(method, folder):
    """Predict in a pool of processes made after a prediction; give the number of wrong results."""
    program = Path(folder) / "pool.py"
    program.write_text(POOL)
    words = [sys.executable, str(program), method]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False, timeout=300)
    return done.stdout.strip() or f"status {done.returncode}: {done.stderr[-300:]}"


def main(threads: int = 16, predictions: int = 1000, starts: int = 20, at_once: int = 8):
    """Run everything, and print what was wrong.

    Args:
        threads: Python threads on one model
        predictions: of each thread
        starts: how often processes are started at once on an empty kernel cache
        at_once: how many
    """
    faults = 0
    for layer in LAYERS:
        begun = time.perf_counter()
        said = run_threads(threads, predictions, layer)
        faults += said[:1] != ["0"]
        seconds = time.perf_counter() - begun
        print(f"{threads} threads x {predictions} predictions, {layer}: wrong {' '.join(said)}; {seconds:.0f} s")
    digests, worst = set(), 0
    for _ in range(starts):
        with tempfile.TemporaryDirectory() as cache:
            found, status = run_starts(at_once, cache)
            digests, worst = digests | found, max(worst, status)
    faults += worst != 0 or (starts > 0 and len(digests) != 1)
    print(f"{at_once} cold starts at once x {starts}: {len(digests)} different results, worst status {worst}")
    with tempfile.TemporaryDirectory() as folder:
        for method in ("fork", "spawn"):
            said = run_pool(method, folder)
            faults += said != "0"
            print(f"a pool of 4 processes by {method} after a prediction: wrong {said}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    fire.Fire(main)
