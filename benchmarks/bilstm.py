"""Time a training step of the BiLSTM beside the published Keras network, pairwise, in one run.

    python benchmarks/bilstm.py [--keras-python PATH] [--rounds 3] [--threads 2]

Each measurement is a process of its own, and the systems take turns, so that other work on the machine meets all of
them. A step is the whole of it: forward, backward and RMSprop. Ours also hashes the k-mers within the step; Keras
gets them ready-made. Both have all 4**10 10-mers and 200-base windows. Speed is compared, not accuracy: Keras 3
adds RMSprop's epsilon inside the square root, which changes what is learnt.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
K, WIDTH, HIDDEN = 10, 200, 10
SYSTEMS = (("keras", 32), ("keras", 256), ("keras", 1024), ("neandl", 256), ("neandl", 1024))
WARM_UP, SECONDS = 4, 8.0
HOW_TO = (
    "The Keras reference is not installed. It needs an environment of its own:\n"
    "    python3.11 -m venv keras-venv && keras-venv/bin/pip install tensorflow-cpu keras\n"
    "and then --keras-python keras-venv/bin/python"
)


def measure_neandl(batch: int, threads: int) -> list[float]:
    """Return seconds per step of our network."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import torch

    from neandl_core.models.networks import build
    from neandl_core.training import make_optimiser

    torch.set_num_threads(threads)
    rng = np.random.default_rng(1)
    codes = torch.from_numpy(rng.integers(0, 4, (batch * 4, WIDTH), dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, 2, batch * 4).astype(np.float32))
    network = build("bilstm", WIDTH, K, seed=1)
    optimiser = make_optimiser("bilstm", network, 1e-3)

    def step(number: int) -> None:
        rows = slice(number % 4 * batch, (number % 4 + 1) * batch)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(codes[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return _timed(step)


def measure_keras(batch: int, threads: int) -> list[float]:
    """Return seconds per step of the published network; imports nothing of this project."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    rng = np.random.default_rng(1)
    length = WIDTH - K + 1
    kmers = rng.integers(0, 4**K, (batch * 4, length), dtype=np.int32)
    labels = rng.integers(0, 2, batch * 4).astype(np.float32)
    network = keras.Sequential([
        keras.layers.Input((length,), dtype="int32"), keras.layers.Embedding(4**K, HIDDEN),
        keras.layers.Bidirectional(keras.layers.LSTM(HIDDEN)), keras.layers.Dense(HIDDEN, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    network.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])

    def step(number: int) -> None:
        rows = slice(number % 4 * batch, (number % 4 + 1) * batch)
        network.train_on_batch(kmers[rows], labels[rows])

    return _timed(step)


def _timed(step) -> list[float]:
    for number in range(WARM_UP):
        step(number)
    seconds = []
    while sum(seconds) < SECONDS or len(seconds) < 5:
        began = time.perf_counter()
        step(len(seconds))
        seconds.append(time.perf_counter() - began)
    return seconds


def has_keras(python: str) -> bool:
    """Whether an interpreter has TensorFlow and Keras."""
    program = "import importlib.util as u, sys; sys.exit(not (u.find_spec('tensorflow') and u.find_spec('keras')))"
    return subprocess.run([python, "-c", program], check=False).returncode == 0


def measure_in_process(python: str, system: str, batch: int, threads: int) -> float:
    """Return samples per second, by the median step of a fresh process."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"} if system == "neandl" else dict(os.environ)
    command = [python, __file__, "--measure", system, "--batch", str(batch), "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return batch / statistics.median(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the BiLSTM's training step beside the Keras reference.")
    parser.add_argument("--keras-python", default=sys.executable, help="interpreter that has tensorflow and keras")
    parser.add_argument("--rounds", type=int, default=3, help="times each system is measured, at least 3")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", choices=("keras", "neandl"), help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure = measure_keras if chosen.measure == "keras" else measure_neandl
        print(json.dumps(measure(chosen.batch, chosen.threads)))
        return
    keras = has_keras(chosen.keras_python)
    if not keras:
        print(HOW_TO)
    systems = [one for one in SYSTEMS if keras or one[0] != "keras"]
    found: dict[tuple[str, int], list[float]] = {one: [] for one in systems}
    for _ in range(max(3, chosen.rounds)):
        for system, batch in systems:
            python = chosen.keras_python if system == "keras" else sys.executable
            found[system, batch].append(measure_in_process(python, system, batch, chosen.threads))
    print(f"{'system':<8} {'batch':>6} {'windows/s':>10}  rounds")
    for (system, batch), speeds in found.items():
        rounds = ", ".join(f"{speed:,.0f}" for speed in speeds)
        print(f"{system:<8} {batch:>6} {statistics.median(speeds):>10,.0f}  {rounds}")
    if keras:
        ours = statistics.median(found["neandl", 256])
        for batch in (32, 256, 1024):
            print(f"neandl at 256 / keras at {batch}: {ours / statistics.median(found['keras', batch]):.2f}")


if __name__ == "__main__":
    main()
