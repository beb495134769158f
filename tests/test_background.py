"""Matched sampling, switch by switch: each one that is on makes drawn intervals alike, and off does not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.background import matched_intervals
from neandl_core.config import MATCHED, MATCHES, WindowSettings
from neandl_core.errors import InputError, SettingsError


@pytest.fixture(scope="module")
def world():
    """Two chromosomes of GC-poor and GC-rich isochores, genes along one half of the first, introgression GC-poor."""
    rng = np.random.default_rng(5)
    sequences = {}
    for name in ("chr1", "chr2"):
        gc = np.repeat(rng.permutation(np.repeat([0.35, 0.55], 200)), 1000)
        codes = np.where(rng.random(400_000) < gc, rng.integers(1, 3, 400_000), rng.choice([0, 3], 400_000))
        sequences[name] = codes.astype(np.uint8)
    sequences["chr1"][250_000:300_000:7] = 4
    genome = SimpleNamespace(
        lengths={name: len(codes) for name, codes in sequences.items()}, codes=sequences.__getitem__
    )
    gc_of = [np.isin(sequences["chr1"][start : start + 2000], (1, 2)).mean() for start in range(0, 200_000, 2000)]
    poor = np.argsort(gc_of)[:25] * 2000
    lengths = rng.integers(1000, 2001, 25)
    given = pd.DataFrame({"contig": "chr1", "start": poor, "end": poor + lengths, "interval": np.arange(25)})
    genes = pd.DataFrame({"contig": "1", "start": np.arange(0, 240_000, 2500)})
    return genome, given, genes.assign(end=genes["start"] + 1000)


def drawn(world, *match, genes=None, seed=1):
    genome, given, _ = world
    return matched_intervals(given, genome, np.random.default_rng(seed), match=match, genes=genes)


def gc_content(genome, table):
    return np.array([
        np.isin(genome.codes(row.contig)[row.start : row.end], (1, 2)).mean() for row in table.itertuples()
    ])


def n_share(genome, table):
    return np.array([(genome.codes(row.contig)[row.start : row.end] == 4).mean() for row in table.itertuples()])


def test_all_are_matched_unless_said_otherwise(world):
    genome, given, _ = world
    matched, notes = matched_intervals(given, genome, np.random.default_rng(1))
    again, _ = drawn(world, *MATCHED)
    pd.testing.assert_frame_equal(matched, again)
    assert (matched["end"] - matched["start"]).tolist() == (given["end"] - given["start"]).tolist()
    assert set(matched["contig"]) == {"chr1"}
    assert n_share(genome, matched).max() == 0
    assert np.abs(gc_content(genome, matched) - gc_content(genome, given)).mean() < 0.04
    assert "by chromosome, length, N and GC (within 2%)." in notes[0]


def test_each_switch_does_what_it_says(world):
    genome, given, _ = world
    far = np.abs(gc_content(genome, drawn(world, "length", "n", "chromosome")[0]) - gc_content(genome, given)).mean()
    assert far > 0.06
    elsewhere, notes = drawn(world, "length", "n", "gc")
    assert 5 < (elsewhere["contig"] == "chr2").sum() < 25
    assert np.abs(gc_content(genome, elsewhere) - gc_content(genome, given)).mean() < 0.04
    assert "chromosome" not in notes[0]
    with_n = [n_share(genome, drawn(world, "length", "chromosome", seed=seed)[0]).max() for seed in range(3)]
    assert max(with_n) > 0.1
    same, notes = drawn(world, "n", "gc", "chromosome")
    assert set(same["end"] - same["start"]) == {int((given["end"] - given["start"]).median())}
    assert "median length" in notes[1]
    assert "nothing: drawn at random" in drawn(world)[1][0]


def test_distance_to_genes_is_matched_where_asked_for(world):
    _, given, genes = world
    matched, notes = drawn(world, *MATCHES, genes=genes)
    assert matched["start"].max() < 252_000
    assert "distance to the nearest gene" in notes[0]
    assert drawn(world, *MATCHED)[0]["start"].max() > 300_000
    with pytest.raises(InputError, match="none of the genes"):
        drawn(world, *MATCHES, genes=genes.assign(contig="chr9"))
    for row in drawn(world, *MATCHES, genes=genes)[0].itertuples():
        assert not ((given["start"] < row.end) & (given["end"] > row.start)).any()


def test_switches_on_the_command_line(tmp_path, capsys):
    with pytest.raises(SettingsError, match="match"):
        WindowSettings.make(match=("luck",))
    for name, text in (("g.fa", ">1\nACGT\n"), ("i.bed", "1\t0\t2\n"), ("genes.tsv", "1:1-2 A\n")):
        (tmp_path / name).write_text(text)
    words = ["windows", "--reference", str(tmp_path / "g.fa"), "--introgressed", str(tmp_path / "i.bed"), "--out",
             str(tmp_path / "out")]
    for more, why in (
        (["--match", "gene-distance"], "go together"), (["--genes", str(tmp_path / "genes.tsv")], "go together"),
        (["--match", "luck"], "match"),
        (["--match", "gene-distance", "--genes", str(tmp_path / "genes.tsv"), "--depleted", str(tmp_path / "i.bed")],
         "gives them already"),
    ):
        assert main([*words, *more]) == 1
        said = capsys.readouterr().err
        assert why in said
        assert len(said.strip().splitlines()) == 1
