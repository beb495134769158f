"""The map that is explored: coloured, searched, lassoed; with a second map beside it, or as a picture of density."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from neandl_core.figures.embedding import COLOURS, density_figure
from neandl_core.figures.kmer_colours import faded
from neandl_core.figures.style import for_screen
from neandl_core.gene_joins import read_any_table
from neandl_core.kmer_cloud import KmerCloud, kmer_column
from neandl_core.runs import list_runs, read_summary
from pages.shared import runs_view, show
from pages.shared.browser_parts import SCATTER, colours_of_page, has, part
from pages.shared.embedding.chosen import panel
from pages.shared.embedding.clouds import OWN, Look, among, chosen, cloud_of, coloured
from pages.shared.picker import pick
from pages.shared.state import workspace

METHODS = {"pca": "PCA", "umap": "UMAP"}
NO_WEBGL = "embed-no-webgl"
LASSO = "embed-lasso"
SEARCH = "embed-find"
PAIRED = "embed-beside"


@st.fragment
def explorer(folder: Path, summary: dict[str, Any]) -> None:
    """Show one map, or two of one model, with what is chosen on them."""
    cloud, run = cloud_of(folder), runs_view.run_id(folder)
    settings = st.container(horizontal=True, vertical_alignment="bottom")
    look = settings_of(settings, folder, cloud, summary)
    beside = pair(settings, folder, summary)
    lasso = st.session_state.get(LASSO)
    shown = [run] if beside is None else [run, runs_view.run_id(beside)]
    if lasso is not None and lasso["run"] in shown:
        look = with_lasso(look, lasso)
    with show.plain_errors():
        mask = chosen(cloud, run, look) if look.selects else None
        drawing = drawn_by()
        said = search_text(look, mask)
        if said:
            st.caption(said)
        columns = [st.container()] if beside is None else st.columns(2, gap="small")
        for column, one in zip(columns, [folder] if beside is None else [folder, beside], strict=True):
            with column:
                described = summary if one == folder else read_summary(one) or {}
                if beside is not None:
                    st.markdown(f"**{METHODS[described['method']]}**")
                if drawing == "points":
                    points(one, described, look)
                else:
                    density(one, described, look)
        if drawing == "density":
            why_density()
        if mask is not None:
            panel(folder, summary, cloud, mask, among(cloud, look), look)


def settings_of(place: Any, folder: Path, cloud: KmerCloud, summary: dict[str, Any]) -> Look:
    """Offer colour, search and what is left out, and return the choice."""
    offered = [name for name in COLOURS if name in cloud.points.columns]
    names = COLOURS | {OWN: "A column of yours"}
    with place:
        by = st.selectbox("Colour", [*offered, OWN], format_func=names.__getitem__, key="embed-by", width=220)
        pattern = st.text_input(
            "Search", key=SEARCH, type="search", placeholder="CGCG, TATAWR", width=260,
            help="Bases or IUPAC letters (R, Y, W, N and so on) anywhere in the k-mer, on either strand.",
        )
        hide = st.toggle("Hide unseen", False, key="embed-hide", disabled=summary["unseen"] == 0,
                         help="K-mers that never occurred in training.")
    own = column = ""
    if by == OWN:
        own, column = own_table(cloud)
        by = OWN if column else offered[0]
    return Look(by=by, hide=hide, pattern=pattern.strip(), own=own, column=column, mode=colours_of_page()[0])


def own_table(cloud: KmerCloud) -> tuple[str, str]:
    """Offer the tables of the data folders and their columns; empty names where nothing fits."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        path = pick("table", "Your table", "embed-own", optional=True,
                    help_text="TSV, CSV or XLSX with a column of k-mers.")
        if path is None:
            return "", ""
        with show.plain_errors():
            table = read_table(str(path), path.stat().st_mtime_ns)
            key = kmer_column(table, cloud.k)
            others = [str(name) for name in table.columns if name != key]
            if others:
                return str(path), st.selectbox("Column", others, key="embed-own-column")
            st.info("This table has no column besides the k-mers.", icon=":material/info:")
    return "", ""


@st.cache_data(max_entries=2, show_spinner=False)
def read_table(path: str, changed: int) -> pd.DataFrame:
    return read_any_table(path)


def pair(place: Any, folder: Path, summary: dict[str, Any]) -> Path | None:
    """Offer the other flat maps of the same model to be set beside this one."""
    others = {
        runs_view.run_id(one): (one, state.title) for one, state in list_runs(workspace().runs, "embed", "done")
        if one != folder and same_model(read_summary(one) or {}, summary)
    }
    if not others:
        return None
    if st.session_state.get(PAIRED) not in others:
        st.session_state.pop(PAIRED, None)
    with place:
        name = st.selectbox(
            "Beside it", [None, *others], key=PAIRED, width=240,
            format_func=lambda one: "nothing" if one is None else others[one][1] or one,
            help="Another map of the same model: what is chosen on one is shown on both.",
        )
    return None if name is None else others[name][0]


def same_model(other: dict[str, Any], summary: dict[str, Any]) -> bool:
    """Whether a map is of the same model, flat, with k-mers of the same length."""
    same = other.get("model", {}).get("folder") == summary["model"]["folder"]
    return same and other.get("k") == summary["k"] and other.get("dimensions") == 2


def with_lasso(look: Look, lasso: dict[str, Any]) -> Look:
    corners = tuple((float(x), float(y)) for x, y in lasso["corners"])
    return Look(**{**vars(look), "lasso": corners, "lasso_run": lasso["run"]})


def search_text(look: Look, mask: np.ndarray | None) -> str:
    """Say how many k-mers a search finds."""
    if mask is None or not look.pattern:
        return ""
    where = " within the selection" if look.lasso else ""
    return f"{int(mask.sum()):,} k-mers hold {show.safe_label(look.pattern.upper())} on either strand{where}."


def drawn_by() -> str:
    """Return ``points`` or ``density``: what this server and this browser can do, and what the user wants."""
    if not has(SCATTER) or st.session_state.get(NO_WEBGL):
        return "density"
    return "density" if st.session_state.get("embed-density") else "points"


def why_density() -> None:
    if not has(SCATTER):
        st.caption("Single points need regl-scatterplot, which is not installed here: run `make setup` with a network.")
    elif st.session_state.get(NO_WEBGL):
        st.caption("This browser cannot draw single points (no WebGL), so the map shows how many lie where.")


def points(folder: Path, summary: dict[str, Any], look: Look) -> None:
    """Draw every k-mer in the browser."""
    cloud, run = cloud_of(folder), runs_view.run_id(folder)
    colours = coloured(cloud, folder, look, learnt=summary["learnt"])
    mode, background, ink = colours_of_page()
    address = look.address(run)
    key = f"embed-map-{run}"

    def lassoed() -> None:
        st.session_state[LASSO] = st.session_state[key].get("lasso")

    def failed() -> None:
        st.session_state[NO_WEBGL] = True

    def picked() -> None:
        row = st.session_state[key].get("picked")
        if isinstance(row, int) and 0 <= row < len(cloud):
            st.session_state[SEARCH] = str(cloud.points["kmer"].iloc[row])

    base = address.split("/colours?")[0]
    part("kmer_map")(
        key=key, on_lasso_change=lassoed, on_problem_change=failed, on_picked_change=picked,
        data={
            "run": run, "count": len(cloud), "positions": f"{base}/positions", "colours": address, "key": address,
            "kmer": address.replace("/colours?", "/kmer?"), "frame": vars(cloud.frame), "background": background,
            "ink": ink, "palette": list(faded(colours.palette, mode) if look.selects else colours.palette),
            "faint": len(colours.palette) if look.selects else 256, "selected": bool(look.lasso),
            "legend": legend(colours.legend, look), "axes": list(axes(summary)), "marks": marks(cloud, look),
            "label": f"Map of {len(cloud):,} k-mers by {METHODS[summary['method']]}",
        },
    )


def legend(found: dict[str, Any], look: Look) -> dict[str, Any]:
    """Return a legend with its title and the ends of its ramp in words."""
    shown = found | {"title": COLOURS.get(look.by, look.column).replace(" (log10)", "")}
    if found["kind"] == "ramp":
        for end in ("low", "high"):
            shown[f"{end}_text"] = value_text(found[end], look.by)
    return shown


def value_text(value: float, by: str) -> str:
    """Write the end of a ramp: 40%, 1,200 or 0.031."""
    if by == "gc":
        return f"{value:.0%}"
    return f"{value:,.0f}" if by == "frequency" else f"{value:.3g}"


def axes(summary: dict[str, Any]) -> tuple[str, ...]:
    """Name the axes, with their share of the variance where they have one."""
    if "explained_variance" in summary:
        return tuple(f"PC{number} ({share:.0%})" for number, share in enumerate(summary["explained_variance"], 1))
    return ("UMAP 1", "UMAP 2")


def marks(cloud: KmerCloud, look: Look) -> list[dict[str, Any]]:
    """Return rings for a whole k-mer that is searched for and for its reverse complement."""
    if len(look.pattern) != cloud.k:
        return []
    rows = np.flatnonzero(chosen(cloud, "", Look(pattern=look.pattern)))[:20]
    found = cloud.points.iloc[rows]
    return [
        {"x": float(x), "y": float(y), "text": str(kmer)}
        for kmer, x, y in zip(found["kmer"], found["x"], found["y"], strict=True)
    ]


def density(folder: Path, summary: dict[str, Any], look: Look) -> None:
    """Draw how many k-mers lie where, by Plotly; a box chooses."""
    cloud, run = cloud_of(folder), runs_view.run_id(folder)
    mask = chosen(cloud, run, look) if look.selects else None
    key = f"embed-density-{run}"
    figure = density_figure(cloud.points, among(cloud, look), axes(summary), mask)

    def boxed() -> None:
        boxes = st.session_state[key].selection.box
        if boxes:
            (left, right), (low, high) = boxes[0]["x"], boxes[0]["y"]
            st.session_state[LASSO] = {"run": run, "corners": [[left, low], [right, low], [right, high], [left, high]]}
        else:
            st.session_state.pop(LASSO, None)

    st.plotly_chart(
        for_screen(figure, colours_of_page()[0] == "dark"), theme=None, key=key, on_select=boxed,
        selection_mode="box", width="stretch", config={"displaylogo": False},
    )
