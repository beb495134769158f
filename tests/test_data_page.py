"""The Data page without a browser: what it says of files, public data and samples."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.checking import check_file, save_verdict
from neandl_core.runs import list_runs, read_state
from neandl_core.sample_sheet import Sample, load_samples, save_samples
from neandl_core.uploads import UploadStore
from neandl_core.workspace import Workspace
from pages.shared import upload_route
from pages.shared.catalogue_view import wording
from tests.test_app import opened, texts, workspace  # noqa: F401 - a fixture
from tests.test_tool_files import STORED

BED = b"chr1\t10\t200\nchr1\t300\t420\n"


@pytest.fixture(autouse=True)
def fresh_store() -> None:
    upload_route.store.cache_clear()


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:  # noqa: F811
    data = workspace.data[0]
    for name in ("reads.sam", "reference.fa"):
        (data / name).write_bytes(gzip.decompress((STORED / f"{name}.gz").read_bytes()))
    (data / "regions.bed").write_bytes(BED)
    (data / "hidden bed.dat").write_bytes(BED)
    (data / "cut.bed").write_bytes(BED + b"chr1\t5")
    return workspace


def view(name: str) -> AppTest:
    app = opened("data")
    app.session_state["view"] = name
    return app.run()


def the_table(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value.set_index("File")


def test_files_are_listed_by_what_they_hold(filled: Workspace) -> None:
    app = view("files")
    assert not app.exception
    table = the_table(app)
    assert table["What it is"].to_dict() == {
        "reads.sam": "SAM", "reference.fa": "FASTA", "regions.bed": "BED intervals", "cut.bed": "BED intervals",
        "hidden bed.dat": "BED intervals",
    }
    assert "ends in .bed" in table["What is in it, or wrong"]["hidden bed.dat"]
    assert set(table["Checked"]) == {"not yet"}
    app.text_input(key="data-find").set_value("BED re").run()
    assert list(the_table(app).index) == ["regions.bed"]
    app.text_input(key="data-find").set_value("").run()
    app.session_state["data-kinds"] = ["genome"]
    app.run()
    assert list(the_table(app).index) == ["reference.fa"]
    app.session_state["data-kinds"] = ["sizes"]
    app.run()
    assert not app.exception


def test_checking_is_a_run_and_its_verdict_stays(filled: Workspace) -> None:
    app = view("files")
    next(button for button in app.button if button.label == "Check 5 files").click().run()
    assert not app.exception
    (folder, _), = list_runs(filled.runs, "check")
    deadline = time.monotonic() + 60
    while not read_state(folder).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    table = the_table(view("files"))
    assert table["Checked"].to_dict() == {
        "reads.sam": "good", "reference.fa": "good", "regions.bed": "good", "hidden bed.dat": "good",
        "cut.bed": "cannot be used",
    }
    assert "line 3" in table["What is in it, or wrong"]["cut.bed"]
    (filled.data[0] / "regions.bed").write_bytes(BED * 2)
    assert the_table(view("files"))["Checked"]["regions.bed"] == "not yet"


def test_an_upload_is_shown_under_its_name_and_unfinished_ones_can_be_removed(workspace: Workspace) -> None:  # noqa: F811
    uploads = UploadStore(workspace.uploads, 1 << 30)
    whole, part = uploads.begin("Mine ![x](http://x.example).bed", len(BED)), uploads.begin("half.bam", 100)
    for upload, content in ((whole, BED), (part, b"x" * 40)):
        with uploads.writer(upload, 0) as writer:
            writer.write(content)
    finished = uploads.finish(whole)
    save_verdict(workspace.checks, check_file(workspace.uploads / finished.stored))
    table = the_table(view("files"))
    assert list(table.index) == ["Mine ![x](http://x.example).bed"[-200:].rsplit("/", 1)[-1]]
    assert table["From"].tolist() == ["upload"]
    assert table["Checked"].tolist() == ["good"]
    app = view("add")
    assert not app.exception
    assert "Choose the same file again" in texts(app)
    app.button(key=f"remove-{part.identity}").click().run()
    assert [upload.identity for upload in uploads.all()] == [whole.identity]


def test_public_data_wait_for_their_licence_and_are_fetched_as_a_run(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    row = b"585\tNM_1\tchr1\t+\t10\t90\t12\t80\t1\t10,\t90,\t0\tAB\tc\tc\t0,\n"
    (mirror / "refGene.txt.gz").write_bytes(gzip.compress(row))
    monkeypatch.setenv("NEANDL_MIRROR", str(mirror))
    app = view("public")
    assert not app.exception
    assert app.button(key="get-refgene").disabled
    app.checkbox(key="accept-refgene").check().run()
    app.button(key="get-refgene").click().run()
    assert not app.exception
    (folder, _), = list_runs(workspace.runs, "data")
    deadline = time.monotonic() + 60
    while not read_state(folder).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    assert read_state(folder).state == "done", read_state(folder).message
    digest = hashlib.sha256((mirror / "refGene.txt.gz").read_bytes()).hexdigest()
    record = json.loads((workspace.downloads / "fetched.json").read_text())
    assert record["files"]["refGene.txt.gz"]["sha256"] == digest
    app = view("public")
    assert "get-refgene" not in [button.key for button in app.button]
    assert [path.name for path in workspace.files("genes")] == ["refGene.txt.gz"]
    assert next(button for button in app.button if "Set up" in button.label).disabled


def test_licences_are_words_on_the_page_and_no_markdown() -> None:
    from neandl_core.catalogue import catalogue

    for data_set in catalogue().values():
        assert "Licence: " in wording(data_set)
        assert "](" not in wording(data_set)


def test_the_sheet_is_imported_and_fills_in_the_form_of_reads(filled: Workspace) -> None:
    app = view("samples")
    assert not app.exception
    sheet = pd.DataFrame({"file": ["reads.sam", "gone.bam"], "name": ["Vi33", "x"], "ss/ds": ["ss", ""],
                          "UDG": ["full", ""]})
    content = BytesIO()
    sheet.to_excel(content, index=False)
    app.get("file_uploader")[0].set_value([("sheet.xlsx", content.getvalue(), "application/octet-stream")]).run()
    assert not app.exception
    assert "1 of 2 rows" in app.success[0].value
    assert "gone" in app.warning[0].value
    path = str((filled.data[0] / "reads.sam").resolve())
    assert load_samples(filled.folder) == {path: Sample("Vi33", "", "ss", "full")}
    app = opened("reads")
    boxes = {box.label: box.value for box in app.selectbox}
    assert boxes["PMD score for"] == "single-stranded"
    assert boxes["UDG treatment for the PMD score"] == "CpG"
    assert next(box.value for box in app.text_input if box.label == "Name") == "Vi33"
    save_samples(filled.folder, {})
    boxes = {box.label: box.value for box in opened("reads").selectbox}
    assert boxes["PMD score for"] == "double-stranded"
