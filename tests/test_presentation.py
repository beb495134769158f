"""Presentations on disk: figures come back as they went in, in order, whatever two tabs do, and broken ones say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from neandl_core.errors import InputError, SettingsError
from neandl_core.figure_notes import run_note, settings_text
from neandl_core.presentation import Presentation, figure_digest, new_presentation, presentations, unmarked
from tests.test_reads_page import analysed  # noqa: F401 - a fixture


@pytest.fixture
def deck(tmp_path: Path) -> Presentation:
    return Presentation(tmp_path / "presentations" / "My-figures")


def drawn(length: int = 5) -> go.Figure:
    figure = go.Figure()
    figure.add_scatter(x=np.arange(length), y=np.linspace(0, 1, length), name="a", line={"color": "#0072B2"})
    figure.add_heatmap(z=np.arange(6.0).reshape(2, 3), colorscale=[[0, "#FFFFFF"], [1, "#D55E00"]])
    return figure


def test_a_figure_and_its_table_come_back_as_they_went_in(deck: Presentation) -> None:
    columns = {"gene": ["NA", None, "ANK3"], "p": [0.1, np.nan, 0.3], "mixed": [1, "b", None]}
    table = pd.DataFrame(columns, index=[5, 6, 7])
    item = deck.add(drawn(), table, title="Genes", caption="All", name="genes", simulated=True)
    figure = deck.figure(item.id)
    assert np.allclose(figure.data[0].y, np.linspace(0, 1, 5))
    assert np.array_equal(np.asarray(figure.data[1].z), np.arange(6.0).reshape(2, 3))
    back = deck.table(item.id)
    assert back["gene"].tolist()[0] == "NA"
    assert pd.isna(back["gene"].iloc[1])
    assert back["mixed"].tolist()[:2] == ["1", "b"]
    assert pd.isna(back["mixed"].iloc[2])
    (kept,) = Presentation(deck.folder).items()  # What another tab, or the same one after a refresh, sees.
    assert (kept.title, kept.caption, kept.name, kept.simulated) == ("Genes", "All", "genes", True)


def test_what_the_run_says_of_itself_is_kept_with_the_figure(deck: Presentation, analysed: Path) -> None:  # noqa: F811
    item = deck.add(drawn(), None, title="Damage", run=analysed)
    summary = json.loads((analysed / "summary.json").read_text())
    assert item.n == f"n = {summary['reads_used']:,} of {summary['reads_total']:,} reads"
    assert "alignment-column" in item.method
    assert "NeanDL" in item.method
    assert any("reads.sam (SHA-256 " in one for one in item.inputs)
    assert item.settings["definition"] == "alignment-column"
    assert "threads" not in settings_text(item.settings)
    assert run_note(analysed).command == "reads"


def test_figures_are_moved_retitled_and_taken_off(deck: Presentation) -> None:
    ids = [deck.add(drawn(), None, title=name).id for name in "abcd"]
    deck.move(ids[3], -1)
    deck.move(ids[0], 1)
    assert [item.title for item in deck.items()] == ["b", "a", "d", "c"]
    deck.move(ids[2], 99)
    assert [item.title for item in deck.items()][-1] == "c"
    deck.reorder(ids)
    deck.update(ids[1], title="B", width="slide")
    deck.remove(ids[0])
    deck.remove(ids[0])
    assert [(item.title, item.width) for item in deck.items()] == [("B", "slide"), ("c", "183"), ("d", "183")]
    assert not list((deck.folder / "items").glob(f"{ids[0]}*"))
    with pytest.raises(SettingsError, match="slide wide, not '12'"):
        deck.update(ids[1], width="12")


def test_a_figure_added_in_another_tab_while_the_order_changes_is_not_lost(deck: Presentation) -> None:
    first, second = deck.add(drawn(), None, title="1"), deck.add(drawn(), None, title="2")
    deck.reorder([second.id, first.id])
    Presentation(deck.folder).add(drawn(), None, title="3")
    deck.move(first.id, -1)
    assert [item.title for item in deck.items()] == ["1", "2", "3"]


def test_decks_have_names_and_the_last_changed_is_first(tmp_path: Path) -> None:
    made = new_presentation(tmp_path, "Friday: talk / Leipzig")
    assert made.deck.name == "Friday: talk / Leipzig"
    assert made.folder.parent == tmp_path
    other = new_presentation(tmp_path, "Paper")
    made.add(drawn(), None, title="a")
    assert {one.folder for one in presentations(tmp_path)} == {made.folder, other.folder}
    with pytest.raises(SettingsError, match="already"):
        new_presentation(tmp_path, "Paper")
    with pytest.raises(SettingsError, match="letter or number"):
        new_presentation(tmp_path, "../..")


@pytest.mark.parametrize(("content", "said"), [
    ("{", "not a JSON file"), ('{"format": 99}', "format 99"), ('{"format": 1}', "lacks something"),
    ("[]", "no file of"),
    ('{"format": 1, "id": "x", "title": "t"}', "changed by hand"),
])
def test_a_broken_item_is_refused_in_words(deck: Presentation, content: str, said: str) -> None:
    item = deck.add(drawn(), None, title="a")
    (deck.folder / "items" / f"{item.id}.json").write_text(content)
    with pytest.raises(InputError, match=said):
        deck.items()


def test_a_name_that_leads_elsewhere_is_no_figure(deck: Presentation) -> None:
    deck.add(drawn(), None, title="a")
    for name in ("../deck", "/etc/passwd", ""):
        with pytest.raises(InputError, match="no such figure"):
            deck.figure(name)
        with pytest.raises(InputError, match="no such figure"):
            deck.remove(name)


def test_a_preview_is_drawn_again_when_its_look_changes(deck: Presentation) -> None:
    item = deck.add(drawn(), None, title="a")
    before = figure_digest(deck, item)
    deck.update(item.id, title="b")
    assert figure_digest(deck, item) == before
    deck.change(palette="Tol bright")
    assert figure_digest(deck, item) != before


def test_words_written_for_a_page_lose_their_marks() -> None:
    assert unmarked("C\\>T at chr1\\:5\\-9, **simulated**\N{ZERO WIDTH SPACE}") == "C>T at chr1:5-9, simulated"
