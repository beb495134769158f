"""The public data catalogue, against a real server on this machine: resume, checksums, licences, no way inside."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from neandl_core import transfer
from neandl_core.__main__ import main
from neandl_core.catalogue import CatalogueFile, DataSet, catalogue, choose
from neandl_core.errors import InputError, NeanDLError, SettingsError
from neandl_core.fetching import RECORD, accepted, fetch, here
from neandl_core.launch import launch
from neandl_core.runs import list_runs, read_state, read_summary, request_cancel
from neandl_core.transfer import check_mirror, check_public
from tests.range_server import Served, serving

CONTENT = np.random.default_rng(5).bytes(3_000_000)
OTHER = b"chr1\t10\t20\n"


@pytest.fixture
def server() -> Iterator[Served]:
    with serving({"big.bed": CONTENT, "small.bed": OTHER}) as served:
        yield served


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "WAITS", (0.01, 0.01))


def one_set(*, known: bool = True, name: str = "big.bed", content: bytes = CONTENT) -> DataSet:
    file = CatalogueFile(
        name, f"https://data.example/{name}", len(content) if known else None,
        hashlib.sha256(content).hexdigest() if known else None, len(content),
    )
    return DataSet("test", "Test data", "For tests", "intervals", "MIT", "Somebody 2020.", (file,))


def get(served: Served, folder: Path, data_set: DataSet | None = None, **changes: object) -> object:
    options = {"accept_licence": True, "mirror": served.address} | changes
    return fetch([data_set or one_set()], folder, **options)[0]


def test_a_file_is_fetched_checked_and_not_fetched_again(server: Served, tmp_path: Path) -> None:
    seen = []
    fetched = get(server, tmp_path, progress=lambda done, total, message: seen.append((done, total, message)))
    assert (tmp_path / "test" / "big.bed").read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert fetched.note == ""
    done = [value for value, _, _ in seen]
    assert done == sorted(done)
    assert seen[-1][:2] == (len(CONTENT), len(CONTENT))
    assert len(set(done)) > 4, "progress is told while the bytes come"
    assert get(server, tmp_path).source == "already here"
    assert len(server.requests) == 1
    assert here(one_set(), tmp_path)
    assert [path.name for path in (tmp_path / "test").iterdir()] == ["big.bed"], "nothing partial stays"


def test_a_broken_transfer_goes_on_where_it_broke(server: Served, tmp_path: Path) -> None:
    server.cut["big.bed"] = [1_000_000, 2_000_000]
    get(server, tmp_path)
    assert (tmp_path / "test" / "big.bed").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=1000000-", "bytes=2000000-"]


def test_a_later_run_goes_on_too_unless_the_file_was_renewed(server: Served, tmp_path: Path) -> None:
    server.cut["big.bed"] = [1_000_000] + [1_000_000] * 9
    with pytest.raises(InputError, match=r"broke after 1,000,000 bytes .*goes on from there"):
        get(server, tmp_path)
    part = tmp_path / "test" / ".big.bed.part"
    assert part.stat().st_size == 1_000_000
    server.cut.clear()
    server.requests.clear()
    get(server, tmp_path)
    assert server.requests == [("big.bed", "bytes=1000000-")]
    (tmp_path / "test" / "big.bed").unlink()
    server.cut["big.bed"] = [500_000] * 10
    with pytest.raises(InputError, match="broke"):
        get(server, tmp_path)
    server.cut.clear()
    server.version = '"v2"'
    assert get(server, tmp_path).size == len(CONTENT), "half of an older version is not kept"
    assert (tmp_path / "test" / "big.bed").read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_from_the_beginning(server: Served, tmp_path: Path) -> None:
    server.ranges = False
    server.cut["big.bed"] = [1_500_000]
    get(server, tmp_path)
    assert (tmp_path / "test" / "big.bed").read_bytes() == CONTENT


def test_other_content_is_refused_with_both_checksums_and_removed(server: Served, tmp_path: Path) -> None:
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    server.files["big.bed"] = wrong
    with pytest.raises(InputError) as refused:
        get(server, tmp_path)
    for content in (CONTENT, wrong):
        assert hashlib.sha256(content).hexdigest() in str(refused.value)
    assert list((tmp_path / "test").iterdir()) == []
    assert not here(one_set(), tmp_path)


def test_a_file_changed_here_is_replaced_and_said(server: Served, tmp_path: Path) -> None:
    get(server, tmp_path)
    (tmp_path / "test" / "big.bed").write_bytes(b"edited")
    assert "replaced" in get(server, tmp_path).note
    assert (tmp_path / "test" / "big.bed").read_bytes() == CONTENT


def test_a_checksum_that_nobody_knew_is_recorded_said_and_held_to(server: Served, tmp_path: Path) -> None:
    unknown = one_set(known=False, name="small.bed", content=OTHER)
    first = get(server, tmp_path, unknown)
    assert "was not known" in first.note
    record = json.loads((tmp_path / RECORD).read_text())["files"]["small.bed"]
    assert record["sha256"] == hashlib.sha256(OTHER).hexdigest()
    assert record["in_catalogue"] is False
    (tmp_path / "test" / "small.bed").unlink()
    server.files["small.bed"] = b"chr1\t10\t21\n"
    with pytest.raises(InputError, match=r"not the one that was published.*new version"):
        get(server, tmp_path, unknown)


def test_a_server_that_sends_too_much_is_stopped(server: Served, tmp_path: Path) -> None:
    server.files["small.bed"] = OTHER * 100
    with pytest.raises(InputError, match="sends more than"):
        get(server, tmp_path, one_set(name="small.bed", content=OTHER))


def test_licences_are_shown_and_have_to_be_accepted_once(server: Served, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"(?s)--accept-licence.*MIT.*Somebody 2020"):
        get(server, tmp_path, accept_licence=False)
    assert server.requests == []
    get(server, tmp_path)
    assert accepted(one_set(), tmp_path)
    get(server, tmp_path, accept_licence=False)


def test_a_mirror_folder_may_hold_the_files_gzipped_and_in_folders(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "deep").mkdir(parents=True)
    (tmp_path / "mirror" / "deep" / "big.bed.gz").write_bytes(gzip.compress(CONTENT, 1))
    mirror = str(tmp_path / "mirror")
    fetched = fetch([one_set()], tmp_path / "to", accept_licence=True, mirror=mirror, offline=True)[0]
    assert fetched.path.read_bytes() == CONTENT
    with pytest.raises(InputError, match="not here"):
        fetch([one_set(name="b.bed")], tmp_path / "to", accept_licence=True, mirror=mirror, offline=True)
    (tmp_path / "mirror" / "b.bed").write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match="not the one that was published"):
        fetch([one_set(name="b.bed")], tmp_path / "to", accept_licence=True, mirror=mirror, offline=True)


@pytest.mark.parametrize("address", ["http://data.example/x", "ftp://data.example/x", "http://10.0.0.1/", "file:///etc"])
def test_mirrors_are_https_or_on_this_machine(address: str) -> None:
    with pytest.raises(SettingsError, match="mirror"):
        check_mirror(address)


def test_mirrors_that_are_allowed() -> None:
    for address in ("https://mirror.example/data", "http://127.0.0.1:9/x", "http://localhost:9"):
        check_mirror(address)


@pytest.mark.parametrize(
    "address",
    ["http://data.example/x", "https://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/latest", "file:///x",
     "https://[::1]/x", "https://10.1.2.3/x", "https://[::ffff:10.0.0.1]/", "https://user@1.1.1.1/", "https://0/"],
)
def test_no_address_leads_into_a_private_network(address: str) -> None:
    with pytest.raises(InputError):
        check_public(address)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_redirect_to_another_port_of_this_machine_is_not_followed(
    server: Served, tmp_path: Path, scheme: str
) -> None:
    with serving({"big.bed": CONTENT}) as inside:
        server.moved["big.bed"] = inside.address.replace("http:", f"{scheme}:") + "/big.bed"
        with pytest.raises(InputError, match=r"only https|private network"):
            get(server, tmp_path)
        assert inside.requests == []


def test_what_is_not_at_the_mirror_is_a_sentence(server: Served, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="answered 404"):
        get(server, tmp_path, one_set(name="gone.bed"))


# ------------------------------------------------------------------------------------------------- commands


def test_the_catalogue_has_all_that_the_introgression_side_needs() -> None:
    sets = catalogue()
    assert {"hg19", "grch37", "akey", "genes", "maps", "deserts", "refgene", "gtex", "gwas"} <= set(sets)
    assert len(sets["maps"].files) == 12
    for data_set in sets.values():
        assert data_set.licence
        assert data_set.citation
        for file in data_set.files:
            assert file.url.startswith("https://")
            assert (file.bytes is None) == (file.sha256 is None)
            assert file.sha256 is None or len(file.sha256) == 64
    with pytest.raises(SettingsError, match="no data set 'nothing'"):
        choose(["nothing"])


def test_data_list_and_refusals_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--to", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "Cite: " in said
    assert "12 files, 5.8 MB, checksums known" in said
    assert main(["data", "get", "maps", "--to", str(tmp_path / "x"), "--offline"]) == 1
    assert "--accept-licence" in capsys.readouterr().err
    assert not (tmp_path / "x" / "maps").exists()
    assert main(["data", "get", "nothing", "--to", str(tmp_path)]) == 1
    assert main(["data", "get", "maps", "--to", str(tmp_path), "--offline", "--mirror", "http://127.0.0.1:9"]) == 1
    assert main(["data"]) in (0, 2)


def test_fetching_is_a_run_that_can_be_cancelled_and_goes_on(tmp_path: Path) -> None:
    size = catalogue()["akey"].files[0].bytes
    with serving({"Akey_intr_coords.bed": b"x" * size}) as served:
        served.pause = 0.5
        runs = tmp_path / "runs"
        folder = launch(runs, "data", [
            "get", "akey", "--to", str(tmp_path / "to"), "--mirror", served.address, "--accept-licence",
        ], "Intervals")
        part = tmp_path / "to" / "akey" / ".Akey_intr_coords.bed.part"
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 500_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        request_cancel(folder)
        while not read_state(folder).ended and time.monotonic() < deadline:
            time.sleep(0.1)
        state = read_state(folder)
        assert state.state == "cancelled", state
        assert 0 < state.step < size < state.total
        there = part.stat().st_size
        assert 500_000 < there < size
        assert [found for found, _ in list_runs(runs, "data")] == [folder]
        served.pause = 0.0
        served.requests.clear()
        assert main([
            "data", "get", "akey", "--to", str(tmp_path / "to"), "--mirror", served.address, "--quiet",
        ]) == 1, "what the server sends is not what was published"
        assert served.requests[0] == ("Akey_intr_coords.bed", f"bytes={there}-")
        assert not part.exists()


@pytest.mark.shared
def test_the_real_files_have_the_checksums_of_the_catalogue(shared: Path, tmp_path: Path) -> None:
    with (shared / "SOURCES.tsv").open() as handle:
        published = {row["file"]: row for row in csv.DictReader(handle, delimiter="\t")}
    for data_set in catalogue().values():
        for file in data_set.files:
            if file.sha256 is not None:
                assert (file.sha256, str(file.bytes)) == (
                    published[file.name]["sha256_original"], published[file.name]["bytes_original"]
                )
    status = main([
        "data", "get", "akey", "genes", "maps", "deserts", "support", "sizes", "--to", str(tmp_path / "to"), "--mirror",
        str(shared), "--offline", "--accept-licence", "--out", str(tmp_path / "run"), "--quiet",
    ])
    assert status == 0
    summary = read_summary(tmp_path / "run")
    assert len(summary["files"]) == 30
    assert summary["notes"] == []
    assert len(list((tmp_path / "to" / "maps").glob("*_regions_merged.bed"))) == 12


@pytest.mark.shared
def test_the_neanderthal_project_is_set_up_from_a_mirror(shared: Path, tmp_path: Path) -> None:
    status = main([
        "data", "setup", "--to", str(tmp_path / "to"), "--mirror", str(shared), "--offline", "--accept-licence",
        "--genome", str(shared / "hg19" / "human_g1k_v37.20.21.fasta.gz"), "--test-chromosomes", "21", "--piece", "400",
        "--threads", "1", "--out", str(tmp_path / "runs" / "setup"), "--quiet",
    ])
    assert status == 0
    summary = read_summary(tmp_path / "runs" / "setup")
    (dataset, state), = list_runs(tmp_path / "runs", "windows", "done")
    made = read_summary(dataset)
    assert state.title == "Neanderthal project"
    assert summary["windows"] == made["windows"]["total"] > 1_000
    assert made["audit"]["overlap_150"] == 0
    assert made["test_chromosomes"] == ["21"]
    assert made["comparison_audit"]["overlap_150"] > 0.3


def test_set_up_without_a_genome_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([
        "data", "setup", "--to", str(tmp_path / "to"), "--offline", "--accept-licence", "--genome",
        str(tmp_path / "none.fa"), "--out", str(tmp_path / "run"), "--quiet",
    ]) == 1
    assert "there is no such genome" in capsys.readouterr().err
    assert issubclass(InputError, NeanDLError)
