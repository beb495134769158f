"""From a BAM to its contamination: the two BAMs, their tags and counts, the estimate, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.__main__ import main
from neandl_core.calibration import fit_calibration
from neandl_core.classification import load_classifier, score_reads
from neandl_core.config import ClassifySettings, TrainSettings
from neandl_core.experiment import run_experiment
from neandl_core.figures.print import export_bytes
from neandl_core.figures.reads import reliability_figure, score_histogram, sides_figure
from neandl_core.io.alignments import open_alignments
from neandl_core.io.bam_writer import BamWriter, add_program_line
from neandl_core.prediction import load_model
from neandl_core.read_sample import FILE as SAMPLE
from neandl_core.read_sample import ReadSample
from neandl_core.read_view import view_reads
from neandl_core.recording import Run, no_progress
from neandl_core.schemas import DAMAGE_RATES, READ_SCORES, SCORES, check_table, read_table
from pages.shared import state
from tests.sam_files import HEADER, line, write_bam
from tests.test_training import make_dataset

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated project with a model of its reads, and its mixed BAM classified, in a folder of runs."""
    runs = tmp_path_factory.mktemp("workspace") / "runs"
    runs.mkdir()
    for words in (
        ["simulate", "--reads", "15000", "--chromosome-length", "600000", "--contamination", "0.3"],
        ["read-set", "--ancient", str(runs / "simulate/ancient.bam"), "--modern", str(runs / "simulate/modern.bam")],
        ["train", str(runs / "read-set"), "--preset", "ends-reference", "--epochs", "2", "--no-controls",
         "--threads", "1"],
        ["classify", str(runs / "train"), str(runs / "simulate/mixed.bam")],
    ):
        assert main([*words, "--quiet", "--out", str(runs / words[0])]) == 0
    return runs


@pytest.fixture(scope="module")
def summary(project: Path) -> dict:
    return json.loads((project / "classify" / "summary.json").read_text())


def records(path: Path) -> list[pysam.AlignedSegment]:
    with pysam.AlignmentFile(path) as file:
        return list(file)


def test_the_estimate_corrects_for_the_models_errors(summary: dict) -> None:
    found = summary["contamination"]
    low, high = found["ci"]
    assert low <= 0.3 <= high
    assert high - low < 0.15
    assert abs(found["estimate"] - 0.3) < 0.06
    assert found["share_below_threshold"] > 0.5, "the share called modern is far from the share that is"
    assert summary["warnings"] == []
    assert summary["simulated"] is True


def test_every_record_is_in_one_bam_or_accounted_for(project: Path, summary: dict) -> None:
    sides = {side: records(project / "classify" / f"{side}.bam") for side in ("ancient", "modern")}
    assert {side: len(found) for side, found in sides.items()} == summary["reads"]
    assert sum(summary["reads"].values()) + sum(summary["dropped"].values()) == summary["reads_total"]
    source = records(project / "simulate" / "mixed.bam")
    assert len(source) == summary["reads_total"]
    names = [read.query_name for found in sides.values() for read in found]
    usable = [read.query_name for read in source if not read.flag & 0xF04]
    assert sorted(names) == sorted(usable)


def test_records_are_copied_with_their_probability_and_nothing_else(project: Path) -> None:
    source = {read.query_name: read for read in records(project / "simulate" / "mixed.bam")}
    table = pd.read_parquet(project / "classify" / "reads.parquet")
    check_table(table, READ_SCORES, "reads")
    listed = dict(zip(table["name"], table["probability"], strict=True))
    for side in ("ancient", "modern"):
        found = records(project / "classify" / f"{side}.bam")
        places = [(read.reference_id, read.reference_start) for read in found]
        assert places == sorted(places)
        for read in found:
            probability = read.get_tag("XP")
            assert (probability >= 0.5) == (side == "ancient")
            assert probability == pytest.approx(listed[read.query_name], abs=1e-6)
            read.set_tag("XP", None)
            assert read.to_string() == source[read.query_name].to_string()
        with pysam.AlignmentFile(project / "classify" / f"{side}.bam") as file:
            assert file.has_index()
            assert file.mapped == len(found)
            header = file.header.to_dict()
            assert header["PG"][-1]["ID"] == "NeanDL-classify"
            assert header["PG"][-1]["PP"] == "NeanDL"
            assert str(project) not in str(header)


def test_what_is_called_ancient_is_more_often_ancient(project: Path, summary: dict) -> None:
    truth = pd.read_csv(project / "simulate" / "reads_truth.tsv.gz", sep="\t").set_index("name")["origin"]
    table = pd.read_parquet(project / "classify" / "reads.parquet")
    ancient = truth.loc[table["name"]].to_numpy() == "endogenous"
    called = (table["called"] == "ancient").to_numpy()
    assert ancient[called].mean() > 0.9
    assert ancient[~called].mean() < 0.65
    damage = summary["damage"]
    assert damage["ancient"]["c_to_t_5p"][0] > 0.4
    assert damage["modern"]["c_to_t_5p"][0] < 0.1
    assert damage["ancient"]["damaged"] == "damaged"
    assert len(damage["ancient"]["g_to_a_3p"]) == 25


def test_classified_twice_a_read_has_one_tag(project: Path, tmp_path: Path) -> None:
    bam = project / "classify" / "ancient.bam"
    words = ["classify", str(project / "train"), str(bam), "--threshold", "0.6", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    found = records(tmp_path / "out" / "ancient.bam") + records(tmp_path / "out" / "modern.bam")
    assert len(found) == len(records(bam))
    assert {[name for name, _ in read.tags].count("XP") for read in found} == {1}
    with pysam.AlignmentFile(tmp_path / "out" / "ancient.bam") as file:
        assert [line["ID"] for line in file.header.to_dict()["PG"]][-2:] == ["NeanDL-classify", "NeanDL-classify.2"]


@pytest.fixture(scope="module")
def without_md(project: Path) -> Path:
    """The mixed sample with its MD tags taken away."""
    path = project.parent / "without_md.bam"
    with pysam.AlignmentFile(project / "simulate" / "mixed.bam") as source, \
            pysam.AlignmentFile(path, "wb", template=source) as target:
        for read in source:
            read.set_tag("MD", None)
            target.write(read)
    return path


def test_a_fasta_tells_what_md_tags_tell(project: Path, without_md: Path, tmp_path: Path) -> None:
    words = ["classify", str(project / "train"), str(without_md), "--quiet", "--threads", "1"]
    assert main([*words, "--reference", str(project / "simulate/reference.fa"), "--out", str(tmp_path / "out")]) == 0
    tables = [pd.read_parquet(folder / "reads.parquet") for folder in (project / "classify", tmp_path / "out")]
    pd.testing.assert_frame_equal(*tables)
    samples = [ReadSample.load(folder / SAMPLE) for folder in (project / "classify", tmp_path / "out")]
    shown = [view_reads(sample, sample.draw(0.0, 1.0, 50)[0]) for sample in samples]
    for with_md, with_fasta in zip(*shown, strict=True):
        pd.testing.assert_frame_equal(with_md, with_fasta)
    assert not any(samples[0].references)
    assert all(samples[1].references)


def test_a_model_of_bases_alone_shows_mismatches_too(project: Path, without_md: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert main(["train", str(project / "read-set"), "--preset", "cnn-shallow", "--epochs", "1", "--no-controls",
                 "--threads", "1", "--quiet", "--out", str(out)]) == 0
    classifier = replace(load_classifier(project / "train", 1, 1), predictor=load_model(out, threads=1))
    scored, samples = [], []
    for name, reference in (("bare", None), ("known", project / "simulate/reference.fa")):
        folder = tmp_path / name
        folder.mkdir()
        with open_alignments(without_md, reference, 1) as alignments:
            scored.append(score_reads(alignments, classifier, ClassifySettings(threads=1), folder, "", no_progress,
                                      reference))
        samples.append(ReadSample.load(folder / SAMPLE))
    assert scored[0].sides == scored[1].sides
    assert sum(scored[0].sides) + sum(scored[0].dropped.values()) == scored[0].total
    assert not any(samples[0].references)
    assert all(samples[1].references)


def test_unsorted_input_gives_sorted_bams(project: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    bases = ["".join(rng.choice(list("ACGT"), 50)) for _ in range(600)]
    lines = [line(f"r{n}", 0, int(rng.integers(0, 900)), "50M", text, "50") for n, text in enumerate(bases)]
    bam = write_bam(tmp_path / "a.bam", lines)
    assert main(["classify", str(project / "train"), str(bam), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert any("not sorted" in note for note in summary["notes"])
    starts = [read.reference_start for read in records(tmp_path / "out" / "modern.bam")]
    assert starts == sorted(starts)
    assert len(starts) == summary["reads"]["modern"] > 500


def refused(capsys: pytest.CaptureFixture, *words: object) -> str:
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    return said


def test_what_cannot_be_answered_is_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    mixed = project / "simulate" / "mixed.bam"
    assert "expected the --out folder of `train`" in refused(
        capsys, "classify", project / "read-set", mixed, "--out", out
    )
    bare = write_bam(tmp_path / "bare.bam", [line("r", 0, 5, "40M", "ACGT" * 10, None)])
    said = refused(capsys, "classify", project / "train", bare, "--out", out)
    assert "0 usable reads of 1 (no MD tag that fits, and no reference: 1)" in said
    assert "Give the FASTA the reads were aligned to" in said
    assert "refused" in refused(capsys, "classify", project / "train", mixed, "--threshold", 1.5, "--out", out)
    assert not out.exists()


def test_a_model_that_learnt_nothing_gives_no_estimate(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    dataset = make_dataset(tmp_path / "data", signal=0.0, kind="reads")
    settings = TrainSettings.preset_of("ends", epochs=1, bootstrap_samples=20, controls=False, device="cpu", threads=1)
    with Run(tmp_path / "run", "train", settings) as run:
        run_experiment(dataset, settings, run)
    said = refused(
        capsys, "classify", tmp_path / "run", project / "simulate" / "mixed.bam", "--out", tmp_path / "out"
    )
    assert "length" in said or "cannot tell ancient from modern" in said


def test_reads_of_other_lengths_are_warned_of(project: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    text = ["".join(rng.choice(list("ACGT"), 31)) for _ in range(300)]
    short = write_bam(tmp_path / "a.bam", [line(f"r{n}", 0, n, "31M", bases, "31") for n, bases in enumerate(text)])
    assert main(["classify", str(project / "train"), str(short), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    warnings = json.loads((tmp_path / "out" / "summary.json").read_text())["warnings"]
    assert any("Lengths differ" in warning for warning in warnings)
    assert any("Only 300 reads" in warning for warning in warnings)


def test_a_written_bam_is_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = [line(f"r{n}", 0, n % 900, "40M", "".join(rng.choice(list("ACGT"), 40)), "40") for n in range(3_000)]
    source = write_bam(tmp_path / "a.bam", lines)
    with open_alignments(source) as alignments, \
            BamWriter(tmp_path / "b.bam", alignments.header, alignments.contigs) as writer:
        for chunk, _ in alignments.chunks():
            writer.write(chunk)
    assert [read.to_string() for read in records(tmp_path / "b.bam")] == [
        read.to_string() for read in records(source)
    ]


def test_program_lines_are_chained() -> None:
    once = add_program_line(HEADER + "@CO\tlast\n", "tool", "1", "tool  x\ty", "what\nit does")
    assert once.splitlines()[-2:] == ["@PG\tID:tool\tPN:tool\tVN:1\tCL:tool x y\tDS:what it does", "@CO\tlast"]
    twice = add_program_line(once, "tool", "1", "again", "d")
    assert "@PG\tID:tool.2\tPN:tool\tVN:1\tPP:tool\tCL:again\tDS:d" in twice


def test_calibration_makes_probabilities_mean_what_they_say() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 1.5, 20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-truth))).astype(int)
    too_sure = 1 / (1 + np.exp(-(3 * truth + 1)))
    found = fit_calibration(labels[:10_000], too_sure[:10_000], labels[10_000:], too_sure[10_000:])
    assert found.ece_before > 0.1
    assert found.ece_after < 2 * found.ece_expected < 0.05
    assert found.slope == pytest.approx(1 / 3, rel=0.1)
    assert sum(row["count"] for row in found.reliability) == 10_000
    upside_down = fit_calibration(1 - labels, too_sure, 1 - labels, too_sure)
    assert (upside_down.slope, upside_down.intercept) == (1.0, 0.0)


def test_figures_show_both_sides_and_print(project: Path, summary: dict) -> None:
    folder = project / "classify"
    scores = read_table(folder / "scores.tsv", SCORES, "scores")
    assert scores["reads"].sum() == summary["reads_scored"]
    rates = {side: read_table(folder / f"{side}_damage_rates.tsv", DAMAGE_RATES, "rates")
             for side in ("ancient", "modern")}
    figures = [
        score_histogram(scores, 0.3, 0.2, 0.4), sides_figure(rates, summary["reads"]),
        reliability_figure(summary["reliability"]["before"], summary["reliability"]["after"], 10),
    ]
    assert "30.0% modern (20.0% to 40.0%)" in figures[0].layout.title.text
    for figure in figures:
        assert export_bytes(figure, "png", 89).startswith(b"\x89PNG")
        assert b"<svg" in export_bytes(figure, "svg")


def test_the_page_shows_the_estimate_and_offers_the_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEANDL_WORKSPACE", str(project.parent))
    monkeypatch.setenv("NEANDL_DATA", str(project / "simulate"))
    app = AppTest.from_file(str(ROOT / "pages" / "shared" / "shell.py"), default_timeout=60)
    app.run()
    app.switch_page(state.PAGES["decontaminate"]).run()
    assert not app.exception
    assert not app.error
    cards = {card.label: card.value for card in app.metric}
    assert re.fullmatch(r"\d+\.\d%", cards["Modern reads"])
    assert " to " in cards["95% interval"]
    app.session_state["classify-form-folded"] = True
    app.run()
    assert app.selectbox(key="classify-model").options


def test_what_the_model_of_reads_looks_at_is_drawn_by_position_and_read_by_read(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = project / "looked"
    assert main(["interpret", str(project / "train"), "--windows", "200", "--out", str(out), "--quiet"]) == 0
    monkeypatch.setenv("NEANDL_WORKSPACE", str(project.parent))
    app = AppTest.from_file(str(ROOT / "pages" / "shared" / "shell.py"), default_timeout=120).run()
    app.switch_page(state.PAGES["interpretation"]).run()
    assert not app.exception
    assert not app.error
    shown = {card.label: card.value for card in app.metric}
    assert shown["Peak from the 5′ end"] == "base 1"
    assert int(shown["Carried by the ends"].rstrip("%")) > 30
    app.session_state["interpret-parts-of-reads"] = "One read"
    app.run()
    reads = app.selectbox(key="interpret-read")
    assert len(reads.options) == 200
    reads.select_index(3).run()
    assert not app.exception
