"""Step 1: reads known to be ancient and reads known to be modern become a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import ReadSetSettings
from neandl_core.dataset import PARTS
from neandl_core.figures.reads import match_figure
from neandl_core.runs import read_summary
from neandl_core.schemas import EXAMPLES, check_table
from pages.shared import cached, runs_view, show
from pages.shared.decontaminate import steps
from pages.shared.picker import pick, pick_many
from pages.shared.state import workspace

CLASSES = ("ancient", "modern")


def step() -> None:
    """Show the form and the chosen dataset."""
    st.markdown(
        "A model learns the difference from examples. Take ancient samples with little contamination and modern ones, "
        "best of the same library type and mapped in the same way as your sample: whatever else differs, the model "
        "would learn too."
    )
    at_work = runs_view.active("read-set")
    folder = runs_view.run_picker("read-set", "Dataset", steps.DATASET_KEY)
    wanted = folder is None and not at_work
    show.folded("Make a dataset", form, "read-set-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})
        steps.next_button("train", "Train a model on it", key="dataset-next")


def form() -> None:
    """Ask for the samples and settings of `read-set`."""
    left, right = st.columns(2, gap="medium")
    with left:
        ancient = pick_many("alignment", "Ancient samples", "set-ancient", prefer="ancient")
        modern = pick_many("alignment", "Modern samples", "set-modern", prefer="modern")
        if ancient is None or modern is None:
            return
    with right:
        one, two = st.columns(2)
        length = one.number_input(
            "Bases of each read", 20, 300, 76, key="set-length",
            help="Longer reads are cut, from their 5′ end. Models see both ends best if few reads are cut.",
        )
        shortest = two.number_input("Length from (bases)", 10, 300, 30, key="set-shortest")
        quality = one.number_input("Mapping quality from", 0, 254, 0, key="set-quality",
                                   help="The same for both classes; 25 or 30 are usual for ancient DNA.")
        most = two.number_input("Reads of each class at most", 20, 5_000_000, 100_000, 10_000, key="set-most",
                                help="Drawn at random over the whole of each file.")
        genome = pick(
            "genome", "Reference", "set-genome", optional=True, help_text="Only needed for CRAM files.",
        ) if workspace().files("genome") else None
    title = st.text_input("Name", "Reads", key="set-title")
    both = set(ancient) & set(modern)
    if both:
        st.warning(f"{show.safe_label(min(both).name)} is in both classes.", icon=":material/warning:")
    ready = bool(ancient and modern and not both)
    if st.button("Make dataset", type="primary", icon=":material/play_arrow:", disabled=not ready):
        with show.plain_errors():
            settings = ReadSetSettings.make(
                length=int(length), min_length=int(shortest), min_mapping_quality=int(quality), max_reads=int(most)
            )
            arguments = [word for path in ancient for word in ("--ancient", str(path))]
            arguments += [word for path in modern for word in ("--modern", str(path))]
            arguments += [
                "--length", str(settings.length), "--min-length", str(settings.min_length), "--min-mapping-quality",
                str(settings.min_mapping_quality), "--max-reads", str(settings.max_reads),
            ]
            if genome is not None:
                arguments += ["--reference", str(genome)]
            runs_view.start("read-set", arguments, title)


def result(folder: Path, summary: dict[str, Any]) -> None:
    """Show what is in a dataset, and whether it is fair."""
    simulated = summary["simulated"]
    if simulated:
        show.simulated_badge()
    audit = summary["audit"]
    if audit["shared_stretches"] == 0 and audit["identical"] == 0:
        st.success(
            "A fair split: no stretch of the genome lies in two parts, and no test read has the sequence of a training "
            "read.", icon=":material/check_circle:",
        )
    else:
        st.warning(
            f"{audit['shared_stretches']:.1%} of the test reads lie in a stretch that training has too, and "
            f"{audit['identical']:.1%} have the sequence of a training read: a score on them is partly memory.",
            icon=":material/warning:",
        )
    show.cards({
        "Reads": (f"{summary['examples']:,}", "Half of them ancient, half modern"),
        "Stretches of the genome": (f"{summary['loci']:,}", "Each lies in one part only"),
        "Median length": (f"{summary['length']['median']:.0f} bases", "The same in both classes"),
        "GC, ancient": (f"{summary['gc']['ancient']:.1%}", "Share of G and C in the ancient reads"),
        "GC, modern": (f"{summary['gc']['modern']:.1%}", "Share of G and C in the modern reads"),
    })
    examples = check_table(cached.table(folder / "examples.parquet"), EXAMPLES, "examples")
    figure, table = match_figure(examples)
    show.figure(
        figure, table, f"match-{folder.name}", "set-match",
        "Could length or GC tell the classes apart? Lengths are made equal read by read, so their lines lie on each "
        "other. GC is not: where its lines part, a model may learn that instead of damage.",
        simulated=simulated,
    )
    parts(folder, summary)
    controls(summary)
    left_out(summary)
    with st.expander("Notes", icon=":material/list:"):
        for note in summary["notes"]:
            st.markdown(f"- {show.safe_label(note, 500)}")


def parts(folder: Path, summary: dict[str, Any]) -> None:
    """Show reads by class and part."""
    counts = summary["counts"]["split"]
    table = pd.DataFrame([
        {"part": part, **{name: counts[part][name] for name in CLASSES}} for part in PARTS
    ])
    table["used for"] = ["learning", "watching the learning", "the score"]
    st.markdown("**Reads by part**")
    st.dataframe(table, hide_index=True, key="set-parts", column_config={
        name: st.column_config.NumberColumn(format="localized") for name in CLASSES
    })
    show.table_downloads(table, f"parts-{folder.name}", "set-parts-files")


def controls(summary: dict[str, Any]) -> None:
    """Show what the parts share, and what length and GC alone would score."""
    rows = {
        "test reads in a stretch that training has": ("shared_stretches", "{:.1%}"),
        "test reads with the sequence of a training read": ("identical", "{:.1%}"),
        "AUC of length alone (0.5 is guessing)": ("length_auc", "{:.3f}"),
        "AUC of GC alone (0.5 is guessing)": ("gc_auc", "{:.3f}"),
    }
    table = pd.DataFrame([
        {"check": name, "this split": form.format(summary["audit"][key]),
         "a random split, for comparison": form.format(summary["comparison_audit"][key])}
        for name, (key, form) in rows.items()
    ])
    st.markdown("**Is it fair?**")
    st.dataframe(table, hide_index=True, key="set-audit")
    st.caption(
        "What a model must beat besides is computed with it, in step 3: the PMD score, the read without its ends, and "
        "base qualities."
    )
    show.table_downloads(table, "audit-of-reads", "set-audit-files")


def left_out(summary: dict[str, Any]) -> None:
    """Show what became of every record of both classes; the rows add up to the files."""
    fates = {"in the dataset": dict.fromkeys(CLASSES, summary["examples"] // 2)}
    for name in CLASSES:
        for reason, count in summary["dropped"][name].items():
            fates.setdefault(reason, {})[name] = count
    table = pd.DataFrame([
        {"reads": reason, **{name: counts.get(name, 0) for name in CLASSES}} for reason, counts in fates.items()
    ])
    total = summary["reads_total"]
    st.markdown(f"**What became of the {total['ancient']:,} ancient and {total['modern']:,} modern reads**")
    st.dataframe(table, hide_index=True, key="set-left-out", column_config={"reads": "What became of them"} | {
        name: st.column_config.NumberColumn(name.capitalize(), format="localized") for name in CLASSES
    })
    show.table_downloads(table, "reads-of-the-dataset", "set-left-out-files")
