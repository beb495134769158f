"""Many files at once from the Reads page: a folder is chosen, the run is watched, its samples are looked at."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from neandl_core.runs import RunState, list_runs, read_state, this_host, write_state
from neandl_core.workspace import Workspace
from pages.shared.cohort_view import CHOSEN
from tests.engine_helpers import end_all, wait_for
from tests.sam_files import random_record, write_bam
from tests.test_app import opened, texts, workspace  # noqa: F401 - a fixture


@pytest.fixture
def bams(tmp_path: Path) -> Path:
    """A data folder of three BAM files and a broken one."""
    rng = np.random.default_rng(8)
    genome = "".join(rng.choice(list("ACGT"), 1000))
    made, folder = tmp_path / "made", tmp_path / "data" / "bams"
    made.mkdir()
    folder.mkdir(parents=True)
    for number in range(3):
        lines = [random_record(rng, f"r{read}", genome)[0] for read in range(10 * number + 10)]
        shutil.copy(write_bam(made / f"s{number}.bam", lines), folder)
    (folder / "torn.bam").write_bytes((folder / "s0.bam").read_bytes()[:100])
    return folder


def test_a_folder_is_analysed_in_one_run_and_each_sample_opens(
    workspace: Workspace, bams: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    monkeypatch.setenv("NEANDL_CPU_SLOTS", "1")
    app = opened("reads")
    app.segmented_control(key="reads-view").set_value("Many files at once").run()
    assert not app.exception
    assert "4 files" in texts(app)
    app.toggle(key="cohort-quick").set_value(True).run()
    app.button(key="cohort-start").click().run()
    assert not app.exception
    try:
        folder, _ = list_runs(workspace.runs, "cohort")[0]
        assert wait_for(folder, "done", "failed", seconds=90).state == "done", read_state(folder).message
    finally:
        end_all(workspace.runs)
    app = opened("reads")
    app.segmented_control(key="reads-view").set_value("Many files at once").run()
    assert not app.exception
    cards = {metric.label: metric.value for metric in app.metric}
    assert (cards["Samples"], cards["Analysed"], cards["Refused"]) == ("4", "3", "1")
    assert "torn.bam" in app.warning[0].value.replace("\\", "")
    table = app.dataframe[0].value
    assert table["Sample"].tolist() == ["s0", "s1", "s2"]
    assert table.set_index("Sample")["Reads used"].is_unique
    # A sample is a run of its own, inside the cohort's folder; its name on the page is that of both.
    app.session_state["reads-view"] = "One sample"
    app.session_state["reads-run"] = f"{folder.name}/s1"
    app.run()
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Reads used"] == str(
        table.set_index("Sample").loc["s1", "Reads used"]
    )


def test_single_files_are_chosen_and_a_sample_at_work_is_not_shown_beside_its_cohort(
    workspace: Workspace, bams: Path  # noqa: F811
) -> None:
    app = opened("reads")
    app.segmented_control(key="reads-view").set_value("Many files at once").run()
    app.segmented_control(key="cohort-how").set_value(CHOSEN).run()
    assert app.button(key="cohort-start").disabled
    app.multiselect(key="cohort-files").set_value([bams / "s0.bam", bams / "s2.bam"]).run()
    assert not app.button(key="cohort-start").disabled
    assert app.button(key="cohort-start").label == "Analyse 2 files"
    whole = workspace.runs / "all"
    (whole / "s0").mkdir(parents=True)
    for folder, command in ((whole, "cohort"), (whole / "s0", "reads")):
        write_state(folder, RunState(
            "running", command, title=command, pid=os.getpid(), queued=1.0, started=time.time(),
            heartbeat=time.time() + 600, host=this_host(), step=3, total=12, message="3 of 12 samples",
        ))
    app = opened("reads")
    app.segmented_control(key="reads-view").set_value("Many files at once").run()
    assert not app.exception
    bars = app.get("progress")
    assert len(bars) == 1
    assert "3 of 12 samples" in bars[0].proto.text
