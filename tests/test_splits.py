import numpy as np
import pandas as pd
import pytest

from neandl_core.errors import InputError, SettingsError
from neandl_core.splits import assign_split


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    rows = []
    for locus in range(120):
        contig = f"chr{1 + locus % 4}"
        label = locus // 4% 2
        for interval in range(3):
            rows += [(label, contig, locus, 3 * locus + interval)] * int(rng.integers(2, 9))
    return pd.DataFrame(rows, columns=["label", "contig", "locus", "interval"])


def split(examples, name, **settings):
    wanted = {"test_share": 0.2, "validation_share": 0.1, "rng": np.random.default_rng(4)} | settings
    return assign_split(examples, name, **wanted)


@pytest.mark.parametrize(
    ("name", "group"), [("chromosome", "locus"), ("locus", "locus"), ("interval", "interval")]
)
def test_no_group_lies_in_two_parts(examples, name, group):
    parts = pd.Series(split(examples, name))
    assert parts.groupby(examples[group]).nunique().max() == 1


def test_no_chromosome_is_both_trained_and_tested_on(examples):
    parts = split(examples, "chromosome")
    tested, trained = (set(examples["contig"][parts == part]) for part in ("test", "train"))
    assert tested
    assert not tested & trained


@pytest.mark.parametrize("name", ["locus", "interval", "random"])
def test_shares_are_met_in_both_classes(examples, name):
    parts = split(examples, name)
    for label in (0, 1):
        of_class = parts[examples["label"] == label]
        assert abs((of_class == "test").mean() - 0.2) < 0.05
        assert abs((of_class == "validation").mean() - 0.08) < 0.04


def test_named_chromosomes_are_matched_without_chr(examples):
    parts = split(examples, "chromosome", test_chromosomes=("2",))
    assert set(examples["contig"][parts == "test"]) == {"chr2"}


def test_impossible_chromosomes_are_refused(examples):
    with pytest.raises(SettingsError, match="no window lies on test chromosome '9'"):
        split(examples, "chromosome", test_chromosomes=("9",))
    with pytest.raises(SettingsError, match="nothing is left to train on"):
        split(examples, "chromosome", test_chromosomes=("1", "2", "3", "4"))
    with pytest.raises(InputError, match="Use --split locus"):
        split(examples[examples["contig"] == "chr1"], "chromosome")


def test_the_same_seed_gives_the_same_split(examples):
    for name in ("chromosome", "locus", "interval", "random"):
        assert (split(examples, name) == split(examples, name)).all()
    other = split(examples, "random", rng=np.random.default_rng(5))
    assert (other != split(examples, "random")).any()


def test_a_part_with_one_class_is_refused():
    one_sided = pd.DataFrame({
        "label": [0] * 20 + [1] * 20, "contig": ["a"] * 20 + ["b"] * 20, "locus": np.arange(40),
        "interval": np.arange(40),
    })
    with pytest.raises(InputError, match="only one class"):
        split(one_sided, "chromosome", test_chromosomes=("b",))
