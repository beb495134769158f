"""The overlap test against counting by hand, against chance, and against the published figures."""

import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.config import OverlapSettings
from neandl_core.errors import InputError
from neandl_core.intervals import bases_left_of
from neandl_core.io.sizes import read_sizes
from neandl_core.overlap import _lay_out, _place, overlap_test
from neandl_core.overlap_kernel import out_of_mask
from neandl_core.runs import read_summary

SIZES = {"chr1": 60_000, "chr2": 45_000}


def random_intervals(rng, number, longest):
    rows = []
    for contig, size in SIZES.items():
        start = rng.integers(0, size - longest, number)
        rows.append(pd.DataFrame({"contig": contig, "start": start, "end": start + rng.integers(1, longest, number)}))
    return pd.concat(rows, ignore_index=True)


def by_hand(segments, positions, genes):
    """Every segment against every gene, base by base: slow, and right by construction."""
    pairs, hit, bases, met = 0, 0, 0, set()
    for segment, start in zip(segments.itertuples(), positions, strict=True):
        size = SIZES[segment.contig]
        covered = {(start + step) % size for step in range(segment.end - segment.start)}
        genic, before = set(), pairs
        for gene in genes[genes["contig"] == segment.contig].itertuples():
            shared = covered & set(range(gene.start, gene.end))
            pairs += bool(shared)
            met |= {gene.Index} if shared else set()
            genic |= shared
        hit += pairs > before
        bases += len(genic)
    return [pairs, len(met), hit, bases]


def test_counts_equal_those_by_hand_also_round_the_end_of_a_chromosome():
    rng = np.random.default_rng(1)
    segments = random_intervals(rng, 12, 900)
    genes = pd.concat([
        random_intervals(rng, 15, 700),
        # One gene over nearly all of a chromosome meets both parts of a segment that goes round its end, once.
        pd.DataFrame({"contig": ["chr2"], "start": [100], "end": [44_950]}),
    ], ignore_index=True)
    layout = _lay_out(segments, genes, SIZES, None)
    ordered = segments.sort_values(["contig", "start", "end"], kind="stable")
    positions = np.stack([
        layout.starts, *(_place(layout, null, 1, rng)[0] for null in ("rotation", "uniform") for _ in range(3))
    ])
    positions[1, -1] = 44_900
    found = layout.count(positions)
    for row in range(len(positions)):
        assert found[row].tolist() == by_hand(ordered, positions[row], genes)


def test_places_in_a_mask_are_inside_it_and_rotation_keeps_piles():
    rng = np.random.default_rng(2)
    segments = pd.DataFrame({
        "contig": ["chr1", "chr1", "chr1", "chr2"], "start": [1000, 1000, 1200, 500], "end": [1500, 1500, 1400, 900],
    })
    pieces = pd.DataFrame({
        "contig": ["chr1", "chr1", "chr2"], "start": [1000, 20_000, 400], "end": [9_000, 30_000, 40_000],
    })
    genes = random_intervals(rng, 5, 500)
    layout = _lay_out(segments, genes, SIZES, pieces)
    starts = _place(layout, "rotation", 200, rng)
    assert ((starts[:, 0] == starts[:, 1]) & ((starts[:, 2] - starts[:, 0]) % 18_000 == 200)).all()
    out_of_mask(starts, layout.chromosome, *layout.mask.tables)
    on_first = starts[:, :3].ravel()
    assert (((on_first >= 1000) & (on_first < 9000)) | ((on_first >= 20_000) & (on_first < 30_000))).all()
    assert ((on_first < 9000).mean() > 0.3) & ((on_first < 9000).mean() < 0.6)
    low, high = pieces["start"].to_numpy()[:2], pieces["end"].to_numpy()[:2]
    own = layout.mask.starts[None, :].copy()
    out_of_mask(own, layout.chromosome, *layout.mask.tables)
    assert own[0].tolist() == layout.starts.tolist(), "a rotation by nothing is where they are"
    assert bases_left_of(np.array([1000, 9000, 20_000, 60_000]), low, high).tolist() == [0, 8000, 8000, 18_000]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "sizes").write_text("".join(f"{name}\t{size}\n" for name, size in SIZES.items()))

    def write(name, table):
        table.to_csv(tmp_path / name, sep="\t", header=False, index=False)
        return tmp_path / name

    return write


def test_piled_segments_fool_the_naive_placement_only(files, tmp_path):
    rng = np.random.default_rng(3)
    genes = random_intervals(rng, 25, 700)
    loci = random_intervals(rng, 15, 500)
    piled = pd.concat([loci] * 40, ignore_index=True)
    settings = OverlapSettings(permutations=300, threads=1)
    paths = [
        files("piled.bed", piled), files("genes.bed", genes.assign(name=[f"G{i}" for i in range(len(genes))])),
        tmp_path / "sizes",
    ]
    result = overlap_test(*paths, settings)
    table = result.statistics.set_index(["null", "statistic"])
    assert table.loc[("naive", "pairs"), "sd"] < table.loc[("rotation", "pairs"), "sd"] / 4
    assert abs(table.loc[("rotation", "pairs"), "z"]) < 2.5
    assert result.summary["z"] == pytest.approx(table.loc[("rotation", "pairs"), "z"])
    assert "pseudo-replication" in result.summary["naive_sentence"]
    merged = overlap_test(*paths, OverlapSettings(permutations=50, threads=1, merged=True, compare=False))
    assert merged.summary["tested"] == merged.summary["loci"] < merged.summary["segments"] == len(piled)
    again = overlap_test(*paths, settings)
    pd.testing.assert_frame_equal(result.placements, again.placements)


def test_segments_that_do_avoid_genes_are_called_so(files, tmp_path):
    genes = pd.DataFrame({"contig": "chr1", "start": np.arange(0, 60_000, 2000), "name": "x"})
    genes["end"] = genes["start"] + 1000
    genes["name"] = [f"G{i}" for i in range(len(genes))]
    rng = np.random.default_rng(4)
    start = rng.choice(np.arange(1000, 60_000, 2000), 40) + rng.integers(0, 700, 40)
    segments = pd.DataFrame({"contig": "chr1", "start": start, "end": start + 300})
    result = overlap_test(
        files("s.bed", segments), files("g.bed", genes[["contig", "start", "end", "name"]]), tmp_path / "sizes",
        OverlapSettings(permutations=200, threads=1, null="uniform"),
    )
    assert result.summary["observed"] == 0
    assert result.summary["p"] == pytest.approx(1 / 201)
    assert "fewer genes than chance" in result.summary["sentence"]


def test_what_cannot_be_tested_is_refused(files, tmp_path):
    segments = files("s.bed", pd.DataFrame({"contig": ["chr1"], "start": [5], "end": [50]}))
    elsewhere = files("g.bed", pd.DataFrame({"contig": ["chr2"], "start": [5], "end": [50], "name": ["A"]}))
    with pytest.raises(InputError, match="chromosome that has segments"):
        overlap_test(segments, elsewhere, tmp_path / "sizes", OverlapSettings())
    with pytest.raises(InputError, match="needs a mask"):
        overlap_test(segments, elsewhere, tmp_path / "sizes", OverlapSettings(null="mask"))
    (tmp_path / "bad").write_text("chr1\tlong\n")
    with pytest.raises(InputError, match="line 1"):
        read_sizes(tmp_path / "bad")


@pytest.mark.shared
def test_the_published_figures_are_reproduced(shared, tmp_path):
    maps = shared / "introgression"
    words = ["--segments", str(maps / "Akey_intr_coords.bed.gz"), "--genes", str(shared / "genes" / "gene_ids.txt.gz")]
    words += ["--sizes", str(maps / "chrom.sizes"), "--mask", str(maps / "Akey_depl_coords.bed.gz")]
    out = tmp_path / "out"
    assert main(["overlap", *words, "--permutations", "300", "--out", str(out), "--quiet"]) == 0
    summary = read_summary(out)
    assert (summary["observed"], summary["genes"], summary["segments"]) == (87_516, 20_068, 83_601)
    naive, kept = summary["naive"], summary["statistics"]
    assert naive["pairs"]["expected"] == pytest.approx(95_170, abs=150)
    assert naive["pairs"]["sd"] == pytest.approx(430, abs=60)
    assert -20.5 < naive["pairs"]["z"] < -15.5
    assert kept["pairs"]["expected"] == pytest.approx(94_570, abs=1_000)
    assert kept["pairs"]["sd"] == pytest.approx(3_460, rel=0.15)
    assert -2.7 < summary["z"] < -1.6
    assert abs(kept["genes"]["z"]) < 1
    assert abs(kept["genic_bases"]["z"]) < 1
    assert "No clear avoidance" in summary["sentence"]
    assert (out / "placements.tsv.gz").exists()
