"""Maps, evidence, calls and agreement: against counting by hand, and against the published figures."""

import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.errors import InputError
from neandl_core.gene_agreement import SUPPORTED, agreement, join_published, panel, read_published
from neandl_core.gene_calls import HeldOut, benjamini_hochberg, calibrated, q_values
from neandl_core.gene_evidence import Evidence
from neandl_core.io.gene_tables import read_genes
from neandl_core.maps import agreed, distance_to, found_in_depleted, labels_from_maps, map_kind, read_maps


@pytest.fixture
def folder(tmp_path):
    """Three maps, a desert, a depleted list and a list of segments over a chromosome of 1,000 bases."""
    maps = tmp_path / "maps"
    maps.mkdir()
    for name, text in {
        "one_regions_merged.bed": "1\t100\t200\n1\t200\t300\n1\t600\t700\n",
        "two_regions_merged.bed": "chr1\t150\t250\n",
        "three_regions_merged.bed": "1\t180\t220\n1\t650\t660\n",
        "some_deserts.bg": "chrom\tstart\tend\tx\n1\t400\t500\t1\n1\t640\t680\t1\n",
        "depl_coords.bed": "chr1\t180\t280\n",
        "intr_coords.bed": "chr1\t0\t10\n",
    }.items():
        (maps / name).write_text(text)
    return maps


def genes(*rows):
    return pd.DataFrame(rows, columns=["symbol", "contig", "start", "end"])


def test_depth_evidence_and_distance_are_those_counted_by_hand(folder):
    evidence = Evidence(folder)
    assert [one.name for one in evidence.maps] == ["one", "three", "two"]
    assert {one.name: one.kind for one in evidence.lists}["intr_coords"] == "other"
    found = evidence.of(genes(
        ("A", "chr1", 140, 240), ("B", "1", 300, 360), ("C", "chr1", 450, 550), ("D", "chr2", 5, 9),
        ("E", "1", 310, 600),
    ))
    assert found["maps"].tolist() == [3, 0, 0, 0, 0]
    assert found["any_map"].tolist() == [1, 0, 0, 0, 0]
    # At least two of three maps: 150-250 (one and two), 180-220 (all).
    assert found["half_maps"].tolist() == [0.9, 0, 0, 0, 0]
    assert found["desert"].tolist() == [0, 0, 0.5, 0, pytest.approx(100 / 290)]
    assert found["nearest_segment"].fillna(-1).tolist() == [0, 0, 50, -1, 0]
    depleted = evidence.noise()
    assert [(one["list"], one["share"]) for one in depleted] == [("depl_coords", pytest.approx(0.4))]
    touching = evidence.segments(genes(("A", "chr1", 140, 240), ("C", "chr1", 450, 550)))
    assert touching[["symbol", "map", "start", "end"]].to_numpy().tolist() == [
        ["A", "one", 100, 200], ["A", "one", 200, 300], ["C", "some_deserts", 400, 500], ["A", "three", 180, 220],
        ["A", "two", 150, 250],
    ]


def test_distance_and_agreement_of_maps_by_brute_force():
    rng = np.random.default_rng(1)
    from neandl_core.maps import RegionList, merged_regions

    lists = []
    for name in "abcd":
        start = rng.integers(0, 900, 12)
        table = pd.DataFrame({"contig": "1", "start": start, "end": start + rng.integers(1, 60, 12)})
        lists.append(RegionList(name, "map", merged_regions(table)))
    depth = np.zeros(1000, int)
    for one in lists:
        for start, end in zip(*one.regions["1"], strict=True):
            depth[start:end] += 1
    for at_least in (1, 2, 3):
        inside = np.zeros(1000, bool)
        for start, end in zip(*agreed(lists, at_least).get("1", ([], [])), strict=True):
            inside[start:end] = True
        assert (inside == (depth >= at_least)).all()
    rows = genes(*[(str(i), "1", int(s), int(s) + 5) for i, s in enumerate(rng.integers(0, 990, 50))])
    places = np.flatnonzero(depth > 0)
    expected = [max(0, min(np.where(places >= e, places - e, np.where(places < s, s - places - 1, 0))))
                for s, e in zip(rows["start"], rows["end"], strict=True)]
    assert distance_to(rows, agreed(lists, 1)).tolist() == expected


def test_labels_from_maps(folder):
    introgressed, depleted, notes = labels_from_maps(folder, 2, {"chr1": 1000, "chr2": 500})
    assert introgressed.to_numpy().tolist() == [["chr1", 150, 250], ["chr1", 650, 660]]
    low = np.zeros(1000, bool)
    for row in depleted.itertuples():
        assert row.contig == "chr1"
        low[row.start : row.end] = True
    expected = np.ones(1000, bool)
    expected[100:300] = expected[600:700] = False
    expected[640:650] = expected[660:680] = True  # a desert, and only one map found something
    assert (low == expected).all()
    assert "at least 2" in notes[0]
    (folder / "depleted_of_a_paper.bed").write_text("chr1\t0\t100\nchr1\t640\t740\n")
    shares = found_in_depleted(read_maps(folder), 2)
    own = {"list": "depleted_of_a_paper", "maps": 2, "share": 0.05, "bases": 200}
    assert own in shares, "650 to 660 of 200 bases"
    again = labels_from_maps(folder, 2, {"chr1": 1000, "chr2": 500})[2]
    assert [note.partition(" regions ")[2].split()[0] for note in again[1:]] == [
        one["list"] for one in found_in_depleted(read_maps(folder))
    ]
    assert len(again) == len(notes) + 1
    with pytest.raises(InputError, match="there are 3"):
        labels_from_maps(folder, 4, {"chr1": 1000})
    assert [map_kind(name) for name in ("x.bed", "at_least_3.bed", "all_deserts.bg")] == [
        "map", "consensus", "depleted",
    ]


def test_windows_takes_its_labels_from_maps(folder, tmp_path):
    rng = np.random.default_rng(2)
    for contig in ("1", "2"):
        spans = rng.integers(0, 9000, 6)
        for name in ("one", "two"):
            with (folder / f"{name}_regions_merged.bed").open("a") as handle:
                handle.writelines(f"{contig}9\t{start}\t{start + 900}\n" for start in spans)
    fasta = "".join(f">chr{name}\n{''.join(rng.choice(list('ACGT'), 12_000))}\n" for name in ("19", "29"))
    (tmp_path / "g.fa").write_text(fasta)
    words = ["windows", "--reference", str(tmp_path / "g.fa"), "--window", "50", "--k", "4", "--quiet"]
    out = tmp_path / "out"
    assert main([*words, "--maps", str(folder), "--at-least", "2", "--out", str(out)]) == 0
    examples = pd.read_parquet(out / "examples.parquet")
    assert set(examples["label"]) == {0, 1}
    assert (out / "introgressed.bed").exists()
    assert main([*words, "--maps", str(folder), "--introgressed", str(out / "depleted.bed"), "--out", "x"]) == 1


def test_q_values_hold_their_rate_on_genes_like_depleted_ones_and_find_planted_ones():
    rng = np.random.default_rng(3)
    # Windows of a locus resemble each other: that is what makes single windows a wrong null.
    loci = [np.clip(rng.normal(rng.normal(0.4, 0.08), 0.1, 60), 0, 1) for _ in range(150)]
    known = HeldOut(pd.DataFrame({"label": 0, "mean": [one.mean() for one in loci]}), loci, "clear")
    windows = rng.choice([3, 10, 45, 200], 3000)
    mean = np.array([np.clip(rng.normal(rng.normal(0.4, 0.08), 0.1, size), 0, 1).mean() for size in windows])
    table = pd.DataFrame({"windows": windows, "probability": mean})
    found, notes = q_values(table, known, 1)
    assert found["p_value"].mean() == pytest.approx(0.5, abs=0.06)
    assert (found["p_value"] < 0.05).mean() < 0.09
    assert (found["q_value"] < 0.1).sum() <= 15
    planted = table.assign(probability=np.where(np.arange(3000) < 600, 0.8, mean))
    called = q_values(planted, known, 1)[0]["q_value"] < 0.1
    assert called[:600].mean() > 0.95
    assert called[600:].sum() < 0.2 * called.sum()
    assert "150 depleted loci" in notes[0]
    assert q_values(table, None, 1)[0].isna().all(axis=None)


def test_benjamini_hochberg_is_the_textbook_step_up():
    p = np.array([0.01, 0.04, 0.03, np.nan, 0.005])
    assert benjamini_hochberg(p)[[4, 0, 2, 1]].tolist() == pytest.approx([0.02, 0.02, 0.04, 0.04])
    assert np.isnan(benjamini_hochberg(p)[3])


def test_calibration_only_where_held_out_loci_allow_it():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 100)
    mean = np.clip(rng.normal(0.45 + 0.1 * labels, 0.05), 0.01, 0.99)
    known = HeldOut(pd.DataFrame({"label": labels, "mean": mean}), [], "clear")
    table = pd.DataFrame({"probability": [0.4, 0.5, 0.6, np.nan], "low": 0.3, "high": 0.7})
    columns, fitted, _ = calibrated(table, known)
    # Means of 0.45 and 0.55 with equal spread: 0.5 is even, and a tenth on either side is nearly sure.
    assert columns["calibrated"][1] == pytest.approx(0.5, abs=0.06)
    assert columns["calibrated"][0] < 0.1 < 0.9 < columns["calibrated"][2]
    assert np.isnan(columns["calibrated"][3])
    assert fitted["loci"] == 200
    for signal, part in (("none", known.loci), ("clear", known.loci[:105])):
        columns, fitted, notes = calibrated(table, HeldOut(part, [], signal))
        assert fitted is None
        assert columns.isna().all(axis=None)
        assert "not calibrated" in notes[0]


def test_published_predictions_are_joined_at_the_place_they_are_of(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(
        "Gene\tGene_Symbol\tPredict\tProb_0\tProb_1\nchr1:101-200\tA\t1.0\t0.1\t0.9\nchr1:101-150\tA\t0.0\t0.8\t0.2\n"
        "chr2:101-200\tB\t1.0\t0.3\t0.7\n"
    )
    table = join_published(genes(("A", "1", 90, 210), ("B", "chr1", 90, 210)), read_published(path))
    assert table["published"].fillna(-1).tolist() == [0.9, -1]
    path.write_text("chr1:101-200\tA\t2\t0.1\t0.9\n")
    with pytest.raises(InputError, match="line 1"):
        read_published(path)


@pytest.mark.shared
def test_the_published_table_against_its_own_training_regions(shared):
    evidence = Evidence(shared / "introgression")
    # The consensus files of the same source, base for base.
    by_name = {one.name: one.bases for one in evidence.lists}
    for at_least in (3, 6):
        own = sum(int((ends - starts).sum()) for starts, ends in agreed(evidence.maps, at_least).values())
        assert own == by_name[f"introgressed_regions_at_least_{at_least}_methods"]
    assert evidence.half == 6
    assert evidence.noise()[0]["share"] == pytest.approx(0.356, abs=0.001)
    listed = read_genes(shared / "genes" / "gene_ids.txt.gz").table
    rows = read_published(shared / "genes" / "Neanderthal_Genes.txt.gz")
    assert rows["called"].sum() == pytest.approx(477, abs=1)
    table = listed.join(evidence.of(listed)).join(join_published(listed, rows))
    table = table.assign(probability=np.nan, windows=0, predicted="not scored")
    assert table.set_index("symbol").loc["ANK3", "maps"] == 12
    found = pd.DataFrame(agreement(table, rows, evidence, 1)).set_index(["score", "truth"])["auc"]
    of_rows = found["published, all its rows"]
    assert of_rows["touches Akey_intr_coords, against not"] == pytest.approx(0.648, abs=0.003)
    mostly = "mostly inside regions of at least 6 maps, against outside all maps"
    assert of_rows[mostly] == pytest.approx(0.643, abs=0.01)
    said = pd.DataFrame(panel(table)).set_index("symbol")
    supported, free = said.loc[list(SUPPORTED)], said[said["expected"] == "free"]
    assert supported["published_called"].sum() == 3
    assert (len(supported), len(free)) == (15, 4)
    assert supported["in_half"].all()
    assert not free["in_half"].any()
    assert not free["published_called"].any()


def test_maps_folder_must_hold_maps(tmp_path):
    with pytest.raises(InputError, match="no BED file"):
        read_maps(tmp_path)
