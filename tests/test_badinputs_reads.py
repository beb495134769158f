"""Every damaged, misnamed or odd alignment file of the corpus, through the real command `reads` and through `read-set`.

One process reads them all, one after another: whatever a file does to it, the next one must still be read. A file that
can be read ends with all its records counted and with the oddity told; one that cannot, with one sentence that names
it, and nothing is left of the run.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.sam_files import write_fasta

KINDS = {"bam", "bam+idx", "sam", "cram", "name"}
DIFFERENCES = {
    # Mapped reads without an alignment (CIGAR *): no base has a place, so none is usable, and a run without a result
    # is an error, as it is for a file of unmapped reads.
    "bam/cigar_empty_mapped.bam": r"0 usable reads of 600 \(no aligned bases: 600\)",
    # No MD tags, and no genome with a chromosome of 600 million bases is at hand.
    "bam/contig_gt_512Mb.bam": "no MD tag and no reference FASTA given",
}
TOLD = {
    # What the notes, the warnings or the reasons for leaving reads out must say of files read with a warning.
    "trunc_boundary_14": "end marker of the file is missing", "trunc_eof_partial": "end marker of the file is cut",
    "trailing_garbage": "bytes after the end marker", "unsorted_says_sorted": "header says sorted",
    "unsorted": "not sorted by coordinate", "noqual": "no base qualities", "no_md": "600 reads used have no MD tag",
    "md_wrong": "600 MD tags do not fit", "md_empty": "600 MD tags do not fit", "cigar_past_end": "run past the end",
    "tag_bad_type": "20 MD tags do not fit", "mapq0": "mapping quality 0", "contig_": "contig names hold unusual",
    "chrom_prefix": "with and without chr", "bgzf_bomb": "2,000 reads used have no MD tag", "crlf": "as in Windows",
    "co_html": "@HD line is not its first", "sam_named": "sam_named.bam is a SAM file", "no_eof": "EOF",
    ".bam": "no name",
}
EXPECTED_NOTES = re.compile(r"have no MD tag; their reference|a damage curve should not be trusted")
"""What may be said of a file that is to be read in full without a warning: it has no MD tags, or few reads."""
WORKER = r"""
import contextlib, io, json, os, sys, time
from pathlib import Path
import numpy as np
from neandl_core.__main__ import main
from neandl_core.errors import InputError
from neandl_core.io.alignments import open_alignments
from neandl_core.io.reference import ReferenceBases
from neandl_core.read_draw import Draw

def draw(path, reference):
    drawing = Draw(50, 40, 1, 0, np.random.default_rng(1))
    try:
        with open_alignments(path, reference) as alignments:
            drawing.add(alignments, reference=None if reference is None else ReferenceBases(reference, alignments))
    except InputError as error:
        return str(error)
    return drawing.reads().total

for line in sys.stdin:
    case = json.loads(line)
    words = ["reads", case["path"], "--out", case["out"], "--quiet"]
    words += ["--reference", case["reference"]] if case["reference"] else []
    said, start = io.StringIO(), time.perf_counter()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        status = main(words)
    seconds = time.perf_counter() - start
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
    summary = Path(case["out"]) / "summary.json"
    print(json.dumps({
        "status": status, "said": said.getvalue(), "seconds": seconds, "peak": peak,
        "summary": json.loads(summary.read_text()) if summary.exists() else None,
        "left": Path(case["out"]).exists(), "drawn": draw(case["path"], case["reference"]) if case["draw"] else None,
    }), flush=True)
"""


def cases(folder: Path) -> list[dict[str, str]]:
    """Return what to read: manifest rows with the path to give and the reference."""
    lines = (folder / "manifest.tsv").read_text().splitlines()
    rows = [row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if row["kind"] in KINDS]
    files = folder / "files"
    references = {
        "long_100kb": write_fasta(folder / "long.fa", {"chr1": "ACGT" * 50_000}),
        "bgzf_bomb": write_fasta(folder / "bomb.fa", {"chr1": "ACGT" * 250_000}),
        "wrong_ref": files / "cram" / "wrong_ref.fa",
    }
    for number, row in enumerate(rows):
        path = files / unescaped(row["file"])
        stem = Path(row["file"]).stem
        if row["upload_name"] is not None and row["upload_name"] != "":
            name = unescaped(row["upload_name"])
            if row["expected"] == "ok":  # a file of that very name, below a folder of its own
                new = folder / f"named{number}" / name
                new.parent.mkdir(parents=True)
                path = path.rename(new)
            else:
                path = name
        elif stem == "up_05":
            path = ""
        row["path"], row["out"] = str(path), str(folder / f"out{number}")
        reference = references.get(stem, files / "fasta" / "ok.fa")
        row["draw"] = row["kind"] in ("bam", "bam+idx")  # the others are opened the same way, half a second each
        row["reference"] = "" if stem in ("no_ref", "contig_gt_512Mb") else str(reference)
    return rows


def unescaped(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


def fault_of(row: dict[str, str], found: dict) -> str | None:
    """Say how a case ended otherwise than listed."""
    name, wanted = Path(row["file"]).name, int(row["n_good"])
    sentence = found["said"].strip()
    different = DIFFERENCES.get(row["file"])
    if found["seconds"] > 10 or found["peak"] > 1024:
        return f"{found['seconds']:.1f} s, {found['peak']:.0f} MiB"
    if row["expected"] == "error" or different:
        # A word of a command line cannot hold the NUL byte of one of the names, so that is an error of usage.
        if found["status"] not in ((1, 2) if "\0" in row["path"] else (1,)) or found["left"]:
            return f"status {found['status']}, folder left: {found['left']}"
        lines = len(sentence.splitlines()) if found["status"] == 1 else 1
        if lines != 1 or "Traceback" in sentence or not 20 < len(sentence) < 600:
            return f"said {sentence!r}"
        if row["kind"] != "name" and not sentence.startswith(name):
            return f"the file is not named: {sentence}"
        return None if different is None or re.search(different, sentence) else sentence
    if found["status"] != 0:
        return sentence
    summary = found["summary"]
    if wanted >= 0 and not wanted == summary["reads_total"] == (found["drawn"] or wanted):
        return f"{summary['reads_total']} records seen, {found['drawn']} drawn from"
    if summary["reads_used"] + sum(summary["dropped"].values()) != summary["reads_total"]:
        return "the reads left out do not add up"
    told = [*summary["notes"], *summary["warnings"], *summary["dropped"]]
    if row["expected"] == "ok":
        odd = [note for note in told if not EXPECTED_NOTES.search(note)]
        return f"warned without need: {odd}" if odd else None
    keys = [key for key in TOLD if name.startswith(key)]
    if not keys:
        return f"this test does not know what should be told: {told}"
    return None if any(re.search(TOLD[keys[0]], note) for note in told) else f"told: {told}"


def obeyed(folder: Path) -> list[Path]:
    """Files that a name would make if it were run as a command; folders in mapDamage's layout are called by samples."""
    return sorted(path for path in folder.rglob("*") if "PWNED" in path.name and "compat" not in path.parts)


@pytest.mark.shared
def test_every_bad_alignment_file_ends_as_listed(shared: Path, tmp_path: Path) -> None:
    with tarfile.open(shared.parent / "badinputs" / "corpus.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    rows = cases(tmp_path)
    assert len(rows) == 138
    listed = obeyed(tmp_path)
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    answers, _ = worker.communicate("".join(json.dumps(row) + "\n" for row in rows))
    found = [json.loads(line) for line in answers.splitlines()]
    assert worker.returncode == 0, f"the process ended at {rows[len(found)]['file']}"
    faults = {row["file"]: fault_of(row, answer) for row, answer in zip(rows, found, strict=True)}
    assert {file: fault for file, fault in faults.items() if fault} == {}
    assert len(DIFFERENCES) <= 3
    assert obeyed(tmp_path) == listed
    assert not Path("/tmp/PWNED_up.bam").exists()
    assert np.all([Path(row["path"]).exists() for row in rows if row["expected"] == "ok"])


BANNED = {
    # Calls of pysam that end the process on a stale MD tag, or lose reads of a damaged file without a word.
    r"get_reference_sequence\(", r"with_seq\s*=\s*True", r"\.fetch\(\s*\)", r"(?<!itertools)\.count\(\s*\)",
    "ignore_truncation",
}


@pytest.mark.parametrize("pattern", sorted(BANNED))
def test_no_banned_call_of_pysam_is_made(pattern: str) -> None:
    sources = [*(ROOT / "neandl_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
    assert len(sources) > 50
    assert [path.name for path in sources if re.search(pattern, path.read_text(encoding="utf-8"))] == []
