"""Avoidance: whether introgressed segments avoid genes, and how far the answer hangs on the way chance is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import OverlapSettings
from neandl_core.figures.overlap import overlap_figure
from neandl_core.overlap_words import STATISTICS, p_text, z_text
from neandl_core.runs import read_summary
from neandl_core.uploads import shown_name
from pages.shared import cached, glossary, runs_view, show
from pages.shared.picker import pick
from pages.shared.state import workspace

NULLS = {
    "rotation": "Move all segments of a chromosome together (recommended)",
    "mask": "Place each by itself, inside the mask",
    "uniform": "Place each by itself, anywhere",
}
NAMES = {
    "pairs": "Segment-gene pairs", "genes": "Distinct genes", "segments_hit": "Segments that meet a gene",
    "genic_bases": "Genic bases",
}


def main() -> None:
    show.title("Gene avoidance", "Do introgressed segments meet fewer genes than chance, and what is chance here?")
    at_work = runs_view.active("overlap")
    folder = runs_view.run_picker("overlap", "Test", "overlap-run")
    wanted = folder is None and not at_work
    show.folded("Run a test", form, "overlap-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})


@st.fragment
def form() -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        segments = pick("intervals", "Segments", "overlap-segments", prefer="intr", help_text="BED file.")
        genes = pick("genes", "Genes", "overlap-genes", prefer="gene", help_text="List, GTF, GFF3, refGene, parquet.")
        sizes = pick(
            "sizes", "Chromosome sizes", "overlap-sizes", prefer=".sizes", help_text="chrom.sizes, .fai or the genome."
        )
    with right:
        null = st.radio("What chance means", list(NULLS), format_func=NULLS.__getitem__, key="overlap-null")
        masks = st.multiselect(
            "Mask", workspace().files("intervals"), key="overlap-mask", format_func=shown_name,
            placeholder="the whole chromosomes",
            help="Where a segment could have been seen at all: without gaps and unmappable stretches. The segments' "
            "own places are always in it. For published segments, the regions called depleted complete it.",
        )
        one, two = st.columns(2)
        permutations = one.number_input("Random placements", 20, 100_000, 1000, 100, key="overlap-permutations")
        seed = two.number_input("Seed", 0, 2**32 - 1, 1, key="overlap-seed")
        merged = st.toggle("Merge overlapping segments into loci", key="overlap-merged")
        merge_genes = st.toggle("Count each gene once, not each row of the table", key="overlap-merge-genes")
    title = st.text_input("Name", "Gene avoidance", key="overlap-title")
    if None in (segments, genes, sizes) or not st.button("Run the test", type="primary", icon=":material/play_arrow:"):
        return
    with show.plain_errors():
        settings = OverlapSettings.make(
            null=null, merged=merged, merge_genes=merge_genes, permutations=int(permutations), seed=int(seed)
        )
        arguments = [
            "--segments", str(segments), "--genes", str(genes), "--sizes", str(sizes), "--null", settings.null,
            "--permutations", str(settings.permutations), "--seed", str(settings.seed),
            *(word for mask in masks for word in ("--mask", str(mask))),
            "--merged" if settings.merged else "--raw", *(["--merge-genes"] if settings.merge_genes else []),
        ]
        runs_view.start("overlap", arguments, title)


def result(folder: Path, summary: dict[str, Any]) -> None:
    statistics = cached.table(folder / "statistics.tsv")
    if summary["simulated"]:
        show.simulated_badge()
    st.info(show.safe_label(summary["sentence"], 600), icon=":material/rule:")
    show.cards({
        NAMES[name]: (
            value_text(name, summary["statistics"][name]["observed"]),
            f"{STATISTICS[name]}; expected {value_text(name, summary['statistics'][name]['expected'])}",
        )
        for name in STATISTICS
    })
    chosen = st.segmented_control(
        "Statistic", list(NAMES), default="pairs", format_func=NAMES.__getitem__, key="overlap-statistic",
        label_visibility="collapsed",
    ) or "pairs"
    placements = cached.table(folder / "placements.tsv.gz")
    show.figure(
        cached.drawn(
            folder / "summary.json", overlap_figure, placements, statistics, chosen, summary["null"], also=chosen
        ), placements, f"overlap-{chosen}",
        f"overlap-{chosen}", f"Blue: {summary['null_text']}. The line is what the real segments give.",
        simulated=summary["simulated"],
    )
    table = shown(statistics, summary["null"])
    st.dataframe(table, hide_index=True, width="stretch", key="overlap-table", column_config={
        "z": st.column_config.TextColumn(help=glossary.meaning("z")),
        "p, fewer": st.column_config.TextColumn(help="How often chance gives so few or fewer"),
        "p, more": st.column_config.TextColumn(help="How often chance gives so many or more"),
    })
    show.table_downloads(statistics, "overlap", "overlap-download")
    explanation(summary)
    with st.expander("Inputs and notes", icon=":material/list:"):
        st.markdown(
            f"- {summary['segments']:,} segments, {summary['loci']:,} loci when overlapping ones are merged; "
            f"{summary['genes']:,} gene places on {summary['chromosomes']} chromosomes\n"
            f"- segments may start on {summary['mask_bases'] / 1e6:,.1f} Mb "
            f"({'the mask' if summary['masked'] else 'whole chromosomes'})"
        )
        for note in summary["notes"]:
            st.markdown(f"- {show.safe_label(note, 400)}")


def explanation(summary: dict[str, Any]) -> None:
    """Say why the same data give another answer when every segment is scattered by itself."""
    if not summary["naive"]:
        return
    with st.container(border=True):
        show.heading("Why not simply scatter the segments?")
        st.markdown(show.safe_label(summary["naive_sentence"], 800))
        st.markdown(
            "Genic bases are the fairest of the four: they do not depend on how long the segments are cut, nor on "
            "how many isoforms a gene list names."
        )


def value_text(statistic: str, value: float) -> str:
    return f"{value:.1%}" if statistic in ("segments_hit", "genic_bases") else f"{value:,.0f}"


def shown(statistics: pd.DataFrame, null: str) -> pd.DataFrame:
    """Return the statistics as people read them, the chosen null model first."""
    order = statistics.assign(first=statistics["null"] != null).sort_values("first", kind="stable")
    return pd.DataFrame({
        "Chance drawn as": order["null"].map(
            {"rotation": "piles kept together", "mask": "each inside the mask", "uniform": "each anywhere",
             "naive": "each segment by itself (naive)"}
        ),
        "Statistic": order["statistic"].map(NAMES),
        **{
            name.capitalize(): [
                value_text(row.statistic, getattr(row, name)) for row in order.itertuples()
            ]
            for name in ("observed", "expected")
        },
        "Spread (SD)": [
            f"{row.sd:.2%}" if row.statistic in ("segments_hit", "genic_bases") else f"{row.sd:,.0f}"
            for row in order.itertuples()
        ],
        "z": [z_text(z) for z in order["z"]],
        "p, fewer": [p_text(p) for p in order["p_fewer"]],
        "p, more": [p_text(p) for p in order["p_more"]],
    })


main()
