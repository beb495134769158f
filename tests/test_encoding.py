from __future__ import annotations

import numpy as np
import pytest

from neandl_core.encoding import (
    filled_lengths,
    kmer_codes,
    kmer_counts,
    kmer_text,
    one_hot,
    reverse_complement,
)

BASES = "ACGTN"


def random_codes(n: int, width: int, seed: int = 0, unknown: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, width), dtype=np.uint8)
    if unknown:
        codes[rng.random((n, width)) < 0.02] = 4
    return codes


def text_of(row: np.ndarray) -> str:
    return "".join(BASES[code] for code in row)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7, 10, 11, 12])
def test_kmers_are_those_of_the_text(k):
    codes = random_codes(20, 40)
    kmers = kmer_codes(codes, k)
    assert kmers.shape == (20, 41 - k)
    assert kmers.dtype == np.int32
    for row in range(20):
        text = text_of(codes[row])
        for place in range(41 - k):
            word = text[place : place + k]
            expected = 4**k if "N" in word else int("".join(str(BASES.index(base)) for base in word), 4)
            assert kmers[row, place] == expected


def test_kmer_as_long_as_the_window_and_longer():
    codes = random_codes(3, 6, unknown=False)
    assert kmer_codes(codes, 6).shape == (3, 1)
    assert kmer_text(int(kmer_codes(codes, 6)[0, 0]), 6) == text_of(codes[0])
    with pytest.raises(ValueError, match="longer than the 6 bases"):
        kmer_codes(codes, 7)
    with pytest.raises(ValueError, match="not between 1 and 12"):
        kmer_codes(codes, 0)


def test_kmer_codes_leaves_its_input_alone():
    codes = random_codes(4, 20)
    before = codes.copy()
    kmer_codes(codes, 1)[:] = 0
    np.testing.assert_array_equal(codes, before)


def test_counts_are_those_of_the_text():
    codes = random_codes(5000, 30)
    counts = kmer_counts(codes, 3)
    assert counts.shape == (5000, 64)
    assert counts.dtype == np.uint8
    for row in (0, 4095, 4096, 4999):
        text = text_of(codes[row])
        for kmer in range(64):
            word = kmer_text(kmer, 3)
            assert counts[row, kmer] == sum(text[place : place + 3] == word for place in range(28))


def test_counts_of_long_rows_do_not_overflow():
    assert kmer_counts(np.zeros((1, 1000), np.uint8), 5)[0, 0] == 996


def test_one_hot():
    hot = one_hot(np.array([[0, 1, 2, 3, 4]], np.uint8))
    assert hot.shape == (1, 4, 5)
    assert hot.dtype == np.float32
    np.testing.assert_array_equal(hot[0, :, :4], np.eye(4))
    assert not hot[0, :, 4].any()


def test_reverse_complement_twice_is_the_same():
    codes = random_codes(50, 33)
    np.testing.assert_array_equal(reverse_complement(reverse_complement(codes)), codes)
    assert text_of(reverse_complement(np.array([[0, 0, 1, 2, 4]], np.uint8))[0]) == "NCGTT"


def test_reverse_complement_keeps_padding_at_the_end():
    codes = random_codes(200, 20, unknown=False)
    lengths = np.random.default_rng(1).integers(0, 21, 200)
    codes[np.arange(20) >= lengths[:, None]] = 4
    np.testing.assert_array_equal(filled_lengths(codes), lengths)
    turned = reverse_complement(codes, lengths)
    complement = str.maketrans("ACGT", "TGCA")
    for row, length in enumerate(lengths):
        read = text_of(codes[row])[:length]
        assert text_of(turned[row]) == read[::-1].translate(complement) + "N" * (20 - length)
    np.testing.assert_array_equal(reverse_complement(turned, lengths), codes)
