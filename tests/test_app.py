"""The pages without a browser: what they say on an empty server, with the demo project, and about bad input."""

from __future__ import annotations

import re
import socket
import time
import tomllib
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.__main__ import main
from neandl_core.commands.serve import allowed_hosts, require_free
from neandl_core.errors import OutputError, SettingsError
from neandl_core.export.tables import table_bytes
from neandl_core.runs import ENDED, RunState, list_runs, read_state, request_cancel, write_state
from neandl_core.workspace import Workspace, is_simulated
from pages.shared import runs_view, show, state

ROOT = Path(__file__).resolve().parents[1]
SHELL = str(ROOT / "pages" / "shared" / "shell.py")
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
NAMES = list(state.PAGES)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("NEANDL_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return Workspace.from_environment()


def opened(name: str = "home") -> AppTest:
    app = AppTest.from_file(SHELL, default_timeout=60)
    app.run()
    if name != "home":
        app.switch_page(state.PAGES[name]).run()
    return app


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.subheader, app.title, app.caption)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def fake_run(workspace: Workspace, name: str, command: str, **fields: object) -> Path:
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    values = {"state": "done", "command": command, "title": name, "queued": time.time(), **fields}
    write_state(folder, RunState(**values))
    return folder


# ---------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("name", NAMES)
def test_every_page_opens_on_an_empty_server(workspace: Workspace, name: str) -> None:
    app = opened(name)
    assert not app.exception
    assert not app.error
    assert len(app.title) == 1


def test_home_offers_the_demo_project_and_starts_it_as_a_run(workspace: Workspace) -> None:
    app = opened()
    assert "None yet" in texts(app)
    app.button[0].click().run()
    assert not app.exception
    (folder, _), = list_runs(workspace.runs, "demo")
    assert any(button.label == "Cancel" for button in app.button)
    deadline = time.monotonic() + 120
    while not workspace.simulated() and time.monotonic() < deadline:
        time.sleep(0.3)
    app = opened()
    assert "Simulated ancient sample" in texts(app), "the steps are named while they run"
    assert {"Demo project", "Simulation"} <= set(app.dataframe[0].value["Step"])
    request_cancel(folder)
    while read_state(folder).state not in ENDED and time.monotonic() < deadline:
        time.sleep(0.3)
    assert read_state(folder).state == "cancelled", read_state(folder).message
    assert all(state.ended for _, state in list_runs(workspace.runs)), "a cancelled demo leaves no step at work"
    assert [path.name for path in workspace.files("genes")] == ["genes.tsv"]
    assert is_simulated(workspace.files("alignment")[0])


def test_home_shows_a_failed_run_and_why(workspace: Workspace) -> None:
    fake_run(workspace, "bad", "reads", state="failed", message="x.bam: this BAM file is empty (0 bytes).")
    table = opened().dataframe[0].value
    assert table["State"].tolist() == ["failed"]
    assert table["Result"].tolist() == ["x.bam: this BAM file is empty (0 bytes)."]


def test_a_workspace_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path / "file"))
    app = opened()
    assert not app.exception
    assert app.error[0].value.replace("\\", "").count("NEANDL_WORKSPACE") == 1


# ------------------------------------------------------------------------------------------- files and runs


def test_files_are_offered_from_data_folders_and_never_through_a_link_that_leads_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "a.bam").write_bytes(b"x" * 1_500_000)
    (tmp_path / "secret.bam").write_bytes(b"x")
    (data / "link.bam").symlink_to(tmp_path / "secret.bam")
    offered = workspace.files("alignment")
    assert [path.name for path in offered] == ["a.bam"]
    assert state.file_labels(offered, set()) == {offered[0]: "a.bam · 1.5 MB · data"}


def test_simulated_files_are_named_so_and_the_truth_is_not_an_input(workspace: Workspace) -> None:
    for name in ("one", "two"):
        folder = fake_run(workspace, name, "simulate")
        (folder / "genes.tsv").write_text("x")
        (folder / "gene_truth.tsv").write_text("x")
    running = fake_run(workspace, "three", "simulate", state="running")
    (running / "genes.tsv").write_text("x")
    offered = workspace.files("genes")
    labels = state.file_labels(offered, set(offered))
    assert sorted(labels.values()) == ["genes.tsv · 1 bytes · simulated · one", "genes.tsv · 1 bytes · simulated · two"]


def test_times_and_progress_read_well() -> None:
    assert [runs_view.duration_text(value) for value in (None, 5, 200, 8000)] == ["", "5 s", "3 min", "2 h 13 min"]
    running = RunState("running", "reads", step=45, total=100, eta_seconds=12.2, message="Counting reads")
    assert runs_view.progress_text(running) == "Counting reads · 45% · 12 s left"
    assert runs_view.state_text(running) == "running, 45%"
    assert state.run_from_address(["b", "a"], "a") == 1
    assert state.run_from_address(["b", "a"], "../../etc") == 0


# ------------------------------------------------------------------------------------- text and tables given away


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("![x](http://e.x/y.png)", "!["), ("[a](http://e.x)", "[a]("), ("<b>x</b>", "<b>"), ("$x$ and $y$", " $"),
        ("http://e.x", "http://"), ("www.e.x", "www."), ("a\x00\u202eb", "\u202e"), (":red[x]", ":red["),
    ],
)
def test_names_from_files_are_shown_letter_by_letter(text: str, gone: str) -> None:
    assert gone not in re.sub(r"\\ ", " ", show.safe_label(text))
    assert len(show.safe_label("A" * 500)) == 80


def test_downloaded_tables_hold_no_formula_and_keep_strands() -> None:
    table = pd.DataFrame({"symbol": ["=HYPERLINK(1)", "@x", "ANK3"], "strand": ["+", "-", "+"], "value": [-1.5, 2, 3]})
    lines = table_bytes(table, "TSV").decode().splitlines()
    assert lines[1] == "'=HYPERLINK(1)\t+\t-1.5"
    assert lines[2].startswith("'@x\t-")
    with ZipFile(BytesIO(table_bytes(table, "XLSX"))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert table["symbol"].tolist() == ["=HYPERLINK(1)", "@x", "ANK3"]


# ------------------------------------------------------------------------------------------------- serving, theme


def test_a_port_in_use_is_one_sentence_and_exit_1(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
        with pytest.raises(OutputError, match="--port"):
            require_free("127.0.0.1", port)
    error = capfd.readouterr().err
    assert f"Port {port} on 127.0.0.1 cannot be used" in error
    assert error.count("\n") == 1
    require_free("127.0.0.1", port)
    with pytest.raises(SettingsError, match="no address"):
        require_free("no.such.host.invalid", 8501)


def test_browsers_may_ask_only_under_known_names() -> None:
    assert allowed_hosts("127.0.0.1", []) == ["localhost", "127.0.0.1"]
    assert "lab.example" in allowed_hosts("0.0.0.0", ["lab.example"])
    assert "*" not in allowed_hosts("0.0.0.0", [])


def test_the_server_is_closed_by_default() -> None:
    server = CONFIG["server"]
    assert (server["address"], server["allowedHosts"]) == ("127.0.0.1", ["localhost", "127.0.0.1"])
    assert server["enableCORS"] is server["enableXsrfProtection"] is True
    assert server["enableStaticServing"] is server["enableAgentApi"] is False
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_is_readable_in_both_themes(mode: str) -> None:
    theme = CONFIG["theme"][mode]
    of_dark = re.search(r"color: (#\w{6});", (ROOT / "assets" / "dark.css").read_text(encoding="utf-8"))
    written = {"light": "#FFFFFF", "dark": of_dark.group(1)}
    grounds = [theme["backgroundColor"], theme["secondaryBackgroundColor"], theme["sidebar"]["backgroundColor"]]
    for ground in grounds:
        assert contrast(theme["textColor"], ground) >= 7
        assert contrast(theme["linkColor"], ground) >= 4.5
        assert contrast(theme["primaryColor"], ground) >= 3
    assert contrast(written[mode], theme["primaryColor"]) >= 4.5
    # With fewer than ten, Plotly charts silently fall back to colours of their own.
    assert len(set(theme["chartCategoricalColors"])) >= 10


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
