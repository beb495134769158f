"""2bit genomes: the same windows, the same genes, as from FASTA, plain and bgzipped."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from neandl_core.__main__ import main
from neandl_core.errors import InputError
from neandl_core.io.sequences import Genome
from neandl_core.io.twobit import TwoBitGenome, open_genome
from neandl_core.runs import read_summary


def write_twobit(path: Path, sequences: dict[str, str]) -> Path:
    """Write a 2bit file as UCSC's format description says: T 0, C 1, A 2, G 3, the first base in the highest bits."""
    records = []
    for text in sequences.values():
        letters = np.frombuffer(text.encode(), np.uint8)
        record = struct.pack("<I", len(text))
        for mask in (np.isin(letters, list(b"Nn")), letters > 96):
            edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(int), [0]))))
            starts, sizes = edges[::2], edges[1::2] - edges[::2]
            numbers = [len(starts), *starts.tolist(), *sizes.tolist()]
            record += struct.pack(f"<{len(numbers)}I", *numbers)
        codes = np.array(["TCAG".find(letter) for letter in text.upper()]).clip(0)
        codes = np.append(codes, [0] * (-len(codes) % 4)).reshape(-1, 4).astype(np.uint8)
        records.append(record + struct.pack("<I", 0) + (codes << np.array([6, 4, 2, 0], np.uint8)).sum(
            axis=1, dtype=np.uint8
        ).tobytes())
    offset = 16 + sum(5 + len(name) for name in sequences)
    index = b""
    for name, record in zip(sequences, records, strict=True):
        index += struct.pack("B", len(name)) + name.encode() + struct.pack("<I", offset)
        offset += len(record)
    path.write_bytes(struct.pack("<4I", 0x1A412743, 0, len(records), 0) + index + b"".join(records))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("twobit") / "sim"
    words = ["simulate", "--reads", "1000", "--chromosomes", "2", "--chromosome-length", "300000"]
    assert main([*words, "--out", str(folder), "--quiet"]) == 0
    with pysam.FastaFile(str(folder / "reference.fa")) as fasta:
        write_twobit(folder / "reference.2bit", {name: fasta.fetch(name) for name in fasta.references})
    pysam.tabix_compress(str(folder / "reference.fa"), str(folder / "zipped.fa.gz"))
    return folder


def test_codes_equal_the_text(tmp_path):
    sequences = {"chr1": "NNACGTnnnacgtACGTN" * 7, "odd name": "GATTACAGG", "one": "C"}
    genome = open_genome(write_twobit(tmp_path / "a.2bit", sequences))
    assert isinstance(genome, TwoBitGenome)
    assert genome.lengths == {name: len(text) for name, text in sequences.items()}
    assert genome.total == sum(map(len, sequences.values()))
    for name, text in sequences.items():
        assert genome.codes(name).tolist() == [max("ACGT".find(letter), -1) % 5 for letter in text.upper()]
        assert name in genome
    with pytest.raises(InputError, match="no sequence named chr9"):
        genome.codes("chr9")


def test_whole_genomes_are_equal_in_all_formats(project):
    fasta, twobit, zipped = (open_genome(project / name) for name in ("reference.fa", "reference.2bit", "zipped.fa.gz"))
    assert isinstance(fasta, Genome)
    assert fasta.lengths == twobit.lengths == zipped.lengths
    for name in fasta.names:
        np.testing.assert_array_equal(fasta.codes(name), twobit.codes(name))
        np.testing.assert_array_equal(fasta.codes(name), zipped.codes(name))


def test_windows_and_genes_are_the_same_from_2bit_and_bgzip_with_every_kind_of_model(project, tmp_path):
    made = {}
    for name in ("reference.fa", "reference.2bit", "zipped.fa.gz"):
        folder = tmp_path / name
        assert main([
            "windows", "--reference", str(project / name), "--introgressed", str(project / "introgressed.bed"),
            "--depleted", str(project / "depleted.bed"), "--k", "4", "--split", "locus", "--max-windows", "400",
            "--out", str(folder), "--quiet",
        ]) == 0
        made[name] = np.load(folder / "bases.npy")
    for codes in made.values():
        np.testing.assert_array_equal(codes, made["reference.fa"])
    small = ["--no-controls", "--threads", "1", "--quiet"]
    for preset, options in (
        ("bag-of-kmers-forest", ["--trees", "4", "--k", "3"]), ("word2vec", ["--vector-size", "5", "--epochs", "1"]),
        ("boosting", ["--trees", "3", "--k", "3"]),
        ("bag-of-kmers-mlp", ["--hidden", "8", "--epochs", "1", "--k", "3"]),
    ):
        run = tmp_path / preset
        data = str(tmp_path / "reference.fa")
        assert main(["train", data, "--preset", preset, *options, "--out", str(run), *small]) == 0
        tables = []
        for name in ("reference.fa", "reference.2bit") if preset == "word2vec" else ("reference.2bit",):
            out = tmp_path / f"genes-{preset}-{name}"
            assert main([
                "genes", str(run), "--genes", str(project / "genes.tsv"), "--reference", str(project / name),
                "--max-windows-per-gene", "5", "--out", str(out), "--quiet",
            ]) == 0
            assert read_summary(out)["scored"] > 10
            tables.append(pd.read_csv(out / "genes.tsv", sep="\t"))
        pd.testing.assert_frame_equal(*(table.drop(columns="reason") for table in (tables[0], tables[-1])))
        assert tables[0]["probability"].nunique() > 5


def test_unsound_files_are_refused_in_words(tmp_path):
    path = write_twobit(tmp_path / "a.2bit", {"chr1": "ACGT" * 500, "chr2": "GATTACA" * 50})
    whole = path.read_bytes()
    for length in (4, 10, 20, 40, 300):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="damaged or cut off"):
            open_genome(path)
    # Of a file without its end py2bit itself makes up the bases that are missing.
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="damaged or cut off"):
        open_genome(path)
    with pytest.raises(InputError, match="only N"):
        open_genome(write_twobit(tmp_path / "n.2bit", {"chr1": "NNNN"}))
