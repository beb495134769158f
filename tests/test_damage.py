"""Damage counts: by hand, against a slow implementation, against DamageProfiler, and on hostile records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neandl_core.config import POSITIONS, ReadSettings
from neandl_core.damage import DamageProfile, count_damage, damage_rate_table, length_table, misincorporation_table
from neandl_core.errors import InputError
from neandl_core.io.alignments import open_alignments
from neandl_core.schemas import DAMAGE_RATES, LENGTHS, MISINCORPORATIONS, check_table
from tests.sam_files import line, random_record, write_bam, write_fasta

LETTERS = "ACGTN-"
BY_HAND = [
    line("plain", 0, 0, "8M", "TACGTACG", "0C7"),
    line("reverse", 16, 10, "8M", "ACGTACGA", "7G0"),
    line("clipped", 0, 20, "2S6M", "GGTACGTA", "0C5"),
    line("insertion", 0, 30, "2M2I4M", "TAGGCGTA", "0C5"),
    line("deletion", 0, 40, "4M1D4M", "TAAACGTA", "0C3^C4"),
    line("n", 0, 50, "8M", "NACGTACG", "0C7"),
    line("intact", 0, 60, "8M", "CACGTACG", "8"),
    line("unmapped", 4, 0, "*", "TACGTACG", None),
    line("duplicate", 1024, 60, "8M", "TACGTACG", "0C7"),
]


def count(path: Path, definition: str = "alignment-column", reference: Path | None = None, **values) -> DamageProfile:
    settings = ReadSettings.for_definition(definition, **values)
    with open_alignments(path) as alignments:
        return count_damage(alignments, settings, reference)


def at(profile: DamageProfile, end: str, substitution: str, position: int) -> tuple[int, int]:
    observed, n = profile.tally(end, substitution)
    return int(observed[position]), int(n[position])


def test_alignment_columns_by_hand(tmp_path: Path) -> None:
    profile = count(write_bam(tmp_path / "a.bam", BY_HAND))
    assert (profile.reads_total, profile.reads_used) == (9, 7)
    assert profile.dropped == {"unmapped": 1, "duplicate": 1}
    assert at(profile, "5p", "C>T", 0) == (5, 6)  # the read with N at the end is in no denominator
    assert at(profile, "5p", "C>T", 4) == (0, 2)  # the deleted C takes a column and is in the denominator
    assert int(profile.counts[0, :, 2, 5].sum()) == 1  # the first inserted base stands against a gap
    spans = {int(n): int(c) for n, c in enumerate(profile.lengths[0].sum(axis=0)) if c}
    assert spans == {6: 2, 8: 4, 9: 1}


def test_read_bases_by_hand(tmp_path: Path) -> None:
    profile = count(write_bam(tmp_path / "a.bam", BY_HAND), "read-base", skip_duplicates=True)
    assert at(profile, "5p", "C>T", 0) == (4, 5)  # the clipped read has no reference base at its end
    assert at(profile, "5p", "C>T", 2) == (1, 4)  # its C>T is two bases further in
    assert at(profile, "5p", "C>T", 4) == (0, 3)  # a deletion takes no position
    assert int(profile.lengths[1].sum(axis=0)[8]) == 7


def slowly(records: list[tuple[int, str, list[tuple[int, str, str]]]], definition: str) -> np.ndarray:
    """Count in plain Python, turning each read around before anything is counted."""
    counts = np.zeros((2, 2, POSITIONS, 6, 6), np.int64)
    complement = dict(zip(LETTERS, "TGCAN-", strict=True))
    for flag, sequence, columns in records:
        if definition == "read-base":
            row = {index: pair for index, *pair in columns if index >= 0}
            places = [row.get(index) for index in range(len(sequence))]
        else:
            places = [pair for _, *pair in columns]
        strand = int(flag == 16)
        if strand:
            places = [pair and [complement[base] for base in pair] for pair in reversed(places)]
        for end, ordered in enumerate((places, places[::-1])):
            for position, pair in enumerate(ordered[:POSITIONS]):
                if pair:
                    counts[end, strand, position, LETTERS.index(pair[0]), LETTERS.index(pair[1])] += 1
    return counts


@pytest.mark.parametrize("definition", ["alignment-column", "read-base"])
@pytest.mark.parametrize("source", ["MD", "reference", "both"])
def test_the_kernel_equals_a_slow_count_on_random_reads(tmp_path: Path, definition: str, source: str) -> None:
    rng = np.random.default_rng(11)
    genome = "".join(rng.choice(list("ACGTN"), 1000, p=[0.27, 0.22, 0.22, 0.27, 0.02]))
    lines, records = [], []
    for number in range(400):
        with_md, without, columns = random_record(rng, f"r{number}", genome)
        takes_md = source == "MD" or (source == "both" and number % 3)
        lines.append(with_md if takes_md else without)
        fields = with_md.split("\t")
        records.append((int(fields[1]), fields[9], columns))
    reference = None if source == "MD" else write_fasta(tmp_path / "ref.fa", {"chr1": genome})
    profile = count(write_bam(tmp_path / "a.bam", lines), definition, reference)
    assert profile.reads_used == 400
    assert np.array_equal(profile.counts, slowly(records, definition))


def test_runs_of_every_length_are_counted_right(tmp_path: Path) -> None:
    """Reads without gaps take the fast way, which packs two bases into a byte: odd, even, short and long."""
    rng = np.random.default_rng(12)
    lines, records = [], []
    for number in range(1, 180):
        genome = "".join(rng.choice(list("ACGT"), number))
        read = "".join(base if rng.random() < 0.8 else "ACGTN"[rng.integers(0, 5)] for base in genome)
        md, run = "", 0
        for reference, base in zip(genome, read, strict=True):
            md, run = (md, run + 1) if reference == base else (f"{md}{run}{reference}", 0)
        flag = 16 * (number // 2% 2)
        lines.append(line(f"r{number}", flag, 3, f"{number}M", read, f"{md}{run}"))
        records.append((flag, read, [(i, *pair) for i, pair in enumerate(zip(genome, read, strict=True))]))
    profile = count(write_bam(tmp_path / "a.bam", lines))
    assert np.array_equal(profile.counts, slowly(records, "alignment-column"))


def test_contigs_match_with_and_without_chr_and_it_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    genome = "".join(rng.choice(list("ACGT"), 1000))
    bam = write_bam(tmp_path / "a.bam", [line("a", 0, 5, "40M", genome[5:45], None)])
    profile = count(bam, reference=write_fasta(tmp_path / "ref.fa", {"1": genome}))
    assert int(profile.counts[0, 0, :, range(4), range(4)].sum()) == 40
    assert any("without chr" in note for note in profile.notes)


@pytest.mark.parametrize(
    ("sequences", "says"), [({"chr1": "ACGT"}, "1,000 bases here and 4 in ref.fa"), ({"chr9": "ACGT"}, "none of its")]
)
def test_another_reference_is_refused(tmp_path: Path, sequences: dict[str, str], says: str) -> None:
    bam = write_bam(tmp_path / "a.bam", [line("a", 0, 5, "4M", "ACGT", None)])
    with pytest.raises(InputError, match=says):
        count(bam, reference=write_fasta(tmp_path / "ref.fa", sequences))


def test_neither_md_nor_reference_names_the_record(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "a.bam", [BY_HAND[0], line("bare", 0, 5, "4M", "ACGT", None)])
    with pytest.raises(InputError, match=r"a\.bam, record 2 \(read bare\): no MD tag and no reference"):
        count(bam)


@pytest.mark.parametrize("md", ["5", "1A1", "9", "8A0", "<b>x</b>", "", "A" * 40, "3^AC5", "9" * 20, "8 "])
@pytest.mark.parametrize("cigar", ["8M", "3M1I4M", "2S6M", "4M2D4M"])
def test_an_md_tag_that_does_not_fit_is_counted_and_left_alone(tmp_path: Path, md: str, cigar: str) -> None:
    profile = count(write_bam(tmp_path / "a.bam", [*BY_HAND, line("bad", 0, 5, cigar, "TTTTTTTT", md)]))
    assert profile.dropped["MD tag does not fit the alignment"] == 1
    assert at(profile, "5p", "C>T", 0) == (5, 6)
    assert profile.reads_used + sum(profile.dropped.values()) == profile.reads_total


def test_every_record_has_one_fate_and_the_filters_have_an_order(tmp_path: Path) -> None:
    flags = {0: "used", 4: "unmapped", 256: "secondary alignment", 2048: "supplementary alignment", 1024: "duplicate",
             512: "failed quality control", 1024 | 512: "duplicate", 4 | 512: "unmapped"}
    lines = [line(f"f{flag}", flag, 5, "*" if flag & 4 else "4M", "ACGT", "4") for flag in flags]
    lines += [line("low", 0, 5, "4M", "ACGT", "4", quality=3), line("short", 0, 5, "3M", "ACG", "3"),
              line("beyond", 0, 1_000, "4M", "ACGT", "4"), line("clips", 0, 5, "4S", "ACGT", "0")]
    profile = count(write_bam(tmp_path / "a.bam", lines), min_mapping_quality=10, min_length=4)
    assert profile.reads_used == 1
    assert list(profile.dropped.items()) == [
        ("unmapped", 2), ("secondary alignment", 1), ("supplementary alignment", 1), ("duplicate", 2),
        ("failed quality control", 1), ("mapping quality below 10", 1), ("no aligned bases", 1),
        ("shorter than 4 bases", 1), ("alignment beyond the end of its contig", 1),
    ]
    assert profile.reads_used + sum(profile.dropped.values()) == profile.reads_total == 12


def test_reads_past_their_contigs_end_are_counted_as_far_as_it_is_known(tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "genome.fa", {"chr1": "A" * 998 + "CC"})
    bam = write_bam(tmp_path / "a.bam", [line("r", 0, 997, "5M", "ATCGG", None)])
    profile = count(bam, reference=fasta)
    assert [profile.counts[0, 0, place].nonzero() for place in range(5)] == [
        ([reference], [read]) for reference, read in ((0, 0), (1, 3), (1, 1), (4, 2), (4, 2))
    ]
    assert any("run past the end" in note for note in profile.notes)
    tagged = count(write_bam(tmp_path / "b.bam", [line("r", 0, 997, "5M", "ATCGG", "1C3")]), reference=fasta)
    assert tagged.tally("5p", "C>T")[0].tolist()[:3] == [0, 1, 0]
    assert tagged.counts[0, 0, 4, 2, 2] == 1  # the tag knows what the aligner saw there


def test_no_usable_read_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0 usable reads of 2 \(unmapped: 1; duplicate: 1\)"):
        count(write_bam(tmp_path / "a.bam", BY_HAND[-2:]))


def test_random_damage_to_records_never_crashes(tmp_path: Path) -> None:
    """Bytes of the records are overwritten at random: every outcome but a clean one or a sentence is a failure."""
    import pysam

    rng = np.random.default_rng(4)
    bam = write_bam(tmp_path / "a.bam", BY_HAND * 20)
    plain = tmp_path / "plain"
    with pysam.BGZFile(str(bam)) as handle:
        whole = handle.read()
    refused = 0
    for trial in range(150):
        data = bytearray(whole)
        for place in rng.integers(160, len(data), int(rng.integers(1, 30))):
            data[place] = rng.integers(0, 256)
        plain.write_bytes(bytes(data))
        broken = tmp_path / "broken.bam"
        pysam.tabix_compress(str(plain), str(broken), force=True)
        try:
            profile = count(broken, "read-base" if trial % 2 else "alignment-column")
        except InputError:
            refused += 1
            continue
        assert profile.reads_used + sum(profile.dropped.values()) == profile.reads_total
    assert 0 < refused < 150


def test_tables_keep_their_contracts_and_agree_with_the_counts(tmp_path: Path) -> None:
    profile = count(write_bam(tmp_path / "a.bam", BY_HAND))
    rates = check_table(damage_rate_table(profile), DAMAGE_RATES, "damage rates")
    assert len(rates) == 2 * 12 * POSITIONS
    first = rates.query("end == '5p' and substitution == 'C>T' and position == 0").iloc[0]
    assert (first["n_observed"], first["n_ref"]) == (5, 6)
    assert first["low"] < 5 / 6 < first["high"] < 1
    table = check_table(misincorporation_table(profile), MISINCORPORATIONS, "misincorporations")
    here = table.query("end == '5p' and position == 0 and ref_base == 'C' and read_base == 'T'")
    assert here.set_index("strand")["count"].to_dict() == {"+": 4, "-": 1}
    lengths = check_table(length_table(profile), LENGTHS, "lengths")
    assert lengths.groupby("measure")["count"].sum().to_dict() == {"query": 7, "span": 7}


@pytest.mark.shared
def test_the_mammoth_equals_damageprofiler(shared: Path) -> None:
    oracle = json.loads((shared / "oracles" / "JK2782.DamageProfiler-0.4.3.json").read_text())
    profile = count(shared / "ancient" / "JK2782.mapped.bam", "read-base")
    for end, substitution, key in (("5p", "C>T", "dmg_5p"), ("3p", "G>A", "dmg_3p")):
        observed, n = profile.tally(end, substitution)
        assert [k / total for k, total in zip(observed[:25].tolist(), n[:25].tolist(), strict=True)] == oracle[key]
    for strand, key in enumerate(("lendist_fw", "lendist_rv")):
        histogram = {str(length): int(n) for length, n in enumerate(profile.lengths[1, strand]) if n}
        assert histogram == oracle[key]


@pytest.mark.shared
def test_the_mammoths_records_all_have_a_fate_and_md_equals_the_reference(shared: Path) -> None:
    bam = shared / "ancient" / "JK2782.mapped.bam"
    profile = count(bam)
    assert profile.reads_used + sum(profile.dropped.values()) == profile.reads_total == 9_892


@pytest.mark.shared
def test_a_modern_bam_is_counted_in_flat_memory(shared: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from neandl_core.config import ReadSettings\n"
        "from neandl_core.damage import count_damage; from neandl_core.io.alignments import open_alignments\n"
        "def peak():\n"  # getrusage's figure is inherited from the process that started this one
        "    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM')) / 1024\n"
        "before = peak(); start = time.perf_counter()\n"
        "with open_alignments(Path(sys.argv[1])) as a: p = count_damage(a, ReadSettings())\n"
        "print(p.reads_used, peak() - before, time.perf_counter() - start)"
    )
    bam = shared / "modern" / "NA12878.b37.chr21.bam"
    count(shared / "ancient" / "Sima.incisor.b37.bam")  # so that the kernel is compiled
    done = subprocess.run([sys.executable, "-c", code, str(bam)], capture_output=True, text=True, check=True)
    used, megabytes, seconds = (float(word) for word in done.stdout.split())
    assert used > 300_000
    assert megabytes < 300
    assert seconds < 20
