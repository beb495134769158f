"""Look at single reads: choose a range of scores, and see reads of it against the reference."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.figures.alignments import alignment_figure
from neandl_core.read_sample import FILE, PER_BIN, ReadSample
from neandl_core.read_view import NEAR_END, view_reads
from pages.shared import cached, show

_ENDS = {"5p": "5′ end", "3p": "3′ end"}


@st.fragment
def drill(
    folder: Path, score: str, start: tuple[float, float], key: str, *, single_stranded: bool, simulated: bool
) -> None:
    """Show reads of a run by their score.

    Parameters
    ----------
    folder
        A finished run of `reads` or `classify`.
    score
        What its score is called.
    start
        Range that is shown first.
    key
        Unique on the page.
    single_stranded
        Whether damage at the 3' end reads as C>T.
    simulated
        Whether the reads come from NeanDL's own simulation.
    """
    if not (folder / FILE).exists():
        show.empty_state(
            "No reads were kept with this result", "It comes from an earlier version, or from a run without scores. "
            "Run the step again to look at single reads.",
        )
        return
    sample: ReadSample = cached.resource(folder / FILE, ReadSample.load)
    edges = sample.bins.edges
    filled = sample.counts.nonzero()[0]
    shown = edges[filled[0] : filled[-1] + 2].tolist() if len(filled) else edges.tolist()
    first = tuple(min(shown, key=lambda edge: abs(edge - wanted)) for wanted in start)
    if first[0] >= first[1]:
        first = (shown[0], shown[-1])
    low, high = st.select_slider(
        f"Reads with a {score} from … up to", shown, value=first, key=f"{key}-range-{folder.name}",
        format_func=lambda edge: f"{edge:g}",
    )
    if low == high:
        st.info("The range is empty: move one of its ends.", icon=":material/info:")
        return
    with st.container(horizontal=True, gap="medium"):
        most = st.segmented_control("Reads to show", [20, PER_BIN], default=20, required=True, key=f"{key}-most")
        from_end = st.segmented_control(
            "Line up at the", list(_ENDS), default="5p", required=True, format_func=_ENDS.__getitem__, key=f"{key}-end"
        )
    # The outermost bins hold what lies beyond, so that the whole range is all reads.
    rows, total = sample.draw(edges[0] if low == shown[0] else low, edges[-1] if high == shown[-1] else high, most)
    if not len(rows):
        st.info("No read has such a score. Choose another range.", icon=":material/info:")
        return
    reads, bases = view_reads(sample, rows, single_stranded=single_stranded)
    at_3p = "C>T" if single_stranded else "G>A"
    damaged = int(bases.loc[bases["kind"] == "damage at its end", "number"].nunique())
    show.figure(
        alignment_figure(reads, bases, total, score=score, from_end=from_end),
        reads, f"reads-{low:g}-to-{high:g}-{folder.name}", f"{key}-figure",
        f"Each line is one read, the way it was sequenced; where it is pale it equals the reference. Old DNA shows "
        f"C>T at its 5′ and {at_3p} at its 3′ end: {damaged} of these {len(reads)} reads have one within {NEAR_END} "
        "bases. Differences inside a read are mostly variants and sequencing errors.",
        simulated=simulated,
    )
    listed = reads[["score", "length", "contig", "start", "strand", "mapping_quality", "changes", "name"]].copy()
    listed["start"] += 1
    st.caption("Mark a read to see it letter by letter.")
    event = st.dataframe(
        listed, hide_index=True, height=240, on_select="rerun", selection_mode="single-row",
        key=f"{key}-table-{folder.name}-{low}-{high}-{most}",
        column_config={
            "score": st.column_config.NumberColumn(score, format="%.3f"),
            "length": st.column_config.NumberColumn("Length"), "contig": "Contig",
            "start": st.column_config.NumberColumn("Position", help="First aligned base, counted from 1"),
            "strand": "Strand", "mapping_quality": st.column_config.NumberColumn("Mapping quality"),
            "changes": st.column_config.TextColumn("Differences", help="Reference>read, by base from the 5′ end"),
            "name": "Read",
        },
    )
    if event.selection.rows:
        read = reads.iloc[event.selection.rows[0]]
        st.code(f"reference  5′ {read['reference']} 3′\nread       5′ {read['dots']} 3′", language=None)
    if sample.too_long:
        st.caption(f"{sample.too_long:,} reads that were drawn are too long to be shown.")
