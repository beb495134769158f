"""Interpretation: which positions, k-mers and bases a model answers to, and whether that means anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import InterpretSettings
from neandl_core.figures.interpretation import (
    MEASURES,
    importance_figure,
    kmer_effect_figure,
    kmer_figure,
    mean_attribution_figure,
    mutation_figure,
    weights_figure,
    window_attribution_figure,
)
from neandl_core.figures.read_importance import position_figure, read_logo
from neandl_core.intervals import Locus, format_locus
from neandl_core.runs import list_runs, read_summary
from neandl_core.schemas import (
    ENRICHED_KMERS,
    KMER_WEIGHTS,
    MEAN_ATTRIBUTIONS,
    POSITION_IMPORTANCE,
    READ_POSITIONS,
)
from pages.shared import cached, runs_view, show
from pages.shared.state import PAGES, workspace

READ_PRESETS = ("cnn-shallow", "cnn-deep", "ends", "ends-reference", "ends-quality")
"""Models of reads that look at single bases."""
OFTEN, EACH_SIDE = 5, 10
"""A k-mer must occur so often in the attributed windows; so many are drawn on either side."""
UNITS = {"k-mer": "One k-mer at a time", "bases": "Stretches of bases"}


def main() -> None:
    show.title("Interpretation", "What does a model look at, and does it mean anything?")
    at_work = runs_view.active("interpret")
    folder = runs_view.run_picker("interpret", "Interpretation", "interpret-run")
    wanted = folder is None and not at_work
    show.folded("Interpret a model", form, "interpret-form", icon=":material/add:", expanded=wanted)
    if folder is None:
        return
    summary = read_summary(folder) or {}
    if summary["simulated"]:
        show.simulated_badge()
    if summary["kind"] == "reads":
        of_reads(folder, summary)
    else:
        of_windows(folder, summary)


def form() -> None:
    models = {
        folder: state for folder, state in list_runs(workspace().runs, "train", "done") if can_be_interpreted(folder)
    }
    if not models:
        show.empty_state(
            "No model yet", "There is nothing to interpret before a model is trained.", "training", "Train a model"
        )
        return
    model = st.selectbox(
        "Model", list(models), key="interpret-model",
        format_func=lambda folder: f"{models[folder].title or folder.name} · {signal_text(folder)}",
    )
    on_windows = (read_summary(model) or {})["dataset"]["kind"] == "windows"
    windows, repeats, block = 10_000, 5, 10
    if on_windows:
        one, two, three = st.columns(3)
        windows = one.number_input("Test windows", 20, 100_000, 10_000, key="interpret-windows",
                                   help="Windows the model never trained on; drawn at random if there are more.")
        repeats = two.number_input("Shuffles of each position", 1, 100, 5, key="interpret-repeats",
                                   help="More shuffles make the spread smaller, and take longer.")
        block = three.number_input("Bases in a stretch", 1, 1000, 10, key="interpret-block",
                                   help="Besides single k-mers, whole stretches of so many bases are shuffled.")
    title = st.text_input("Name", f"What {models[model].title or model.name} looks at", key=f"interpret-title-{model}")
    if st.button("Interpret", type="primary", icon=":material/play_arrow:"):
        with show.plain_errors():
            settings = InterpretSettings.make(windows=int(windows), repeats=int(repeats), block=int(block))
            runs_view.start("interpret", [
                str(model), "--windows", str(settings.windows), "--repeats", str(settings.repeats),
                "--block", str(settings.block),
            ], title)


def can_be_interpreted(folder: Path) -> bool:
    """Every model of windows can; of reads those that look at single bases."""
    summary = read_summary(folder) or {}
    return summary.get("dataset", {}).get("kind") == "windows" or summary.get("preset") in READ_PRESETS


def signal_text(folder: Path) -> str:
    signal = (read_summary(folder) or {}).get("verdict", {}).get("signal", "")
    return {"clear": "clear signal", "weak": "weak signal", "none": "no evidence of signal"}.get(signal, "")


def of_windows(folder: Path, summary: dict[str, Any]) -> None:
    believe(summary)
    top = summary["top_positions"][0]
    show.cards({
        "Top position": (
            f"{int(top['start']) + 1}–{int(top['end'])}" if summary["important"]["count"] else "none",
            f"Bases of the window that matter most. Shuffling them costs {top['accuracy_lost']:.2%} of accuracy."
            if summary["important"]["count"] else "No position stands out from chance",
        ),
        "Important positions": (f"{summary['important']['count']:,}", sentence(summary["important"]["rule"])),
        "Enriched k-mers": (
            f"{summary['kmers']['enriched']:,}",
            f"Of {summary['kmers']['tested']:,} tested: more frequent at important positions than elsewhere, in at "
            "least 3 loci",
        ),
        "Test windows": (f"{summary['windows']['shuffled']:,}", f"Of {summary['windows']['test']:,} held out, in "
                         f"{summary['windows']['loci']:,} loci"),
    })
    parts_of_windows(folder, summary)


@st.fragment
def parts_of_windows(folder: Path, summary: dict[str, Any]) -> None:
    drawn = {
        "Positions": lambda: of_positions(folder, summary), "K-mers": lambda: of_kmers(folder, summary),
        "One window": lambda: of_one_window(folder, summary), "Notes": lambda: notes_of_windows(summary),
    }
    show.tabs(drawn, list(drawn), key="interpret-parts-of-windows")


def notes_of_windows(summary: dict[str, Any]) -> None:
    for note in summary["notes"]:
        st.markdown(f"- {show.safe_label(note, 500)}")
    st.page_link(PAGES["embeddings"], label="See the k-mers as a map", icon=":material/arrow_forward:")


def believe(summary: dict[str, Any]) -> None:
    """Say first what the model behind the pictures is worth."""
    text = show.safe_label(summary["sentence"], 500)
    verdict = show.safe_label(summary["model"]["verdict"]["sentence"], 500)
    if summary["explains_noise"]:
        st.error(f"{text} {verdict}", icon=":material/block:")
    elif summary["model"]["verdict"]["signal"] == "weak":
        st.warning(f"{text} {verdict}", icon=":material/help:")
    else:
        st.success(text, icon=":material/check_circle:")


@st.fragment
def of_positions(folder: Path, summary: dict[str, Any]) -> None:
    table = cached.contract_table(folder / "importance.tsv", POSITION_IMPORTANCE, "importance")
    left, right = st.columns(2)
    units = list(dict.fromkeys(table["unit"]))
    unit = left.segmented_control(
        "Shuffled between windows", units, default=units[0], format_func=UNITS.__getitem__, key="interpret-unit"
    ) or units[0]
    measure = right.segmented_control(
        "What it costs", list(MEASURES), default="log_loss", key="interpret-measure",
        format_func={"log_loss": "Log loss", "accuracy": "Accuracy", "auc": "AUC"}.__getitem__,
    ) or "log_loss"
    own = table[table["unit"] == unit].reset_index(drop=True)
    limit = f" The dotted line is the published limit of {summary['threshold']:g}." if measure == "accuracy" else ""
    show.figure(
        cached.drawn(
            folder / "summary.json", importance_figure, own, measure, summary["windows"]["shuffled"],
            summary["threshold"], also=(unit, measure),
        ), table,
        "position-importance", "importance",
        f"How much worse the model gets when a position is shuffled. Blue band: what other loci might have given; "
        f"orange band: {summary['repeats']} shuffles. Zero means it does not matter.{limit}",
        simulated=summary["simulated"],
    )
    if (folder / "mean_attributions.tsv").exists():
        means = cached.contract_table(folder / "mean_attributions.tsv", MEAN_ATTRIBUTIONS, "mean attributions")
        show.figure(
            cached.drawn(folder / "summary.json", mean_attribution_figure, means, tuple(summary["classes"])), means,
            "integrated-gradients", "gradients",
            "Integrated gradients, averaged: what each position adds to the answer. Above zero it speaks for "
            f"{show.safe_label(summary['classes'][1])}.",
            simulated=summary["simulated"],
        )


@st.fragment
def of_kmers(folder: Path, summary: dict[str, Any]) -> None:
    if (folder / "kmer_weights.tsv").exists():
        weights = cached.contract_table(folder / "kmer_weights.tsv", KMER_WEIGHTS, "k-mer importance")
        show.figure(
            cached.drawn(folder / "summary.json", weights_figure, weights, "Importance"),
            weights, "kmer-weights", "weights",
            f"The k-mers that weigh most in the model, wherever they stand. "
            f"{show.safe_label(summary['kmer_weights']['meaning'], 200)}.", simulated=summary["simulated"],
        )
    if (folder / "kmer_attributions.parquet").exists():
        adding_kmers(folder, summary)
    table = cached.contract_table(folder / "kmers.tsv", ENRICHED_KMERS, "k-mers")
    if table.empty:
        st.info(
            f"No k-mers of important positions: {show.safe_label(summary['important']['rule'], 300)}.",
            icon=":material/info:",
        )
        return
    st.caption(sentence(summary["important"]["rule"]))
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**The most frequent** (published recipe)")
        show.figure(
            cached.drawn(folder / "summary.json", kmer_figure, table, "frequency", also="frequency"),
            table, "kmers-by-frequency", "by-frequency",
            "Where both bars are alike, the k-mer is simply common.", simulated=summary["simulated"],
        )
    with right:
        st.markdown("**More frequent here than elsewhere** (tested)")
        enriched = table[table["enriched"] == 1]
        if enriched.empty:
            st.info("No k-mer passes the test: the frequent ones are frequent everywhere.", icon=":material/info:")
        else:
            show.figure(
                cached.drawn(folder / "summary.json", kmer_figure, enriched, "enrichment", also="enrichment"), enriched,
                "kmers-enriched", "by-test",
                "Fisher's exact test, 5% false discoveries, at least 3 loci.", simulated=summary["simulated"],
            )
    st.caption(show.safe_label(summary["notes"][0], 500))
    st.dataframe(table.head(1000), hide_index=True, height=320, column_config={
        "kmer": "K-mer", "frequency_rank": "Rank by frequency", "count": "Times", "loci": "Loci",
        "share": st.column_config.NumberColumn("Share here", format="percent"),
        "background_share": st.column_config.NumberColumn("Share elsewhere", format="percent"),
        "fold": st.column_config.NumberColumn("Ratio", format="%.2f"),
        "p": st.column_config.NumberColumn("p", format="%.2g"), "q": st.column_config.NumberColumn("q", format="%.2g"),
        "share_of_ones": st.column_config.NumberColumn(f"In {summary['classes'][1]}", format="percent"),
        "enriched": st.column_config.CheckboxColumn("Enriched"),
    })


def adding_kmers(folder: Path, summary: dict[str, Any]) -> None:
    """Show which k-mers speak most for either class, by their integrated gradients."""
    table = cached.table(folder / "kmer_attributions.parquet")
    often = table[table["occurrences"] >= OFTEN].reset_index(drop=True)
    if len(often) < 2 * EACH_SIDE:
        return
    shown = pd.concat([often.head(EACH_SIDE), often.tail(EACH_SIDE)])
    negative, positive = (show.safe_label(name) for name in summary["classes"])
    show.figure(
        cached.drawn(folder / "summary.json", kmer_effect_figure, shown, summary["classes"][1], len(often)), table,
        "kmers-by-effect", "by-effect",
        f"What an occurrence adds to the answer, mean over {summary['attribution']['windows']:,} test windows: right "
        f"of zero it speaks for {positive}, left for {negative}. K-mers that occur {OFTEN} times or more.",
        simulated=summary["simulated"],
    )


@st.fragment
def of_one_window(folder: Path, summary: dict[str, Any]) -> None:
    windows = cached.table(folder / "windows.tsv")
    if windows.empty:
        st.info("No window was looked at singly in this run.", icon=":material/info:")
        return
    names = {
        int(row.example): f"{format_locus(Locus(str(row.contig), int(row.start), int(row.start) + len(row.sequence)))}"
        f" · {summary['classes'][int(row.label)]} · P = {row.probability:.3f}"
        for row in windows.itertuples()
    }
    chosen = st.selectbox("Window", list(names), format_func=names.__getitem__, key="interpret-window")
    window = windows[windows["example"] == chosen].iloc[0]
    mutations = cached.table(folder / "mutations.parquet")
    own = mutations[mutations["example"] == chosen]
    show.figure(
        cached.drawn(
            folder / "summary.json", mutation_figure, own, window["sequence"], summary["classes"][1], also=chosen
        ), own, f"mutations-{chosen}", "mutations",
        "Every base changed into each other one, and what the model then says. White: the base that is there, or no "
        "change.", simulated=summary["simulated"],
    )
    if (folder / "attributions.parquet").exists():
        values = cached.table(folder / "attributions.parquet")
        of_window = values[values["example"] == chosen].sort_values("start")
        show.figure(
            cached.drawn(
                folder / "summary.json", window_attribution_figure, of_window["attribution"].to_numpy(),
                window["sequence"], summary["classes"][1], also=chosen,
            ),
            of_window, f"gradients-{chosen}", "window-gradients",
            f"Integrated gradients: orange places speak for {show.safe_label(summary['classes'][1])}, blue ones "
            "against it.", simulated=summary["simulated"],
        )


def of_reads(folder: Path, summary: dict[str, Any]) -> None:
    """Show what a model of reads looks at: all of them by distance from the ends, and one letter by letter."""
    if "model" in summary:
        believe(summary | {"explains_noise": summary["model"]["verdict"]["signal"] == "none"})
    else:  # Written before the verdict was kept.
        st.info(show.safe_label(summary["sentence"], 500), icon=":material/info:")
    peaks = {end: summary[f"peak_{end}"] for end in ("5p", "3p")}
    show.cards({
        "Carried by the ends": (
            f"{summary['outer_share']:.0%}", f"Share of the decision that the {summary['outer_bases']} outer bases of "
            f"either end carry; {summary['outer_share_even']:.0%} if all bases counted alike.",
        ),
        **{
            f"Peak from the {name} end": (
                "unknown" if peaks[end] is None else f"base {peaks[end] + 1}",
                "Where the mean share is largest. Damage sits at base 1.",
            ) for end, name in (("5p", "5′"), ("3p", "3′"))
        },
        "Test reads": (f"{summary['reads']:,}", f"{summary['classes']['ancient']:,} ancient, "
                       f"{summary['classes']['modern']:,} modern; none of them was trained on."),
    })
    parts_of_reads(folder, summary)


@st.fragment
def parts_of_reads(folder: Path, summary: dict[str, Any]) -> None:
    drawn = {
        "Positions": lambda: of_read_positions(folder, summary), "One read": lambda: of_one_read(folder, summary),
        "Notes": lambda: notes_of_reads(summary),
    }
    show.tabs(drawn, list(drawn), key="interpret-parts-of-reads")


def of_read_positions(folder: Path, summary: dict[str, Any]) -> None:
    table = cached.contract_table(folder / "read_positions.tsv", READ_POSITIONS, "read positions")
    show.figure(
        cached.drawn(folder / "summary.json", position_figure, table), table, "read-positions", "read-positions",
        "How much a base at each distance from an end adds to the answer, whichever way: mean size over reads, "
        "with 95% bands. A model that reads damage peaks at the ends.", simulated=summary["simulated"],
    )


def notes_of_reads(summary: dict[str, Any]) -> None:
    for note in (*summary["notes"], summary["method"]):
        st.markdown(f"- {show.safe_label(note, 700)}")


@st.fragment
def of_one_read(folder: Path, summary: dict[str, Any]) -> None:
    bases = cached.shared_parquet(folder / "read_attributions.parquet")
    reads = bases.drop_duplicates("read").sort_values("probability", ascending=False)
    names = {
        int(row.read): f"P(ancient) {row.probability:.3f} · {'ancient' if row.label else 'modern'} · "
        f"{row.length} bases" for row in reads.itertuples()
    }
    chosen = st.selectbox(
        "Read", list(names), format_func=names.__getitem__, key="interpret-read",
        help=f"{summary['listed']:,} test reads, drawn at random; the surest ancient ones first.",
    )
    own = bases[bases["read"] == chosen].reset_index(drop=True)
    show.figure(
        cached.drawn(folder / "summary.json", read_logo, own, also=chosen), own, f"read-{chosen}", "read-logo",
        "Each base as high as its share in the answer: upwards it speaks for ancient, downwards for modern. Where the "
        "read differs from the reference, both bases are named, reference first.", simulated=summary["simulated"],
    )


def sentence(text: str) -> str:
    """Begin with a capital and end with a stop."""
    return show.safe_label(f"{text[:1].upper()}{text[1:]}.", 400)


main()
