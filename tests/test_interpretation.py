"""Interpretation on windows with a motif planted at a known place, among k-mers that are far more frequent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import fisher_exact

from neandl_core.__main__ import main
from neandl_core.attribution import integrated_gradients, log_odds, mutagenesis
from neandl_core.dataset import Description, load_dataset, save_dataset
from neandl_core.encoding import kmer_codes
from neandl_core.enrichment import apart, false_discovery, kmers_at
from neandl_core.figures.interpretation import (
    importance_figure,
    kmer_figure,
    mean_attribution_figure,
    mutation_figure,
    weights_figure,
    window_attribution_figure,
)
from neandl_core.figures.print import export_bytes
from neandl_core.importance import forest_importances, important_places, shuffle_kmers
from neandl_core.models.bilstm import BiLSTM
from neandl_core.models.networks import build
from neandl_core.models.shuffling import exchanged_logits
from neandl_core.models.store import load_stored
from neandl_core.prediction import torch_threads
from neandl_core.runs import read_summary
from neandl_core.schemas import (
    ENRICHED_KMERS,
    KMER_ATTRIBUTIONS,
    MEAN_ATTRIBUTIONS,
    MUTATIONS,
    POSITION_IMPORTANCE,
    check_table,
    read_table,
)

WIDTH, K, PLACE = 40, 4, 20
MOTIF = "GTCGACGC"
CLASSES = ("depleted", "introgressed")


def make_planted(folder: Path, *, signal: bool = True, n: int = 2400, seed: int = 0) -> None:
    """Windows rich in A and T; the ones hold MOTIF at PLACE. Without signal it stands in half of both classes."""
    rng = np.random.default_rng(seed)
    loci = 120
    locus = np.repeat(np.arange(loci), n // loci)
    label = rng.random(n) < 0.5
    codes = rng.choice(4, (n, WIDTH), p=[0.62, 0.06, 0.06, 0.26]).astype(np.uint8)
    marked = label if signal else rng.random(n) < 0.5
    codes[np.ix_(marked, np.arange(PLACE, PLACE + len(MOTIF)))] = ["ACGT".index(base) for base in MOTIF]
    chromosome = locus * 4 // loci
    split = np.where(chromosome == 3, "test", np.where(locus % 10 == 9, "validation", "train"))
    examples = pd.DataFrame({
        "label": label.astype(int), "split": split, "comparison_split": rng.permutation(split), "locus": locus,
        "contig": [f"chr{number + 1}" for number in chromosome], "start": np.arange(n) * WIDTH, "gc": 0.0,
    })
    folder.mkdir()
    save_dataset(folder, [codes], examples, Description("windows", WIDTH, K, CLASSES, "chromosome", "random", True))


def trained(folder: Path, preset: str, *words: str) -> Path:
    out = folder.parent / f"{folder.name}-{preset}"
    arguments = ["train", str(folder), "--preset", preset, "--out", str(out), "--no-controls", "--device", "cpu"]
    assert main([*arguments, "--threads", "1", "--quiet", *words]) == 0
    return out


def interpreted(run: Path, *words: str) -> Path:
    out = run.parent / f"{run.name}-read"
    few = ["--repeats", "2", "--block", "4", "--attributed", "40", "--steps", "300", "--threads", "1", "--quiet"]
    assert main(["interpret", str(run), "--out", str(out), "--device", "cpu", *few, *words]) == 0
    return out


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "data"
    make_planted(folder)
    return folder


@pytest.fixture(scope="module")
def bilstm(planted: Path) -> Path:
    return trained(planted, "bilstm", "--epochs", "4", "--batch-size", "32", "--learning-rate", "0.01")


@pytest.fixture(scope="module")
def reading(bilstm: Path) -> Path:
    return interpreted(bilstm)


def inside(start: float, end: float) -> bool:
    """Whether a part of a window holds bases of the motif."""
    return start < PLACE + len(MOTIF) and end > PLACE


def motif_kmers(k: int = K) -> set[str]:
    return {MOTIF[start : start + k] for start in range(len(MOTIF) - k + 1)}


def test_exchanged_kmers_give_what_reading_the_whole_changed_window_gives() -> None:
    network = build("bilstm", 45, K, seed=3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(6 if parameter is network.embedding.weight else 1.7)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (70, 45), dtype=np.uint8)
    codes[1, [0, 20, 44]] = 4
    kmers = kmer_codes(codes, K)
    exchanged = np.stack([rng.permuted(kmers.T, axis=1) for _ in range(2)])
    seen: list[int] = []
    with torch_threads(1):
        plain, changed = exchanged_logits(network, codes, exchanged, seen.append)
    assert sum(seen) == 70

    def naive(sequence: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            _, (last, _) = network.lstm(network.embedding(torch.from_numpy(sequence.astype(np.int64))))
            return network.output(torch.relu(network.dense(torch.cat((last[0], last[1]), 1)))).squeeze(1).numpy()

    assert np.abs(plain - naive(kmers)).max() < 1e-5
    assert np.abs(plain - log_odds(network, codes)).max() < 1e-5
    for repeat, place in np.ndindex(*changed.shape[:2]):
        swapped = kmers.copy()
        swapped[:, place] = exchanged[repeat, place]
        assert np.abs(changed[repeat, place] - naive(swapped)).max() < 1e-5
    assert plain.std() > 0.1
    # torch's own LSTM, where nothing can be compiled or on a GPU, goes the long way to the same numbers.
    network.fused = False
    assert np.abs(exchanged_logits(network, codes, exchanged)[1] - changed).max() < 1e-5


def test_a_shuffle_keeps_each_places_kmers_and_follows_the_seed() -> None:
    network = BiLSTM(2).eval()
    codes = np.random.default_rng(0).integers(0, 4, (40, 12), dtype=np.uint8)
    one, two, other = (shuffle_kmers(network, codes, 1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.changed, two.changed)
    assert not np.array_equal(one.changed, other.changed)
    assert (one.unit, one.starts[-1], one.ends[-1]) == ("k-mer", 10, 12)


def test_importance_peaks_where_the_motif_is(reading: Path) -> None:
    table = read_table(reading / "importance.tsv", POSITION_IMPORTANCE, "importance")
    for unit in ("k-mer", "bases"):
        own = table[table["unit"] == unit]
        within = [inside(start, end) for start, end in own[["start", "end"]].to_numpy()]
        # One k-mer of many that hold the motif costs certainty, but hardly any order.
        for name in ("log_loss_lost", *(("auc_lost", "accuracy_lost") if unit == "bases" else ())):
            assert inside(*own.loc[own[name].idxmax(), ["start", "end"]]), (unit, name)
        best = own.loc[own["log_loss_lost"].idxmax()]
        assert best["log_loss_low"] > 0
        assert best["log_loss_low"] <= best["log_loss_lost"] <= best["log_loss_high"]
        outside = own.loc[~np.array(within), "log_loss_lost"].abs().max()
        assert best["log_loss_lost"] > 5 * outside
    stretch = table[table["unit"] == "bases"]
    assert stretch["accuracy_lost"].max() > 0.1
    assert (stretch["accuracy_spread"] >= 0).all()


def test_the_motif_leads_the_enrichment_and_poly_a_the_published_list(reading: Path) -> None:
    summary = read_summary(reading)
    table = read_table(reading / "kmers.tsv", ENRICHED_KMERS, "k-mers")
    assert set(summary["top_kmers"][:3]) <= motif_kmers()
    everywhere = table.sort_values("background_share").iloc[-1]
    assert everywhere["kmer"] == "AAAA"
    assert everywhere["frequency_rank"] <= 6, "the most frequent k-mer anywhere is high in the published list"
    assert everywhere["enriched"] == 0
    assert (table.loc[table["enriched"] == 1, "q"] < 0.05).all()
    assert summary["important"]["count"] > 0
    assert all(inside(start, start + K) for start in summary["important"]["starts"])


def test_gradients_peak_at_the_motif_in_the_class_that_holds_it(reading: Path, bilstm: Path) -> None:
    means = read_table(reading / "mean_attributions.tsv", MEAN_ATTRIBUTIONS, "mean attributions")
    ones = means[means["label"] == 1]
    best = ones.loc[ones["mean"].idxmax()]
    assert inside(best["start"], best["end"])
    assert best["low"] > 0
    kmers = pd.read_parquet(reading / "kmer_attributions.parquet")
    check_table(kmers, KMER_ATTRIBUTIONS, "k-mer attributions")
    assert set(kmers.loc[kmers["occurrences"] >= 10, "kmer"].head(2)) <= motif_kmers()
    assert read_summary(reading)["attribution"]["missed"] < 0.1


def test_attributions_add_up_to_the_difference_from_a_window_of_n(bilstm: Path, planted: Path) -> None:
    _, network = load_stored(bilstm)
    codes = np.array(load_dataset(planted).codes[:6])
    found = integrated_gradients(network, codes, 1000)
    unknown = np.full_like(codes, 4)
    assert np.allclose(found.difference, log_odds(network, codes) - log_odds(network, unknown), atol=1e-4)
    assert found.missed < 0.05
    assert np.allclose(found.by_base().sum(axis=1), found.values.sum(axis=1), atol=1e-4)
    assert found.by_base().shape == codes.shape
    assert network.engine == "fused", "the network is left as it was"


def test_single_changes_hurt_most_within_the_motif(reading: Path, bilstm: Path, planted: Path) -> None:
    table = pd.read_parquet(reading / "mutations.parquet")
    check_table(table, MUTATIONS, "mutations")
    windows = pd.read_csv(reading / "windows.tsv", sep="\t")
    assert len(table) == len(windows) * 3 * WIDTH
    for window in windows[windows["label"] == 1].itertuples():
        own = table[table["example"] == window.example]
        worst = own.loc[own["log_odds_change"].idxmin()]
        assert inside(worst["position"], worst["position"] + 1)
    # The same change by hand.
    _, network = load_stored(bilstm)
    row = table[table["position"] == PLACE + 2].iloc[0]
    codes = np.array(load_dataset(planted).codes[[row["example"], row["example"]]])
    assert "ACGT"[codes[0, row["position"]]] == row["ref"] != row["alt"]
    codes[1, row["position"]] = "ACGT".index(row["alt"])
    before, after = log_odds(network, codes)
    assert row["log_odds_change"] == pytest.approx(after - before, abs=1e-4)
    again = mutagenesis(network, codes[:1], np.array([row["example"]]))
    assert len(again) == 3 * WIDTH


def test_only_windows_held_out_are_interpreted(
    reading: Path, bilstm: Path, planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = set(load_dataset(planted).part("test"))
    assert set(pd.read_parquet(reading / "attributions.parquet")["example"]) <= test
    assert set(pd.read_csv(reading / "windows.tsv", sep="\t")["example"]) <= test
    row = str(int(load_dataset(planted).part("train")[0]))
    assert main(["interpret", str(bilstm), "--out", str(tmp_path / "x"), "--windows", "40", "--examples", row]) == 1
    assert "no test window" in capsys.readouterr().err
    make_planted(tmp_path / "other", seed=5)
    words = ["interpret", str(bilstm), "--dataset", str(tmp_path / "other"), "--out", str(tmp_path / "y")]
    assert main(words) == 1
    assert "not the dataset that the model was tested on" in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["cnn-shallow", "logistic"])
def test_models_on_bases_and_counts_are_interpreted_too(planted: Path, preset: str) -> None:
    run = trained(planted, preset, *(["--epochs", "2"] if preset != "logistic" else []))
    out = interpreted(run)
    table = read_table(out / "importance.tsv", POSITION_IMPORTANCE, "importance")
    assert set(table["unit"]) == {"bases"}
    assert inside(*table.loc[table["log_loss_lost"].idxmax(), ["start", "end"]])
    assert set(read_summary(out)["top_kmers"][:2]) <= motif_kmers(read_summary(out)["k"])
    assert read_summary(out)["attribution"]["missed"] < 0.1
    assert (out / "kmer_weights.tsv").exists() == (preset == "logistic")


def test_a_model_without_signal_is_said_to_explain_noise(tmp_path: Path) -> None:
    make_planted(tmp_path / "data", signal=False, n=1200)
    out = interpreted(trained(tmp_path / "data", "logistic"))
    summary = read_summary(out)
    assert summary["explains_noise"]
    assert "explains noise" in summary["sentence"]
    table = read_table(out / "importance.tsv", POSITION_IMPORTANCE, "importance")
    assert table["accuracy_lost"].abs().max() < 0.1


def test_fishers_test_is_scipys() -> None:
    rng = np.random.default_rng(1)
    codes = rng.choice(4, (300, 20), p=[0.4, 0.2, 0.2, 0.2]).astype(np.uint8)
    table = kmers_at(codes, rng.integers(0, 2, 300), np.arange(300) // 10, 2, np.array([3, 4]))
    kmers = kmer_codes(codes, 2)
    here, rest = kmers[:, 3:5], np.delete(kmers, [3, 4], axis=1)
    for row in table.itertuples():
        number = 4 * "ACGT".index(row.kmer[0]) + "ACGT".index(row.kmer[1])
        a, b = int((here == number).sum()), int((rest == number).sum())
        expected = fisher_exact([[a, b], [here.size - a, rest.size - b]], alternative="greater").pvalue
        assert row.p == pytest.approx(expected, rel=1e-6)
        assert row.count == a
    assert table["enriched"].sum() == 0, "nothing is enriched at places chosen blindly"


def test_copies_of_one_stretch_are_not_counted_twice_nor_believed() -> None:
    kept = apart(np.array(["1", "1", "1", "2"]), np.array([0, 10, 20, 5]), 20)
    assert kept.tolist() == [0, 2, 3]
    codes = np.random.default_rng(0).integers(0, 4, (200, 12), dtype=np.uint8)
    codes[:40, :4] = [2, 1, 2, 1]
    one_locus = kmers_at(codes, np.zeros(200, int), np.r_[np.zeros(40, int), np.arange(1, 161)], 4, np.array([0]))
    many = kmers_at(codes, np.zeros(200, int), np.arange(200), 4, np.array([0]))
    for table, believed in ((one_locus, 0), (many, 1)):
        row = table[table["kmer"] == "GCGC"].iloc[0]
        assert row["q"] < 1e-6
        assert row["enriched"] == believed


def test_false_discovery_rates() -> None:
    # The example of Benjamini and Hochberg 1995: four of fifteen are found at 5%.
    p = np.array([.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528, .7590, 1.])
    assert (false_discovery(p) < 0.05).sum() == 4
    assert np.all(np.diff(false_discovery(p)) >= 0)


def test_where_no_place_costs_enough_the_rule_says_so() -> None:
    blank = {name: [0.0] * 3 for name in POSITION_IMPORTANCE if name not in ("unit", "start", "end")}
    table = pd.DataFrame({"unit": "k-mer", "start": [0, 1, 2], "end": [4, 5, 6], **blank})
    rows, rule = important_places(table)
    assert len(rows) == 0
    assert "none raises the log loss beyond what chance gives when 3 places are tried" in rule
    table["log_loss_low"], table["log_loss_lost"] = [-1, 0.1, 0.2], [0.5, 0.2, 0.3]
    assert important_places(table)[0].tolist() == [1, 2]
    many = pd.concat([table] * 500, ignore_index=True)
    many["log_loss_low"] = 0.01
    assert len(important_places(many)[0]) == 0, "of so many places some lie that far above zero by chance"
    table["accuracy_lost"] = [0.011, 0.0, 0.01]
    rows, rule = important_places(table)
    assert rows.tolist() == [0]
    assert "published" in rule


def test_forest_importances_spread_over_trees() -> None:
    rng = np.random.default_rng(0)
    by_tree = rng.dirichlet(np.array([1.0, 8.0, 1.0]), 100)
    table = forest_importances(["AA", "AC", "AG"], by_tree)
    assert table["kmer"].iloc[0] == "AC"
    assert table["importance"].sum() == pytest.approx(1)
    assert table["spread"].iloc[0] == pytest.approx(by_tree[:, 1].std(ddof=1))
    assert table["low"].iloc[0] < 0.8 < table["high"].iloc[0]


def test_figures_show_the_tables_and_print(reading: Path) -> None:
    summary = read_summary(reading)
    importance = read_table(reading / "importance.tsv", POSITION_IMPORTANCE, "importance")
    own = importance[importance["unit"] == "k-mer"].reset_index(drop=True)
    kmers = read_table(reading / "kmers.tsv", ENRICHED_KMERS, "k-mers")
    means = read_table(reading / "mean_attributions.tsv", MEAN_ATTRIBUTIONS, "mean attributions")
    window = pd.read_csv(reading / "windows.tsv", sep="\t").iloc[0]
    mutations = pd.read_parquet(reading / "mutations.parquet")
    changes = mutations[mutations["example"] == window["example"]]
    values = pd.read_parquet(reading / "attributions.parquet")
    of_window = values[values["example"] == window["example"]]["attribution"].to_numpy()
    assert len(of_window) == WIDTH - K + 1, "a window looked at singly is attributed too"
    drawn = {measure: importance_figure(own, measure, 600, 0.01) for measure in ("log_loss", "accuracy", "auc")}
    line = drawn["accuracy"].data[-1]
    assert list(line.y) == own["accuracy_lost"].tolist()
    assert line.x[0] == (1 + K) / 2, "a k-mer is drawn at its middle, counted from 1"
    drawn["frequent"] = kmer_figure(kmers, "frequency", 5)
    assert list(drawn["frequent"].data[0].y) == kmers.sort_values("frequency_rank")["kmer"].head(5).tolist()
    drawn["tested"] = kmer_figure(kmers, "enrichment", 5)
    assert drawn["tested"].data[0].y[0] == summary["top_kmers"][0]
    drawn["gradients"] = mean_attribution_figure(means, CLASSES)
    drawn["one"] = window_attribution_figure(of_window, window["sequence"], CLASSES[1])
    drawn["changes"] = mutation_figure(changes, window["sequence"], CLASSES[1])
    table = np.array(drawn["changes"].data[0].z)
    assert np.isnan(table).sum() == WIDTH, "one base of each column is the window's own"
    row = changes.iloc[7]
    assert table["ACGT".index(row["alt"]), row["position"]] == pytest.approx(row["log_odds_change"])
    forest = forest_importances(["AA", "AC"], np.array([[0.4, 0.6], [0.3, 0.7]]))
    drawn["weights"] = weights_figure(forest, "Importance")
    for name, figure in drawn.items():
        assert export_bytes(figure, "png", 89).startswith(b"\x89PNG"), name
        assert b"/Subtype /Image" not in export_bytes(figure, "pdf"), f"{name} is not vector"
