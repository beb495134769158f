"""Windows: what a model will learn from, and what its test part has already seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.comparison import run_key
from neandl_core.config import MATCHED, WindowSettings
from neandl_core.figures.windows import audit_figure, gc_figure
from neandl_core.maps import found_in_depleted, noise_sentence, read_maps
from neandl_core.runs import list_runs, read_summary
from pages.shared import cached, runs_view, show
from pages.shared.picker import map_folders, pick, pick_maps
from pages.shared.state import PAGES, workspace

SPLITS = {
    "chromosome": "Hold out chromosomes (honest)",
    "locus": "Hold out loci (honest)",
    "interval": "Hold out intervals (leaks: intervals overlap)",
    "random": "Random windows, as published (leaks most)",
}
LABELS_BED, LABELS_MAPS = "Interval lists", "Published maps"
ALIKE = {
    "chromosome": "chromosome", "length": "length", "n": "N", "gc": "GC", "gene-distance": "distance to genes",
}


def main() -> None:
    show.title("Windows & audit", "What will the model learn from, and has it already seen what it is tested on?")
    at_work = runs_view.active("windows")
    folder = runs_view.run_picker("windows", "Dataset", "windows-run")
    wanted = folder is None and not at_work
    show.folded("Make a dataset", form, "windows-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})


@st.fragment
def form() -> None:
    offered = workspace()
    if not offered.files("genome") or not offered.files("intervals"):
        show.empty_state(
            "No genome and intervals here yet",
            "A dataset needs a genome (FASTA) and a list of introgressed intervals (BED). Start NeanDL with "
            "`NEANDL_DATA` set to the folder that holds them, or load the demo project.",
            "home", "Load the demo project",
        )
        return
    left, right = st.columns(2, gap="medium")
    with left:
        genome = pick("genome", "Genome", "windows-genome")
        maps, at_least, introgressed, depleted, match, genes = None, 0, None, None, MATCHED, None
        source = LABELS_BED
        if map_folders():
            source = st.segmented_control(
                "Labels from", [LABELS_BED, LABELS_MAPS], default=LABELS_BED, key="windows-labels",
                help="Which stretches count as introgressed and which as depleted.",
            ) or LABELS_BED
        if source == LABELS_MAPS:
            maps, at_least = from_maps()
        else:
            introgressed, depleted, match, genes = from_intervals()
    with right:
        split = st.selectbox(
            "Test part", list(SPLITS), format_func=SPLITS.__getitem__, key="windows-split",
            help="What the model is tested on. The other kind is always set beside it.",
        )
        test_chromosomes = ""
        if split == "chromosome":
            test_chromosomes = st.text_input(
                "Test chromosomes", placeholder="chosen by size; or for example 21, 22", key="windows-test",
            )
        one, three, two = st.columns(3)
        step = three.number_input("Step (bases)", 0, 100_000, 0, key="windows-step",
                                  help="Between window starts; 0 = end to end.")
        window = one.number_input("Window (bases)", 10, 100_000, 200, key="windows-window")
        k = two.number_input("k-mer length", 1, 12, 10, key="windows-k", help="Letters per word; 10 as published.")
        piece = st.number_input(
            "Middle of each locus (bases)", 0, 10_000_000, 0, 1000, key="windows-piece",
            help="0 = whole loci. With 10,000, all windows of every haplotype over the middle 10 kb of each locus: "
            "fewer windows that overlap just as much. A thin random draw of windows would hide how much they overlap.",
        )
    title = st.text_input("Name", "Windows", key="windows-title")
    ready = genome is not None and (introgressed is not None or maps is not None)
    if st.button("Cut windows", type="primary", icon=":material/content_cut:", disabled=not ready):
        with show.plain_errors():
            chosen = tuple(name.strip() for name in test_chromosomes.split(",") if name.strip())
            settings = WindowSettings.make(
                window=int(window), k=int(k), split=split, test_chromosomes=chosen, piece=int(piece) or None,
                step=int(step) or None, match=match,
            )
            labels = ["--maps", str(maps), "--at-least", str(at_least)] if maps is not None else [
                "--introgressed", str(introgressed),
                *(["--depleted", str(depleted)] if depleted is not None else ["--match", ",".join(match) or "none"]),
            ]
            start(settings, genome, labels, genes, title)


def from_intervals() -> tuple[Path | None, Path | None, tuple[str, ...], Path | None]:
    """Ask for lists of intervals; return introgressed ones, depleted ones, what drawn ones share, and genes."""
    introgressed = pick(
        "intervals", "Introgressed intervals", "windows-introgressed", prefer="introgressed",
        help_text="Segments that people carry from Neanderthals, BED. Names with and without chr are matched.",
    )
    depleted = pick(
        "intervals", "Depleted intervals", "windows-depleted", optional=True, prefer="depleted",
        help_text="Segments without them. If none, intervals of the same length and GC are drawn elsewhere.",
    )
    match, genes = matching() if depleted is None else (MATCHED, None)
    return introgressed, depleted, match, genes


def from_maps() -> tuple[Path | None, int]:
    """Ask for a folder of published maps and how many of them must agree."""
    maps = pick_maps("windows-maps", "A folder of BED files in the data folders, each one published map.")
    at_least = st.number_input(
        "Maps that must agree", 1, 100, 6, key="windows-at-least",
        help="Introgressed is what so many maps found; depleted what none found, or a desert list names.",
    )
    if maps is not None:
        with show.plain_errors():
            for one in cached.resource(maps, noise_of_depleted):
                st.caption(f"{show.safe_label(noise_sentence(one), 300)} Labels on which many maps agree avoid that.")
    return maps, int(at_least)


def noise_of_depleted(folder: Path) -> list[dict[str, Any]]:
    return found_in_depleted(read_maps(folder))


def matching() -> tuple[tuple[str, ...], Path | None]:
    """Ask in what drawn depleted intervals are like the introgressed ones."""
    match = st.pills(
        "Drawn intervals are alike in", list(ALIKE), selection_mode="multi", default=list(MATCHED),
        format_func=ALIKE.__getitem__, key="windows-match",
        help="What is alike cannot be what a model tells the classes apart by.",
    )
    genes = pick("genes", "Genes", "windows-genes") if "gene-distance" in match else None
    return tuple(match), genes


def start(settings: WindowSettings, genome: Path, labels: list[str], genes: Path | None, title: str) -> None:
    arguments = [
        "--reference", str(genome), *labels, "--window", str(settings.window), "--k", str(settings.k),
        "--split", settings.split,
    ]
    if genes is not None:
        arguments += ["--genes", str(genes)]
    if settings.step:
        arguments += ["--step", str(settings.step)]
    if settings.test_chromosomes:
        arguments += ["--test-chromosomes", ",".join(settings.test_chromosomes)]
    if settings.piece:
        arguments += ["--piece", str(settings.piece)]
    runs_view.start("windows", arguments, title)


def result(folder: Path, summary: dict[str, Any]) -> None:
    if summary["simulated"]:
        show.simulated_badge()
    for label in summary.get("labels", []):
        st.caption(show.safe_label(label, 400))
    audits = [summary["audit"], summary["comparison_audit"]]
    show.heading("Has the model already seen what it is tested on?")
    for column, audit in zip(st.columns(2, gap="medium"), audits, strict=True):
        with column:
            audit_panel(audit, scores_under(folder, audit["split"]))
    show.figure(
        cached.drawn(folder / "summary.json", audit_figure, audits),
        pd.DataFrame([flat(audit) for audit in audits]), "split-audit", "audit",
        "Same place: overlaps a training window. Same sequence: identical, also as reverse complement. Near copy "
        "elsewhere: half of its 31-mers occur in training windows of other places (repeats).",
        simulated=summary["simulated"],
    )
    show.heading("What is in it")
    classes = summary["windows"]["by_class"]
    show.cards({
        "Windows": (f"{summary['windows']['total']:,}", f"{summary['window']} bases each"),
        "Introgressed": (f"{summary['introgressed_share']:.0%}", f"{classes['introgressed']:,} windows"),
        "Loci": (f"{sum(summary['loci'].values()):,}", "Merged intervals; windows of one locus stay together"),
        "Held out": (
            ", ".join(summary["test_chromosomes"][:3]) + (" ..." if len(summary["test_chromosomes"]) > 3 else ""),
            "Chromosomes of the test part",
        ),
    })
    examples = cached.table(folder / "examples.parquet")
    show.figure(
        cached.drawn(
            folder / "summary.json", gc_figure, examples["gc"], examples["label"], ("depleted", "introgressed")
        ), None, "gc", "gc",
        f"GC content alone has AUC {summary['audit']['gc_auc']:.2f} on the test part: what any model gets for free.",
        simulated=summary["simulated"],
    )
    st.page_link(PAGES["training"], label="Train a model on these windows", icon=":material/arrow_forward:")
    show.folded("Counts and notes", lambda: details(summary), "windows-details")


def audit_panel(audit: dict[str, Any], scores: list[str]) -> None:
    """Say of one split, large, how much of its test part training has seen, and what that does to scores."""
    with st.container(border=True, height="stretch"):
        if audit["leaking"]:
            st.badge("leaks", icon=":material/warning:", color="red")
        else:
            st.badge("honest", icon=":material/check_circle:", color="green")
        st.metric(
            f"Seen before, {audit['split']} split", f"{audit['overlap_150']:.1%}",
            help=f"Share of test windows that share {audit['shared_bases']} or more bases with a training window.",
        )
        st.markdown(show.safe_label(audit["sentence"], 400))
        for score in scores:
            st.markdown(score)


def scores_under(folder: Path, split: str) -> list[str]:
    """Say what models trained on this dataset score under a split, the newest three."""
    said = []
    for run, state in list_runs(workspace().runs, "train", "done"):
        trained = read_summary(run) or {}
        if run_key(trained.get("dataset", {}).get("folder", "")) != run_key(folder):
            continue
        tests = {trained["dataset"]["split"]: trained["test"]}
        tests |= {name: control["test"] for name, control in trained["controls"].items()}
        if split in tests and tests[split]["auc"] is not None:
            said.append(f"- {show.safe_label(state.title or run.name)} scores AUC **{tests[split]['auc']:.2f}** here")
    return said[:3]


def flat(audit: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in audit.items() if not isinstance(value, list)}


def details(summary: dict[str, Any]) -> None:
    parts = pd.DataFrame(summary["audit"]["parts"])
    parts["class"] = parts["label"].map({0: "depleted", 1: "introgressed"})
    parts["chromosomes"] = parts["chromosomes"].map(", ".join)
    shown = ["part", "class", "windows", "loci", "bases", "coverage", "gc", "chromosomes"]
    st.dataframe(parts[shown], hide_index=True, column_config={
        "bases": st.column_config.NumberColumn("bases covered", format="localized"),
        "windows": st.column_config.NumberColumn(format="localized"),
        "coverage": st.column_config.NumberColumn("times covered", format="%.1f"),
        "gc": st.column_config.NumberColumn("mean GC", format="percent"),
    })
    show.table_downloads(parts[shown], "windows-by-part", "parts")
    if summary["dropped"]:
        st.markdown("**Left out**")
        st.dataframe(
            pd.DataFrame({"reason": summary["dropped"].keys(), "windows": summary["dropped"].values()}),
            hide_index=True, key="dropped",
        )
    for note in summary["notes"]:
        st.markdown(f"- {show.safe_label(note, 400)}")


main()
