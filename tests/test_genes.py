import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.config import GeneSettings
from neandl_core.errors import InputError
from neandl_core.gene_scores import combine, lay_over_genes
from neandl_core.genes import score_genes
from neandl_core.runs import read_summary
from neandl_core.schemas import GENES, read_table


def genes_table(*rows):
    return pd.DataFrame(rows, columns=["symbol", "start", "end"])


def test_windows_are_laid_end_to_end_and_n_is_left_out():
    codes = np.zeros(1000, np.uint8)
    codes[250] = 4
    codes[900:] = 4
    genes = genes_table(("LONG", 100, 345), ("SHORT", 500, 520), ("BLANK", 900, 1000), ("BEYOND", 950, 2000))
    row, starts, reasons = lay_over_genes(genes, codes, 100, GeneSettings())
    assert list(zip(row, starts, strict=True)) == [(0, 100), (1, 460)]
    assert reasons == ["", "", "every window holds N", "ends past the end of the chromosome (another genome build?)"]


def test_a_long_gene_can_be_thinned_evenly():
    row, starts, _ = lay_over_genes(
        genes_table(("A", 0, 10_000)), np.zeros(20_000, np.uint8), 100, GeneSettings(max_windows_per_gene=4)
    )
    assert starts.tolist() == [0, 2500, 5000, 7500]
    assert row.tolist() == [0] * 4


def test_a_genes_probability_is_the_mean_with_an_interval_from_blocks():
    rng = np.random.default_rng(1)
    probability = rng.random(200)
    track = pd.DataFrame({"gene": np.repeat([0, 2], [150, 50]), "probability": probability})
    combined = combine(track, 3)
    assert combined["windows"].tolist() == [150, 0, 50]
    assert combined["probability"][0] == pytest.approx(probability[:150].mean())
    assert combined["probability"][1:2].isna().all()
    blocks = probability[:150].reshape(15, 10).mean(axis=1)
    half = 1.96 * blocks.std(ddof=1) / np.sqrt(15)
    assert combined["high"][0] == pytest.approx(combined["probability"][0] + half)
    assert combined["low"][0] == pytest.approx(combined["probability"][0] - half)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genes")
    sim, data, model = folder / "sim", folder / "data", folder / "model"
    size = ["--reads", "1000", "--chromosomes", "3", "--chromosome-length", "600000"]
    assert main(["simulate", *size, "--out", str(sim), "--quiet"]) == 0
    words = ["--reference", str(sim / "reference.fa"), "--introgressed", str(sim / "introgressed.bed")]
    words += ["--depleted", str(sim / "depleted.bed")]
    assert main(["windows", *words, "--out", str(data), "--quiet"]) == 0
    assert main(["train", str(data), "--preset", "logistic", "--out", str(model), "--quiet"]) == 0
    maps = folder / "maps"
    maps.mkdir()
    (maps / "planted_regions_merged.bed").write_bytes((sim / "introgressed.bed").read_bytes())
    (maps / "deserts.bed").write_bytes((sim / "depleted.bed").read_bytes())
    result = score_genes(model, sim / "genes.tsv", sim / "reference.fa", maps, GeneSettings())
    return sim, model, result


def test_every_gene_has_one_row_and_the_absent_chromosome_is_named(scored):
    sim, _, result = scored
    listed = pd.read_csv(sim / "genes.tsv", sep="\t")
    assert sorted(result.genes["symbol"]) == sorted(listed["symbol"].unique())
    absent = result.genes[result.genes["contig"] == "chr99"]
    assert absent["predicted"].tolist() == ["not scored"]
    assert absent["reason"].str.contains("chr99 is not in reference.fa").all()
    assert sum(result.summary["skipped"].values()) == int((result.genes["windows"] == 0).sum())
    assert result.genes["rows"].sum() == len(listed)


def test_planted_introgressed_genes_score_above_depleted_ones(scored):
    sim, _, result = scored
    truth = pd.read_csv(sim / "gene_truth.tsv", sep="\t").set_index("symbol")["truth"]
    score = result.genes.set_index("symbol")["probability"]
    by_truth = score.groupby(truth).mean()
    assert by_truth["introgressed"] > by_truth["depleted"] + 0.2
    assert score["DEMO-ANK3"] > 0.5


def test_maps_and_training_overlap_are_evidence_apart_from_the_score(scored):
    _, _, result = scored
    demo = result.genes.set_index("symbol").loc["DEMO-ANK3"]
    shares = result.evidence[result.evidence["symbol"] == "DEMO-ANK3"].set_index("map")["share"]
    assert set(shares.index) == {"planted", "deserts"}
    assert shares["planted"] > 0
    assert demo["maps"] == 1
    deserted = result.evidence[(result.evidence["map"] == "deserts") & (result.evidence["share"] > 0)]["symbol"]
    of_deserted = result.genes.set_index("symbol").loc[deserted, "maps"]
    assert (of_deserted == 0).any(), "a desert is no map of introgression"
    assert 0 <= demo["trained_on"] <= 1
    assert result.genes["trained_on"].max() > 0.5
    assert any("partly memory" in note for note in result.summary["notes"])


def test_a_written_table_reads_back_with_symbols_as_text(tmp_path, scored):
    _, _, result = scored
    renamed = result.genes.copy()
    renamed.loc[0, "symbol"] = "NA"
    renamed.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    back = read_table(tmp_path / "genes.tsv", GENES, "genes")
    assert back.loc[0, "symbol"] == "NA"
    assert back["probability"].isna().sum() == result.genes["probability"].isna().sum()


def test_a_genome_without_any_of_the_genes_is_refused(tmp_path, scored):
    sim, model, _ = scored
    (tmp_path / "genes.txt").write_text("chrQ:1-900\tA\n")
    with pytest.raises(InputError, match="none of its genes"):
        score_genes(model, tmp_path / "genes.txt", sim / "reference.fa", None, GeneSettings())


@pytest.mark.shared
@pytest.mark.slow
def test_published_gene_list_on_chromosome_21(shared, tmp_path):
    data, model, genes = (tmp_path / name for name in ("data", "model", "genes"))
    genome = shared / "hg19" / "human_g1k_v37.20.21.fasta.gz"
    maps = shared / "introgression"
    words = ["--reference", str(genome), "--introgressed", str(maps / "Akey_intr_coords.bed.gz")]
    words += ["--depleted", str(maps / "Akey_depl_coords.bed.gz"), "--piece", "2000", "--test-chromosomes", "21"]
    assert main(["windows", *words, "--out", str(data), "--quiet"]) == 0
    assert main(["train", str(data), "--preset", "logistic", "--out", str(model), "--quiet"]) == 0
    words = ["--genes", str(shared / "genes" / "gene_ids.txt.gz"), "--reference", str(genome), "--maps", str(maps)]
    words += ["--max-windows-per-gene", "50"]
    assert main(["genes", str(model), *words, "--out", str(genes), "--quiet"]) == 0
    table = read_table(genes / "genes.tsv", GENES, "genes").set_index("symbol")
    assert len(table) == table.index.nunique() == 14_885
    assert table.loc["ANK3", ["rows", "windows", "predicted"]].tolist() == [4, 0, "not scored"]
    assert "chromosome chr10 is not in" in table.loc["ANK3", "reason"]
    summary = read_summary(genes)
    assert summary["scored"] + sum(summary["skipped"].values()) == summary["genes"]
    assert (table["windows"] > 0).sum() == summary["scored"] > 400
    evidence = pd.read_parquet(genes / "evidence.parquet")
    ank3 = evidence[evidence["symbol"] == "ANK3"].set_index("map")["share"]
    published = [
        "browning_2018", "chen_2020", "durvasula_2019", "hubisz_2020", "sankararaman_2014", "sankararaman_2016_1",
        "sankararaman_2016_2", "schaefer_2021", "skov_2020", "steinruecken_2018", "vernot_2016", "yuan_2021",
    ]
    assert (ank3[published] > 0).all()
    kinds = evidence.drop_duplicates("map").set_index("map")["kind"]
    assert kinds[["all_deserts", "Akey_depl_coords"]].tolist() == ["depleted", "depleted"]
    assert (kinds == "map").sum() == 12
    assert table.loc["ANK3", "maps"] == 12
