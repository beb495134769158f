"""Files told by their content, and read to the last byte once."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.checking import check_file, find_verdict
from neandl_core.io.recognition import recognise
from neandl_core.runs import read_summary
from tests.test_tool_files import STORED

BED = b"chr1\t10\t200\tx\nchr1\t300\t420\ty\n"
CONTENTS = {
    "BED intervals": BED,
    "FASTA index": b"chr1\t900\t1006\t60\t61\nchr2\t5000\t1921\t60\t61\n",
    "FASTA": b">chr1 x\nACGTN\nacgt\n",
    "gene list (place and symbol)": b"chr10:61786056-61900774 ANK3\n1:5-9 X\n",
    "GTF gene models": b'chr1\tHAVANA\tgene\t11\t20\t.\t+\t.\tgene_id "A"; gene_name "B";\n',
    "GFF3 gene models": b"##gff-version 3\nchr1\tx\tgene\t11\t20\t.\t+\t.\tID=g1\n",
    "gene models (UCSC table)": b"585\tNM_1\tchr1\t+\t10\t90\t12\t80\t2\t10,50,\t20,90,\t0\tAB\tcmpl\tcmpl\t0,0,\n",
    "chromosome sizes": b"chr1\t1000\nchr2\t900\n",
    "comma-separated table": b"symbol,value\nA,1\nB,2\n",
    "FASTQ": b"@r1\nACGT\n+\nIIII\n",
    "VCF": b"##fileformat=VCFv4.2\n",
    "CRAM": b"CRAM\x03\0xxxx",
    "web page": b"<!DOCTYPE html><html>",
    "ZIP archive": b"PK\x03\x04" + b"a" * 40,
    "binary data": bytes(range(256)),
    "SAM": b"@HD\tVN:1.6\n@SQ\tSN:1\tLN:9\n",
    "text": b"Read me first.\nThis is a sentence, and that one too.\n",
    "list": b"ANK3\nBNC2\n",
    "UTF-16 text": b"\xff\xfea\0",
    "blank text": b"\n\n",
    "comments alone": b"# x\n",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_a_file_is_its_content_says(name: str, tmp_path: Path) -> None:
    path = tmp_path / "misleading.bam"
    path.write_bytes(CONTENTS[name])
    assert recognise(path).format == name
    if name not in ("CRAM", "binary data", "ZIP archive", "UTF-16 text"):
        path.write_bytes(gzip.compress(CONTENTS[name]))
        assert recognise(path).format == f"{name}, compressed"


def test_tables_of_other_kinds(tmp_path: Path) -> None:
    table = pd.DataFrame({"symbol": ["A"], "value": [1.0]})
    table.to_parquet(tmp_path / "a")
    table.to_excel(tmp_path / "b.xlsx")
    assert recognise(tmp_path / "a").ending == ".parquet"
    assert recognise(tmp_path / "b.xlsx").ending == ".xlsx"
    (tmp_path / "genes").write_text("symbol\tcontig\tstart\tend\nA\tchr1\t1\t9\nB\tchr1\t11\t19\n")
    assert recognise(tmp_path / "genes").kind == "genes"
    (tmp_path / "five").write_text("chr1\t10\t200\t7\t90\nchr1\t300\t400\t8\t90\n")
    assert recognise(tmp_path / "five").format == "BED intervals"
    (tmp_path / "headless").write_text("r1\t0\tchr1\t9\t37\t4M\t*\t0\t0\tACGT\tIIII\n" * 3)
    assert "header is missing" in recognise(tmp_path / "headless").problem


def test_what_cannot_be_recognised_is_said_and_never_raised(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8b\x08rubbish")
    for name in ("empty", "pipe", "broken.gz", "missing"):
        assert recognise(tmp_path / name).problem


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    path = tmp_path / "reads.sam"
    path.write_bytes(gzip.decompress((STORED / "reads.sam.gz").read_bytes()))
    return path


def test_a_full_check_reads_to_the_end_and_is_kept_until_the_file_changes(sam: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_bytes(BED)
    (tmp_path / "bad.bed").write_bytes(BED + b"chr1\tx\ty\n")
    (tmp_path / "g.fa").write_bytes(b">1\nACGT\n")
    words = [str(path) for path in (sam, tmp_path / "a.bed", tmp_path / "bad.bed", tmp_path / "g.fa")]
    index = tmp_path / "checks"
    assert main(["check", *words, "--out", str(tmp_path / "out"), "--index", str(index), "--quiet"]) == 0
    files = read_summary(tmp_path / "out")["files"]
    assert [one["state"] for one in files] == ["good", "good", "bad", "good"]
    assert files[0]["text"].startswith("150 records")
    assert files[1]["text"] == "2 intervals on 1 chromosomes, 310 bases in all."
    assert "line 3" in files[2]["text"]
    assert len(files[0]["sha256"]) == 64
    assert find_verdict(index, tmp_path / "a.bed").text == files[1]["text"]
    (tmp_path / "a.bed").write_bytes(BED + BED)
    assert find_verdict(index, tmp_path / "a.bed") is None
    assert find_verdict(index, tmp_path / "g2.fa") is None


@pytest.mark.shared
def test_a_bam_that_is_whole_one_that_is_cut_and_one_with_a_flipped_bit(shared: Path, tmp_path: Path) -> None:
    source = shared / "ancient" / "JK2782.mapped.bam"
    good = check_file(source, threads=1)
    assert (good.state, good.format) == ("good", "BAM")
    assert good.text.startswith("9,892 records")
    content = source.read_bytes()
    cut = tmp_path / "cut.bam"
    cut.write_bytes(content[: len(content) // 2])
    assert "cut off" in recognise(cut).problem
    assert check_file(cut, threads=1).state == "bad"
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    (tmp_path / "flipped.bam").write_bytes(flipped)
    assert recognise(tmp_path / "flipped.bam").problem == ""
    assert check_file(tmp_path / "flipped.bam", threads=1).state == "bad"
    shutil.copy(shared / "ancient" / "Mammoth_MT_Krause.fasta", tmp_path / "x.bam")
    assert recognise(tmp_path / "x.bam").format == "FASTA"


@pytest.mark.shared
def test_the_real_files_are_recognised_and_good(shared: Path) -> None:
    expected = {
        "introgression/Akey_intr_coords.bed.gz": "intervals", "introgression/all_deserts.bg": "intervals",
        "introgression/chrom.sizes": "sizes", "genes/gene_ids.txt.gz": "genes", "genes/hg19_genes.parquet": "table",
        "genes/GTEx_median_tissue_TPMs_with_gene_IDs.txt.gz": "table", "genotypes/oase.vcf.gz": "variants",
        "reads_labelled/train.csv.gz": "table", "modern/rCRS.fasta": "genome",
        "genes/Neanderthal_Genes.txt.gz": "genes",
        "ancient/JK2782.mapped.bam.bai": "index", "hg19/human_g1k_v37.20.21.fasta.gz": "genome",
        "genes/GWAS.txt.gz": "table",
    }
    found = {name: recognise(shared / name).kind for name in expected}
    assert found == expected
    for name in ("introgression/all_deserts.bg", "introgression/chrom.sizes", "genes/gene_ids.txt.gz"):
        assert check_file(shared / name).state == "good", name
