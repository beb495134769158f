"""The same gene from every format, and what is refused or said."""

import gzip

import pandas as pd
import pytest

from neandl_core.errors import InputError
from neandl_core.io.gene_tables import read_genes
from neandl_core.io.symbols import join_key, looks_mangled, restored

# Two isoforms of one gene at bases 1,001-9,000 (counted from 1), exons 1,001-1,200, 3,001-3,100, 8,901-9,000.
GTF = "".join(
    f"chr7\tsrc\t{kind}\t{start}\t{end}\t.\t-\t.\t{attributes}\n"
    for kind, start, end, attributes in [
        ("gene", 1001, 9000, 'gene_id "ENSG00000000001.5"; gene_name "ABC1";'),
        ("transcript", 1001, 9000, 'gene_id "ENSG00000000001.5"; transcript_id "T1"; gene_name "ABC1";'),
        ("exon", 1001, 1200, 'gene_id "ENSG00000000001.5"; transcript_id "T1"; gene_name "ABC1";'),
        ("exon", 8901, 9000, 'gene_id "ENSG00000000001.5"; transcript_id "T1"; gene_name "ABC1";'),
        ("exon", 1051, 1200, 'gene_id "ENSG00000000001.5"; transcript_id "T2"; gene_name "ABC1";'),
        ("exon", 3001, 3100, 'gene_id "ENSG00000000001.5"; transcript_id "T2"; gene_name "ABC1";'),
        ("CDS", 1060, 1190, 'gene_id "ENSG00000000001.5"; transcript_id "T2"; gene_name "ABC1";'),
    ]
)
GTF_EXONS_ONLY = "".join(line + "\n" for line in GTF.splitlines() if "\texon\t" in line)
GFF3 = "##gff-version 3\n" + "".join(
    f"chr7\tsrc\t{kind}\t{start}\t{end}\t.\t-\t.\t{attributes}\n"
    for kind, start, end, attributes in [
        ("gene", 1001, 9000, "ID=gene:ENSG00000000001;Name=ABC1;biotype=protein%5Fcoding"),
        ("mRNA", 1001, 9000, "ID=transcript:T1;Parent=gene:ENSG00000000001;Name=ABC1-201"),
        ("exon", 1001, 1200, "Parent=transcript:T1;Name=E1"),
        ("exon", 8901, 9000, "Parent=transcript:T1;Name=E2"),
        ("mRNA", 1051, 3100, "ID=transcript:T2;Parent=gene:ENSG00000000001;Name=ABC1-202"),
        ("exon", 1051, 1200, "Parent=transcript:T2"),
        ("exon", 3001, 3100, "Parent=transcript:T2"),
    ]
)
REFGENE = (
    "#bin\tname\tchrom\n"
    "585\tNM_1\tchr7\t-\t1000\t9000\t1000\t9000\t2\t1000,8900,\t1200,9000,\t0\tABC1\tcmpl\tcmpl\t0,0,\n"
    "585\tNM_2\tchr7\t-\t1050\t3100\t1060\t1190\t2\t1050,3000,\t1200,3100,\t0\tABC1\tcmpl\tcmpl\t0,0,\n"
)
REFFLAT = "".join(
    "ABC1\t" + "\t".join(line.split("\t")[1:11]) + "\n" for line in REFGENE.splitlines() if line[0] != "#"
)
BED12 = (
    "chr7\t1000\t9000\tABC1\t0\t-\t1000\t9000\t0\t2\t200,100,\t0,7900,\n"
    "chr7\t1050\t3100\tABC1\t0\t-\t1060\t1190\t0\t2\t150,100,\t0,1950,\n"
)
FORMATS = {
    "list.txt": "chr7:1001-9000\tABC1\nchr7:1051-3100\tABC1\n",
    "genes.bed": "chr7\t1000\t9000\tABC1\nchr7\t1050\t3100\tABC1\n",
    "twelve.bed": BED12, "genes.gtf": GTF, "exons.gtf": GTF_EXONS_ONLY, "genes.gff3": GFF3,
    "refGene.txt": REFGENE, "refFlat.txt": REFFLAT,
    "one.tsv": "gene\tchrom\tstart\tend\nABC1\tchr7\t1001\t9000\n",
    "one.csv": 'start,end,chromosome,"gene_name"\n1001,9000,chr7,"ABC1"\n',
    "ucsc.tsv": "chrom\tchromStart\tchromEnd\tname\nchr7\t1000\t9000\tABC1\n",
    "own.tsv": "symbol\tcontig\tstart\tend\nABC1\tchr7\t1000\t9000\n",
}
WITH_EXONS = {"twelve.bed", "genes.gtf", "exons.gtf", "genes.gff3", "refGene.txt", "refFlat.txt"}


@pytest.mark.parametrize("name", FORMATS)
def test_one_gene_has_one_place_in_every_format(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(FORMATS[name].encode()) if name == "genes.gtf" else FORMATS[name].encode())
    genes = read_genes(path)
    assert genes.table[["symbol", "contig", "start", "end"]].to_numpy().tolist() == [["ABC1", "chr7", 1000, 9000]]
    if name in WITH_EXONS:
        assert genes.exons[["symbol", "start", "end"]].to_numpy().tolist() == [
            ["ABC1", 1000, 1200], ["ABC1", 3000, 3100], ["ABC1", 8900, 9000],
        ]
        assert genes.table["strand"].tolist() == ["-"]
    else:
        assert genes.exons.empty
    if name in ("genes.gtf", "exons.gtf", "genes.gff3"):
        assert genes.table["gene_id"].tolist() == ["ENSG00000000001"]


def test_parquet_and_half_open_parquet(tmp_path):
    table = pd.DataFrame({"gene_name": ["ABC1", None], "_labels": "chr7", "_starts": [1001, 5], "_ends": [9000, 9]})
    table.to_parquet(tmp_path / "a.parquet")
    genes = read_genes(tmp_path / "a.parquet")
    assert genes.table[["symbol", "start", "end"]].to_numpy().tolist() == [["ABC1", 1000, 9000]]
    assert any("1 rows without a symbol" in note for note in genes.notes)
    table.rename(columns={"_starts": "chromStart", "_ends": "chromEnd"}).to_parquet(tmp_path / "b.parquet")
    assert read_genes(tmp_path / "b.parquet").table["start"].tolist() == [1001]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gene\tchrom\tstart\nA\tchr1\t1\n", "named as the end"),
        ("A\tchr1\t100\t900\t+\nB\tchr1\t100\t900\t+\n", "named as the"),
        ("gene;chrom;start;end\nA;chr1;1;2\n", "semicolons"),
        ("gene\tchrom\tstart\tend\nA\tchr1\t9\t2\n", "before the start.*"),
        ("gene\tchrom\tstart\tend\nA\tX\tn/a\t2\n", "whole numbers"),
        ("gene\tchrom\tstart\tend\n\"A\tchr1\t1\t2\n", "not closed"),
        ("gene\tchrom\tstart\tend\nA\tchr1\t1\t2\tx\ty\n", "expected 4 columns"),
        ("gene\tchrom\tstart\tend\nA\tchr1\t0\t2\n", "count from 1"),
        ("# nothing\n", "no gene"),
        ("chr1\ts\tgene\t5\t2\t.\t+\t.\tgene_id \"A\";\n", "may not lie before"),
        ("chr1\ts\tgene\t1\t2\t.\t+\t.\tgene_id \"A\";\nchr1\ts\tgene\t5\n", "line 2: expected nine columns"),
    ],
)
def test_what_is_no_gene_table_is_refused_by_name_and_line(tmp_path, text, why):
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=why) as caught:
        read_genes(path)
    assert "bad.tsv" in str(caught.value)


def test_spreadsheet_damage_is_noticed_and_old_names_meet_new_ones(tmp_path):
    assert [looks_mangled(name) for name in ("1-Sep", "Mar-2", "2-Mar", "2.31E+13", "44075", "NOS3", "HLA-A")] == [
        True, True, True, True, True, False, False,
    ]
    assert [restored(name) for name in ("1-Sep", "2-Mar", "7-Mar", "ANK3")] == ["SEPTIN1", None, "MARCHF7", None]
    assert join_key("SEPT2") == join_key("2-Sep") == join_key("septin2") == "SEPTIN2"
    assert join_key("ank3") == "ANK3"
    path = tmp_path / "g.tsv"
    path.write_text("gene\tchrom\tstart\tend\n1-Sep\t1.0\t1\t2\nSEPT2\t1.0\t5\t9\nNA\t1.0\t50\t60\n=A(1)\t1\t70\t80\n")
    genes = read_genes(path)
    assert genes.table["symbol"].tolist() == ["1-Sep", "SEPT2", "NA", "=A(1)"]
    assert set(genes.table["contig"]) == {"1"}
    said = " ".join(genes.notes)
    for words in ("1-Sep was SEPTIN1", "SEPT2 is now SEPTIN2", "3 chromosomes were written as 1.0", "no gene symbol"):
        assert words in said


@pytest.mark.shared
def test_real_tables(shared):
    genes = read_genes(shared / "genes" / "hg19_genes.parquet")
    assert genes.rows == 57_820
    ank3 = genes.table.set_index("symbol").loc["ANK3"]
    assert (ank3["contig"], ank3["start"], ank3["end"], ank3["strand"]) == ("chr10", 61_786_055, 62_493_248, "-")
    published = read_genes(shared / "genes" / "gene_ids.txt.gz")
    assert (published.rows, len(published.listed)) == (21_503, 21_503)
