"""The tour: five steps in the order of the menu, deep links, wandering off, ending it, and taking it again."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.config import DemoSettings
from neandl_core.recording import Run
from pages.shared import state, tour

SHELL = str(Path(__file__).resolve().parents[1] / "pages" / "shared" / "shell.py")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose demo is done as far as the list of runs says; none of its steps is there."""
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("NEANDL_DATA", "")
    (tmp_path / "runs").mkdir()
    with Run(tmp_path / "runs" / "demo", "demo", DemoSettings.make(seed=1, threads=1), title="Demo project") as run:
        run.summarise({"steps": [], "simulated": True})
    return tmp_path


def opened(page: str = "home", **query: str) -> AppTest:
    app = AppTest.from_file(SHELL, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    if page != "home":
        app.switch_page(state.PAGES[page])
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception
    return app


def step_text(app: AppTest) -> str:
    return next((one.value for one in app.caption if one.value.startswith("Tour of")), "")


def keys(app: AppTest) -> set[str]:
    return {one.key for one in app.button if (one.key or "").startswith("tour-")}


def test_there_are_five_steps_in_the_order_of_the_work() -> None:
    order = list(state.PAGES)
    places = [order.index(step.page) for step in tour.STEPS]
    assert len(places) == 5
    assert places == sorted(places)
    assert all(len(step.look.split()) <= 40 for step in tour.STEPS)
    assert all(step.title.endswith("?") for step in tour.STEPS)


def test_without_the_demo_the_tour_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("NEANDL_DATA", "")
    assert keys(opened()) == set()
    app = opened("genes", tour="4")
    assert any("Load it first" in one.value for one in app.markdown)
    assert keys(app) == {"tour-end"}


@pytest.mark.parametrize("number", range(1, len(tour.STEPS) + 1))
def test_every_step_has_its_address(workspace: Path, number: int) -> None:
    step = tour.STEPS[number - 1]
    app = opened(step.page, tour=str(number), **step.address)
    assert f"step {number} of 5" in step_text(app)
    assert any(step.look in one.value for one in app.markdown)
    assert ("tour-back" in keys(app)) == (number > 1)
    assert ("tour-next" in keys(app)) == (number < 5)


@pytest.mark.parametrize("asked", ["0", "6", "two", "-1", ""])
def test_an_address_that_names_no_step_shows_none(workspace: Path, asked: str) -> None:
    assert step_text(opened("reads", tour=asked)) == ""


def test_next_leads_through_all_pages_and_the_end_is_remembered(workspace: Path) -> None:
    app = opened()
    app.button(key="tour-start").click().run()
    for number in range(1, 6):
        assert not app.exception
        assert f"step {number} of 5" in step_text(app)
        assert app.query_params["tour"] in (str(number), [str(number)])
        if number < 5:
            app.button(key="tour-next").click().run()
    app.button(key="tour-back").click().run()
    assert "step 4 of 5" in step_text(app)
    app.button(key="tour-end").click().run()
    assert step_text(app) == ""
    assert keys(opened()) == {"tour-again"}
    again = opened()
    again.button(key="tour-again").click().run()
    assert "step 1 of 5" in step_text(again)


def test_who_wanders_off_is_led_back(workspace: Path) -> None:
    app = opened("reads", tour="1")
    app.query_params.clear()
    app.switch_page(state.PAGES["windows"]).run()
    assert "step 1 of 5" in step_text(app)
    assert "tour-show" in keys(app)
    app.button(key="tour-show").click().run()
    assert "tour-show" not in keys(app)
    assert "tour-next" in keys(app)


def test_an_invitation_that_is_declined_does_not_come_again(workspace: Path) -> None:
    app = opened()
    assert keys(app) == {"tour-start", "tour-no"}
    app.button(key="tour-no").click().run()
    assert keys(app) == {"tour-again"}
    assert keys(opened()) == {"tour-again"}


def test_where_nothing_can_be_written_the_tab_remembers(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened()
    monkeypatch.setattr(tour, "_mark", lambda: workspace / "gone" / tour.SEEN)
    app.button(key="tour-no").click().run()
    assert not app.exception
    assert keys(app) == {"tour-again"}
