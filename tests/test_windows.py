import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.background import matched_intervals
from neandl_core.config import WindowSettings
from neandl_core.errors import InputError, SettingsError
from neandl_core.runs import read_summary
from neandl_core.windows import drop_unknown, lay_windows, unknown_runs, window_blocks


class Chromosomes:
    def __init__(self, **codes):
        self.sequences = {name: np.asarray(value, np.uint8) for name, value in codes.items()}
        self.lengths = {name: len(value) for name, value in self.sequences.items()}

    def codes(self, name):
        return self.sequences[name]


def intervals(*rows):
    table = pd.DataFrame(rows, columns=["contig", "start", "end"])
    return table.assign(interval=np.arange(len(table)))


def lay(introgressed, depleted, **settings):
    made = WindowSettings.make(window=10, k=3, **settings)
    return lay_windows({1: introgressed, 0: depleted}, made, np.random.default_rng(0)), made


def test_windows_start_at_each_intervals_own_start_and_stay_inside():
    laid, _ = lay(intervals(("1", 3, 36), ("1", 5, 25)), intervals(("1", 100, 119)))
    got = laid.table[["label", "start", "interval", "locus"]].to_numpy().tolist()
    assert got == [[1, 3, 0, 1], [1, 5, 1, 1], [1, 13, 0, 1], [1, 15, 1, 1], [1, 23, 0, 1], [0, 100, 0, 0]]
    assert laid.laid == {"depleted": 1, "introgressed": 5}
    assert laid.loci[["label", "start", "end", "intervals"]].to_numpy().tolist() == [[0, 100, 119, 1], [1, 3, 36, 2]]


def test_a_piece_keeps_the_middle_of_each_locus_and_every_haplotypes_phase():
    laid, _ = lay(intervals(("1", 0, 100), ("1", 7, 95)), intervals(("1", 200, 300)), piece=30)
    of_locus = laid.table[laid.table["label"] == 1]
    # The merged locus is 0-100, its middle 30 bases are 35-65.
    assert of_locus["start"].tolist() == [37, 40, 47, 50]


def test_windows_that_touch_the_other_class_are_dropped_and_counted():
    laid, _ = lay(intervals(("1", 0, 40)), intervals(("1", 35, 80)))
    assert laid.dropped == {"overlaps the other class": 2}
    assert laid.table["start"].tolist() == [0, 10, 20, 45, 55, 65]


def test_windows_with_n_are_dropped_by_class_and_bases_come_in_table_order():
    codes = np.tile([0, 1, 2, 3], 30)
    codes[12] = 4
    genome = Chromosomes(**{"1": codes})
    laid, settings = lay(intervals(("1", 0, 40)), intervals(("1", 60, 100)))
    clean = drop_unknown(laid, genome, settings.window)
    assert clean.dropped == {"holds N (introgressed)": 1}
    assert clean.table["start"].tolist() == [0, 20, 30, 60, 70, 80, 90]
    blocks = np.concatenate(list(window_blocks(clean.table, genome, settings.window)))
    for row, start in zip(blocks, clean.table["start"], strict=True):
        assert row.tolist() == codes[start : start + 10].tolist()


def test_runs_of_n():
    starts, ends = unknown_runs(np.array([4, 4, 0, 1, 4, 2, 4]))
    assert list(zip(starts, ends, strict=True)) == [(0, 2), (4, 5), (6, 7)]


def test_a_draw_is_of_the_wanted_size_without_repeats_and_follows_the_seed():
    rows = intervals(*(("1", start, start + 500) for start in range(0, 20_000, 700)))
    other = intervals(*(("1", start, start + 500) for start in range(40_000, 60_000, 700)))
    whole, _ = lay(rows, other)
    drawn, _ = lay(rows, other, max_windows=200)
    again, _ = lay(rows, other, max_windows=200)
    assert len(drawn.table) == 200
    assert drawn.dropped["not drawn (max-windows)"] == len(whole.table) - 200
    assert drawn.table.equals(again.table)
    assert not drawn.table.duplicated(["label", "start"]).any()
    assert set(drawn.table["start"]) <= set(whole.table["start"])


def test_a_window_that_fits_nowhere_is_refused():
    with pytest.raises(InputError, match="no window of 10 bases fits into any depleted"):
        lay(intervals(("1", 0, 40)), intervals(("1", 50, 55)))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"window": 10, "k": 11}, "longer than the window"),
        ({"window": 200, "piece": 100}, "shorter than the window"),
        ({"split": "locus", "test_chromosomes": ("1",)}, "go with the chromosome split"),
        ({"k": 13}, "k = 13 is refused"),
        ({"k": 0}, "k = 0 is refused"),
        ({"split": "hope"}, "split = 'hope' is refused"),
        ({"test_share": float("nan")}, "test-share"),
    ],
)
def test_impossible_settings_are_refused_in_words(settings, why):
    with pytest.raises(SettingsError, match=why):
        WindowSettings.make(**settings)


def test_matched_intervals_have_the_lengths_and_nearly_the_gc_of_the_introgressed_ones():
    rng = np.random.default_rng(5)
    gc = np.repeat(rng.choice([0.35, 0.5], 400), 1000)
    strong, weak = rng.integers(1, 3, 400_000), rng.choice([0, 3], 400_000)
    codes = np.where(rng.random(400_000) < gc, strong, weak).astype(np.uint8)
    codes[200_000:210_000] = 4
    genome = Chromosomes(**{"1": codes})
    given = intervals(*(("1", start, start + 3000) for start in range(5_000, 150_000, 9_000)))
    matched, notes = matched_intervals(given, genome, np.random.default_rng(1))
    assert (matched["end"] - matched["start"]).tolist() == [3000] * len(given)
    for row, source in zip(matched.itertuples(), given.itertuples(), strict=True):
        assert ((given["end"] <= row.start) | (given["start"] >= row.end)).all()
        piece, wanted = codes[row.start : row.end], codes[source.start : source.end]
        assert (piece == 4).sum() == 0
        near = [np.isin(part, (1, 2)).mean() for part in (piece, wanted)]
        assert abs(near[0] - near[1]) < 0.06
    assert "matched to the introgressed ones" in notes[0]


@pytest.mark.shared
def test_published_intervals_on_real_chromosomes(shared, tmp_path):
    introgression = shared / "introgression"
    words = [
        "windows", "--reference", str(shared / "hg19" / "human_g1k_v37.20.21.fasta.gz"), "--introgressed",
        str(introgression / "Akey_intr_coords.bed.gz"), "--depleted", str(introgression / "Akey_depl_coords.bed.gz"),
        "--piece", "10000",
    ]
    assert main([*words, "--split", "chromosome", "--test-chromosomes", "21", "--out", str(tmp_path / "a")]) == 0
    held_out = read_summary(tmp_path / "a")
    notes = " ".join(held_out["notes"])
    assert 'matched without "chr"' in notes
    assert "10 intervals run past the end of their chromosome" in notes
    assert held_out["past_chromosome_end"] == {"introgressed": 0, "depleted": 10}
    assert held_out["dropped"]["holds N (depleted)"] > 1000
    laid, kept = held_out["windows"]["laid"], held_out["windows"]["by_class"]
    assert sum(laid.values()) - sum(held_out["dropped"].values()) == sum(kept.values())
    assert 90_000 < sum(kept.values()) < 110_000
    assert 0.65 < held_out["introgressed_share"] < 0.75
    assert held_out["test_chromosomes"] == ["21"]
    assert held_out["audit"]["overlap_150"] == 0
    assert not held_out["audit"]["leaking"]
    assert held_out["comparison_audit"]["overlap_150"] > 0.7
    assert main([*words, "--split", "random", "--out", str(tmp_path / "b")]) == 0
    at_random = read_summary(tmp_path / "b")
    assert at_random["audit"]["leaking"]
    assert at_random["audit"]["overlap_150"] > 0.7
    assert at_random["audit"]["identical"] > 0.3
    assert at_random["comparison_audit"]["split"] == "chromosome"
