"""The glossary: short plain definitions, found where texts use them, explained once a page, searched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import glossary, state
from tests.test_imports import imported

ROOT = Path(__file__).resolve().parents[1]
SHELL = str(ROOT / "pages" / "shared" / "shell.py")


@pytest.mark.parametrize("name", glossary.TERMS)
def test_a_definition_is_short_plain_and_of_a_page(name: str) -> None:
    term = glossary.TERMS[name]
    assert 5 <= len(term.meaning.split()) <= 35
    assert term.meaning.endswith(".")
    assert set(term.pages) <= set(state.PAGES)
    assert term.pages
    assert name in glossary.found_in(term.name, "published maps")
    assert not re.search(r"\b(tensor|logit|hyperparameter|stochastic|heuristic)", term.meaning)


def test_the_words_that_wet_lab_readers_ask_for_are_there() -> None:
    wanted = (
        "deamination", "misincorporation", "damage rate", "library", "UDG", "CpG", "mapping quality", "PMD score",
        "contamination", "calibration", "window", "k-mer", "introgression", "depleted region", "desert", "split",
        "leakage", "held out", "AUC", "average precision", "ECE", "confidence interval", "bootstrap", "locus",
        "baseline", "shuffled labels", "saliency", "permutation importance", "embedding", "PCA", "UMAP", "word2vec",
        "false-discovery rate", "q value", "z score", "rotation",
    )
    assert set(wanted) <= set(glossary.TERMS)


def sources_of(page: str) -> set[Path]:
    """The page's own module and all of `pages.shared` that it draws with."""
    found: set[Path] = set()
    open_ones = [ROOT / "pages" / f"{page}.py"]
    while open_ones:
        source = open_ones.pop()
        found.add(source)
        for name in imported(source.read_text(encoding="utf-8")):
            parts = name.split(".")
            for end in (len(parts), len(parts) - 1):
                module = ROOT.joinpath(*parts[:end]).with_suffix(".py")
                if parts[0] == "pages" and module.exists() and module not in found:
                    open_ones.append(module)
    return {source for source in found if source.name not in ("glossary.py", "tour.py", "show.py")}


@pytest.mark.parametrize("page", state.PAGES)
def test_the_words_of_a_page_are_used_on_it(page: str) -> None:
    used = set(glossary.found_in("\n".join(source.read_text(encoding="utf-8") for source in sources_of(page))))
    assert {name for name, term in glossary.TERMS.items() if page in term.pages} <= used


@pytest.mark.parametrize(("text", "names"), [
    ("Deamination reads as C>T at the first base", ["deamination", "damage rate"]),
    ("Test windows of 12 loci; AUC with 95% intervals", ["window", "locus", "AUC", "confidence interval"]),
    ("the auction of cats", []),
    ("mapped reads, q (FDR)", ["q value", "false-discovery rate"]),
    ("31-mers and K-mers", ["k-mer"]),
])
def test_terms_are_found_as_whole_words(text: str, names: list[str]) -> None:
    assert glossary.found_in(text) == names


def test_searching_finds_names_meanings_and_other_spellings() -> None:
    assert glossary.search("deam")[0].name == "deamination"
    assert glossary.search("loci")[0].name == "locus"
    assert "UDG" in [term.name for term in glossary.search("enzyme")]
    assert glossary.search("zebrafish") == []
    assert len(glossary.search("")) == len(glossary.TERMS)


def test_a_page_explains_a_term_where_it_first_comes_and_again_when_that_part_is_redrawn() -> None:
    def script() -> None:
        import streamlit as st

        from pages.shared import glossary, show

        show.title("Reads", "Which k-mers matter?")
        show.cards({"AUC": ("0.9", "of 12 loci"), "AUC, random split": "0.99"})
        show.heading("K-mers and AUC")
        st.text(glossary.tooltip("card AUC", "AUC") or "")

    app = AppTest.from_function(script, default_timeout=30)
    app.run()
    for _ in range(2):
        assert not app.exception
        assert "**k-mer**" in app.caption[0].help
        first, second = (metric.help for metric in app.metric)
        assert first.startswith("of 12 loci")
        assert "**AUC**" in first
        assert "**Locus**" in first
        assert "**AUC**" not in second
        assert "**Split**" in second
        assert not app.subheader[0].help
        assert "**AUC**" in app.text[0].value
        app.run()


def test_the_glossary_opens_from_every_page_and_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("NEANDL_DATA", "")
    app = AppTest.from_file(SHELL, default_timeout=60)
    app.run()
    for page in ("home", "genes"):
        app.switch_page(state.PAGES[page]).run()
        app.button(key="glossary-open").click().run()
        assert not app.exception
        texts = "\n".join(one.value for one in app.markdown)
        assert glossary.TERMS["deamination"].meaning in texts
        assert "On this page" in [one.value for one in app.caption]
