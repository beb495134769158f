import gzip

import pytest

from neandl_core.errors import InputError
from neandl_core.io.annotation import place_on_reference, read_bed, read_gene_list


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_bed_is_read_as_half_open_with_headers_passed_over(tmp_path):
    path = write(tmp_path / "a.bed", "track name=x\n# c\nchrom\tstart\tend\nchr1\t100\t500\tx\nchr2\t0\t9\n")
    bed = read_bed(path)
    assert bed.table.to_numpy().tolist() == [["chr1", 100, 500], ["chr2", 0, 9]]
    assert "3 header" in bed.notes[0]
    assert bed.bases == 409


def test_gzip_is_recognised_by_content(tmp_path):
    path = tmp_path / "a.bed"
    path.write_bytes(gzip.compress(b"chr1\t1\t2\n"))
    assert len(read_bed(path).table) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("chr1\t500\t100", "the end lies before the start"),
        ("chr1\t-5\t100", "whole numbers"),
        ("chr1\t1e3\t2000", "whole numbers"),
        ("chr1\t1,000\t2000", "whole numbers"),
        ("chr1\tnan\t2000", "whole numbers"),
        ("chr1\t1.5\t2000", "whole numbers"),
        ("chr1\t100", "three|start and end"),
        ('"chr1"\t1\t2', "quotes"),
        ("chr1,1,2", "column"),
        ("chr1\t1\t99999999999999999999", "no chromosome is that long"),
    ],
)
def test_a_bad_line_is_named_by_number_and_text(tmp_path, line, why):
    path = write(tmp_path / "bad.bed", f"chr1\t1\t2\nchr1\t3\t4\n{line}\n")
    with pytest.raises(InputError, match=why) as caught:
        read_bed(path)
    assert "bad.bed, line 3" in str(caught.value)
    assert line.split("\t")[0] in str(caught.value)


def test_other_kinds_of_file_are_refused(tmp_path):
    for name, content, why in [
        ("u.bed", "chr1\t1\t2\n".encode("utf-16"), "UTF-16"),
        ("x.bed", b"PK\x03\x04rest", "zip"),
        ("b.bed", b"chr1\t1\x00\t2\n", "binary"),
        ("l.bed", b"chr\xe9\t1\t2\n", "UTF-8"),
        ("e.bed", b"# nothing\n", "no interval"),
        ("t.bed", gzip.compress(b"chr1\t1\t2\n" * 1000)[:-20], "end or break"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=why):
            read_bed(path)


def test_intervals_are_placed_clipped_and_counted(tmp_path):
    path = write(tmp_path / "a.bed", "chr1\t100\t500\nchr1\t900\t2000\nchr9\t1\t2\n")
    placed = place_on_reference(read_bed(path), {"1": 1000}, "ref.fa")
    assert placed.table[["contig", "start", "end", "interval"]].to_numpy().tolist() == [
        ["1", 100, 500, 0], ["1", 900, 1000, 1],
    ]
    assert placed.past_end == 1
    assert placed.dropped == {"chromosome not in the genome": 1}
    said = " ".join(placed.notes)
    assert 'without "chr"' in said
    assert "1 intervals run past the end" in said


def test_no_common_chromosome_and_wrong_build_are_refused(tmp_path):
    path = write(tmp_path / "a.bed", "chr7\t1\t2\n")
    with pytest.raises(InputError, match="none of its chromosomes"):
        place_on_reference(read_bed(path), {"1": 1000}, "ref.fa")
    path = write(tmp_path / "b.bed", "1\t1\t2\n1\t5000\t6000\n")
    with pytest.raises(InputError, match="another genome build"):
        place_on_reference(read_bed(path), {"1": 1000}, "ref.fa")


def test_gene_rows_are_converted_and_merged_by_the_stated_rule(tmp_path):
    path = write(
        tmp_path / "genes.txt",
        "chr10:101-200\tANK3\nchr10:101-900\tANK3\nchr1:11-20\tFAR\nchr1:51-60\tFAR\nchr1:55-90\tFAR\n"
        "chr6_hap1:1-500\tALT\nchr6:5-10\tALT\n",
    )
    genes = read_gene_list(path)
    table = genes.table.set_index("symbol")
    assert table.loc["ANK3", ["contig", "start", "end", "rows", "other_places"]].tolist() == ["chr10", 100, 900, 2, 0]
    assert table.loc["FAR", ["start", "end", "rows", "other_places"]].tolist() == [50, 90, 2, 1]
    assert table.loc["ALT", ["contig", "other_places"]].tolist() == ["chr6", 1]
    assert genes.table["symbol"].tolist() == ["ANK3", "FAR", "ALT"]
    assert genes.rows == 7


def test_symbols_are_kept_as_written_and_spreadsheet_damage_is_named(tmp_path):
    path = write(tmp_path / "genes.txt", "locus\tsymbol\nchr1:1-2\tNA\nchr1:5-9\t1-Sep\nchr1:11-12\tnan\n")
    genes = read_gene_list(path)
    assert genes.table["symbol"].tolist() == ["NA", "1-Sep", "nan"]
    assert any("1-Sep" in note for note in genes.notes)


def test_a_bad_gene_line_is_quoted(tmp_path):
    path = write(tmp_path / "genes.txt", "chr1:1-2\tA\nchr1;3\tB\n")
    with pytest.raises(InputError, match=r"line 2.*chr1;3"):
        read_gene_list(path)


@pytest.mark.shared
def test_published_intervals_and_genes(shared):
    introgressed = read_bed(shared / "introgression" / "Akey_intr_coords.bed.gz")
    depleted = read_bed(shared / "introgression" / "Akey_depl_coords.bed.gz")
    assert (len(introgressed.table), len(depleted.table)) == (83_601, 83_601)
    # Merged sizes as bedtools merge gives them.
    assert (introgressed.bases, depleted.bases) == (846_017_395, 1_736_404_121)
    genes = read_gene_list(shared / "genes" / "gene_ids.txt.gz")
    assert (genes.rows, len(genes.table)) == (21_503, 14_885)
    ank3 = genes.table.set_index("symbol").loc["ANK3"]
    assert (ank3["contig"], ank3["start"], ank3["end"], ank3["rows"]) == ("chr10", 61_786_055, 62_493_284, 4)
