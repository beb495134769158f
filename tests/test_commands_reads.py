"""`reads` and `read-set` on the command line: what they write, and that a fault leaves one sentence and no folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from neandl_core.commands.read_set import read_set
from neandl_core.commands.reads import reads
from neandl_core.dataset import load_dataset
from neandl_core.errors import NeanDLError
from neandl_core.io.bgzf import BgzfFile
from neandl_core.schemas import DAMAGE_RATES, LENGTHS, MISINCORPORATIONS, check_table
from tests.sam_files import HEADER, line, write_bam, write_fasta
from tests.test_damage import BY_HAND


def run(command, *words: object) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    app([str(word) for word in words], standalone_mode=False)


def refused(command, out: Path, *words: object) -> str:
    """Run a command that must fail; return its message after checking what is left behind."""
    with pytest.raises(NeanDLError) as caught:
        run(command, *words, "--out", out)
    assert not out.exists()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_reads_writes_its_tables_and_summary(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "a.bam", BY_HAND, HEADER + "@CO\tsimulated by NeanDL\n")
    run(reads, bam, "--out", tmp_path / "out", "--quiet")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["reads_total"] == 9
    assert summary["reads_used"] == 7
    assert summary["dropped"] == {"unmapped": 1, "duplicate": 1}
    assert summary["c_to_t_5p"][0] == pytest.approx(5 / 6)
    assert summary["n_5p"][0] == 6
    assert {len(summary[name]) for name in ("c_to_t_5p", "g_to_a_3p", "c_to_t_3p", "n_5p")} == {25}
    assert summary["length"]["median"] == 8
    assert summary["length"]["mean"] == pytest.approx(53 / 7)
    assert summary["length"]["histogram"] == {"6": 2, "8": 4, "9": 1}
    assert summary["length"]["query_histogram"] == {"8": 7}
    assert summary["definition"] == "alignment-column"
    assert summary["damaged"] == "too few reads"
    assert summary["warnings"]
    assert summary["simulated"] is True
    for name, contract in (
        ("misincorporation", MISINCORPORATIONS), ("damage_rates", DAMAGE_RATES), ("lengths", LENGTHS)
    ):
        check_table(pd.read_csv(tmp_path / "out" / f"{name}.tsv", sep="\t"), contract, name)


def test_read_base_takes_the_filters_of_its_tools(tmp_path: Path) -> None:
    run(reads, write_bam(tmp_path / "a.bam", BY_HAND), "--out", tmp_path / "out", "--definition", "read-base")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["reads_used"] == 8  # the duplicate counts
    assert "duplicate" not in summary["filters"]


def test_mates_are_counted_one_by_one_and_it_is_said(tmp_path: Path) -> None:
    lines = [line("p", flag, 5, "4M", "ACGT", "4") for flag in (65, 129)]
    run(reads, write_bam(tmp_path / "a.bam", lines), "--out", tmp_path / "out")
    notes = json.loads((tmp_path / "out" / "summary.json").read_text())["notes"]
    assert any("2 of the reads used are mates" in note for note in notes)


@pytest.mark.parametrize("words", [("--definition", "other"), ("--min-mapping-quality", "999"), ("--threads", "0")])
def test_an_impossible_setting_is_one_sentence(tmp_path: Path, words: tuple[str, str]) -> None:
    assert "refused" in refused(reads, tmp_path / "out", write_bam(tmp_path / "a.bam", BY_HAND), *words)


def test_bad_inputs_leave_one_sentence_and_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "no such" in refused(reads, out, tmp_path / "missing.bam")
    fasta = write_fasta(tmp_path / "genome.fa", {"chr1": "ACGT"})
    assert "got a FASTA file" in refused(reads, out, fasta)
    bare = write_bam(tmp_path / "bare.bam", [line("bare", 0, 5, "4M", "ACGT", None)])
    assert "record 1 (read bare): no MD tag and no reference" in refused(reads, out, bare)
    unused = write_bam(tmp_path / "unused.bam", BY_HAND[-2:])
    assert "0 usable reads of 2 (unmapped: 1; duplicate: 1)" in refused(reads, out, unused)
    for md in ("3", "30"):
        lines = [line("bad", 0, 5, "8M", "ACGTACGT", md)]
        assert "MD tag does not fit" in refused(reads, out, write_bam(tmp_path / "md.bam", lines))
    whole = write_bam(tmp_path / "whole.bam", BY_HAND * 30_000)
    with BgzfFile(whole) as file:
        offsets = [block.offset for block in file.blocks()]
    data = whole.read_bytes()
    cut = tmp_path / "cut.bam"
    borders = np.linspace(1, len(offsets) - 2, 7).astype(int)  # before the last block with records, at the most
    for place in [*(offsets[i] for i in borders), *(offsets[i] - 30 for i in borders)]:
        cut.write_bytes(data[:place])
        assert "truncated" in refused(reads, out, cut)


def test_read_set_writes_a_dataset(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    paths = []
    for name in ("ancient", "modern"):
        lines = []
        for number in range(400):
            sequence = "".join(rng.choice(list("ACGT"), 60))
            lines.append(line(f"r{number}", 16 * (number % 2), int(rng.integers(0, 900)), "60M", sequence, None))
        paths.append(write_bam(tmp_path / f"{name}.bam", lines))
    words = ("--ancient", paths[0], "--modern", paths[1], "--min-length", 30, "--max-reads", 200)
    run(read_set, *words, "--out", tmp_path / "out", "--quiet")
    dataset = load_dataset(tmp_path / "out")
    assert dataset.description.kind == "reads"
    assert dataset.description.classes == ("modern", "ancient")
    assert dataset.labels.sum() == 200
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["examples"] == 400
    assert "no such" in refused(read_set, tmp_path / "other", "--ancient", paths[0], "--modern", tmp_path / "none.bam")
