"""Embeddings: the k-mers as a model sees them, as a map that can be searched, coloured and taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from neandl_core.config import EmbedSettings
from neandl_core.figures.embedding import COLOURS, map_figure
from neandl_core.kmer_space import kmer_number, kmer_texts, nearest, reverse_complements
from neandl_core.runs import list_runs, read_summary
from pages.shared import cached, runs_view, show
from pages.shared.embedding.clouds import cloud_of
from pages.shared.embedding.explorer import explorer
from pages.shared.embedding.published import published
from pages.shared.state import workspace

MOST_POINTS = 100_000
NEIGHBOURS = 10
METHODS = {"pca": "PCA", "umap": "UMAP"}
VECTORS = {"learnt": "Learnt by the model", "composition": "Base composition alone"}


def main() -> None:
    show.title("Embeddings", "Which k-mers does a model treat alike?")
    at_work = runs_view.active("embed")
    published("embed-run")
    folder = runs_view.run_picker("embed", "Map", "embed-run")
    wanted = folder is None and not at_work
    show.folded("Make a map", form, "embed-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})


@st.fragment
def form() -> None:
    models = {
        folder: state for folder, state in list_runs(workspace().runs, "train", "done")
        if (read_summary(folder) or {}).get("preset") in ("bilstm", "word2vec")
    }
    if not models:
        show.empty_state(
            "No model with k-mer vectors yet", "Train a BiLSTM on windows first: it learns a vector for each k-mer.",
            "training", "Train a model",
        )
        return
    left, right = st.columns(2, gap="medium")
    with left:
        model = st.selectbox(
            "Model", list(models), key="embed-model", format_func=lambda folder: models[folder].title or folder.name
        )
        readings = {None: "none"} | {
            folder: state.title or folder.name for folder, state in list_runs(workspace().runs, "interpret", "done")
            if (read_summary(folder) or {}).get("model", {}).get("folder") == str(model.resolve())
        }
        reading = st.selectbox(
            "Colour by an interpretation", list(readings), format_func=readings.__getitem__, key="embed-reading",
            help="Adds how much each k-mer added to the answers, from the Interpretation page.",
        )
        vectors = st.segmented_control(
            "Vectors", list(VECTORS), default="learnt", format_func=VECTORS.__getitem__, key="embed-vectors",
            help="Composition is the comparison: a learnt map that looks the same has learnt composition.",
        ) or "learnt"
    with right:
        method = st.segmented_control(
            "Method", list(METHODS), default="pca", format_func=METHODS.__getitem__, key="embed-method",
            help="PCA: seconds, keeps distances. UMAP: a minute or two, keeps neighbours together.",
        ) or "pca"
        dimensions = st.segmented_control("Dimensions", [2, 3], default=2, key="embed-dimensions") or 2
        clusters = st.number_input("Clusters", 1, 50, 8, key="embed-clusters", help="Groups found by k-means.")
    sample = 50_000
    if method == "umap":
        sample = st.number_input(
            "K-mers that UMAP is fitted to", 50, 500_000, 50_000, key="embed-sample",
            help="Drawn evenly from the k-mers seen in training. The others are placed among their nearest neighbours.",
        )
    title = st.text_input("Name", f"{METHODS[method]} of {models[model].title or model.name}",
                          key=f"embed-title-{method}-{model}")
    if st.button("Make the map", type="primary", icon=":material/play_arrow:"):
        with show.plain_errors():
            settings = EmbedSettings.make(
                method=method, vectors=vectors, dimensions=int(dimensions), sample=int(sample), clusters=int(clusters)
            )
            arguments = [
                str(model), "--method", settings.method, "--vectors", settings.vectors, "--dimensions",
                str(settings.dimensions), "--sample", str(settings.sample), "--clusters", str(settings.clusters),
            ]
            runs_view.start(
                "embed", arguments if reading is None else [*arguments, "--interpretation", str(reading)], title
            )


def result(folder: Path, summary: dict[str, Any]) -> None:
    if summary["simulated"]:
        show.simulated_badge()
    if summary["model"]["preset"] == "word2vec" and summary["learnt"]:
        st.info(
            "These vectors come from which k-mers stand beside each other, not from the classes: groups on this map "
            "say how k-mers keep company in these windows, and nothing about Neanderthals.", icon=":material/info:",
        )
    elif summary["learnt"] and summary["model"]["verdict"]["signal"] == "none":
        st.error(
            "The model behind this map found no evidence of signal, so groups on it explain noise. "
            f"{show.safe_label(summary['model']['verdict']['sentence'], 400)}", icon=":material/block:",
        )
    points = cloud_of(folder).points
    worth = ("Share of each point's neighbours on the map that are neighbours among the vectors too, 1 at best, "
             "measured on a sample")
    numbers: dict[str, tuple[str, str] | str] = {
        "K-mers": f"{summary['points']:,}",
        "Seen in training": (f"{summary['seen'] / summary['points']:.0%}",
                             "The vectors of the others are still random" if summary["learnt"] else "By occurrence"),
        "Trustworthiness": (f"{summary['trustworthiness']:.2f}", worth),
    }
    if "explained_variance" in summary:
        numbers["Variance shown"] = (
            f"{sum(summary['explained_variance']):.0%}", "Share of the spread of the vectors that the axes hold"
        )
    show.cards(numbers)
    if "z" not in points.columns:
        explorer(folder, summary)
        # A hundred thousand points that nobody looks at would slow the map above.
        figure = st.expander(
            "A figure for print, and a k-mer's neighbours", icon=":material/image:", key="embed-picture",
            on_change="rerun",
        )
        if figure.open:
            with figure:
                picture(folder, summary, points)
    else:
        picture(folder, summary, points)
    take_away(folder, summary)


def picture(folder: Path, summary: dict[str, Any], points: pd.DataFrame) -> None:
    """Draw the map by Plotly: in three dimensions, for print, or with the neighbours of one k-mer."""
    left, middle = st.columns(2, vertical_alignment="bottom")
    offered = [name for name in COLOURS if name in points.columns]
    colour = left.selectbox("Colour", offered, format_func=COLOURS.__getitem__, key="embed-colour")
    wanted = middle.text_input(
        "Find a k-mer", key="embed-kmer", type="search", placeholder=str(points["kmer"].iloc[len(points) // 3]),
        help="Marks it, its reverse complement and their nearest neighbours.",
    )
    hide = bool(st.session_state.get("embed-hide"))
    if "z" in points.columns:
        hide = st.toggle(
            "Hide unseen", False, key="embed-hide", disabled=summary["unseen"] == 0,
            help="K-mers that never occurred in training.",
        )
    found = neighbours(folder, summary, points, wanted) if wanted.strip() else None
    drawn = sample_of(points, hide)
    marked = None
    if found is not None:
        first = found.drop_duplicates("row")
        marked = points.iloc[first["row"]].assign(named=(first["kmer"] == first["of"]).to_numpy())
    show.figure(
        map_figure(
            drawn, colour, summary["method"], int((points["seen"] == 1).sum()) if hide else len(points), marked=marked,
            axes=axes(summary),
        ),
        drawn, "kmer-map", "map",
        f"{METHODS[summary['method']]} fitted to {show.safe_label(summary['fitted_to'], 300)}. Grey points never "
        "occurred in training." if summary["unseen"] and not hide else
        f"{METHODS[summary['method']]} fitted to {show.safe_label(summary['fitted_to'], 300)}.",
        simulated=summary["simulated"],
    )
    if found is not None:
        neighbour_tables(found)


def axes(summary: dict[str, Any]) -> tuple[str, ...] | None:
    if "explained_variance" not in summary:
        return None
    return tuple(f"PC{number} ({share:.0%})" for number, share in enumerate(summary["explained_variance"], 1))


def sample_of(points: pd.DataFrame, hide: bool) -> pd.DataFrame:
    """Return the points to draw: all, or `MOST_POINTS` of them drawn at random, the same at each look."""
    rows = np.flatnonzero(points["seen"] == 1) if hide else np.arange(len(points))
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(1).choice(rows, MOST_POINTS, replace=False))
    return points.iloc[rows]


def neighbours(folder: Path, summary: dict[str, Any], points: pd.DataFrame, wanted: str) -> pd.DataFrame | None:
    """Return a k-mer and its nearest neighbours, and the same of its reverse complement."""
    with show.plain_errors():
        k, number = summary["k"], kmer_number(wanted)
        if len(wanted.strip()) != k:
            st.info(f"This map holds k-mers of {k} bases, and {show.safe_label(wanted)} has {len(wanted.strip())}.",
                    icon=":material/search_off:")
            return None
        vectors = cached.shared_array(folder / "vectors.npy")
        other = int(reverse_complements(np.array([number]), k)[0])
        among = points["seen"].to_numpy() == 1 if summary["learnt"] else None
        tables = []
        for strand, kmer in (("itself", number), ("reverse complement", other)):
            text = str(kmer_texts(np.array([kmer]), k)[0])
            at = np.flatnonzero(points["kmer"].to_numpy() == text)
            if not len(at):
                st.info(f"{text} is not on this map.", icon=":material/search_off:")
                continue
            near = nearest(vectors, int(at[0]), NEIGHBOURS, among)
            near = pd.concat([pd.DataFrame({"row": at, "cosine": 1.0}), near], ignore_index=True)
            own = points.iloc[near["row"]].reset_index(drop=True)
            tables.append(near.assign(
                strand=strand, of=text, kmer=own["kmer"], frequency=own["frequency"], gc=own["gc"],
                seen=own["seen"] == 1, cluster=own["cluster"] + 1,
            ))
        return pd.concat(tables, ignore_index=True) if tables else None
    return None


def neighbour_tables(found: pd.DataFrame) -> None:
    columns = st.columns(2, gap="medium")
    for column, (strand, table) in zip(columns, found.groupby("strand", sort=False), strict=False):
        with column:
            text = table["of"].iloc[0]
            st.markdown(f"**{text}**" if strand == "itself" else f"**{text}**, its reverse complement")
            if not table["seen"].iloc[0]:
                st.warning("It never occurred in training: its vector is random, and so are its neighbours.",
                           icon=":material/help:")
            st.dataframe(table[["kmer", "cosine", "frequency", "gc", "cluster"]], hide_index=True, column_config={
                "kmer": "K-mer", "cosine": st.column_config.NumberColumn("Cosine", format="%.3f"),
                "frequency": st.column_config.NumberColumn("Times in training", format="localized"),
                "gc": st.column_config.NumberColumn("GC", format="percent"), "cluster": "Cluster",
            })


def take_away(folder: Path, summary: dict[str, Any]) -> None:
    with st.expander("Files and notes", icon=":material/list:"):
        for note in summary["notes"]:
            st.markdown(f"- {show.safe_label(note, 400)}")
        st.markdown(f"- Clusters: {show.safe_label(summary['clusters'])}.")
        st.markdown(f"- Vectors: {show.safe_label(summary['vectors'])}.")
        if (folder / "vectors.tsv").exists():
            st.markdown(
                f"**For TensorBoard's Embedding Projector** (its Load button takes both files): the "
                f"{summary['projector']:,} most frequent k-mers."
            )
            with st.container(horizontal=True):
                for name in ("vectors.tsv", "metadata.tsv"):
                    st.download_button(
                        name, (folder / name).read_bytes, file_name=name, mime="text/tab-separated-values",
                        on_click="ignore", key=f"embed-{name}",
                    )


main()
