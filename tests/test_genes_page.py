"""The Genes and Gene avoidance pages on real runs of a small simulated project."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.__main__ import main
from neandl_core.runs import read_summary
from pages.shared import state
from pages.shared.gene_table import search

SHELL = str(Path(__file__).resolve().parents[1] / "pages" / "shared" / "shell.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a simulated project, a model, two gene runs and an overlap test; tables in a data folder."""
    root = tmp_path_factory.mktemp("server")
    runs, data = root / "workspace" / "runs", root / "data"
    maps = data / "maps"
    maps.mkdir(parents=True)
    names = ("sim", "windows", "train", "genes-one", "genes-two", "overlap")
    sim, windows, train, one, two, overlap = (runs / name for name in names)
    size = ["--reads", "1000", "--chromosomes", "3", "--chromosome-length", "600000"]
    assert main(["simulate", *size, "--out", str(sim), "--quiet"]) == 0
    (maps / "planted_regions_merged.bed").write_bytes((sim / "introgressed.bed").read_bytes())
    (maps / "deserts.bed").write_bytes((sim / "depleted.bed").read_bytes())
    reference = ["--reference", str(sim / "reference.fa")]
    beds = ["--introgressed", str(sim / "introgressed.bed"), "--depleted", str(sim / "depleted.bed")]
    assert main(["windows", *reference, *beds, "--out", str(windows), "--quiet"]) == 0
    assert main([
        "train", str(windows), "--preset", "logistic", "--no-controls", "--out", str(train), "--quiet"
    ]) == 0
    words = ["genes", str(train), "--genes", str(sim / "genes.tsv"), *reference, "--maps", str(maps), "--quiet"]
    assert main([*words, "--out", str(one)]) == 0
    gtf = as_gtf(pd.read_csv(sim / "gene_truth.tsv", sep="\t"))
    (data / "genes.gtf").write_text(gtf)
    words[3] = str(data / "genes.gtf")
    assert main([*words, "--fdr", "0.2", "--out", str(two), "--title", "with exons"]) == 0
    assert main([
        "overlap", "--segments", str(sim / "introgressed.bed"), "--genes", str(sim / "genes.tsv"), "--sizes",
        str(sim / "reference.fa"), "--permutations", "50", "--threads", "1", "--out", str(overlap), "--quiet",
    ]) == 0
    tpm = pd.DataFrame({"Gene": ["DEMO-ANK3", "NOBODY"], "cerebellum": [40, 1], "liver": [2, 1]})
    tpm.to_csv(data / "expression.tsv", sep="\t", index=False)
    (data / "traits.txt").write_text("Height\t\tDEMO-ANK3\n")
    return root


def as_gtf(genes: pd.DataFrame) -> str:
    lines = []
    for row in genes.itertuples():
        told = f'gene_id "{row.symbol}"; gene_name "{row.symbol}";'
        for kind, start, end in (("gene", row.start, row.end), ("exon", row.start, row.start + 300)):
            lines.append(f"{row.contig}\tsim\t{kind}\t{start + 1}\t{end}\t.\t+\t.\t{told}\n")
    return "".join(lines)


@pytest.fixture
def opened(server: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NEANDL_WORKSPACE", str(server / "workspace"))
    monkeypatch.setenv("NEANDL_DATA", str(server / "data"))

    def go(page: str, **address: str) -> AppTest:
        app = AppTest.from_file(SHELL, default_timeout=60)
        app.run()
        for name, value in address.items():
            app.query_params[name] = value
        app.switch_page(state.PAGES[page]).run()
        assert not app.exception
        return app

    return go


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.subheader, app.title, app.caption, app.info, app.error, app.warning, app.success)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def test_a_deep_link_opens_the_gene_with_everything_beside_it(opened, server):
    app = opened("genes", gene="demo-ank3", run="genes-two")
    said = texts(app)
    assert "DEMO-ANK3" in [element.value.replace("\\", "") for element in app.subheader]
    assert "Exons in green" in said
    assert "Do the scores agree with the maps?" in said
    metrics = {metric.label: metric.value for metric in app.metric}
    summary = read_summary(server / "workspace" / "runs" / "genes-two")
    assert metrics["Called introgressed"] == f"{summary['predicted']:,}"
    assert metrics["Maps that touch it"] == "1 of 1"
    assert "ensembl.org" not in said, "a simulated gene has no page elsewhere"
    app.selectbox(key="genes-expression").select_index(
        [str(option) for option in app.selectbox(key="genes-expression").options].index("expression.tsv")
    )
    app.selectbox(key="genes-traits").select_index(
        [str(option) for option in app.selectbox(key="genes-traits").options].index("traits.txt")
    )
    app.selectbox(key="genes-other").select_index(1).run()
    assert not app.exception
    said = texts(app)
    for words in ("Brain-enriched: four times", "Height", "1 of", "rank correlation", "genes matched, by symbol"):
        assert words in said
    assert any(len(frame.value) == 2 and "What it is worth" in frame.value for frame in app.dataframe)


def test_filters_leave_the_genes_they_name(opened, server):
    app = opened("genes", run="genes-one")
    genes = pd.read_csv(server / "workspace" / "runs" / "genes-one" / "genes.tsv", sep="\t")
    app.slider(key="genes-f-maps").set_value(1).run()
    assert f"{(genes['maps'] >= 1).sum()} of {len(genes)} genes" in texts(app)
    app.slider(key="genes-f-maps").set_value(0)
    app.text_input(key="gene").set_value("no such gene").run()
    assert "No gene of this table has no such gene" in texts(app)


def test_an_exact_symbol_comes_before_those_that_hold_it():
    genes = pd.DataFrame({"symbol": ["PANK3", "ANK3P1", "ANK3"], "probability": [0.9, 0.8, 0.1]})
    assert search(genes, " ank3 ")["symbol"].tolist() == ["ANK3", "ANK3P1", "PANK3"]
    assert search(genes, "")["symbol"].tolist() == ["PANK3", "ANK3P1", "ANK3"]


def test_the_avoidance_page_says_what_the_test_says(opened, server):
    app = opened("overlap")
    summary = read_summary(server / "workspace" / "runs" / "overlap")
    assert summary["sentence"] in texts(app)
    assert len(app.dataframe[0].value) == 8
    assert "Why not simply scatter the segments?" in texts(app)
    assert not opened("overlap").error


def test_chromosomes_side_by_side_are_offered_where_there_is_more_than_one_place(opened, monkeypatch):
    def toggle(slots: str, scheduler: str = ""):
        monkeypatch.setenv("NEANDL_CPU_SLOTS", slots)
        monkeypatch.setenv("NEANDL_SCHEDULER", scheduler)
        app = opened("genes")
        app.session_state["genes-form-folded"] = True
        return {one.key: one for one in app.run().toggle}.get("genes-apart")

    assert toggle("1") is None
    assert toggle("4").value is False
    assert "in 4 runs at a time" in toggle("4").proto.help
    assert toggle("1", "tcp://node1:8786").value is True
