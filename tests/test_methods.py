"""Methods paragraphs of real runs: each says with its own numbers what was done, and cites what it names."""

from __future__ import annotations

import re

import pytest

from neandl_core.__main__ import main
from neandl_core.methods import CITATIONS
from neandl_core.runs import read_summary
from tests.test_training import make_dataset


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A small logistic model on windows with its controls and interpretation, a map of k-mers, and an overlap test."""
    folder = tmp_path_factory.mktemp("methods")
    data = make_dataset(folder / "data", n=800, signal=0.5).folder

    def made(*words: object) -> None:
        assert main([*map(str, words), "--out", str(folder / words[0]), "--quiet"]) == 0

    made("train", data, "--preset", "word2vec", "--epochs", 1, "--k", 3, "--threads", 1)
    made("controls", folder / "train", "--shuffles", 1, "--threads", 1)
    made("interpret", folder / "train", "--windows", 100, "--repeats", 1, "--threads", 1)
    made("embed", folder / "train", "--threads", 1)
    (folder / "segments.bed").write_text("".join(f"chr1\t{at}\t{at + 3000}\n" for at in range(0, 400_000, 20_000)))
    (folder / "genes.bed").write_text("".join(f"chr1\t{at}\t{at + 2000}\tG{at}\n" for at in range(0, 500_000, 9_000)))
    (folder / "sizes.tsv").write_text("chr1\t500000\n")
    made("overlap", "--segments", folder / "segments.bed", "--genes", folder / "genes.bed", "--sizes",
         folder / "sizes.tsv", "--permutations", 50, "--threads", 1)
    return folder


def said(project, command: str) -> tuple[str, str]:
    """The paragraph and its references; every source named in one is in the other."""
    text, _, references = (project / command / "methods.txt").read_text().partition("\n\nReferences\n")
    assert re.match(rf'The step "{command}" was made with NeanDL \d', text)
    assert "Settings: " in text
    assert "numpy 2" in text
    listed = {name for name, entry in CITATIONS.items() if entry in references}
    # Names of NumPy and Numba stand for their papers.
    assert {name for name in CITATIONS if name in text} <= listed
    assert listed
    return text, references


def test_controls(project):
    summary = read_summary(project / "controls")
    text, _ = said(project, "controls")
    assert f"{summary['test']['examples']:,} examples of {summary['test']['loci']:,} loci" in text
    assert f"AUC of {summary['test']['auc']:.3f} (95% interval {summary['test']['low']:.3f}" in text
    assert f"shuffled by locus, 1 times, {summary['shuffled']['mean']:.3f} on average" in text
    assert f"is {summary['baseline']['difference']:+.3f}" in text


def test_interpret(project):
    summary = read_summary(project / "interpret")
    text, references = said(project, "interpret")
    assert f"100 of {summary['windows']['test']:,} windows that it never saw" in text
    assert f"{summary['important']['count']:,} places count as important" in text
    assert "Breiman L (2001)" in references


def test_embed(project):
    summary = read_summary(project / "embed")
    text, references = said(project, "embed")
    assert f"{summary['points']:,} 3-mers ({summary['seen']:,} of them seen in training" in text
    assert f"Trustworthiness (Venna 2001) is {summary['trustworthiness']:.3f}" in text
    assert ("UMAP" in text) == ("McInnes" in references)


def test_overlap(project):
    summary = read_summary(project / "overlap")
    text, references = said(project, "overlap")
    assert f"20 segments (as listed; 20 separate loci) were tested against {summary['genes']} genes" in text
    assert f"against {summary['expected']:.1f} (standard deviation {summary['sd']:.1f}) in 50 random" in text
    assert f"p of fewer {summary['p']:.3g}" in text
    assert "Phipson B" in references
