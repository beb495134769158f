import numpy as np
import pandas as pd
import pytest

from neandl_core.audit import audit_split, near_copies, overlapping_share, sequence_hashes


def test_overlap_agrees_with_counting_pairs():
    rng = np.random.default_rng(1)
    test = pd.DataFrame({"contig": rng.choice(["1", "2"], 200), "start": rng.integers(0, 5000, 200)})
    train = pd.DataFrame({"contig": rng.choice(["1", "2", "3"], 60), "start": rng.integers(0, 5000, 60)})
    for shared in (1, 30, 40):
        expected = [
            any(row.contig == other.contig and abs(row.start - other.start) <= 40 - shared for other in
                train.itertuples())
            for row in test.itertuples()
        ]
        assert overlapping_share(test, train, 40, shared).tolist() == expected


def test_hashes_are_equal_for_a_sequence_and_its_reverse_complement_only():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4, (500, 60)).astype(np.uint8)
    forward = sequence_hashes(codes)
    assert (sequence_hashes(3 - codes[:, ::-1]) == forward).all()
    assert len(np.unique(forward)) == 500
    assert (sequence_hashes(codes[:, ::-1]) != forward).all()


def test_near_copies_are_found_through_mutations_and_on_both_strands():
    rng = np.random.default_rng(3)
    train = rng.integers(0, 4, (300, 200)).astype(np.uint8)
    test = rng.integers(0, 4, (90, 200)).astype(np.uint8)
    test[:30] = train[:30]
    test[:30, 100] = (test[:30, 100] + 1) % 4
    test[30:60] = 3 - train[30:60, ::-1]
    found = near_copies(train, test)
    assert found[:60].all()
    assert not found[60:].any()


@pytest.fixture
def examples():
    rng = np.random.default_rng(4)
    genome = rng.integers(0, 4, 400_000).astype(np.uint8)
    rows = []
    for locus in range(80):
        for _haplotype in range(6):
            start = locus * 5000 + int(rng.integers(0, 40)) * 25
            rows += [(locus % 2, f"chr{locus % 2}", start + 200 * step, locus) for step in range(10)]
    table = pd.DataFrame(rows, columns=["label", "contig", "start", "locus"])
    codes = genome[table["start"].to_numpy()[:, None] + np.arange(200)]
    table["gc"] = np.isin(codes, (1, 2)).mean(axis=1)
    table["split"] = np.where(table["locus"] < 64, "train", "test")
    table["comparison_split"] = np.where(rng.random(len(table)) < 0.8, "train", "test")
    return codes, table


def test_a_random_split_of_overlapping_windows_leaks_and_a_locus_split_does_not(examples):
    codes, table = examples
    honest = audit_split(codes, table, "split", "locus")
    leaky = audit_split(codes, table, "comparison_split", "random")
    assert honest["overlap_150"] == 0
    assert not honest["leaking"]
    assert honest["loci_in_two_parts"] == 0
    assert leaky["overlap_150"] > 0.5
    assert leaky["identical"] > 0.05
    assert leaky["leaking"]
    assert leaky["loci_in_two_parts"] > 60
    assert "leaks" in leaky["sentence"]
    assert "does not leak" in honest["sentence"]


def test_repeats_elsewhere_are_counted_apart_from_overlap(examples):
    codes, table = examples
    codes = codes.copy()
    test_rows, train_rows = np.flatnonzero(table["split"] == "test"), np.flatnonzero(table["split"] == "train")
    codes[test_rows[:16]] = codes[train_rows[:16]]
    audit = audit_split(codes, table, "split", "locus")
    assert audit["near_identical"] == pytest.approx(16 / len(test_rows))
    assert audit["identical"] == pytest.approx(16 / len(test_rows))
    assert audit["overlap_150"] == 0
    bases = {(row["part"], row["label"]): row["windows"] for row in audit["parts"]}
    assert sum(bases.values()) == len(table)
