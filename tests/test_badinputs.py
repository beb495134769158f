"""The corpus of bad inputs: every genome, interval, variant, gene, model and settings file ends as its manifest says.

All cases run through the real commands in one child process, so that a crash shows as a missing answer.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from neandl_core.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("fasta", "bed", "vcf", "genes", "archive", "model", "config")

DIFFERENT = {
    # Variants are not used yet: the good ones are refused too, with that reason.
    **{f"vcf/{name}": "error" for name in (
        "ok.vcf", "info_undeclared.vcf", "ref_html.vcf", "sites_only.vcf", "gz_plain.vcf.gz")},
    # A readable file of numbers that is no model of ours: its arrays are not those that the model card describes.
    "model/ok.safetensors": "error",
    # Settings are JSON alone; YAML guesses types (no -> false, 1.10 -> 1.1), which is what the case warns of.
    "config/norway.yaml": "error",
}
CAUSE = {
    "fasta/stale_fai.fa": "index", "fasta/fai_evil.fa": "index", "fasta/fai_garbage.fa": "index",
    "fasta/fai_short.fa": "index", "fasta/trunc.fa": "length|ends|shorter|bases", "fasta/protein.fa": "protein",
    "fasta/utf16.fa": "UTF-16", "fasta/dup_ids.fa": "twice", "fasta/all_n.fa": "only N",
    "fasta/fastq_named.fa": "FASTQ", "bam/bam_named.fasta": "BAM|FASTA", "bed/end_lt_start.bed": "before the start",
    "bed/start_beyond.bed": "past the end", "bed/wrong_build.bed": "build", "genes/missing_col.tsv": "end",
    "genes/xlsx_named.csv": "spreadsheet", "genes/unbalanced_quote.tsv": "quot", "archive/bomb.fa.gz": "unpacks",
    "model/nan_weights.safetensors": "finite", "model/dup_keys.safetensors": "twice", "config/lr_nan.json": "NaN",
    "config/dup_keys.json": "twice", "config/deep.json": "nested", "config/unknown_key.json": "batchsize",
    "config/window_lt_k.json": "window", "config/empty.json": "empty",
}
"""What the message must name, where the sentence could otherwise be right for another reason."""


@dataclass(frozen=True)
class Case:
    """One row of the manifest."""

    name: str
    kind: str
    expected: str
    n_good: int
    path: Path


@pytest.fixture(scope="module")
def corpus(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    archive = shared.parent / "badinputs" / "corpus.tar.xz"
    if not archive.is_file():
        pytest.skip("the corpus is not beside the project (../shared/badinputs)")
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Case(row["file"], row["kind"], row["expected"], int(row["n_good"]), folder / "files" / row["file"])
        for row in rows if row["kind"] in KINDS
    ]


def write_bed(path: Path, lines: list[tuple[str, int, int]]) -> Path:
    path.write_text("".join(f"{name}\t{start}\t{end}\n" for name, start, end in lines))
    return path


def halves(fasta: Path, folder: Path) -> tuple[Path, Path]:
    """Two lists of intervals on the sequences of a genome that can be read, found without our own reader."""
    raw = fasta.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    found = []
    for record in (b"\n" + raw.removeprefix(b"\xef\xbb\xbf")).split(b"\n>")[1:]:
        name, _, sequence = record.partition(b"\n")
        found.append((name.split()[0].decode(), len(b"".join(sequence.split()))))
    name, length = max(found, key=lambda record: record[1])
    if length >= 8000:
        loci = [(name, start, start + 450) for start in range(0, 8000, 500)]
    else:
        loci = [(name, 0, length) for name, length in found[:60]]
    one, other = loci[::2], loci[1::2]
    return write_bed(folder / f"{fasta.name}.one.bed", one), write_bed(folder / f"{fasta.name}.other.bed", other)


@dataclass
class Bench:
    """A good project around the case: what it stands in for is its own; all else is sound."""

    genome: Path
    introgressed: Path
    depleted: Path
    dataset: Path
    run: Path
    folder: Path

    def windows(self, out: Path, **replaced: Path) -> list[str]:
        files = {"reference": self.genome, "introgressed": self.introgressed, "depleted": self.depleted} | replaced
        return ["windows", *(word for name, path in files.items() for word in (f"--{name}", str(path))),
                "--window", "200", "--k", "4", "--split", "random", "--threads", "1", "--out", str(out)]

    def genes(self, out: Path, genes: Path, run: Path | None = None, genome: Path | None = None) -> list[str]:
        return ["genes", str(run or self.run), "--genes", str(genes), "--reference", str(genome or self.genome),
                "--threads", "1", "--out", str(out)]

    def words(self, case: Case, out: Path) -> list[str]:
        """Return the command line that meets the case as a user would."""
        if case.name == "fasta/trunc.fa":
            # Only the lengths in an alignment's header can tell that a genome ends too early.
            sam = case.path.parents[1] / "bam" / "ok.bam"
            return ["reads", str(sam), "--reference", str(case.path), "--out", str(out)]
        if case.kind == "fasta":
            if case.name == "fasta/chrom_prefix.fa" or case.expected == "error":
                return self.windows(out, reference=case.path)
            if case.name == "fasta/iupac.fa":
                # Not one window of it can be cut, as each letter stands for several bases; genes are laid on it.
                return self.genes(out, self.folder / "good-genes.tsv", genome=case.path)
            one, other = halves(case.path, self.folder)
            words = self.windows(out, reference=case.path, introgressed=one, depleted=other)
            # Some have an N in every line, or sequences of 10 bases.
            return [*words, "--window", "10"]
        if case.kind == "archive":
            if ".fa" in case.name:
                return self.windows(out, reference=case.path)
            return self.genes(out, case.path) if case.path.suffix == ".tar" else self.windows(
                out, introgressed=case.path)
        if case.kind in ("bed", "vcf"):
            lines = self.depleted.read_text() * (30_000 if case.name == "bed/million_same.bed" else 1)
            depleted = self.folder / f"{case.path.name}.depleted.bed"
            depleted.write_text(lines)
            return [*self.windows(out, introgressed=case.path, depleted=depleted), "--max-windows", "2000"]
        if case.kind == "genes":
            return self.genes(out, case.path)
        if case.kind == "model":
            copy = self.folder / "models" / case.path.name
            shutil.copytree(self.run, copy)
            shutil.copyfile(case.path, copy / "model.safetensors")
            return self.genes(out, self.folder / "good-genes.tsv", copy)
        return self.config(case, out)

    def config(self, case: Case, out: Path) -> list[str]:
        """Translate the corpus's names into ours, in the text itself: its quirks are the point."""
        of_windows = re.match(r"config/(window|k|test)_", case.name)
        mine = {"window", "k", "test_fraction"}
        changed = {"dropout_": "dropout", "hidden_": "hidden", "layers_": "layers", "workers_": "num_workers"}
        kept = next((key for start, key in changed.items() if start in case.name), None)
        raw = case.path.read_bytes()
        for key in ("model", "window", "k", "batch_size", "epochs", "lr", "seed", "dropout", "test_fraction",
                    "hidden", "layers", "num_workers"):
            if (key in mine) == bool(of_windows) and key not in changed.values():
                continue
            if key != kept and key != "seed" and len(raw) < 1000:
                raw = re.sub(rb'"%b": [^,}]+(, |(?=}))' % key.encode(), b"", raw)
        raw = raw.replace(b", }", b"}").replace(b'"lr"', b'"learning_rate"').replace(b'"num_workers"', b'"threads"')
        raw = raw.replace(b'"test_fraction"', b'"test_share"').replace(b'"model": "cnn"', b'"preset": "cnn-shallow"')
        file = self.folder / f"settings-{case.path.name}"
        file.write_bytes(raw.replace(b'"model"', b'"preset"'))
        if of_windows:
            words = self.windows(out)
            del words[words.index("--window"):words.index("--split")]
            return [*words, "--settings", str(file)]
        preset = [] if b'"preset"' in raw or b'"model"' in raw else ["--preset", "cnn-shallow"]
        return ["train", str(self.dataset), "--settings", str(file), *preset, "--out", str(out), "--no-controls"]


@pytest.fixture(scope="module")
def bench(corpus: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Bench:
    from neandl_core.__main__ import main

    folder = tmp_path_factory.mktemp("bench")
    genome = next(case.path for case in corpus if case.name == "fasta/ok.fa")
    shutil.copyfile(genome, folder / "genome.fa")
    spots = [("chr1", 5000 + 600 * index, 5500 + 600 * index) for index in range(20)]
    one = write_bed(folder / "introgressed.bed", spots[::2])
    other = write_bed(folder / "depleted.bed", spots[1::2])
    made = Bench(folder / "genome.fa", one, other, folder / "dataset", folder / "run", folder)
    (folder / "good-genes.tsv").write_text("gene\tchrom\tstart\tend\nOAS1\tchr1\t100\t900\n")
    assert main(made.windows(made.dataset)) == 0
    assert main(["train", str(made.dataset), "--preset", "logistic", "--no-controls", "--out", str(made.run)]) == 0
    return made


@pytest.fixture(scope="module")
def answers(corpus: list[Case], bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What each case's command answered, from one child process."""
    folder = tmp_path_factory.mktemp("answers")
    jobs = [
        {"case": case.name, "out": str(folder / f"out-{index}"), "words": bench.words(case, folder / f"out-{index}")}
        for index, case in enumerate(corpus)
    ]
    write_json(folder / "jobs.json", jobs)
    subprocess.run(
        [sys.executable, "-m", "tests.test_badinputs", str(folder / "jobs.json"), str(folder / "answers.jsonl")],
        cwd=ROOT, check=False, timeout=120,
    )
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    found = {answer["case"]: answer for answer in map(json.loads, lines)}
    for job in jobs:
        if job["case"] in found:
            summary = Path(job["out"]) / "summary.json"
            found[job["case"]] |= {
                "stored": Path(job["out"]).exists(), "summary": read_json(summary) if summary.exists() else {},
            }
    planted = [str(path) for place in (ROOT, folder, bench.folder) for path in place.rglob("PWNED_*")]
    assert planted == [], "a file's code was run"
    return found


def complaints(case: Case, answer: dict | None, usual: int) -> str:
    """What is wrong with an answer; empty if it is as it should be."""
    if answer is None:
        return "the process died"
    said = answer["err"] + answer["out"]
    if "Traceback" in said:
        return f"a traceback: {said[-300:]}"
    if answer["seconds"] > 10 or answer["megabytes"] > 1000:
        return f"{answer['seconds']:.0f} s, grew by {answer['megabytes']} MB"
    expected = DIFFERENT.get(case.name, case.expected)
    if expected == "error":
        if answer["status"] != 1 or len(answer["err"].strip().splitlines()) != 1:
            return f"should be refused in one sentence: {answer['status']} {said!r}"
        if answer["stored"]:
            return "refused, and something was stored"
        wanted = CAUSE.get(case.name, ".")
        if not re.search(wanted, answer["err"]):
            return f"does not name the cause ({wanted}): {answer['err']!r}"
        if case.kind in ("fasta", "bed", "vcf", "genes", "archive") and case.path.name not in answer["err"]:
            return f"does not name the file: {answer['err']!r}"
        return ""
    if answer["status"] != 0:
        return f"should be read: {said!r}"
    notes = answer["summary"].get("notes", [])
    # A run of `train` says at its end what was odd about its settings, and notes other things in its summary.
    warned = "skipped" in answer["out"] if case.kind == "config" else len(notes) > usual
    if warned != (expected == "ok-with-warning"):
        return f"expected {expected}, and it says {notes or 'nothing'}"
    if case.n_good >= 0 and records(case.kind, answer["summary"]) != case.n_good:
        return f"{records(case.kind, answer['summary'])} records of {case.n_good}"
    return ""


def records(kind: str, summary: dict) -> int:
    """Count the records that were read, and those left out with a word."""
    if kind == "fasta":
        return summary["genome"]["sequences"]
    said = re.search(r"(\d+) (empty intervals|rows without a symbol)", " ".join(summary["notes"]))
    read = summary["intervals"]["introgressed"]["intervals_in_file"] if kind == "bed" else summary["rows"]
    return read + int(said[1] if said else 0)


@pytest.mark.shared
@pytest.mark.parametrize("kind", KINDS)
def test_every_case_ends_as_the_manifest_says(kind: str, corpus: list[Case], answers: dict[str, dict]) -> None:
    usual = len(answers["genes/ok.tsv"]["summary"]["notes"]) if kind == "genes" else 0
    cases = [case for case in corpus if case.kind == kind]
    wrong = {
        case.name: said for case in cases
        if (said := complaints(case, answers.get(case.name), usual))
    }
    assert cases
    assert wrong == {}


def run_all(jobs: Path, answers: Path) -> None:
    """Run command lines one after the other in this process and write down what each said."""
    import contextlib
    import io
    import resource

    from neandl_core.__main__ import main

    with answers.open("a", encoding="utf-8") as handle:
        for job in read_json(jobs):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            began = time.process_time()  # of this process alone, whatever else the machine does
            with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
                status = main(job["words"])
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
            handle.write(json.dumps({
                "case": job["case"], "status": status, "out": out.getvalue(), "err": err.getvalue(),
                "seconds": time.process_time() - began, "megabytes": grown,
            }) + "\n")
            handle.flush()


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), Path(sys.argv[2]))
