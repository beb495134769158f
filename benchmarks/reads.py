"""Time `reads` beside `samtools view -c` and mapDamage, pairwise, in one run, and compare the counts.

    python benchmarks/reads.py [--bam FILE --reference FA] [--reads 1000000] [--rounds 5] [--threads 2]

The systems take turns, so that other work on the machine meets all of them; each time is set against the samtools
run just before it, and medians are shown. "In a running process" is the count alone, as the dashboard's worker has
it; "whole command" (--quick) also starts Python, hashes the input for the record and writes the tables; "with
details" is the command as it is by default, with PMD scores, groups, CpG, the fit and the files of other tools.
mapDamage runs once per
round only with --mapdamage-rounds, as it takes minutes. Tools that are not installed are left out and named. Without
--bam, a BAM is simulated.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
IN_PROCESS_TARGET, COLD_TARGET, MEMORY_TARGET = 1.3, 4.0, 300
IN_PROCESS = """
import json, sys, time
from neandl_core.config import ReadSettings
from neandl_core.damage import count_damage
from neandl_core.io.alignments import open_alignments
def peak():
    # Not getrusage: its figure is inherited from the process that started this one.
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
def once():
    start = time.perf_counter()
    with open_alignments(sys.argv[1], threads=int(sys.argv[2])) as alignments:
        profile = count_damage(alignments, ReadSettings())
    return time.perf_counter() - start, profile.reads_total
before = peak()
once()
for line in sys.stdin:
    print(json.dumps([*once(), peak() - before]), flush=True)
"""


def simulate(folder: Path, reads: int) -> tuple[Path, Path]:
    """Simulate a BAM and its reference with the awkward cases: indels, clips, duplicates, unmapped reads."""
    from neandl_core.config import SimulateSettings
    from neandl_core.simulate.fragments import Damage
    from neandl_core.simulate.genome import simulate_genome
    from neandl_core.simulate.project import write_bam, write_fasta
    from neandl_core.simulate.reads import Individuals, Reference, Sample

    settings = SimulateSettings.make(reads=reads, chromosome_length=5_000_000)
    genome = simulate_genome(settings)
    write_fasta(folder / "reference.fa", genome)
    reference = Reference(genome.sequences)
    individuals = Individuals.draw(reference, settings.seed)
    write_bam(folder, reference, individuals, Sample("ancient", 0.0), settings, Damage(), 0)
    return folder / "ancient.bam", folder / "reference.fa"


def timed(command: list[str], **options) -> float:
    """Run a command and return its wall seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.perf_counter() - start


def compare_with_mapdamage(ours: Path, theirs: Path) -> str:
    """Compare counts and denominators of all substitutions, both ends, both strands, with misincorporation.txt."""
    import pandas as pd

    table = pd.read_csv(theirs / "misincorporation.txt", sep="\t", comment="#")
    table = table.groupby(["End", "Std", "Pos"]).sum(numeric_only=True)
    mine = pd.read_csv(ours / "misincorporation.tsv", sep="\t", keep_default_na=False)
    compared = different = 0
    for (end, strand, position), row in table.iterrows():
        here = mine[(mine["end"] == end) & (mine["strand"] == strand) & (mine["position"] == position - 1)]
        pairs = {(r.ref_base, r.read_base): r.count_ for r in here.rename(columns={"count": "count_"}).itertuples()}
        for base in "ACGT":
            compared += 1
            different += row[base] != sum(n for (reference, _), n in pairs.items() if reference == base)
            for read in "ACGT-":
                if read != base:
                    compared += 1
                    different += row[f"{base}>{read}"] != pairs[base, read]
            compared += 1
            different += row[f"->{base}"] != pairs["-", base]
    return f"{compared:,} counts compared with mapDamage's, {different:,} differ"


def compare_with_damageprofiler(shared: Path) -> str:
    """Compare the read-base definition with a published DamageProfiler result."""
    from neandl_core.config import ReadSettings
    from neandl_core.damage import count_damage
    from neandl_core.io.alignments import open_alignments

    oracle = json.loads((shared / "oracles" / "JK2782.DamageProfiler-0.4.3.json").read_text())
    with open_alignments(shared / "ancient" / "JK2782.mapped.bam") as alignments:
        profile = count_damage(alignments, ReadSettings.for_definition("read-base"))
    different = 0
    for end, substitution, key in (("5p", "C>T", "dmg_5p"), ("3p", "G>A", "dmg_3p")):
        observed, n = profile.tally(end, substitution)
        rates = [k / total for k, total in zip(observed[:25].tolist(), n[:25].tolist(), strict=True)]
        different += sum(a != b for a, b in zip(rates, oracle[key], strict=True))
    return f"50 rates compared with DamageProfiler's, {different} differ"


def run_rounds(bam: Path, rounds: int, threads: int, work: Path) -> tuple[dict[str, list[float]], float, int]:
    """Return ({system: seconds}, MiB over the baseline in a running process, records)."""
    ours = [sys.executable, "-m", "neandl_core", "reads", str(bam), "--quiet", "--threads", str(threads), "--out"]
    samtools = shutil.which("samtools")
    times: dict[str, list[float]] = {"in a running process": [], "whole command": [], "with details": []}
    if samtools:
        times = {"samtools view -c": [], **times}
    timed([*ours, str(work / "warm")], cwd=ROOT)
    timed([*ours, str(work / "warm-quick"), "--quick"], cwd=ROOT)
    worker = subprocess.Popen(
        [sys.executable, "-c", IN_PROCESS, str(bam), str(threads)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    memory, records = 0.0, 0
    for number in range(rounds):
        if samtools:
            times["samtools view -c"].append(timed([samtools, "view", "-c", f"-@{threads}", str(bam)]))
        worker.stdin.write("again\n")
        worker.stdin.flush()
        seconds, records, memory = json.loads(worker.stdout.readline())
        times["in a running process"].append(seconds)
        times["whole command"].append(timed([*ours, str(work / f"quick{number}"), "--quick"], cwd=ROOT))
        times["with details"].append(timed([*ours, str(work / f"round{number}")], cwd=ROOT))
    worker.stdin.close()
    worker.wait()
    return times, memory, records


def show(times: dict[str, list[float]]) -> None:
    base = times.get("samtools view -c")
    print(f"\n{'system':<22} {'median s':>9} {'x samtools':>11}  rounds")
    for name, seconds in times.items():
        pairs = [own / other for own, other in zip(seconds, base, strict=False)] if base else []
        ratio = f"{statistics.median(pairs):11.2f}" if pairs else f"{'-':>11}"
        print(f"{name:<22} {statistics.median(seconds):9.3f} {ratio}  {', '.join(f'{s:.3f}' for s in seconds)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bam", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--reads", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mapdamage-rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neandl-benchmark-") as name:
        work = Path(name)
        bam, reference = options.bam, options.reference
        if bam is None:
            print(f"Simulating {options.reads:,} records ...")
            bam, reference = simulate(work, options.reads)
        times, memory, records = run_rounds(bam.resolve(), max(3, options.rounds), options.threads, work)
        mapdamage = shutil.which("mapDamage")
        if mapdamage and reference is not None and options.mapdamage_rounds:
            times["mapDamage"] = [
                timed([mapdamage, "-i", str(bam), "-r", str(reference), "-d", str(work / f"md{n}"), "--no-stats", "-q"])
                for n in range(options.mapdamage_rounds)
            ]
        print(f"{records:,} records, {bam.stat().st_size / 1e6:.1f} MB, {options.threads} threads")
        show(times)
        print(f"\nmemory over the baseline of a running process: {memory:.0f} MiB (target < {MEMORY_TARGET})")
        print(f"targets: in a running process <= {IN_PROCESS_TARGET} x samtools, whole command <= {COLD_TARGET} x")
        if "mapDamage" in times:
            faster = statistics.median(times["mapDamage"]) / statistics.median(times["whole command"])
            print(f"whole command {faster:.0f} x faster than mapDamage")
            print(compare_with_mapdamage(work / "warm", work / "md0"))
        else:
            print("mapDamage was not run: it needs to be installed, and --reference beside --bam.")
        shared = ROOT.parent / "shared" / "data"
        if shared.is_dir():
            print(compare_with_damageprofiler(shared))


if __name__ == "__main__":
    main()
