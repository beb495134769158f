"""Saliency of reads: shares add up to the answer, and peak where the signal is, not where one would like it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from neandl_core.config import TrainSettings
from neandl_core.dataset import Description, load_dataset, save_dataset
from neandl_core.errors import InputError
from neandl_core.experiment import run_experiment
from neandl_core.figures.print import export_bytes
from neandl_core.figures.read_importance import BASE_COLOUR, position_figure, read_logo
from neandl_core.models.networks import build
from neandl_core.models.soft_inputs import soften
from neandl_core.read_importance import attribute_bases, interpret_reads, position_table
from neandl_core.recording import Run
from neandl_core.schemas import READ_ATTRIBUTIONS, READ_POSITIONS, check_table, read_table
from tests.test_training import make_dataset

WIDTH = 60
READ_PRESETS = ("cnn-shallow", "cnn-deep", "ends", "ends-reference", "ends-quality")
MOTIF = np.array([2, 0, 3, 3, 0, 1, 0], np.uint8)


def make_reads(folder: Path, signal: str, n: int = 3000, seed: int = 3) -> None:
    """Write reads of 36 to 60 bases; class 1 has damaged ends, or a motif 18 bases from its 5' end, or nothing."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(36, WIDTH + 1, n)
    reference = rng.integers(0, 4, (n, WIDTH), dtype=np.uint8)
    place = np.arange(WIDTH)
    reference[place >= lengths[:, None]] = 4
    label = rng.random(n) < 0.5
    if signal == "interior":
        reference[np.ix_(label, np.arange(18, 25))] = MOTIF
    codes = reference.copy()
    if signal == "damage":
        from_end = lengths[:, None] - 1 - place
        drawn = rng.random((n, WIDTH))
        codes[(reference == 1) & (drawn < 0.7 * 0.6**place) & label[:, None]] = 3
        codes[(reference == 2) & (drawn < 0.7 * 0.6 ** np.maximum(from_end, 0)) & label[:, None]] = 0
    quality = np.where(codes < 4, 37, 255).astype(np.uint8)
    locus = np.arange(n) // 20
    split = np.select([locus % 5 == 0, locus % 5 == 1], ["test", "validation"], "train")
    examples = pd.DataFrame({
        "label": label.astype(int), "split": split, "comparison_split": split, "locus": locus, "contig": "chr1",
        "start": np.arange(n) * 100, "gc": 0.0, "length": lengths,
    })
    folder.mkdir()
    described = Description("reads", WIDTH, 0, ("modern", "ancient"), "locus", "locus")
    save_dataset(folder, [codes], examples, described, {"reference": reference, "quality": quality})


def trained(folder: Path, signal: str, preset: str, **overrides) -> Path:
    make_reads(folder / "data", signal)
    settings = TrainSettings.preset_of(
        preset, device="cpu", threads=1, bootstrap_samples=50, controls=False, **overrides
    )
    with Run(folder / "run", "train", settings) as run:
        run_experiment(load_dataset(folder / "data"), settings, run)
    return folder / "run"


def interpreted(source: Path, out: Path, **wanted) -> dict:
    with Run(out, "interpret", TrainSettings.preset_of("ends")) as run:
        summary = interpret_reads(source, run, **{"reads": 400, "threads": 1, **wanted})
        run.summarise(summary)
    return summary


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    return trained(folder, "damage", "cnn-shallow", epochs=10, learning_rate=0.03,
                   reverse_complements=False)


@pytest.fixture(scope="module")
def summary(damaged) -> dict:
    return interpreted(damaged, damaged.parent / "interpret")


def test_a_network_trained_on_damage_looks_at_the_ends(damaged, summary):
    table = read_table(damaged.parent / "interpret" / "read_positions.tsv", READ_POSITIONS, "read positions")
    # Filters of five bases do not tell the last base from the one before it.
    assert summary["peak_5p"] <= 1
    assert summary["peak_3p"] <= 2
    assert summary["outer_share"] > 1.4 * summary["outer_share_even"]
    five = table[(table["end"] == "5p") & (table["class"] == "all")].set_index("position")
    assert five.loc[0, "low"] > 2 * five.loc[10:15, "mean"].max()
    assert (five["quarter"] <= five["three_quarters"]).all()
    # A terminal C is what an ancient read rarely has, and a T what it often has.
    bases = pd.read_parquet(damaged.parent / "interpret" / "read_attributions.parquet")
    first = bases[bases["position"] == 0].groupby("base")["attribution"].mean()
    assert first["T"] > 0 > first["C"]


def test_a_network_on_ends_with_reference_bases_looks_at_the_ends(tmp_path):
    source = trained(tmp_path, "damage", "ends-reference", epochs=1)
    found = interpreted(source, tmp_path / "interpret")
    assert (found["peak_5p"], found["peak_3p"]) == (0, 0)
    assert found["outer_share"] > 2 * found["outer_share_even"]
    bases = pd.read_parquet(tmp_path / "interpret" / "read_attributions.parquet")
    first = bases[bases["position"] == 0]
    damaged = first[(first["reference"] == "C") & (first["base"] == "T")]["attribution"]
    intact = first[(first["reference"] == "C") & (first["base"] == "C")]["attribution"]
    assert damaged.min() > 0 > intact.max()


def test_a_network_trained_on_the_interior_looks_there(tmp_path):
    source = trained(tmp_path, "interior", "cnn-shallow", epochs=4, reverse_complements=False)
    found = interpreted(source, tmp_path / "interpret")
    table = read_table(tmp_path / "interpret" / "read_positions.tsv", READ_POSITIONS, "read positions")
    line = table[(table["end"] == "5p") & (table["class"] == "ancient")].set_index("position")["mean"]
    assert line.idxmax() in range(18, 25)
    assert found["outer_share"] < found["outer_share_even"]


def test_a_network_that_saw_no_signal_does_not_peak_at_the_ends(tmp_path):
    make_reads(tmp_path / "data", "none", n=600)
    dataset = load_dataset(tmp_path / "data")
    network = build("cnn-shallow", WIDTH, 0, seed=5).eval()
    codes = dataset.codes[:300]
    found = attribute_bases(network, codes)
    lengths = (codes < 4).sum(1)
    table = position_table(found.values, lengths, dataset.labels[:300])
    line = table[(table["end"] == "5p") & (table["class"] == "all")].set_index("position")["mean"]
    assert line[0] < line[2:15].max()


@pytest.mark.parametrize("preset", READ_PRESETS)
def test_the_shares_add_up_to_the_answer(preset, tmp_path):
    make_reads(tmp_path / "data", "damage", n=300)
    dataset = load_dataset(tmp_path / "data")
    layers = {"ends-reference": ("reference",), "ends-quality": ("reference", "quality")}.get(preset, ())
    inputs = np.array(dataset.inputs(layers)[np.arange(120)])
    network = build(preset, WIDTH, 0, seed=2).eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=generator))
        soft, whole = soften(network), torch.from_numpy(inputs)
        own = network(whole)
        torch.testing.assert_close(soft(soft.states(whole), whole), own, rtol=1e-4, atol=1e-4)
    found = attribute_bases(network, inputs)
    assert np.allclose(found.answers, own.numpy(), atol=1e-4)
    size = np.abs(found.values).sum(1)
    assert np.median(np.abs(found.error) / size) < 0.02
    assert not found.values[dataset.codes[:120] == 4].any(), "nothing behind the end of a read"


def test_each_base_counts_once_and_cut_reads_have_no_three_prime_end():
    values = np.arange(1, 7, dtype=np.float32)[None].repeat(2, 0)
    values[0, 5] = 0
    table = position_table(values, np.array([5, 6]), np.array([1, 0]))
    means = table.set_index(["end", "class", "position"])["mean"].sort_index()
    assert means["5p", "ancient"].tolist() == [1, 2, 3]
    assert means["3p", "ancient"].tolist() == [5, 4]
    assert means["5p", "modern"].tolist() == [1, 2, 3]
    assert ("3p", "modern", 0) not in means.index
    assert means["5p", "all", 0] == 1


def test_tables_and_summary_agree_and_follow_from_the_seed(damaged, summary):
    folder = damaged.parent / "interpret"
    bases = check_table(pd.read_parquet(folder / "read_attributions.parquet"), READ_ATTRIBUTIONS, "read attributions")
    assert bases["read"].nunique() == summary["listed"] == 300
    assert (bases.groupby("read").size() == bases.groupby("read")["length"].first()).all()
    assert summary["classes"]["ancient"] == summary["classes"]["modern"] == summary["reads"] // 2
    assert summary["completeness_error"] < 0.02
    dataset = load_dataset(damaged.parent / "data")
    one = bases[bases["read"] == bases["read"].iloc[0]]
    assert one["base"].tolist() == [*"".join("ACGT"[code] for code in dataset.codes[one["read"].iloc[0], : len(one)])]
    again = interpreted(damaged, damaged.parent / "again")
    assert again == summary
    assert (folder / "read_positions.tsv").read_bytes() == (
        damaged.parent / "again" / "read_positions.tsv"
    ).read_bytes()
    other = interpreted(damaged, damaged.parent / "other", seed=2, reads=100)
    assert other["reads"] == 100


def test_a_run_on_windows_is_refused(tmp_path):
    dataset = make_dataset(tmp_path / "data", n=400)
    settings = TrainSettings.preset_of("logistic", threads=1, bootstrap_samples=20, controls=False)
    with Run(tmp_path / "run", "train", settings) as run:
        run_experiment(dataset, settings, run)
    with pytest.raises(InputError, match="single bases of reads"):
        interpreted(tmp_path / "run", tmp_path / "interpret")


def test_letters_are_as_high_as_their_share_and_stay_shapes_in_print():
    heights = [0.5, -0.25, 0.1, 0.2]
    bases = pd.DataFrame({
        "read": 7, "label": 1, "probability": 0.9, "length": 4, "position": range(4), "base": list("TCAG"),
        "reference": ["C", "C", "", "G"], "attribution": heights,
    })
    figure = read_logo(bases)
    drawn = {trace.name: np.array(trace.y, float) for trace in figure.data if trace.fill == "toself"}
    assert {name: (np.nanmin(y), np.nanmax(y)) for name, y in drawn.items()} == {
        base: pytest.approx((min(0, height), max(0, height)), abs=1e-9)
        for base, height in zip("TCAG", heights, strict=True)
    }
    assert [note.text for note in figure.layout.annotations] == ["C>T"]
    svg = export_bytes(figure, "svg").decode()
    for base in "TCAG":
        assert f"fill: {BASE_COLOUR[base].lower()}" in svg, f"{base} is no filled outline"
    assert "<image" not in svg
    assert export_bytes(figure, "pdf").startswith(b"%PDF")


def test_the_mean_by_position_is_drawn_for_both_classes_and_ends(damaged, summary):
    table = read_table(damaged.parent / "interpret" / "read_positions.tsv", READ_POSITIONS, "read positions")
    figure = position_figure(table)
    line = next(trace for trace in figure.data if trace.name == "modern reads" and trace.xaxis == "x")
    own = table[(table["end"] == "5p") & (table["class"] == "modern") & (table["position"] == 0)]
    assert (line.x[0], line.y[0]) == (1, own["mean"].iloc[0])
    assert figure.layout.xaxis2.range[0] > figure.layout.xaxis2.range[1]
    assert "200 ancient, 200 modern" in figure.layout.title.text
    assert "modern reads" in export_bytes(figure, "svg").decode()
