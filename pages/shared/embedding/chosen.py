"""What the chosen k-mers have in common, to read, to take away and to map by themselves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from neandl_core.figures.logo import logo_figure
from neandl_core.files import write_text
from neandl_core.kmer_cloud import KmerCloud
from neandl_core.kmer_selection import describe, enriched_parts, information
from pages.shared import runs_view, show
from pages.shared.embedding.clouds import OWN, Look, own_column
from pages.shared.state import workspace

FEWEST_MAPPED = 50
MOST_SHOWN = 1_000
MOST_PARTS = 200


def panel(
    folder: Path, summary: dict[str, Any], cloud: KmerCloud, mask: np.ndarray, among: np.ndarray, look: Look
) -> None:
    """Show what is known of the chosen k-mers beside the rest."""
    with st.container(border=True):
        found = describe(cloud.bases, mask, among)
        show.heading(f"{found.count:,} k-mers chosen")
        if not found.count:
            st.info("Nothing lies in this selection.", icon=":material/search_off:")
            return
        numbers(found.count, found.among, found.gc, found.rest_gc, cloud, mask)
        left, right = st.columns(2, gap="large")
        with left:
            heights = information(found.letters, found.background)
            table = pd.DataFrame(found.letters, columns=list("ACGT"))
            table.insert(0, "position", np.arange(1, len(table) + 1))
            show.figure(
                logo_figure(heights, found.count), table, "kmer-logo", "embed-logo",
                "Height: how far the bases are from those of all k-mers on the map. "
                "Flat where the chosen look like the rest.", simulated=summary["simulated"],
            )
        with right:
            words(cloud, mask, among)
        rows(folder, cloud, mask, look)
        again(folder, summary, cloud, mask)


def numbers(count: int, among: int, gc: float, rest_gc: float, cloud: KmerCloud, mask: np.ndarray) -> None:
    """Show the cards."""
    own = cloud.points[["frequency", "cpg", "seen"]][mask]
    shown: dict[str, tuple[str, str] | str] = {
        "Chosen": (f"{count / among:.1%}", f"{count:,} of {among:,} k-mers"),
        "GC": (f"{gc:.1%}", f"The rest: {rest_gc:.1%}" if rest_gc == rest_gc else "There is no rest"),
        "With a CpG": (f"{(own['cpg'] > 0).mean():.0%}", "K-mers that hold at least one C before a G"),
        "Times in training": (f"{own['frequency'].median():,.0f}", "Median of the chosen"),
    }
    unseen = int((own["seen"] == 0).sum())
    if unseen:
        shown["Never seen"] = (f"{unseen:,}", "Their place on a learnt map means nothing")
    show.cards(shown)


def words(cloud: KmerCloud, mask: np.ndarray, among: np.ndarray) -> None:
    """Show which shorter words the chosen hold more often than the rest."""
    table = enriched_parts(cloud.bases, mask, among, cloud.totals if among.all() else None)
    enriched = table[table["enriched"]]
    st.markdown("**Words met more often than in the rest**")
    if enriched.empty:
        st.caption("No word of 2 to 4 bases is enriched.")
        return
    shown = enriched.head(MOST_PARTS).drop(columns="enriched")
    st.dataframe(shown, hide_index=True, height=230, column_config={
        "part": "Word", "count": st.column_config.NumberColumn("K-mers", format="localized"),
        "share": st.column_config.NumberColumn("Of the chosen", format="percent"),
        "rest_share": st.column_config.NumberColumn("Of the rest", format="percent"),
        "fold": st.column_config.NumberColumn("Times", format="%.1f"),
        "p": None, "q": st.column_config.NumberColumn("q", format="scientific"),
    })
    st.caption(f"{len(enriched):,} of {len(table):,} words. Fisher's exact test; q after Benjamini and Hochberg.")
    show.table_downloads(table, "kmer-words", "embed-words")


def rows(folder: Path, cloud: KmerCloud, mask: np.ndarray, look: Look) -> None:
    """Show the chosen k-mers, the most frequent first, and offer all of them as a file."""
    table = cloud.points[mask].sort_values("frequency", ascending=False, kind="stable")
    if look.by == OWN and look.column:
        table = table.assign(**{look.column: own_column(cloud, folder, look.own, look.column)[table.index]})
    table = table.assign(cluster=table["cluster"] + 1)
    shown = table.head(MOST_SHOWN)
    note = f", the {MOST_SHOWN:,} most frequent" if len(table) > MOST_SHOWN else ""
    st.markdown(f"**The chosen k-mers**{note}")
    st.dataframe(shown, hide_index=True, height=260, column_config={
        "kmer": st.column_config.TextColumn("K-mer", pinned=True), "x": None, "y": None, "palindrome": None,
        "fitted": None, "gc": st.column_config.NumberColumn("GC", format="percent"), "cpg": "CpG sites",
        "frequency": st.column_config.NumberColumn("Times in training", format="localized"),
        "seen": st.column_config.CheckboxColumn("Seen"), "cluster": "Cluster",
        "importance": st.column_config.NumberColumn("Attribution", format="%.3g"),
    })
    show.table_downloads(table, "chosen-kmers", "embed-chosen")


def again(folder: Path, summary: dict[str, Any], cloud: KmerCloud, mask: np.ndarray) -> None:
    """Offer a map of the chosen k-mers alone."""
    usable = int((mask & cloud.seen).sum()) if summary["learnt"] else int(mask.sum())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Map these alone", ["pca", "umap"], default="umap", key="embed-again-method",
            format_func={"pca": "PCA", "umap": "UMAP"}.__getitem__,
        ) or "umap"
        pressed = st.button(
            "Make the map", key="embed-again", icon=":material/zoom_in:", disabled=usable < FEWEST_MAPPED,
            help=f"A map needs {FEWEST_MAPPED} k-mers seen in training." if usable < FEWEST_MAPPED else None,
        )
    if pressed:
        name = runs_view.run_id(folder).replace("/", "-")
        path = workspace().folder / "selections" / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        write_text(path, "kmer\n" + "\n".join(cloud.points["kmer"][mask]) + "\n")
        arguments = [summary["model"]["folder"], "--method", method, "--subset", str(path)]
        if not summary["learnt"]:
            arguments += ["--vectors", "composition"]
        runs_view.start("embed", arguments, f"{method.upper()} of {int(mask.sum()):,} chosen k-mers")
