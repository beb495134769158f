import numpy as np
import pytest

from neandl_core.errors import InputError
from neandl_core.intervals import Locus, covered_bases, format_locus, match_contigs, merge, parse_locus


@pytest.mark.parametrize(
    ("text", "locus"),
    [
        ("chr3:45,859,652-45,909,024", Locus("chr3", 45_859_651, 45_909_024)),
        ("20:1-1", Locus("20", 0, 1)),
        (" chrX:10-20 ", Locus("chrX", 9, 20)),
    ],
)
def test_typed_text_is_one_based_with_the_end_included(text, locus):
    assert parse_locus(text) == locus
    assert parse_locus(format_locus(locus)) == locus


def test_length_is_end_minus_start():
    assert len(parse_locus("1:1-10")) == 10


@pytest.mark.parametrize("text", ["chr1", "chr1:5", "chr1:0-5", "chr1:9-5", "chr1:-3-5", "chr1:a-b", ""])
def test_other_text_is_refused_and_quoted(text):
    with pytest.raises(InputError):
        parse_locus(text)


def test_merge_joins_overlapping_but_not_touching_intervals():
    starts, ends, membership = merge(np.array([50, 0, 10, 20]), np.array([60, 10, 15, 30]))
    assert starts.tolist() == [0, 10, 20, 50]
    starts, ends, membership = merge(np.array([50, 0, 9, 12]), np.array([60, 10, 15, 13]))
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [(0, 15), (50, 60)]
    assert membership.tolist() == [1, 0, 0, 0]


def test_merge_and_coverage_agree_with_counting_bases():
    rng = np.random.default_rng(3)
    for _ in range(30):
        starts = rng.integers(0, 200, 12)
        ends = starts + rng.integers(1, 30, 12)
        merged_starts, merged_ends, membership = merge(starts, ends)
        covered = np.zeros(400, bool)
        for start, end in zip(starts, ends, strict=True):
            covered[start:end] = True
        assert int((merged_ends - merged_starts).sum()) == covered.sum()
        for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
            assert merged_starts[membership[index]] <= start
            assert end <= merged_ends[membership[index]]
        queries = rng.integers(0, 300, 40)
        lengths = rng.integers(0, 60, 40)
        expected = [covered[start : start + length].sum() for start, length in zip(queries, lengths, strict=True)]
        assert covered_bases(queries, queries + lengths, merged_starts, merged_ends).tolist() == expected


def test_contigs_match_with_and_without_chr_and_say_so():
    match = match_contigs(["chr20", "chr21", "chrM", "chrUn_1"], ["20", "chr21", "MT"])
    assert match.to_reference == {"chr20": "20", "chr21": "chr21", "chrM": "MT"}
    assert match.renamed == 2
    assert match.unmatched == ("chrUn_1",)


def test_an_ambiguous_contig_is_not_guessed():
    assert match_contigs(["Chr1"], ["1", "chr1"]).unmatched == ("Chr1",)
