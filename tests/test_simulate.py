"""The simulated project: its truth is true, and it has the traps that real data have."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from neandl_core.commands.simulate import simulate
from neandl_core.config import SimulateSettings
from neandl_core.errors import OutputError, SettingsError
from neandl_core.intervals import parse_locus
from neandl_core.simulate.composition import GC_LEVELS, chain_tables, draw_sequence
from neandl_core.simulate.fragments import Damage, Reference, draw_fragments, flat_index
from neandl_core.simulate.genome import MITOCHONDRION, class_gc, simulate_genome
from neandl_core.simulate.project import simulate_project

SMALL = SimulateSettings.make(chromosome_length=200_000, chromosomes=2, reads=2_000, contamination=0.3, seed=5)
BAMS = ("ancient", "modern", "mixed")
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "run"
    simulate(
        folder, reads=SMALL.reads, contamination=SMALL.contamination, chromosomes=SMALL.chromosomes,
        chromosome_length=SMALL.chromosome_length, seed=SMALL.seed, quiet=True,
    )
    return folder


@pytest.fixture(scope="module")
def sequences(project: Path) -> dict[str, str]:
    with pysam.FastaFile(str(project / "reference.fa")) as fasta:
        return {name: fasta.fetch(name) for name in fasta.references}


@pytest.fixture(scope="module")
def genome():
    return simulate_genome(SimulateSettings.make(chromosome_length=200_000, chromosomes=8, seed=3))


def records(path: Path) -> list[pysam.AlignedSegment]:
    with pysam.AlignmentFile(str(path)) as bam:
        return list(bam.fetch(until_eof=True))


def usable(read: pysam.AlignedSegment) -> bool:
    return not read.flag & 0xF04 and not read.flag & 0x200


def terminal_rates(path: Path, sequences: dict[str, str], strand: str) -> dict[str, tuple[float, int]]:
    """Count C>T at the 5' terminal and G>A at the 3' terminal base in the read's own orientation."""
    seen = {"C>T": [0, 0], "G>A": [0, 0]}
    for read in records(path):
        if not usable(read) or read.is_reverse != (strand == "-"):
            continue
        aligned = read.query_alignment_sequence
        reference = sequences[read.reference_name][read.reference_start:read.reference_end]
        if read.is_reverse:
            aligned, reference = (text.translate(COMPLEMENT)[::-1] for text in (aligned, reference))
        for key, place in (("C>T", 0), ("G>A", -1)):
            if reference[place] == key[0] and aligned[place] != "N":
                seen[key][0] += aligned[place] == key[2]
                seen[key][1] += 1
    return {key: (hits / n, n) for key, (hits, n) in seen.items()}


@pytest.mark.parametrize("strand", ["+", "-"])
def test_terminal_damage_in_the_bam_is_the_stated_one(project, sequences, strand):
    expected = Damage().expected(1)[0]
    for rate, n in terminal_rates(project / "ancient.bam", sequences, strand).values():
        assert n > 100
        assert abs(rate - expected) < 4 * np.sqrt(expected * (1 - expected) / n) + 0.002
    for rate, n in terminal_rates(project / "modern.bam", sequences, strand).values():
        assert n > 100
        assert rate < 0.025


def test_damage_falls_from_both_ends_as_briggs_says():
    rng = np.random.default_rng(1)
    bases = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, 400_000)]
    reference = Reference({"chr1": bases, MITOCHONDRION: bases[:20_000]})
    lengths = rng.integers(40, 80, 30_000)
    damage = Damage(termination=0.25, delta_s=0.6, delta_d=0.02)
    drawn = draw_fragments(
        reference, (reference.bases, reference.bases), np.ones(lengths.size, bool), lengths, damage, 0.02, rng
    )
    owner, place = flat_index(drawn.length)
    plain = (drawn.kind == 0)[owner]
    from_right = drawn.length[owner] - 1 - place
    expected = damage.expected(20)
    assert expected[0] == pytest.approx(0.75 * 0.6 + 0.25 * 0.02)
    for old, new, distance in (("C", "T", place), ("G", "A", from_right)):
        for position in range(20):
            column = plain & (distance == position) & (drawn.reference == ord(old)) & (drawn.qualities > 30)
            n = int(column.sum())
            rate = float((drawn.bases[column] == ord(new)).mean())
            error = np.sqrt(expected[position] * (1 - expected[position]) / n)
            assert abs(rate - expected[position]) < 4.2 * error + 0.0005, (old, position)


def test_windows_differ_in_kmers_and_not_in_gc(genome):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    codes = np.full(256, -1)
    codes[np.frombuffer(b"ACGT", np.uint8)] = range(4)
    counts, labels, contigs, gc = [], [], [], []
    for locus in genome.loci.itertuples():
        bases = codes[genome.sequences[locus.contig][locus.start:locus.end]]
        for start in range(0, bases.size - 199, 200):
            window = bases[start:start + 200]
            if (window < 0).any():
                continue
            words = sum(window[place:196 + place] * 4 ** (4 - place) for place in range(5))
            counts.append(np.bincount(words, minlength=1024))
            labels.append(locus.label == "introgressed")
            contigs.append(locus.contig)
            gc.append(np.isin(window, (1, 2)).mean())
    features, labels, test = np.sqrt(np.array(counts)), np.array(labels), np.isin(contigs, ("chr7", "chr8"))
    assert 0.45 < roc_auc_score(labels, gc) < 0.56
    model = LogisticRegression(C=0.02, max_iter=500).fit(features[~test], labels[~test])
    auc = roc_auc_score(labels[test], model.decision_function(features[test]))
    assert 0.8 < auc < 0.97
    means = class_gc(genome)
    assert abs(means["introgressed"] - means["depleted"]) < 0.005


def test_chains_hold_the_gc_content_asked_for():
    rng = np.random.default_rng(2)
    tables = chain_tables(rng)
    assert np.allclose(tables.sum(axis=-1), 1)
    for label in range(3):
        for level in (0, GC_LEVELS.size - 1):
            codes = draw_sequence(tables, np.full(200_000, label, np.uint8), np.full(200_000, level, np.uint8), rng)
            assert np.isin(codes, (1, 2)).mean() == pytest.approx(GC_LEVELS[level], abs=0.006)


def test_loci_are_disjoint_and_covered_by_jittered_haplotypes(genome):
    for _, loci in genome.loci.sort_values("start").groupby("contig"):
        assert (loci["start"].to_numpy()[1:] > loci["end"].to_numpy()[:-1]).all()
    depth = {}
    for label, loci in genome.loci.groupby("label"):
        pieces = genome.intervals[genome.intervals["label"] == label]
        depth[label] = len(pieces) / len(loci)
        home = [
            ((loci["contig"] == piece.contig) & (loci["start"] <= piece.start) & (loci["end"] >= piece.end)).sum()
            for piece in pieces.itertuples()
        ]
        assert set(home) == {1}
        assert pieces["start"].nunique() > 0.9 * len(pieces)
    assert 4 < depth["introgressed"] < 6
    assert 2.2 < depth["depleted"] < 3.8
    lengths = (genome.intervals["end"] - genome.intervals["start"]).groupby(genome.intervals["label"]).mean()
    assert lengths["introgressed"] == pytest.approx(lengths["depleted"], rel=0.15)


def test_genome_has_isochores_gaps_repeats_and_a_mitochondrion(genome):
    assert list(genome.sequences)[-1] == MITOCHONDRION
    assert genome.sequences[MITOCHONDRION].size == 16_569
    chromosome = genome.sequences["chr1"]
    assert (chromosome[:2_000] == ord("N")).all()
    assert (chromosome[-2_000:] == ord("N")).all()
    assert genome.loci["gc_target"].max() - genome.loci["gc_target"].min() > 0.05
    gapped = genome.loci[genome.loci["holds_gap"]]
    assert len(gapped) == 2
    for locus in gapped.itertuples():
        assert (genome.sequences[locus.contig][locus.start:locus.end] == ord("N")).sum() == 400
    # Words of 24 bases do not recur by chance in 200 kb; copies of repeats make them recur.
    text = chromosome.tobytes().decode()
    words = [text[start:start + 24] for start in range(len(text) - 24)]
    words = [word for word in words if "N" not in word]
    assert 0.0005 < 1 - len(set(words)) / len(words) < 0.05


def rebuild_reference(read: pysam.AlignedSegment) -> tuple[str, int]:
    """Return the reference under a read from its sequence, CIGAR and MD alone, and the edits counted on the way."""
    bases, at, edits = [], 0, 0
    for operation, size in read.cigartuples:
        if operation == pysam.CMATCH:
            bases += read.query_sequence[at:at + size]
        if operation == pysam.CINS:
            edits += size
        if operation in (pysam.CMATCH, pysam.CINS, pysam.CSOFT_CLIP):
            at += size
    rebuilt, at = [], 0
    for run, missing, letter in re.findall(r"(\d+)|\^([A-Z]+)|([A-Z])", read.get_tag("MD")):
        if run:
            rebuilt += bases[at:at + int(run)]
            at += int(run)
        elif missing:
            rebuilt += missing
            edits += len(missing)
        else:
            assert bases[at] != letter
            rebuilt += letter
            at += 1
            edits += 1
    assert at == len(bases)
    return "".join(rebuilt), edits


@pytest.mark.parametrize("name", BAMS)
def test_md_and_nm_agree_with_cigar_and_reference(project, sequences, name):
    kinds = set()
    for read in records(project / f"{name}.bam"):
        if read.is_unmapped:
            assert not read.has_tag("MD")
            continue
        rebuilt, edits = rebuild_reference(read)
        assert rebuilt == sequences[read.reference_name][read.reference_start:read.reference_end]
        assert "N" not in rebuilt
        assert edits == read.get_tag("NM")
        assert re.fullmatch(r"\d+(([A-Z]|\^[A-Z]+)\d+)*", read.get_tag("MD"))
        kinds |= set(re.findall(r"[A-Z]", read.cigarstring))
    assert kinds == set("MIDS")


@pytest.mark.parametrize("name", BAMS)
def test_bam_is_sorted_labelled_and_has_every_kind_of_record(project, name):
    with pysam.AlignmentFile(str(project / f"{name}.bam")) as bam:
        text = str(bam.header)
        assert bam.has_index()
        assert bam.header["HD"]["SO"] == "coordinate"
    assert "@CO\tsimulated by NeanDL: no real sample\n" in text
    assert "@PG\tID:NeanDL" in text
    assert str(project) not in text
    reads = records(project / f"{name}.bam")
    assert len(reads) == SMALL.reads
    assert len({read.query_name for read in reads}) == SMALL.reads
    placed = [(read.reference_id, read.reference_start) for read in reads if not read.is_unmapped]
    assert placed == sorted(placed)
    for flag, share in ((0x4, 0.02), (0x400, 0.015), (0x100, 0.005), (0x200, 0.005)):
        assert sum(bool(read.flag & flag) for read in reads) == round(share * SMALL.reads)
    mapped = [read for read in reads if not read.is_unmapped]
    assert 0.4 < np.mean([read.is_reverse for read in mapped]) < 0.6
    assert 0.8 < np.mean([read.mapping_quality == 37 for read in mapped]) < 0.95
    assert 0.005 < np.mean([read.reference_name == MITOCHONDRION for read in mapped]) < 0.04
    lengths = np.array([read.query_length for read in reads])
    if name == "modern":
        assert set(lengths) == {100}
    else:
        assert lengths.min() >= 30
        assert lengths.max() <= 150
        assert 48 <= np.median(lengths) <= 58
    assert len({bytes(read.query_qualities) for read in reads}) > 0.95 * len(reads)


def test_errors_are_as_frequent_as_the_qualities_say(project, sequences):
    """Away from damage and indels, modern mismatches are sequencing errors and 1 variant per 1,000 bases."""
    observed = expected = bases = 0
    for read in records(project / "modern.bam"):
        if usable(read) and read.cigarstring == "100M":
            reference = sequences[read.reference_name][read.reference_start:read.reference_end]
            known = [place for place, base in enumerate(read.query_sequence) if base != "N"]
            observed += sum(read.query_sequence[place] != reference[place] for place in known)
            expected += sum(10 ** (-read.query_qualities[place] / 10) for place in known)
            bases += len(known)
    rate = (expected + 0.001 * bases) / bases
    assert observed / bases == pytest.approx(rate, rel=0.15)


def test_duplicates_are_copies(project):
    for name in BAMS:
        reads = records(project / f"{name}.bam")

        def content(read: pysam.AlignedSegment) -> tuple:
            return (
                read.reference_id, read.reference_start, read.is_reverse, read.cigarstring, read.query_sequence,
                read.get_tag("MD"),
            )

        originals = {content(read) for read in reads if usable(read)}
        duplicates = [content(read) for read in reads if read.is_duplicate]
        assert duplicates
        assert all(copy in originals for copy in duplicates)


def test_bams_share_neither_names_nor_places(project):
    names, places = {}, {}
    for name in BAMS:
        reads = [read for read in records(project / f"{name}.bam") if usable(read)]
        names[name] = {read.query_name for read in reads}
        places[name] = {(read.reference_id, read.reference_start) for read in reads}
    for one, other in (("ancient", "mixed"), ("modern", "mixed"), ("ancient", "modern")):
        assert not names[one] & names[other]
        assert len(places[one] & places[other]) < 0.1 * SMALL.reads


def test_contamination_is_the_one_asked_for(project, sequences):
    with gzip.open(project / "reads_truth.tsv.gz", "rt") as handle:
        truth = pd.read_csv(handle, sep="\t").set_index("name")
    reads = [read for read in records(project / "mixed.bam") if usable(read)]
    here = truth.loc[[read.query_name for read in reads]]
    assert set(here["kind"]) == {"usable"}
    share = (here["origin"] == "contaminant").mean()
    assert share == pytest.approx(SMALL.contamination, abs=0.01)
    summary = json.loads((project / "summary.json").read_text())
    assert summary["simulated"] is True
    assert summary["contamination"] == pytest.approx(share)
    assert (here["start"].to_numpy() == [read.reference_start for read in reads]).all()
    # What is called modern is undamaged, what is called endogenous is damaged.
    terminal = {"contaminant": [], "endogenous": []}
    for read, origin in zip(reads, here["origin"], strict=True):
        if sequences[read.reference_name][read.reference_start] == "C":
            terminal[origin].append(read.query_alignment_sequence[0] == "T")
    assert np.mean(terminal["contaminant"]) < 0.03
    assert np.mean(terminal["endogenous"]) > 0.2
    facts = pd.read_csv(project / "truth.tsv", sep="\t").set_index("parameter")["value"]
    assert float(facts["contamination"]) == pytest.approx(share, abs=1e-6)
    assert float(facts["damage.c_to_t_5p.1"]) == pytest.approx(Damage().expected(1)[0], abs=1e-6)
    assert int(facts["counts.mixed.duplicate"]) == 30


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_contamination_at_its_limits(tmp_path, share):
    summary = simulate_project(tmp_path, SMALL.model_copy(update={"contamination": share, "reads": 1_000}))
    assert summary["contamination"] == share


def test_genes_overlap_their_loci(project):
    rows = pd.read_csv(project / "genes.tsv", sep="\t")
    assert list(rows.columns) == ["locus", "symbol"]
    truth = pd.read_csv(project / "gene_truth.tsv", sep="\t").set_index("symbol")
    assert set(rows["symbol"]) == set(truth.index)
    assert set(truth["truth"]) == {"introgressed", "depleted", "background", "absent"}
    assert truth.loc["DEMO-ANK3", "truth"] == "introgressed"
    assert (rows["symbol"] == "DEMO-ANK3").sum() > 1
    absent = truth[truth["truth"] == "absent"]
    assert list(absent["contig"]) == ["chr99"]
    assert (truth["rows"] > 1).sum() >= 1
    loci = pd.read_csv(project / "loci_truth.tsv", sep="\t")
    demo = parse_locus(rows.loc[rows["symbol"] == "DEMO-ANK3", "locus"].iloc[0])
    around = loci[(loci["contig"] == demo.contig) & (loci["start"] <= demo.start) & (loci["end"] >= demo.end)]
    assert list(around["label"]) == ["introgressed"]
    for gene in truth[truth["contig"] != "chr99"].itertuples():
        here = loci[loci["contig"] == gene.contig]
        shared = np.minimum(here["end"], gene.end) - np.maximum(here["start"], gene.start)
        sums = shared.clip(lower=0).groupby(here["label"]).sum()
        assert sums["introgressed"] == gene.introgressed_bases
        assert sums["depleted"] == gene.depleted_bases


def test_bed_files_lie_inside_the_reference(project, sequences):
    for label in ("introgressed", "depleted"):
        bed = pd.read_csv(project / f"{label}.bed", sep="\t", header=None)
        assert bed.shape[1] == 4
        assert (bed[2] > bed[1]).all()
        assert all(end <= len(sequences[contig]) for contig, end in zip(bed[0], bed[2], strict=True))
        assert bed[3].str.startswith("simulated_haplotype_").all()


def test_a_seed_decides_everything(project, tmp_path):
    for seed, same in ((SMALL.seed, True), (SMALL.seed + 1, False)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        simulate_project(folder, SMALL.model_copy(update={"seed": seed}))
        for name in ("reference.fa", "introgressed.bed", "depleted.bed", "genes.tsv", "gene_truth.tsv",
                     "loci_truth.tsv", "truth.tsv", "reads_truth.tsv.gz"):
            assert ((folder / name).read_bytes() == (project / name).read_bytes()) is same, name
        for name in BAMS:
            mine, theirs = (
                [read.to_string() for read in records(where / f"{name}.bam")] for where in (folder, project)
            )
            assert (mine == theirs) is same


def test_command_refuses_bad_settings_and_a_used_folder(project, tmp_path):
    with pytest.raises(SettingsError, match=r"contamination = 2\.0 is refused"):
        simulate(tmp_path / "run", contamination=2.0, quiet=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(OutputError, match="another run"):
        simulate(project, quiet=True)
