"""The routes: points of finished maps, tracks of gene runs and stretches of indexed files; nothing else is served."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import uvicorn
from starlette.applications import Starlette

from neandl_core.__main__ import main
from neandl_core.figures.kmer_colours import STEPS
from pages.shared.embedding.clouds import Look
from pages.shared.gene_browser.tracks import index_of
from pages.shared.routes import ROUTES
from tests.browser import free_port
from tests.embed_runs import make_embed_run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two maps of a model, a genome and reads, both indexed, and a file outside."""
    root = tmp_path_factory.mktemp("server")
    runs, data = root / "workspace" / "runs", root / "data"
    make_embed_run(runs / "one", 4)
    make_embed_run(runs / "two", 4, seed=5, method="umap")
    data.mkdir()
    assert main(["simulate", "--reads", "1000", "--chromosomes", "2", "--chromosome-length", "300000", "--out",
                 str(runs / "sim"), "--quiet"]) == 0
    shutil.copy(runs / "sim" / "reference.fa", data / "genome.fa")
    pysam.tabix_compress(str(data / "genome.fa"), str(data / "packed.fa.gz"))
    for name, path in (("genome", data / "genome.fa"), ("packed", data / "packed.fa.gz"),
                       ("reads", runs / "sim" / "mixed.bam")):
        assert main(["index", str(path), "--out", str(runs / f"index-{name}"), "--quiet"]) == 0
    (root / "secret.fa").write_text(">a\nACGT\n")
    assert main(["index", str(root / "secret.fa"), "--out", str(runs / "index-outside"), "--quiet"]) == 0
    return root


@dataclass
class Answer:
    status_code: int
    content: bytes
    headers: Message

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass
class Client:
    """Asks the routes over the network, exactly the addresses given: nothing tidies a path on the way."""

    port: int

    def get(self, address: str, headers: dict[str, str] | None = None) -> Answer:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        asked.request("GET", address, headers=headers or {})
        answer = asked.getresponse()
        found = Answer(answer.status, answer.read(), answer.headers)
        asked.close()
        return found


@pytest.fixture(scope="module")
def client(server: Path) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEANDL_WORKSPACE", str(server / "workspace"))
        patch.setenv("NEANDL_DATA", str(server / "data"))
        port = free_port()
        settings = uvicorn.Config(Starlette(routes=ROUTES), host="127.0.0.1", port=port, log_level="error", ws="none")
        own = uvicorn.Server(settings)
        thread = threading.Thread(target=own.run)
        thread.start()
        while not own.started:
            time.sleep(0.05)
        yield Client(port)
        own.should_exit = True
        thread.join()


def test_points_come_as_numbers(client: Client, server: Path) -> None:
    points = pd.read_parquet(server / "workspace" / "runs" / "one" / "points.parquet")
    places = np.frombuffer(client.get("/points/one/positions").content, "<f4").reshape(2, -1)
    assert places.shape == (2, 4**4)
    assert np.corrcoef(places[0], points["x"])[0, 1] > 0.9999
    plain = np.frombuffer(client.get(Look().address("one")).content, np.uint8)
    seen = points["seen"].to_numpy() == 1
    assert (plain[~seen] == 0).all()
    assert (plain[seen] > 0).all()
    found = np.frombuffer(client.get(Look(pattern="CG").address("one")).content, np.uint8)
    holds = points["kmer"].str.contains("CG").to_numpy()
    assert np.array_equal(found > STEPS, ~holds), "those without CG are washed out"
    lasso = ((0.2, -9.0), (9.0, -9.0), (9.0, 9.0), (0.2, 9.0))
    inside = points["x"].to_numpy() > 0.2
    for run in ("one", "two"):
        linked = client.get(Look(lasso=lasso, lasso_run="one").address(run)).content
        assert np.array_equal(np.frombuffer(linked, np.uint8) > STEPS, ~inside), "one lasso, both maps"
    hidden = np.frombuffer(client.get(Look(hide=True).address("one")).content, np.uint8)
    assert np.array_equal(hidden == 255, ~seen)
    told = dict(json.loads(client.get("/points/one/kmer?row=6").text))
    assert (told[""], told["GC"]) == ("AACG", "50%")


@pytest.mark.parametrize("address", [
    "/points/sim/positions", "/points/nothing/positions", "/points/../one/positions",
    "/points/%2e%2e%2f%2e%2e%2fdata/positions", "/points//positions", "/points/one/kmer?row=999999",
    "/points/one/kmer?row=-1", "/points/one/colours?find=XX", "/points/one/colours?lasso=1,2,x",
    "/points/one/colours?by=nothing", "/points/one/colours?by=own&own=/etc/passwd&column=x",
    "/points/one/points.parquet",
    "/indexed/sim/data", "/indexed/one/data", "/indexed/index-genome/summary.json", "/indexed/index-genome/../../one",
    "/indexed/%2e%2e%2fruns%2findex-genome%2f%2e%2e/data", "/indexed/index-genome/blocks",
    "/indexed/index-outside/data",
    "/gene-run/one/sizes", "/gene-run/sim/track/genes?chr=chr1&start=0&end=9",
])
def test_what_is_not_offered_is_refused(client: Client, server: Path, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code in (404, 405)
    assert str(server) not in answer.text


def test_stretches_of_indexed_files_are_served(client: Client, server: Path) -> None:
    genome = (server / "data" / "genome.fa").read_bytes()
    part = client.get("/indexed/index-genome/data", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, genome[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(genome)}"
    fai = client.get("/indexed/index-genome/index").text.splitlines()[0].split("\t")
    start, width = int(fai[2]), int(fai[3])
    line = client.get("/indexed/index-genome/data", headers={"Range": f"bytes={start}-{start + width - 1}"}).text
    assert line == genome.decode().splitlines()[1]
    assert client.get("/indexed/index-packed/blocks").status_code == 200
    bam = client.get("/indexed/index-reads/data", headers={"Range": "bytes=0-3"})
    assert (bam.status_code, bam.content[:2]) == (206, b"\x1f\x8b")
    assert client.get("/indexed/index-reads/index").content[:4] == b"BAI\x01"


def test_a_file_that_changed_is_not_served(client: Client, server: Path) -> None:
    path = server / "data" / "changing.fa"
    path.write_text(">a\nACGTACGT\n")
    folder = server / "workspace" / "runs" / "index-changing"
    assert main(["index", str(path), "--out", str(folder), "--quiet"]) == 0
    assert client.get("/indexed/index-changing/data").status_code == 200
    assert index_of(str(path))[1]["sizes"] == {"a": 8}
    path.write_text(">a\nACGTACGTACGT\n")
    assert client.get("/indexed/index-changing/data").status_code == 404
    assert index_of(str(path)) is None
    path.unlink()
    path.symlink_to(server / "secret.fa")
    summary = json.loads((folder / "summary.json").read_text())
    secret = (server / "secret.fa").stat()
    summary |= {"file": str(path), "size": secret.st_size, "changed": secret.st_mtime_ns}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert client.get("/indexed/index-changing/data").status_code == 404, "a link that leads out"


def test_what_cannot_be_indexed_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    (tmp_path / "whole.fa.gz").write_bytes(gzip.compress(b">a\nACGT\n"))
    (tmp_path / "table.txt").write_text("gene\tscore\n")
    header = {"HD": {"SO": "unsorted"}, "SQ": [{"SN": "a", "LN": 100}]}
    with pysam.AlignmentFile(str(tmp_path / "unsorted.bam"), "wb", header=header) as out:
        for start in (50, 10):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.query_sequence, read.reference_id = f"r{start}", "ACGT", 0
            read.reference_start, read.cigarstring, read.mapping_quality = start, "4M", 30
            out.write(read)
    for name, words in (("whole.fa.gz", "compressed as a whole"), ("table.txt", "expected a FASTA"),
                        ("unsorted.bam", "must be sorted")):
        assert main(["index", str(tmp_path / name), "--out", str(tmp_path / f"out-{name}"), "--quiet"]) == 1
        assert words in capsys.readouterr().err
