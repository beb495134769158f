"""The public data catalogue on a page: what there is, under which licence, and the way to get it."""

from __future__ import annotations

import os

import streamlit as st

from neandl_core.catalogue import INTROGRESSION, DataSet, catalogue, choose
from neandl_core.fetching import accepted, here
from neandl_core.project_setup import GENOME
from neandl_core.runs import list_runs
from pages.shared import runs_view, show
from pages.shared.state import PAGES, file_labels, size_text, workspace

_FETCH = "fetch"


def view() -> None:
    """Show the Neanderthal project's card and every data set."""
    mirror = os.environ.get("NEANDL_MIRROR")
    st.markdown(
        "Published data, fetched from where their authors keep them and held to their checksums. "
        + (f"This server takes them from its mirror, {show.safe_label(mirror, 120)}." if mirror else "")
    )
    at_work = any(not state.ended for _, state in list_runs(workspace().runs, "data"))
    project(at_work)
    show.heading("Catalogue")
    sets = list(catalogue().values())
    for left, right in zip(sets[::2], [*sets[1::2], None], strict=False):
        for column, data_set in zip(st.columns(2, gap="medium"), (left, right), strict=True):
            if data_set is not None:
                with column:
                    card(data_set, at_work)


def project(at_work: bool) -> None:
    """Offer the whole Neanderthal project in one go."""
    folders = workspace()
    needed = choose(INTROGRESSION)
    done = list_runs(folders.runs, "data", "done")
    with st.container(border=True):
        show.heading("Neanderthal project")
        st.markdown(
            "Everything the introgression side needs, in one go: the published intervals, maps, deserts, genes and "
            "predictions are fetched, and windows for training are cut, with whole chromosomes held out for the test."
        )
        if any((folder / "windows" / "summary.json").exists() for folder, _ in done):
            st.success("It is set up: the windows are ready.", icon=":material/check_circle:")
            st.page_link(PAGES["windows"], label="See the windows and their audit", icon=":material/arrow_forward:")
            return
        genomes = folders.files("genome")
        labels = file_labels(genomes, set())
        left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
        size = size_text(catalogue()[GENOME].about_bytes).replace(".0 ", " ")
        genome = left.selectbox(
            "Genome", [_FETCH, *genomes], index=0, key="project-genome",
            format_func=lambda path: f"fetch hg19 from UCSC (about {size})" if path == _FETCH else labels[path],
            help="hg19 or GRCh37, with or without chr in its names. If you have it already, choose it here.",
        )
        held_out = right.text_input(
            "Test chromosomes", placeholder="chosen by size; or for example 21, 22", key="project-test"
        )
        wanted = [*needed, *([catalogue()[GENOME]] if genome == _FETCH else [])]
        bar = st.container(horizontal=True, vertical_alignment="center")
        with bar:
            agreed = licences(wanted, "project")
        if bar.button(
            "Set up the Neanderthal project", type="primary", icon=":material/rocket_launch:",
            disabled=not agreed or at_work,
        ):
            words = ["setup", "--to", str(folders.downloads), "--accept-licence"]
            words += [] if genome == _FETCH else ["--genome", str(genome)]
            words += ["--test-chromosomes", held_out] if held_out.strip() else []
            runs_view.start("data", words, "Neanderthal project")


def card(data_set: DataSet, at_work: bool) -> None:
    """Show one data set: what it is for, its size, its licence, and the button."""
    folders = workspace()
    is_here = here(data_set, folders.downloads)
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{show.safe_label(data_set.title)}**")
        st.markdown(show.safe_label(data_set.about, 300))
        size = size_text(data_set.about_bytes)
        size = size if data_set.exact else f"about {size.replace('.0 ', ' ')}"
        count = f"{len(data_set.files)} files, " if len(data_set.files) > 1 else ""
        with st.container(horizontal=True, gap="small"):
            st.badge(f"{count}{size}", icon=":material/save:", color="gray")
            if data_set.verified:
                st.badge("checksum known", icon=":material/verified:", color="green")
            else:
                st.badge("checksum recorded when fetched", icon=":material/edit_note:", color="orange")
            if is_here:
                st.badge("here", icon=":material/check_circle:", color="green")
        if is_here:
            with st.popover("Licence and citation", icon=":material/gavel:"):
                st.markdown(wording(data_set))
            return
        bar = st.container(horizontal=True, vertical_alignment="center")
        with bar:
            agreed = licences([data_set], data_set.name)
        if bar.button("Get", key=f"get-{data_set.name}", icon=":material/download:", disabled=not agreed or at_work):
            runs_view.start(
                "data", ["get", data_set.name, "--to", str(folders.downloads), "--accept-licence"], data_set.title
            )


def licences(sets: list[DataSet], key: str) -> bool:
    """Show licences and citations and return whether they are accepted, now or before."""
    with st.popover("Licence and citation", icon=":material/gavel:"):
        for data_set in sets:
            st.markdown(wording(data_set, named=len(sets) > 1))
    if all(accepted(data_set, workspace().downloads) for data_set in sets):
        return True
    label = "I accept them and will cite the sources" if len(sets) > 1 else (
        "I accept it and will cite the source"
    )
    return st.checkbox(label, key=f"accept-{key}")


def wording(data_set: DataSet, *, named: bool = False) -> str:
    """Return licence and citation for a page."""
    head = f"**{show.safe_label(data_set.title)}**  \n" if named else ""
    return (
        f"{head}Licence: {show.safe_label(data_set.licence, 300)}  \nCite: {show.safe_label(data_set.citation, 500)}"
    )
