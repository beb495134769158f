"""What is counted read by read: PMD scores against PMDtools' formula in plain Python, contexts, groups, figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest

from neandl_core.config import POSITIONS, ReadSettings
from neandl_core.damage import DamageProfile, count_damage
from neandl_core.errors import InputError
from neandl_core.io.alignments import open_alignments
from neandl_core.library import LibraryCall, Rise, call_udg
from neandl_core.pmd import PmdModel
from neandl_core.read_details import Describer, ReadDetails
from neandl_core.read_kernel import SCORE_BINS
from tests.sam_files import HEADER, line, random_record, write_bam, write_fasta


def describe(
    path: Path, definition: str = "alignment-column", reference: Path | None = None, **values
) -> tuple[DamageProfile, ReadDetails, list[float]]:
    settings = ReadSettings.for_definition(definition, **values)
    scores: list[float] = []
    with open_alignments(path) as alignments:
        describer = Describer(
            alignments, settings, with_reference=reference is not None,
            on_scores=lambda chunk: scores.extend(chunk.tolist()),
        )
        profile = count_damage(alignments, settings, reference, observer=describer)
    return profile, describer.details(), scores


def score_slowly(sequence: str, reference: str, quality: list[int], library: str, udg: str) -> float:
    """PMDtools 0.60's score of a read in its own orientation; reference has - under clips and insertions."""
    def match(damage: float, error: float) -> float:
        return (1 - damage) * (1 - error) * 0.999 + damage * error * 0.999 + error * 0.001 * (1 - damage)

    def match_both(one: float, other: float, error: float) -> float:
        return ((1 - one) * (1 - error) * 0.999 * (1 - other) + one * error * 0.999 * (1 - other)
                + other * error * 0.999 * (1 - one) + error * 0.001 * (1 - other) * (1 - one))

    ancient, modern, size = 1.0, 1.0, len(sequence)
    damage = [0.7**i * 0.3 + 0.01 for i in range(size)]
    for i, (base, known) in enumerate(zip(sequence, reference, strict=True)):
        z, error = size - 1 - i, 10 ** (-quality[i] / 10) / 3
        if "N" in (base, known):
            continue
        if known == "C" and base in "CT":
            if udg != "none" and (z == 0 or (reference[i + 1] != "G" and not (udg == "half" and i == 0))):
                continue
            terms = [(match(damage[i], error), match(0.001, error))]
            if library == "single-stranded":
                terms.append((match_both(damage[i], damage[z], error), match_both(0.001, 0.001, error)))
        elif known == "G" and base in "GA" and library == "double-stranded":
            if udg != "none" and reference[i - 1] != "C" and not (udg == "half" and z == 0):
                continue
            terms = [(match(damage[z], error), match(0.001, error))]
        else:
            continue
        for one, other in terms:
            changed = base in "TA"
            ancient *= 1 - one if changed else one
            modern *= 1 - other if changed else other
    return math.log(ancient / modern)


@pytest.mark.parametrize("library", ["double-stranded", "single-stranded"])
@pytest.mark.parametrize("udg", ["none", "half", "CpG"])
@pytest.mark.parametrize("source", ["MD", "reference"])
def test_pmd_scores_equal_pmdtools_formula(tmp_path: Path, library: str, udg: str, source: str) -> None:
    rng = np.random.default_rng(21)
    genome = "".join(rng.choice(list("ACGTN"), 1000, p=[0.2, 0.29, 0.29, 0.2, 0.02]))
    lines, expected = [], []
    complement = str.maketrans("ACGTN-", "TGCAN-")
    for number in range(300):
        with_md, without, columns = random_record(rng, f"r{number}", genome)
        fields = (with_md if source == "MD" else without).split("\t")
        quality = [int(value) for value in rng.integers(2, 42, len(fields[9]))]
        fields[10] = "".join(chr(33 + value) for value in quality)
        lines.append("\t".join(fields))
        row = {index: known for index, known, _ in columns if index >= 0}
        sequence, known = fields[9], "".join(row.get(index, "-") for index in range(len(fields[9])))
        if fields[1] == "16":
            sequence, known = sequence.translate(complement)[::-1], known.translate(complement)[::-1]
            quality = quality[::-1]
        expected.append(math.nan if "H" in fields[5] else score_slowly(sequence, known, quality, library, udg))
    reference = None if source == "MD" else write_fasta(tmp_path / "ref.fa", {"chr1": genome})
    _, details, scores = describe(
        write_bam(tmp_path / "a.bam", lines), reference=reference, pmd_library=library, pmd_udg=udg
    )
    assert np.array_equal(np.isnan(scores), np.isnan(expected))
    assert np.nanmax(np.abs(np.array(scores) - expected)) < 1e-9
    assert details.scores.sum() + details.without_score == 300
    assert details.without_score == int(np.isnan(expected).sum()) > 0


def test_pmd_scores_by_hand() -> None:
    """One C>T at the terminal base at quality 40, one C as it is far from the end."""
    ratios = PmdModel().arrays()[0]
    error = 1e-4 / 3
    same = (1 - 0.31) * (1 - error) * 0.999 + 0.31 * error * 0.999 + error * 0.001 * 0.69
    modern = 0.999 * (1 - error) * 0.999 + 0.001 * error * 0.999 + error * 0.001 * 0.999
    assert ratios[1, 0, 40] == pytest.approx(math.log((1 - same) / (1 - modern)), abs=1e-12)
    assert ratios[1, 0, 40] == pytest.approx(5.0297, abs=1e-4)
    assert ratios[0, 999, 40] == pytest.approx(-0.009050, abs=1e-5)


@pytest.mark.parametrize("definition", ["alignment-column", "read-base"])
def test_groups_and_contexts_add_up_to_the_profile(tmp_path: Path, definition: str) -> None:
    rng = np.random.default_rng(22)
    genome = "".join(rng.choice(list("ACGTN"), 1000))
    names = ("a", "b", None, "unknown")
    header = HEADER + "@SQ\tSN:MT\tLN:1000\n@RG\tID:b\tSM:sample\tLB:two\n"
    lines = []
    for number in range(400):
        fields = random_record(rng, f"r{number}", genome)[0].rstrip("\n").split("\t")
        fields[2] = "MT" if number % 3 == 0 else "chr1"
        fields += [f"RG:Z:{names[number % 4]}"] if names[number % 4] else []
        lines.append("\t".join(fields) + "\n")
    profile, details, _ = describe(write_bam(tmp_path / "a.bam", lines, header), definition)
    assert [group for group, *_ in details.groups] == ["a", "b", "none"]
    everything = details.tallies.sum(axis=(0, 1, 5))
    for end, name in enumerate(("5p", "3p")):
        for kind, substitution in enumerate(("C>T", "G>A")):
            observed, n = profile.tally(name, substitution)
            assert np.array_equal(everything[end, :, kind, 0], observed)
            assert np.array_equal(everything[end, :, kind, 1], n)
    reads = details.tallies[:, :, 0, 0, :, :, 1].sum(axis=(2, 3))
    assert (reads > 0).all()
    assert reads[2].sum() > reads[0].sum()  # half of the reads have no known group
    assert details.edits.sum() == details.gc.sum() == details.mapping_quality.sum() == profile.reads_used
    assert details.mapping_quality[30] == profile.reads_used


def test_contexts_figures_and_clips_by_hand(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "a.bam", [
        line("cpg", 0, 5, "8M", "TGACCTTA", "0C7"),  # C>T before G, C before C, C before T
        line("back", 16, 5, "8M", "TGACCTTA", "8"),  # in its own direction TAAGGTCA
        line("gaps", 0, 5, "2S3M1I2M1D2M", "GGACGTTTAA", "5^C2"),
    ])
    _, details, _ = describe(bam)
    assert details.context(0, 0, "CpG")[0][0] == 1
    assert details.context(0, 0, "CpG")[1][:8].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]  # and ACG of the read with gaps
    assert details.context(0, 0, "other")[1][3:5].tolist() == [1, 1]
    assert details.context(1, 1, "other")[1].sum() == 2  # G of TAAGGTCA: after A, after G
    assert details.edits[:4].tolist() == [1, 1, 1, 0]  # none, one mismatch, one insertion and one deletion
    assert details.gc[[38, 40]].tolist() == [2, 1]  # 3 of 8, 4 of 10
    assert details.clips[0, 0].tolist()[:3] == [1, 1, 0]
    assert details.clips.sum() == 2


def test_scores_that_are_kept_and_their_damage(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "a.bam", [
        *(line(f"d{n}", 0, 5, "8M", "TACAGTTA", "0C7") for n in range(3)),
        *(line(f"m{n}", 0, 5, "8M", "CACAGTTA", "8") for n in range(5)),
    ])
    _, details, scores = describe(bam)
    assert details.kept(-np.inf)[0] == 8
    reads, tally = details.kept(3.0)
    assert reads == 3
    assert tally[0, 0, 0].tolist() == [3, 3]
    assert details.kept(-np.inf)[1][0, 0, 0].tolist() == [3, 8]
    assert details.kept(100.0)[0] == 0
    assert details.scores.size == SCORE_BINS
    assert len(scores) == 8


def test_reads_without_qualities_have_no_score(tmp_path: Path) -> None:
    fields = line("q", 0, 5, "8M", "TACAGTTA", "0C7").split("\t")
    fields[10] = "*"
    _, details, scores = describe(write_bam(tmp_path / "a.bam", ["\t".join(fields)]))
    assert math.isnan(scores[0])
    assert (details.scores.sum(), details.without_score) == (0, 1)


def test_a_subsample_is_drawn_over_the_whole_file_and_is_the_same_again(tmp_path: Path) -> None:
    lines = [line(f"r{n // 2}", 0, n // 8, "8M", "TACAGTTA", "0C7") for n in range(6_000)]
    bam = write_bam(tmp_path / "a.bam", lines)
    profile, _, _ = describe(bam, subsample=1_000)
    assert 850 < profile.reads_used < 1_150
    assert profile.reads_used % 2 == 0  # mates share their name and their fate
    assert profile.reads_used + profile.dropped["not drawn for the subsample"] == profile.reads_total == 6_000
    assert any("drawn over the whole file" in note for note in profile.notes)
    assert describe(bam, subsample=1_000)[0].reads_used == profile.reads_used
    assert describe(bam, subsample=1_000, seed=2)[0].reads_used != profile.reads_used
    assert describe(bam, subsample=10_000)[0].reads_used == 6_000
    starts = drawn_starts(bam, 1_000)
    thirds = np.histogram(starts, bins=[0, 250, 500, 751])[0]
    assert (thirds > 250).all()


def drawn_starts(bam: Path, wanted: int) -> list[int]:
    """Where the reads of a subsample lie."""
    starts: list[int] = []

    class Places:
        every_contig = False

        def observe(self, chunk: np.ndarray, taken: np.ndarray, codes: np.ndarray, contig: int) -> None:
            starts.extend(int.from_bytes(chunk[at + 8 : at + 12].tobytes(), "little") for at in taken >> 2)

    with open_alignments(bam) as alignments:
        count_damage(alignments, ReadSettings(subsample=wanted), observer=Places())
    return starts


@pytest.mark.parametrize("with_reference", [False, True])
def test_random_damage_to_records_is_survived(tmp_path: Path, with_reference: bool) -> None:
    """Bytes are overwritten at random: what the count takes, the description must bear."""
    rng = np.random.default_rng([24, with_reference])
    genome = "".join(rng.choice(list("ACGT"), 1000))
    lines = [random_record(rng, f"r{n}", genome)[0].rstrip("\n") + "\tRG:Z:a\tXB:B:s,1,2,3\n" for n in range(60)]
    reference = write_fasta(tmp_path / "ref.fa", {"chr1": genome}) if with_reference else None
    bam = write_bam(tmp_path / "a.bam", lines, HEADER.replace("unsorted", "coordinate"))
    with pysam.BGZFile(str(bam)) as handle:
        whole = handle.read()
    described = 0
    for _ in range(120):
        data = bytearray(whole)
        for place in rng.integers(160, len(data), int(rng.integers(1, 30))):
            data[place] = rng.integers(0, 256)
        (tmp_path / "plain").write_bytes(bytes(data))
        pysam.tabix_compress(str(tmp_path / "plain"), str(tmp_path / "broken.bam"), force=True)
        try:
            profile, details, scores = describe(tmp_path / "broken.bam", reference=reference)
        except InputError:
            continue
        assert len(scores) == details.mapping_quality.sum() == profile.reads_used
        described += 1
    assert described > 20


@pytest.mark.parametrize(
    ("treatment", "rate", "cpg_rate"),
    [
        ("none", lambda i: 0.3 * 0.7**i + 0.01, lambda i: 0.3 * 0.7**i + 0.01),
        ("half", lambda i: (0.15, 0.012, 0.006)[min(i, 2)], lambda i: 0.25 * 0.7**i + 0.02),
        ("full", lambda i: 0.004, lambda i: 0.2 * 0.7**i + 0.02),
        ("undetermined", lambda i: 0.004, lambda i: 0.004),
    ],
)
def test_the_udg_treatment_is_told_from_cpg_and_position(
    treatment: str, rate: Callable[[int], float], cpg_rate: Callable[[int], float]
) -> None:
    n = 5_000
    tallies = np.zeros((1, 2, 2, POSITIONS, 2, 3, 2), np.int64)
    for position in range(POSITIONS):
        for end, kind in ((0, 0), (1, 1)):
            for context, share in ((0, rate(position)), (1, cpg_rate(position))):
                tallies[0, 0, end, position, kind, context] = round(n * share), n
    empty = np.zeros(1, np.int64)
    details = ReadDetails(PmdModel(), (("none", "", ""),), tallies, *[empty] * 9, 0, 0)
    rises = (Rise("5p", "C>T", 0.3, 0.29, 0.31, 0.01, True),) * 3
    call = LibraryCall("damaged", "double-stranded", "", (), rises)
    udg = call_udg(details, call)
    assert udg.treatment == treatment
    assert udg.evidence["terminal"] == pytest.approx(rate(0) - np.mean([rate(i) for i in range(10, 25)]), abs=2e-4)
    few = LibraryCall("too few reads", "undetermined", "", (), rises)
    assert call_udg(details, few).treatment == "undetermined"
