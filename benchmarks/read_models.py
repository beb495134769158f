"""A preset on labelled reads, beside its published accuracy and trivial baselines.

    python benchmarks/read_models.py --preset cnn-shallow --epochs 20 --reads ../shared/data/reads_labelled

The folder holds `train.csv.gz` and `val.csv.gz` with the columns `sequence` and `label` (1 is ancient). The model is
trained with the published settings on the first, less a twentieth for its curves, and scored on the second, once.
Reads longer than `--width` keep their first bases, shorter ones are padded. There is no alignment, so neither the PMD
score nor a split by locus can be had: as in the publication reads are divided at random. The interval counts every
read as independent. Class 0 of the file was cut from a reference genome and has no sequencing errors, class 1 has.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
VALIDATION_SHARE = 0.05
BASE_CODE = np.full(256, 4, np.uint8)
BASE_CODE[np.frombuffer(b"ACGT", np.uint8)] = range(4)


def read_table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv.gz"
    if not path.exists():
        raise SystemExit(f"{path} is missing: a table with the columns sequence and label.")
    return pd.read_csv(path, dtype={"sequence": str, "label": np.int64})


def codes_of(sequences: pd.Series, width: int) -> np.ndarray:
    codes = np.full((len(sequences), width), 4, np.uint8)
    for row, sequence in enumerate(sequences):
        bases = BASE_CODE[np.frombuffer(sequence[:width].upper().encode("ascii"), np.uint8)]
        codes[row, : len(bases)] = bases
    return codes


def make_dataset(source: Path, folder: Path, width: int, most: int | None, seed: int) -> None:
    """Write the reads as a dataset folder whose test part is `val.csv.gz`."""
    from neandl_core.dataset import Description, save_dataset

    rng = np.random.default_rng([seed, 51])
    train, test = read_table(source, "train"), read_table(source, "val")
    if most is not None and most < len(train):
        train = train.iloc[np.sort(rng.choice(len(train), most, replace=False))]
    part = np.where(rng.random(len(train)) < VALIDATION_SHARE, "validation", "train")
    both = pd.concat([train, test], ignore_index=True)
    split = np.concatenate([part, np.full(len(test), "test")])
    examples = pd.DataFrame({
        "label": both["label"], "split": split, "comparison_split": split, "locus": np.arange(len(both)),
        "contig": "unplaced", "start": 0, "gc": 0.0, "length": both["sequence"].str.len().clip(upper=width),
    })
    folder.mkdir()
    classes = ("modern", "ancient")
    described = Description("reads", width, 0, classes, "random", "random")
    save_dataset(folder, [codes_of(both["sequence"], width)], examples, described)


def main() -> int:
    from neandl_core.config import TrainSettings
    from neandl_core.dataset import load_dataset
    from neandl_core.experiment import run_experiment
    from neandl_core.files import read_json
    from neandl_core.presets import PUBLISHED
    from neandl_core.recording import Run

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=Path, default=ROOT.parent / "shared" / "data" / "reads_labelled")
    parser.add_argument("--preset", choices=("cnn-shallow", "cnn-deep", "ends"), default="cnn-shallow")
    parser.add_argument("--epochs", type=int, help="the preset's unless given")
    parser.add_argument("--width", type=int, default=76)
    parser.add_argument("--train-reads", type=int, help="draw so many training reads")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    settings = TrainSettings.preset_of(
        options.preset, epochs=options.epochs, threads=options.threads, seed=options.seed, controls=False, device="cpu",
    )
    with tempfile.TemporaryDirectory() as holder:
        folder = Path(holder)
        make_dataset(options.reads, folder / "data", options.width, options.train_reads, options.seed)
        dataset = load_dataset(folder / "data")

        def told(done: float, total: float, message: str) -> None:
            print(f"\r{done / max(1, total):6.1%} {message:<50}", end="", file=sys.stderr, flush=True)

        with Run(folder / "run", "train", settings, on_progress=told) as run:
            summary = run_experiment(dataset, settings, run)
        print(file=sys.stderr)
        tested = read_json(folder / "run" / "evaluation.json")["splits"][0]["test"]
        records = [line for line in (folder / "run" / "log.txt").read_text().splitlines() if "epoch" in line]
    counts = {name: sum(pair) for name, pair in summary["classes"]["counts"].items()}
    print(f"{options.preset}, {settings.epochs} epochs, {counts['train']:,} training reads (and their reverse "
          f"complements: {settings.reverse_complements}), {counts['test']:,} test reads, {options.width} bases")
    print("\n".join(records[-3:]))
    rows = {options.preset: summary["test"], **summary["baselines"]}
    table = pd.DataFrame({
        name: {
            "accuracy": f"{scores['accuracy']:.4f}",
            "accuracy, 95%": "{:.4f} to {:.4f}".format(*scores["accuracy_ci"]),
            "AUC": f"{scores['auc']:.4f}", "AUC, 95%": "{:.4f} to {:.4f}".format(*scores["auc_ci"]),
        } for name, scores in rows.items()
    }).T
    print(table.to_string())
    print(f"published: {PUBLISHED.get(options.preset, 'nothing')}")
    print("by length: " + "; ".join(
        f"{row['shortest']} to {row['longest']} bases {row['accuracy']:.3f} (n = {row['n']:,})"
        for row in tested["by_length"]
    ))
    calibration = summary["calibration"]
    print(f"calibration error {calibration['ece_before']:.4f} before, {calibration['ece_after']:.4f} after, "
          f"{calibration['ece_expected']:.4f} by chance ({calibration['method']}); "
          f"{summary['seconds_per_epoch']:.0f} s an epoch, {summary['samples_per_second']:,.0f} reads/s in training")
    return 0


if __name__ == "__main__":
    sys.exit(main())
