"""The form of the Windows page: matched sampling has a switch for each property, shown where it is used."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.config import MATCHED, MATCHES
from pages.shared import state

LABELS_MAPS = "Published maps"

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    data = tmp_path / "data"
    data.mkdir()
    for name, text in (
        ("g.2bit", "x"), ("introgressed.bed", "1\t0\t9\n"), ("depleted.bed", "1\t20\t29\n"), ("genes.tsv", "1:1-5 A\n"),
    ):
        (data / name).write_text(text)
    monkeypatch.setenv("NEANDL_DATA", str(data))
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path / "workspace"))
    app = AppTest.from_file(str(ROOT / "pages" / "shared" / "shell.py"), default_timeout=60).run()
    return app.switch_page(state.PAGES["windows"]).run()


def keys(app: AppTest) -> set[str]:
    return {element.key for kind in (app.selectbox, app.button_group) for element in kind}


def test_what_drawn_intervals_share_is_asked_only_where_they_are_drawn(page: AppTest) -> None:
    assert not page.exception
    assert "windows-match" not in keys(page)
    app = page.selectbox(key="windows-depleted").select_index(0).run()
    match = app.button_group(key="windows-match")
    assert set(match.value) == set(MATCHED)
    assert "windows-genes" not in keys(app)
    app = match.set_value(list(MATCHES)).run()
    assert not app.exception
    assert "windows-genes" in keys(app)


def test_2bit_genomes_are_offered(page: AppTest) -> None:
    assert any("g.2bit" in label for label in page.selectbox(key="windows-genome").options)


def test_labels_can_be_made_from_a_folder_of_maps(page: AppTest, tmp_path: Path) -> None:
    assert "windows-labels" in keys(page), "two BED files in one folder are offered as maps"
    app = page.button_group(key="windows-labels").set_value(LABELS_MAPS).run()
    assert not app.exception
    assert "windows-introgressed" not in keys(app)
    cut = next(button for button in app.button if button.label == "Cut windows")
    assert cut.disabled, "no folder is chosen yet"
    app = app.selectbox(key="windows-maps").select_index(1).run()
    assert not app.exception
    assert not next(button for button in app.button if button.label == "Cut windows").disabled
