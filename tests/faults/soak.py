"""Predicts for long, on mixed sizes and from several threads, and looks whether memory grows.

``python -m tests.faults.soak --minutes 30`` prints what the process holds as time goes on, and how it grows in an hour
once it is warm.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from importlib import resources
from pathlib import Path

import fire
import numpy as np

from keydnn import demo

WARM = 0.4  # of the time, until it counts
SIZES = (1, 2, 3, 5, 8, 16, 21, 32, 40, 64)


def resident():
    """Give the megabytes of memory that this process holds."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def predict_until(end, model, images, wanted, seed, wrong, counts):
    pick = random.Random(seed)
    while time.monotonic() < end:
        size = pick.choice(SIZES)
        start = pick.randrange(len(images) - size)
        found = model.predict(images[start : start + size], batch_size=pick.choice((4, 32)))
        if not np.allclose(found, wanted[start : start + size], rtol=1e-5, atol=1e-6):
            wrong.append(size)
        counts[seed] += 1


def main(minutes: float = 30, threads: int = 4, most: float = 1.0):
    """Predict for so many minutes; exit with 1 for wrong results, or for more growth than allowed.

    Args:
        minutes: how long
        threads: how many predict on one model at once
        most: megabytes an hour that it may grow by once it is warm
    """
    model = demo.digits()
    with resources.as_file(resources.files("keydnn") / "data" / "digits_test.npz") as path, np.load(path) as test:
        images = test["images"]
    wanted = model.predict(images)
    begun, wrong, counts = time.monotonic(), [], [0] * threads
    end = begun + 60 * minutes
    shared = (end, model, images, wanted)
    workers = [threading.Thread(target=predict_until, args=(*shared, seed, wrong, counts)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    times, sizes = [], []
    while time.monotonic() < end:
        time.sleep(min(1.0, minutes))
        times.append((time.monotonic() - begun) / 3600)
        sizes.append(resident())
    for worker in workers:
        worker.join()
    warm = [place for place, hour in enumerate(times) if hour * 60 >= WARM * minutes]
    slope = float(np.polyfit([times[place] for place in warm], [sizes[place] for place in warm], 1)[0])
    print(
        f"{minutes:g} minutes, {threads} threads, {sum(counts):,} predictions, wrong {len(wrong)}; "
        f"{sizes[0]:.1f} MB at first, {sizes[warm[0]]:.1f} warm, {sizes[-1]:.1f} at the end: {slope:+.2f} MB an hour"
    )
    sys.exit(bool(wrong) or slope > most)


if __name__ == "__main__":
    fire.Fire(main)
