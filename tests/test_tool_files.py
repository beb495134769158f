"""Files in the layouts of mapDamage and DamageProfiler, against those that the tools wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pysam
import pytest
import typer

from neandl_core.commands.reads import reads
from neandl_core.config import ReadSettings
from neandl_core.damage import count_damage
from neandl_core.io.alignments import open_alignments
from neandl_core.tool_files import damageprofiler_json
from tests.sam_files import HEADER, line, write_bam, write_fasta

MAPDAMAGE = Path("compat", "results_reads")
STORED = Path(__file__).parent / "data" / "mapdamage"


def run(*words: object) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(reads)
    app([str(word) for word in words], standalone_mode=False)


def stored(name: str) -> str:
    return gzip.decompress((STORED / f"{name}.gz").read_bytes()).decode()


def body(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compat")
    for name in ("reads.sam", "reference.fa"):
        (folder / name).write_text(stored(name))
    run(folder / "reads.sam", "--reference", folder / "reference.fa", "--out", folder / "out", "--quiet")
    return folder / "out"


@pytest.mark.parametrize("name", ["misincorporation.txt", "dnacomp.txt"])
def test_mapdamages_tables_are_the_same_line_by_line(result: Path, name: str) -> None:
    ours = (result / MAPDAMAGE / name).read_text()
    assert body(ours) == body(stored(name))
    assert ours.startswith("# table produced by NeanDL")


def test_mapdamages_lengths_are_the_same(result: Path) -> None:
    ours = body((result / MAPDAMAGE / "lgdistribution.txt").read_text())
    theirs = body(stored("lgdistribution.txt"))
    assert ours[0] == theirs[0]  # with its misspelling and the blank at its end
    assert sorted(ours) == sorted(theirs)


def test_mapdamages_rates_are_the_same(result: Path) -> None:
    ours = (result / MAPDAMAGE / "5pCtoT_freq.txt").read_text().split()
    theirs = (STORED / "5pCtoT_freq.txt").read_text().split()
    assert ours[:2] == theirs[:2]
    assert [float(value) for value in ours[2:]] == pytest.approx([float(value) for value in theirs[2:]], abs=1e-12)


def test_without_a_reference_there_is_no_composition(result: Path, tmp_path: Path) -> None:
    run(result.parent / "reads.sam", "--out", tmp_path / "out", "--quiet")
    assert not (tmp_path / "out" / "composition.tsv").exists()
    assert not (tmp_path / "out" / MAPDAMAGE / "dnacomp.txt").exists()
    assert body((tmp_path / "out" / MAPDAMAGE / "misincorporation.txt").read_text()) == body(
        stored("misincorporation.txt")
    )


@pytest.mark.shared
def test_damageprofilers_json_has_its_keys_and_numbers(shared: Path) -> None:
    oracle = json.loads((shared / "oracles" / "JK2782.DamageProfiler-0.4.3.json").read_text())
    with open_alignments(shared / "ancient" / "JK2782.mapped.bam") as alignments:
        profile = count_damage(alignments, ReadSettings.for_definition("read-base"))
    ours = damageprofiler_json(profile, "JK2782")
    assert ours.keys() == oracle.keys()
    for key in ("dmg_5p", "dmg_3p", "lendist_fw", "lendist_rv"):
        assert ours[key] == oracle[key]
    for key in ("metadata", "summary_stats"):
        assert ours[key].keys() == oracle[key].keys()
    lengths = [int(n) for n, count in (*ours["lendist_fw"].items(), *ours["lendist_rv"].items()) for _ in range(count)]
    assert ours["summary_stats"]["mean_readlength"] == pytest.approx(sum(lengths) / len(lengths))


def test_a_filtered_bam_keeps_records_as_they_are(result: Path, tmp_path: Path) -> None:
    source = result.parent / "reads.sam"
    run(source, "--out", tmp_path / "out", "--pmd-threshold", "0", "--quiet")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    filtered = summary["filtered"]
    assert 0 < filtered["reads_kept"] < summary["reads_used"]
    assert (
        filtered["reads_kept"] + filtered["reads_below"] + filtered["reads_without_score"] == summary["reads_used"]
    )
    assert filtered["indexed"]
    with pysam.AlignmentFile(str(source)) as before:
        everything = {(read.query_name, read.flag): read.to_string() for read in before}
    with pysam.AlignmentFile(str(tmp_path / "out" / "pmd_filtered.bam")) as kept:
        records = list(kept.fetch(until_eof=True))
        assert [everything[read.query_name, read.flag] for read in records] == [read.to_string() for read in records]
        assert len(records) == filtered["reads_kept"]
        assert sum(kept.count(name) for name in kept.references) == len(records)
        places = [(read.reference_id, read.reference_start) for read in records]
        assert places == sorted(places)
        assert [line["ID"] for line in kept.header["PG"]][-1] == "NeanDL"
    scores = sum(summary["pmd"]["histogram"].values())
    assert scores == summary["pmd"]["reads_scored"] == filtered["reads_kept"] + filtered["reads_below"]


def test_quick_leaves_the_details_out_and_keeps_the_profile(result: Path, tmp_path: Path) -> None:
    run(result.parent / "reads.sam", "--out", tmp_path / "out", "--quick", "--quiet")
    assert not (tmp_path / "out" / "compat").exists()
    assert (tmp_path / "out" / "misincorporation.tsv").read_bytes() == (result / "misincorporation.tsv").read_bytes()


@pytest.mark.parametrize("room", [10, 10_000])
def test_a_file_that_only_claims_to_be_sorted_is_counted_without_composition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr("neandl_core.io.reference._KEEP_BASES", room)
    text = HEADER.replace("unsorted", "coordinate") + "@SQ\tSN:chr2\tLN:1000\n"
    lines = [line(f"r{n}", 0, 5, "8M", "TACAGTTA", "0C7").replace("chr1", f"chr{n % 2 + 1}") for n in range(600)]
    bam = write_bam(tmp_path / "a.bam", lines, text)
    reference = write_fasta(tmp_path / "ref.fa", {"chr1": "A" * 1000, "chr2": "C" * 1000})
    run(bam, "--reference", reference, "--out", tmp_path / "out", "--quiet")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["reads_used"] == 600
    assert summary["c_to_t_5p"][0] == 1
    # With room for both contigs nothing is read twice, so order does not matter.
    assert (tmp_path / "out" / "composition.tsv").exists() == (room > 1_000)
    assert any("beside the reads were not counted" in note for note in summary["notes"]) == (room < 1_000)
