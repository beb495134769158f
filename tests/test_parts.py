"""Work divided into parts: genes by chromosome are the genes of one process, on a scheduler that loses a worker too."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from neandl_core.__main__ import main
from neandl_core.config import GeneSettings
from neandl_core.gene_scores import ContigScores, divide_evenly, join_scores, lay_out, score_here, score_in_parts
from neandl_core.io.gene_tables import read_genes
from neandl_core.io.twobit import open_genome
from neandl_core.launch import launch
from neandl_core.recording import no_progress
from neandl_core.runs import KEPT, raw_state, read_summary
from tests.engine_helpers import end_all, wait_for
from tests.test_cluster import cluster


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A genome of four chromosomes with genes, and a model."""
    folder = tmp_path_factory.mktemp("parts")
    sim, data, model = folder / "sim", folder / "data", folder / "model"
    size = ["--reads", "1000", "--chromosomes", "4", "--chromosome-length", "300000"]
    assert main(["simulate", *size, "--out", str(sim), "--quiet"]) == 0
    words = ["--reference", str(sim / "reference.fa"), "--introgressed", str(sim / "introgressed.bed")]
    words += ["--depleted", str(sim / "depleted.bed")]
    assert main(["windows", *words, "--out", str(data), "--quiet"]) == 0
    assert main(["train", str(data), "--preset", "logistic", "--out", str(model), "--quiet", "--no-controls"]) == 0
    return sim, model


def words_of(inputs) -> list[str]:
    sim, model = inputs
    return [str(model), "--genes", str(sim / "genes.tsv"), "--reference", str(sim / "reference.fa"), "--threads", "1"]


def test_chromosomes_are_shared_out_evenly():
    sizes = {"chr1": 90, "chr2": 50, "chr3": 40, "chr4": 30, "chrM": 1}
    shares = divide_evenly(sizes, 2)
    assert sorted(name for share in shares for name in share) == sorted(sizes)
    assert [sum(sizes[name] for name in share) for share in shares] == [120, 91]
    assert divide_evenly(sizes, 50) == [["chr1"], ["chr2"], ["chr3"], ["chr4"], ["chrM"]]
    assert divide_evenly({}, 3) == []


def test_what_is_scored_is_kept_and_the_rest_is_done_by_the_slots(tmp_path, inputs, monkeypatch):
    """A chromosome that a former try has scored is taken as it lies there; all others are those of one process."""
    monkeypatch.setenv("NEANDL_CPU_SLOTS", "2")
    sim, model = inputs
    settings = GeneSettings(threads=1)
    genes = sim / "genes.tsv"
    layout = lay_out(read_genes(genes), open_genome(sim / "reference.fa"), 200, genes)
    whole = score_here(layout, model, settings, no_progress)
    first = layout.chromosomes[0]
    (tmp_path / KEPT).mkdir()
    known = whole[first]
    ContigScores(known.gene, known.start, np.full_like(known.probability, 0.125), known.reasons).save(
        tmp_path / KEPT / "0.npz"
    )
    told = []
    work = {"run": str(model), "genes": str(genes), "reference": str(sim / "reference.fa")}
    parts = score_in_parts(tmp_path, work, layout, settings, lambda *values: told.append(values))
    assert (parts[first].probability == 0.125).all()
    for name in layout.chromosomes[1:]:
        assert (parts[name].probability == whole[name].probability).all()
        assert (parts[name].start == whole[name].start).all()
        assert parts[name].reasons == whole[name].reasons
    expected = layout.expected()
    assert told[0][0] >= expected[first], "what is kept counts as done from the start"
    assert told[-1][:2] == (sum(expected.values()),) * 2
    table, _ = join_scores(layout, parts, settings)
    assert (table.loc[(layout.contigs == first) & (table["windows"] > 0), "probability"] == 0.125).all()


@pytest.mark.slow
def test_genes_by_chromosome_on_a_scheduler_equal_one_process_though_a_worker_is_killed(tmp_path, inputs):
    assert main(["genes", *words_of(inputs), "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    runs = tmp_path / "runs"
    try:
        with cluster(tmp_path / "cluster", 2) as made:
            folder = launch(runs, "genes", [*words_of(inputs), "--by-chromosome"], "divided", scheduler=made.address)
            victim = stop_a_part(folder)
            made.worker_of(victim).kill()
            state = wait_for(folder, "done", "failed", seconds=90)
    finally:
        end_all(runs)
    assert state.state == "done", state.message
    assert "Its worker is gone" in (tmp_path / "log.txt").read_text()
    for name in ("genes.tsv", "track.parquet", "exons.parquet"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert len(pd.read_parquet(folder / "track.parquet")) > 1000
    assert read_summary(folder) == read_summary(tmp_path / "whole")
    assert not (folder / ".parts").exists()
    assert not (folder / KEPT).exists()


def stop_a_part(folder: Path) -> Path:
    """Halt the process of the first part that is seen at work, and return the part's folder; its log is kept."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for file in list(folder.glob(".parts/*-genes-part-*/state.json")):
            part, state = file.parent, raw_state(file.parent)
            if state.state == "running" and psutil.pid_exists(state.pid):
                os.kill(state.pid, signal.SIGSTOP)
                os.link(part / "log.txt", folder.parent.parent / "log.txt")
                return part
        time.sleep(0.01)
    raise AssertionError("no part was seen at work")
