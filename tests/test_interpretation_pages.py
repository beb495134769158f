"""The pages Interpretation and Embeddings without a browser, on a planted motif and on an empty server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.__main__ import main
from neandl_core.runs import list_runs
from pages.shared import state
from tests.test_interpretation import make_planted

SHELL = str(Path(__file__).resolve().parents[1] / "pages" / "shared" / "shell.py")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model that found a planted motif, one that found nothing, and what they look at."""
    folder = tmp_path_factory.mktemp("workspace")
    runs = folder / "runs"
    runs.mkdir()
    quick = ["--threads", "1", "--quiet"]
    few = ["--repeats", "2", "--attributed", "20", "--steps", "20", "--device", "cpu", *quick]
    for name, signal in (("planted", True), ("noise", False)):
        make_planted(folder / name, signal=signal, n=1200)
        model = str(runs / f"{name}-model")
        assert main([
            "train", str(folder / name), "--preset", "bilstm", "--epochs", "2", "--batch-size", "32", "--learning-rate",
            "0.01", "--no-controls", "--device", "cpu", "--out", model, *quick,
        ]) == 0
        assert main(["interpret", model, "--out", str(runs / f"{name}-reading"), *few]) == 0
    words = ["--out", str(runs / "map"), "--interpretation", str(runs / "planted-reading"), *quick]
    assert main(["embed", str(runs / "planted-model"), *words]) == 0
    return folder


def opened(workspace: Path, monkeypatch: pytest.MonkeyPatch, page: str, **parameters: str) -> AppTest:
    monkeypatch.setenv("NEANDL_WORKSPACE", str(workspace))
    monkeypatch.setenv("NEANDL_DATA", "")
    app = AppTest.from_file(SHELL, default_timeout=120)
    app.run()
    for name, value in parameters.items():
        app.query_params[name] = value
    app.switch_page(state.PAGES[page]).run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.success)
    return "\n".join(str(element.value).replace("\\", "") for kind in kinds for element in kind)


@pytest.mark.parametrize(("page", "words"), [("interpretation", "No model yet"), ("embeddings", "No model with")])
def test_empty_servers_lead_to_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, words: str) -> None:
    app = opened(tmp_path, monkeypatch, page)
    assert words in "\n".join(element.value for element in app.subheader)
    assert all(button.disabled for button in app.main.button)


def test_a_planted_motif_is_shown_with_both_lists(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(workspace, monkeypatch, "interpretation", run="planted-reading")
    app.session_state["interpret-parts-of-windows"] = "K-mers"
    app.run()
    said = texts(app)
    assert "The published recipe names the k-mers most frequent" in said
    assert "More frequent here than elsewhere" in said
    assert not app.error
    metrics = {metric.label: metric.value for metric in app.metric}
    first = int(metrics["Top position"].split("–")[0])
    assert 16 <= first <= 28, "bases 21 to 28 hold the motif"
    table = next(frame.value for frame in app.dataframe if "frequency_rank" in frame.value)
    motif = "GTCGACGC"
    for kmer in table["kmer"].head(5):
        # Within the motif, or over one of its ends.
        assert kmer in motif or any(kmer[-n:] == motif[:n] or kmer[:n] == motif[-n:] for n in (2, 3)), kmer
    app.session_state["interpret-parts-of-windows"] = "Positions"
    app.run()
    app.segmented_control(key="interpret-measure").set_value("accuracy").run()
    assert "published limit of 0.01" in texts(app)
    assert not app.exception


def test_what_explains_noise_says_so_first(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(workspace, monkeypatch, "interpretation", run="noise-reading")
    assert "explains noise" in app.error[0].value
    assert len(app.error) == 1


def test_the_map_finds_a_k_mer_and_its_reverse_complement(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(workspace, monkeypatch, "embeddings")
    assert {"K-mers", "Seen in training", "Trustworthiness", "Variance shown"} == {m.label for m in app.metric}
    assert "Attribution" in app.selectbox(key="embed-by").options
    app.session_state["embed-picture"] = True
    app.run()
    assert "Attribution" in app.selectbox(key="embed-colour").options
    app.text_input(key="embed-kmer").set_value("aacg").run()
    assert not app.exception
    said = texts(app)
    assert "**AACG**" in said
    assert "**CGTT**, its reverse complement" in said
    near = [frame.value for frame in app.dataframe if "cosine" in frame.value]
    assert [table["kmer"].iloc[0] for table in near] == ["AACG", "CGTT"]
    assert all(len(table) == 11 for table in near)
    for wanted, words in (("AACGT", "holds k-mers of 4 bases"), ("AAXX", "is no k-mer")):
        app.text_input(key="embed-kmer").set_value(wanted).run()
        assert not app.exception
        assert words in texts(app)


def test_the_form_starts_a_run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(list_runs(workspace / "runs", "embed"))
    app = opened(workspace, monkeypatch, "embeddings")
    assert "Make the map" not in {button.label for button in app.button}, "drawn although it is folded away"
    app.session_state["embed-form-folded"] = True
    app.run()
    next(button for button in app.button if button.label == "Make the map").click().run()
    assert not app.exception
    assert len(list_runs(workspace / "runs", "embed")) == before + 1
    deadline = time.monotonic() + 120
    while not (state_now := list_runs(workspace / "runs", "embed")[0][1]).ended and time.monotonic() < deadline:
        time.sleep(0.3)
    assert state_now.state == "done", state_now.message
