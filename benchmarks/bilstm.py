"""Time training and prediction of the BiLSTM beside the published Keras network, pairwise, in one run.

    python benchmarks/bilstm.py [--keras-python PATH] [--rounds 3] [--threads 2]
    python benchmarks/bilstm.py --accuracy DATASET [--seeds 5] [--epochs 3] [--windows 40000] [--keras-python PATH]

Each measurement is a process of its own, and the systems take turns, so that other work on the machine meets all of
them. A step is the whole of it: forward, backward and RMSprop. `fused` is the compiled engine, `nn.LSTM` torch's own
with the same optimiser. Ours hash the k-mers within the step and within prediction; Keras gets them ready-made. All
have all 4**10 10-mers and 200-base windows. What these steps learn is not compared: Keras 3 adds RMSprop's epsilon
inside the square root, which changes it.

With `--accuracy` whole trainings are compared instead: ours as its preset is, at batch 256, beside Keras at batch 32
(as published) and 1024, from the same seeds, on the same windows of a dataset made by `windows`, for the same epochs.
The windows are split at random, as published, so that there is something to learn: what is compared is how fast a
system learns, not whether that is worth anything.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
K, WIDTH, HIDDEN = 10, 200, 10
SYSTEMS = (
    ("keras", 32), ("keras", 256), ("keras", 1024), ("nn.LSTM", 256), ("fused", 256), ("fused", 1024), ("fused", 2048)
)
REFERENCES = (("keras", 32), ("keras", 1024))
PREDICTED = 16_384
"""Windows predicted at a time: Keras in its batches, ours in the batches that `prediction` makes of them."""
WARM_UP, SECONDS = 4, 3.0
LEARNERS = (("neandl", 256), ("keras", 32), ("keras", 1024))
WORST_SEED = 0.01
"""How far the worst seed may lie below the reference's worst."""
HOW_TO = (
    "The Keras reference is not installed. It needs an environment of its own:\n"
    "    python3.11 -m venv keras-venv && keras-venv/bin/pip install tensorflow-cpu keras\n"
    "and then --keras-python keras-venv/bin/python"
)


def measure_neandl(engine: str, batch: int, threads: int) -> dict[str, float]:
    """Return windows per second of our network, as training and prediction run it."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import torch

    from neandl_core.models.networks import build
    from neandl_core.prediction import network_probabilities, taking_threads
    from neandl_core.training import make_optimiser

    torch.set_num_threads(threads)
    rng = np.random.default_rng(1)
    codes = torch.from_numpy(rng.integers(0, 4, (batch * 4, WIDTH), dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, 2, batch * 4).astype(np.float32))
    network = build("bilstm", WIDTH, K, seed=1)
    network.fused = engine == "fused"
    if network.engine != engine:
        raise SystemExit(f"asked for {engine}, and this machine gives {network.engine}")
    optimiser = make_optimiser("bilstm", network, 1e-3)

    def step(number: int) -> None:
        rows = slice(number % 4 * batch, (number % 4 + 1) * batch)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(codes[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    with taking_threads(network):
        training = batch / _median_seconds(step)
    many = rng.integers(0, 4, (PREDICTED, WIDTH), dtype=np.uint8)
    return {
        "training": training,
        "prediction": PREDICTED / _median_seconds(lambda _: network_probabilities(network, many), warm_up=1),
    }


def measure_keras(batch: int, threads: int) -> dict[str, float]:
    """Return windows per second of the published network; imports nothing of this project."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    rng = np.random.default_rng(1)
    length = WIDTH - K + 1
    kmers = rng.integers(0, 4**K, (batch * 4, length), dtype=np.int32)
    labels = rng.integers(0, 2, batch * 4).astype(np.float32)
    network = _keras_network(length)

    def step(number: int) -> None:
        rows = slice(number % 4 * batch, (number % 4 + 1) * batch)
        network.train_on_batch(kmers[rows], labels[rows])

    training = batch / _median_seconds(step)
    # At batch 32 Keras takes seconds for as many as ours gets.
    count = PREDICTED if batch > 32 else PREDICTED // 4
    many = rng.integers(0, 4**K, (count, length), dtype=np.int32)
    predict = _median_seconds(lambda _: network.predict(many, batch_size=batch, verbose=0), warm_up=1)
    return {"training": training, "prediction": count / predict}


def _keras_network(length: int):
    """Return the published network, compiled with its optimiser."""
    import keras

    network = keras.Sequential([
        keras.layers.Input((length,), dtype="int32"), keras.layers.Embedding(4**K, HIDDEN),
        keras.layers.Bidirectional(keras.layers.LSTM(HIDDEN)), keras.layers.Dense(HIDDEN, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    network.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    return network


def write_windows(dataset: Path, target: Path, most: int) -> tuple[int, int, float]:
    """Write a random split of a dataset for both systems: k-mers for Keras, codes for ours.

    Returns the sizes of the training and validation parts, and the share of the larger class in the latter.
    """
    sys.path.insert(0, str(ROOT))
    import numpy as np

    from neandl_core.dataset import load_dataset
    from neandl_core.encoding import kmer_codes

    opened = load_dataset(dataset)
    rng = np.random.default_rng(1)
    rows = rng.permutation(len(opened.codes))[:most]
    codes, labels = opened.codes[np.sort(rows)], opened.labels[np.sort(rows)]
    order = rng.permutation(len(rows))
    validation, train = order[: len(order) // 5], order[len(order) // 5 :]
    target.mkdir()
    np.save(target / "codes.npy", codes)
    np.save(target / "kmers.npy", np.asarray(kmer_codes(codes, K), np.int32))
    np.savez(target / "rows.npz", labels=labels, train=train, validation=validation)
    ones = float(labels[validation].mean())
    return len(train), len(validation), max(ones, 1 - ones)


def learn_neandl(folder: Path, seed: int, epochs: int, threads: int) -> dict[str, float]:
    """Return validation accuracy and seconds per epoch of our preset, restarts included."""
    sys.path.insert(0, str(ROOT))
    import numpy as np
    import pandas as pd

    from neandl_core.config import TrainSettings
    from neandl_core.dataset import Dataset, Description
    from neandl_core.fitting import held_out_probabilities

    rows, codes = np.load(folder / "rows.npz"), np.load(folder / "codes.npy")
    description = Description("windows", codes.shape[1], K, ("depleted", "introgressed"), "random", "random", False)
    dataset = Dataset(folder, description, codes, pd.DataFrame({"label": rows["labels"]}))
    settings = TrainSettings.preset_of("bilstm", epochs=epochs, seed=seed, threads=threads, device="cpu")
    answer, fit = held_out_probabilities(
        dataset, rows["train"], rows["validation"], rows["validation"], settings
    )
    right = (answer >= 0.5) == (rows["labels"][rows["validation"]] == 1)
    return {"accuracy": float(right.mean()), "seconds": fit.seconds_per_epoch, "restarted": bool(fit.notes)}


def learn_keras(folder: Path, seed: int, epochs: int, threads: int, batch: int) -> dict[str, float]:
    """Return the same of the published network; imports nothing of this project."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    rows, kmers = np.load(folder / "rows.npz"), np.load(folder / "kmers.npy")
    labels = rows["labels"].astype(np.float32)
    network = _keras_network(kmers.shape[1])
    seconds = []
    for _ in range(epochs):
        began = time.perf_counter()
        network.fit(kmers[rows["train"]], labels[rows["train"]], batch_size=batch, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - began)
    answer = network.predict(kmers[rows["validation"]], batch_size=1024, verbose=0)[:, 0]
    right = (answer >= 0.5) == (labels[rows["validation"]] == 1)
    return {"accuracy": float(right.mean()), "seconds": statistics.median(seconds), "restarted": False}


def compare_learning(chosen: argparse.Namespace, keras: bool) -> None:
    """Train each system from each seed, one after the other, and print accuracies side by side."""
    learners = [one for one in LEARNERS if keras or one[0] != "keras"]
    found: dict[tuple[str, int], list[dict[str, float]]] = {one: [] for one in learners}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "windows"
        train, validation, larger = write_windows(chosen.accuracy, folder, chosen.windows)
        print(f"{train:,} training and {validation:,} validation windows, split at random; {chosen.epochs} epochs; "
              f"naming the larger class always is right in {larger:.4f}")
        for seed in range(1, chosen.seeds + 1):
            for system, batch in learners:
                python = chosen.keras_python if system == "keras" else sys.executable
                command = [
                    python, __file__, "--learn", system, "--batch", str(batch), "--threads", str(chosen.threads),
                    "--accuracy", str(folder), "--seed", str(seed), "--epochs", str(chosen.epochs),
                ]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[system, batch].append(json.loads(done.stdout.splitlines()[-1]))
                last = found[system, batch][-1]
                print(f"seed {seed} {system:<7} {batch:>5}  accuracy {last['accuracy']:.4f}  "
                      f"{last['seconds']:.1f} s an epoch{'  (started again)' if last['restarted'] else ''}", flush=True)
    print(f"load average of the machine {os.getloadavg()[0]:.1f}, this included")
    accuracies = {one: [values["accuracy"] for values in rounds] for one, rounds in found.items()}
    ours = accuracies[LEARNERS[0]]
    for (system, batch), values in accuracies.items():
        text = f"{system:<7} {batch:>5}  median {statistics.median(values):.4f}  worst {min(values):.4f}"
        if statistics.median(values) < larger + 0.01:
            text += "  LEARNT NOTHING: take more windows or epochs"
        if system == "keras":
            gap = statistics.median(ours) - statistics.median(values)
            worst = min(ours) - min(values)
            pace = statistics.median(
                theirs["seconds"] / mine["seconds"]
                for theirs, mine in zip(found[system, batch], found[LEARNERS[0]], strict=True)
            )
            fine = gap >= 0 and worst >= -WORST_SEED
            text += f"  ours {gap:+.4f} (worst {worst:+.4f}), epoch {pace:.1f} times as fast: "
            text += "no worse" if fine else "WORSE"
        print(text)


def _median_seconds(work, warm_up: int = WARM_UP) -> float:
    for number in range(warm_up):
        work(number)
    seconds = []
    while sum(seconds) < SECONDS or len(seconds) < 3:
        began = time.perf_counter()
        work(len(seconds))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def has_keras(python: str) -> bool:
    """Whether an interpreter has TensorFlow and Keras."""
    program = "import importlib.util as u, sys; sys.exit(not (u.find_spec('tensorflow') and u.find_spec('keras')))"
    return subprocess.run([python, "-c", program], check=False).returncode == 0


def measure_in_process(python: str, system: str, batch: int, threads: int) -> dict[str, float]:
    """Return windows per second of training and prediction, from a fresh process."""
    command = [python, __file__, "--measure", system, "--batch", str(batch), "--threads", str(threads)]
    environment = dict(os.environ)
    if system == "nn.LSTM":
        # As the command line sets it.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000", **environment}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the BiLSTM beside the Keras reference.")
    parser.add_argument("--keras-python", default=sys.executable, help="interpreter that has tensorflow and keras")
    parser.add_argument("--rounds", type=int, default=3, help="times each system is measured, at least 3")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--accuracy", type=Path, metavar="DATASET", help="compare what is learnt on this dataset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--windows", type=int, default=40_000, help="windows drawn from the dataset")
    for name, kind in (("--measure", str), ("--learn", str), ("--batch", int), ("--seed", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.learn:
        arguments = (chosen.accuracy, chosen.seed, chosen.epochs, chosen.threads)
        learnt = learn_keras(*arguments, chosen.batch) if chosen.learn == "keras" else learn_neandl(*arguments)
        print(json.dumps(learnt))
        return
    if chosen.measure:
        keras = chosen.measure == "keras"
        arguments = (chosen.batch, chosen.threads)
        print(json.dumps(measure_keras(*arguments) if keras else measure_neandl(chosen.measure, *arguments)))
        return
    keras = has_keras(chosen.keras_python)
    if not keras:
        print(HOW_TO)
    if chosen.accuracy:
        compare_learning(chosen, keras)
        return
    systems = [one for one in SYSTEMS if keras or one[0] != "keras"]
    found: dict[tuple[str, int], list[dict[str, float]]] = {one: [] for one in systems}
    loads = []
    for _ in range(max(3, chosen.rounds)):
        for system, batch in systems:
            python = chosen.keras_python if system == "keras" else sys.executable
            found[system, batch].append(measure_in_process(python, system, batch, chosen.threads))
            loads.append(os.getloadavg()[0])
    print(f"{chosen.threads} threads; load average of the machine {min(loads):.1f} to {max(loads):.1f}, this included")
    report(found)


def report(found: dict[tuple[str, int], list[dict[str, float]]]) -> None:
    """Print medians, rounds, and ratios to Keras."""
    references = [one for one in REFERENCES if one in found]
    for what in ("training", "prediction"):
        middle = {one: statistics.median(values[what] for values in rounds) for one, rounds in found.items()}
        ratios = "  ".join(f"/ keras {batch:>4}" for _, batch in references)
        print(f"\n{what}, windows/s\n{'system':<8} {'batch':>5} {'median':>9}  {ratios}  rounds")
        for (system, batch), rounds in found.items():
            ratios = "  ".join(f"{middle[system, batch] / middle[one]:>12.2f}" for one in references)
            each = ", ".join(f"{values[what]:,.0f}" for values in rounds)
            print(f"{system:<8} {batch:>5} {middle[system, batch]:>9,.0f}  {ratios}  {each}")


if __name__ == "__main__":
    main()
