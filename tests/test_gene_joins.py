"""Tables joined to genes: by symbol or Ensembl id, in every format, with the number matched said."""

import gzip
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd
import pytest

from neandl_core.checking import check_file
from neandl_core.errors import InputError
from neandl_core.gene_joins import (
    brain_enriched,
    count_traits,
    join_table,
    read_any_table,
    read_traits,
    tissues,
    traits_of,
)
from neandl_core.io.recognition import recognise

GENES = pd.DataFrame({
    "symbol": ["ANK3", "SEPTIN2", "NA", "OTHER"], "gene_id": ["ENSG00000151150", "ENSG00000168385", "", None],
})
ROWS = pd.DataFrame({"who": ["ank3", "SEPT2", "NA", "NOBODY", "ANK3"], "score": [1.5, 2, 3, 4, 9]})


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.xlsx", "t.parquet", "t.tsv.gz"])
def test_a_users_table_of_any_format_is_joined_by_symbol(tmp_path, name):
    path = tmp_path / name
    if name.endswith("xlsx"):
        ROWS.to_excel(path, index=False)
    elif name.endswith("parquet"):
        ROWS.to_parquet(path)
    else:
        ROWS.to_csv(path, index=False, sep="," if "csv" in name else "\t")
    joined = join_table(GENES, read_any_table(path), name)
    assert joined.matched == 3
    assert joined.table["symbol"].tolist() == ["ANK3", "SEPTIN2", "NA"]
    assert joined.table["score"].tolist() == [1.5, 2, 3]
    assert f"{name}: 3 of 4 genes matched, by symbol" in joined.note
    assert "1 further rows repeat" in joined.note


def test_ensembl_ids_match_without_their_version():
    table = pd.DataFrame({"id": ["ENSG00000151150.14", "ENSG00000000003.1"], "x": [5, 6]})
    joined = join_table(GENES, table, "ids")
    assert (joined.matched, joined.table["x"].tolist(), joined.by) == (1, [5], "Ensembl id in id")
    with pytest.raises(InputError, match="no column of x"):
        join_table(GENES, pd.DataFrame({"a": ["q"], "b": [1]}), "x")


@pytest.mark.parametrize(
    ("text", "why"),
    [("a\tb\n", "no row"), ("a\tb\n1\t2\t3\n", "expected 2 columns"), ("a\ta\n1\t2\n", 'two columns are called "a"'),
     ("word\nx\n", "tabs or commas"), ('a\tb\n"x\t1\n', "not closed"), ("", "empty")],
)
def test_what_is_no_table_is_refused(tmp_path, text, why):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(InputError, match=why):
        read_any_table(tmp_path / "t.tsv")
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(InputError):
        read_any_table(tmp_path / "t.xlsx")


def test_brain_enriched_is_fourfold_over_every_other_tissue():
    table = pd.DataFrame({
        "tau": [0.9] * 4, "cerebellum": [8.0, 8, 0.5, 8], "hippocampal formation": [0, 0, 0, 1.0],
        "liver": [2.0, 2.1, 0.0, 1], "pituitary gland": [9.0] * 4,
    })
    assert tissues(table) == ["cerebellum", "hippocampal formation", "liver", "pituitary gland"]
    assert brain_enriched(table).tolist() == [True, False, False, True]
    assert not brain_enriched(table[["tau", "liver"]]).any()


def test_traits_are_read_by_gene(tmp_path):
    path = tmp_path / "traits.txt"
    path.write_text("Height\t\tANK3\tSEPT2\t\nMood\t\tANK3\n")
    traits = read_traits(path)
    assert traits_of("ank3", traits) == ["Height", "Mood"]
    assert count_traits(GENES["symbol"], traits).tolist() == [2, 1, 0, 0]
    path.write_text("nothing here\n")
    with pytest.raises(InputError, match="trait"):
        read_traits(path)


def test_the_gwas_catalog_is_read_as_it_is_given_away(tmp_path):
    """A table alone in a ZIP archive. A variant between two genes counts for neither."""
    columns = ["DATE", "DISEASE/TRAIT", "REPORTED GENE(S)", "MAPPED_GENE", "P-VALUE"]
    rows = [
        ["2020", "Height", "NR", "ANK3", "1e-9"], ["2020", "Height", "NR", "ANK3", "2e-9"],
        ["2021", "Mood", "X", "ANK3, SEPTIN2; LINC1", "1e-8"], ["2021", "Asthma", "X", "ANK3 - CDK1", "1e-8"],
        ["2021", "Gout", "X", "", "1e-8"],
    ]
    text = "\n".join("\t".join(row) for row in [columns, *rows]) + "\n"
    path = tmp_path / "associations.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("gwas-associations.tsv", text)
    found = recognise(path)
    assert (found.kind, found.ending, found.problem) == ("table", ".zip", "")
    traits = read_traits(path)
    assert len(traits) == 4
    assert traits_of("ANK3", traits) == ["Height", "Mood"]
    assert traits_of("SEPT2", traits) == ["Mood"]
    assert traits_of("CDK1", traits) == []
    assert check_file(path).text == "2 traits of 3 genes."
    plain = tmp_path / "plain.tsv"
    plain.write_text(text)
    assert read_traits(plain).equals(traits)
    with ZipFile(path, "w") as archive:
        archive.writestr("a.tsv", text)
        archive.writestr("b.tsv", text)
    with pytest.raises(InputError, match="zip archive"):
        read_traits(path)


def test_expression_is_read_as_gtex_gives_it_away(tmp_path):
    path = tmp_path / "median_tpm.gct.gz"
    path.write_bytes(gzip.compress(
        b"#1.2\n2\t3\nName\tDescription\tBrain - Cortex\tLiver\tWhole Blood\n"
        b"ENSG00000151150.21\tANK3\t40.5\t1.5\t0.1\nENSG00000163631.16\tALB\t0\t9000\t1\n"
    ))
    assert recognise(path).kind == "table"
    table = read_any_table(path)
    assert tissues(table) == ["Brain - Cortex", "Liver", "Whole Blood"]
    joined = join_table(pd.DataFrame({"symbol": ["ANK3", "ALB", "TP53"]}), table, "GTEx")
    assert joined.matched == 2
    assert brain_enriched(joined.table).tolist() == [True, False]


@pytest.mark.shared
def test_real_expression_and_traits(shared):
    folder = shared / "genes"
    genes = pd.DataFrame({"symbol": ["ANK3", "GFAP", "ALB"]})
    joined = join_table(genes, read_any_table(folder / "GTEx_median_tissue_TPMs_with_gene_IDs.txt.gz"), "GTEx")
    assert joined.matched == 3
    assert len(tissues(joined.table)) == 34
    assert dict(zip(joined.table["symbol"], brain_enriched(joined.table), strict=True)) | {"ANK3": 0} == {
        "ANK3": 0, "GFAP": True, "ALB": False,
    }
    traits = traits_of("ANK3", read_traits(folder / "GWAS.txt.gz"))
    assert len(traits) == 10
    assert "Bipolar disorder" in traits
