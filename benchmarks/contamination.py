"""Known contamination against the estimate: simulated samples at six shares, over seeds, each with a model of its own.

    python benchmarks/contamination.py --seeds 10 --preset ends-reference --out contamination.tsv

For each seed a project is simulated, a read dataset made from its ancient and its modern BAM, a model trained, and a
mixed BAM at each share classified. The modern BAM has reads of 100 bases, which the dataset cuts to ancient lengths;
contaminants of the mixed BAMs are whole fragments, somewhat longer than the ancient ones.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.9)


def project(folder: Path, seed: int, reads: int) -> None:
    """Write ancient.bam, modern.bam and one mixed BAM a share, with the truth beside them."""
    from neandl_core.config import SimulateSettings
    from neandl_core.simulate.fragments import Damage, Reference
    from neandl_core.simulate.genome import simulate_genome
    from neandl_core.simulate.project import write_bam
    from neandl_core.simulate.reads import Individuals, Sample

    settings = SimulateSettings(seed=seed, reads=reads)
    reference = Reference(simulate_genome(settings).sequences)
    individuals = Individuals.draw(reference, seed)
    samples = [Sample("ancient", 0.0), Sample("modern", 1.0, fixed_length=True)]
    samples += [Sample(f"mixed_{share:g}", share) for share in SHARES]
    for stream, sample in enumerate(samples):
        write_bam(folder, reference, individuals, sample, settings, Damage(), stream)


def classify(run: Path, bam: Path, folder: Path, seed: int) -> dict[str, float]:
    from neandl_core.classification import load_classifier, run_classify
    from neandl_core.config import ClassifySettings
    from neandl_core.io.alignments import open_alignments
    from neandl_core.recording import Run

    settings = ClassifySettings(seed=seed)
    with Run(folder, "classify", settings) as work, open_alignments(bam) as alignments:
        classifier = load_classifier(run, settings.threads, settings.seed)
        _, found, summary = run_classify(alignments, classifier, settings, work, "benchmark")
    shutil.rmtree(folder)
    return {
        "estimate": found.estimate, "low": found.low, "high": found.high, "misfit": found.misfit,
        "below_threshold": summary["contamination"]["share_below_threshold"], "auc": classifier.auc,
    }


def main() -> int:
    from neandl_core.__main__ import main as command_line

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--reads", type=int, default=40_000)
    parser.add_argument("--preset", default="ends-reference")
    parser.add_argument("--length", default="76")
    parser.add_argument("--out", type=Path, default=Path("contamination.tsv"))
    options = parser.parse_args()
    rows = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        began = time.time()
        with tempfile.TemporaryDirectory() as holder:
            folder = Path(holder)
            project(folder, seed, options.reads)
            for words in (
                ["read-set", "--ancient", str(folder / "ancient.bam"), "--modern", str(folder / "modern.bam"),
                 "--length", options.length, "--seed", str(seed), "--out", str(folder / "data")],
                ["train", str(folder / "data"), "--preset", options.preset, "--no-controls", "--seed", str(seed),
                 "--threads", "1", "--out", str(folder / "run")],
            ):
                if command_line([*words, "--quiet"]):
                    return 1
            for share in SHARES:
                found = classify(folder / "run", folder / f"mixed_{share:g}.bam", folder / "out", seed)
                rows.append({"seed": seed, "share": share, **found})
        print(f"seed {seed}: {time.time() - began:.0f} s", file=sys.stderr, flush=True)
        table = pd.DataFrame(rows)
        table.to_csv(options.out, sep="\t", index=False)
    table["error"] = table["estimate"] - table["share"]
    table["covered"] = (table["low"] <= table["share"]) & (table["share"] <= table["high"])
    summary = table.groupby("share").agg(
        seeds=("seed", "size"), mean=("estimate", "mean"), mean_error=("error", "mean"),
        mean_absolute_error=("error", lambda error: error.abs().mean()), covered=("covered", "sum"),
        low=("low", "mean"), high=("high", "mean"), misfit=("misfit", "mean"),
        below_threshold=("below_threshold", "mean"),
    )
    print(summary.round(4).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
