"""The map of a million k-mers and the gene browser, in a real browser: drawn, lassoed, searched, moved."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser

from neandl_core.__main__ import main
from neandl_core.kmer_selection import bases_of, matching
from pages.shared.browser_parts import IGV, SCATTER, has
from tests.browser import (
    NO_WEBGL,
    WEBGL,
    Watched,
    chromium,
    drawn,
    find_browser,
    lasso,
    number_before,
    open_list,
    served,
    tab,
)
from tests.embed_runs import make_embed_run

pytestmark = [
    pytest.mark.skipif(find_browser() is None, reason="no Chromium here"),
    pytest.mark.skipif(not (has(SCATTER) and has(IGV)), reason="the browser's programs are not bundled: make setup"),
]
FIRST_PICTURE_SECONDS = 6
TIMES_A_SMALL_MAP = 4
"""On a machine that others use too, the first picture may take so many times as long as that of 1,024 k-mers."""


@pytest.fixture(scope="module")
def drawing() -> Iterator[Browser]:
    """A browser that draws WebGL in software."""
    with chromium(WEBGL) as browser:
        yield browser


@pytest.fixture(scope="module")
def plain(drawing: Browser) -> Iterator[Browser]:
    """A browser without WebGL, driven by the same Playwright."""
    browser = drawing.browser_type.launch(executable_path=find_browser(), args=list(NO_WEBGL))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explorer")
    runs = folder / "runs"
    make_embed_run(runs / "pca", 5, title="PCA, 5-mers")
    make_embed_run(runs / "umap", 5, seed=4, method="umap", title="UMAP, 5-mers")
    return folder


@pytest.fixture(scope="module")
def million(workspace: Path) -> pd.DataFrame:
    """The points of a map of all 10-mers in the same workspace."""
    return make_embed_run(workspace / "runs" / "whole", 10, title="PCA, 10-mers")


@pytest.fixture(scope="module")
def gene_runs(workspace: Path) -> Path:
    """The same workspace with a gene run, and a genome and reads that are indexed."""
    runs = workspace / "runs"
    for words in (
        ["simulate", "--reads", "1000", "--chromosomes", "3", "--chromosome-length", "600000", "--out", "sim"],
        ["windows", "--reference", "sim/reference.fa", "--introgressed", "sim/introgressed.bed", "--depleted",
         "sim/depleted.bed", "--out", "windows"],
        ["train", "windows", "--preset", "logistic", "--no-controls", "--out", "train"],
        ["genes", "train", "--genes", "sim/genes.tsv", "--reference", "sim/reference.fa", "--out", "genes"],
        ["index", "sim/reference.fa", "--out", "index-genome"], ["index", "sim/mixed.bam", "--out", "index-reads"],
    ):
        known = {"windows", "train", "genes", "index-genome", "index-reads", "sim"}
        placed = [words[0]] + [
            str(runs / word) if word in known or word.startswith("sim/") else word for word in words[1:]
        ]
        assert main([*placed, "--quiet"]) == 0
    return runs / "genes"


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with served(workspace) as found:
        yield found


def edges_inked(picture: bytes) -> bool:
    """Tell whether points lie at the left or right edge of a map; its frame and the corners' labels are left out."""
    with Image.open(io.BytesIO(picture)) as opened:
        shades = np.asarray(opened.convert("L")).astype(int)
    high = len(shades)
    sides = np.hstack([shades[:, 3:7], shades[:, -7:-3]])[high // 6 : -high // 6]
    return bool((np.abs(sides - np.bincount(shades.ravel()).argmax()) > 12).any())


def unharmed(watched: Watched) -> None:
    assert watched.errors == []
    assert watched.foreign == []


def test_a_million_k_mers_are_drawn_lassoed_and_searched(drawing: Browser, address: str, million: pd.DataFrame) -> None:
    with tab(drawing, address) as watched:
        watched.page.goto(address)
        watched.settle()
        seconds = []
        for run, count in (("pca", 4**5), ("whole", 4**10)):
            began = time.monotonic()
            watched.page.goto(f"{address}/embeddings?run={run}")
            drawn(watched, count)
            seconds.append(time.monotonic() - began)
        assert seconds[1] < max(FIRST_PICTURE_SECONDS, TIMES_A_SMALL_MAP * seconds[0])
        watched.settle()
        lasso(watched)
        chosen = number_before(watched, "k-mers chosen")
        assert 10_000 < chosen < 600_000
        watched.page.get_by_text("Words met more often than in the rest").wait_for(timeout=60_000)
        gc = watched.page.locator('[data-testid="stMetric"]').filter(has_text="GC").inner_text()
        assert float(gc.split("%")[0].split()[-1]) > 55, "the right-hand side is rich in G and C"
        watched.settle()
        watched.page.get_by_role("button", name="Clear", exact=True).first.click()
        watched.page.get_by_text("k-mers chosen").wait_for(state="hidden", timeout=60_000)
        watched.page.get_by_placeholder("CGCG").fill("CGCR")
        watched.page.keyboard.press("Enter")
        expected = int(matching(bases_of(million["kmer"]), "CGCR").sum())
        assert number_before(watched, "hold CGCR") == expected
        unharmed(watched)


def test_two_maps_of_a_model_share_what_is_chosen(drawing: Browser, address: str) -> None:
    with tab(drawing, address) as watched:
        watched.page.goto(f"{address}/embeddings?run=pca")
        drawn(watched, 4**5)
        watched.settle()
        watched.page.get_by_role("combobox", name="Beside it").click()
        watched.page.get_by_role("option", name="UMAP, 5-mers").click()
        drawn(watched, 4**5, maps=2)
        watched.settle()
        for stage in watched.page.locator(".kmap-stage").all():
            assert stage.bounding_box()["width"] < stage.bounding_box()["height"], "narrower than the map is high"
            assert not edges_inked(stage.screenshot()), "no point is cut off at the sides"
        before = [one.get_attribute("data-key") for one in watched.page.locator(".kmap").all()]
        lasso(watched)
        assert number_before(watched, "k-mers chosen") > 20
        watched.page.wait_for_function(
            "() => [...document.querySelectorAll('.kmap')].every((map) => map.dataset.key.includes('lasso='))",
            timeout=30_000,
        )
        assert [one.get_attribute("data-key") for one in watched.page.locator(".kmap").all()] != before
        # Over a point the k-mer is named.
        watched.page.get_by_role("button", name="Move", exact=True).first.click()
        box = watched.page.locator(".kmap-stage").first.bounding_box()
        for step in range(60):
            watched.page.mouse.move(box["x"] + box["width"] / 2 - 60 + 2 * step, box["y"] + box["height"] / 2)
            watched.page.wait_for_timeout(80)
            if watched.page.locator(".kmap-tip").first.is_visible():
                break
        assert len(watched.page.locator(".kmap-tip strong").first.inner_text()) == 5
        unharmed(watched)


def test_search_colour_and_lasso_give_the_k_mers_they_say(drawing: Browser, address: str, workspace: Path) -> None:
    points = pd.read_parquet(workspace / "runs" / "pca" / "points.parquet")
    with tab(drawing, address) as watched:
        watched.page.goto(f"{address}/embeddings?run=pca")
        drawn(watched, 4**5)
        watched.settle()
        # R is A or G; the other strand counts, too.
        find(watched, "CTTR")
        either = re.compile("CTT[AG]|[CT]AAG")
        expected = {kmer for kmer in points["kmer"] if either.search(kmer)}
        assert number_before(watched, "hold CTTR") == len(expected)
        assert set(exported(watched)["kmer"]) == expected
        # A whole k-mer is ringed, and so is its reverse complement.
        find(watched, "CCGTA")
        watched.page.wait_for_function("() => document.querySelectorAll('.kmap svg circle').length === 2")
        assert set(watched.page.locator(".kmap svg text").all_text_contents()) == {"CCGTA", "TACGG"}
        find(watched, "")
        watched.page.get_by_text("k-mers chosen").wait_for(state="hidden", timeout=60_000)
        before = watched.page.locator(".kmap-stage").screenshot()
        open_list(watched, watched.page.get_by_role("combobox", name="Colour", exact=True).first)
        watched.page.get_by_role("option", name="CpG").click()
        watched.page.wait_for_selector('.kmap[data-key*="by=cpg"]', timeout=60_000)
        watched.settle()
        assert "CpG" in watched.page.locator(".kmap-legend b").inner_text()
        assert watched.page.locator(".kmap-stage").screenshot() != before
        lasso(watched)
        chosen = number_before(watched, "k-mers chosen")
        watched.settle()
        table = exported(watched)
        assert len(table) == chosen
        query = parse_qs(urlsplit(watched.page.locator(".kmap").get_attribute("data-key")).query)
        corners = np.array(query["lasso"][0].split(","), float).reshape(-1, 2)
        middle = corners.mean(axis=0)
        radius = np.hypot(*(corners - middle).T)
        assert np.ptp(radius) < 0.1 * radius.mean(), "the lasso was a circle"
        away = np.hypot(points["x"] - middle[0], points["y"] - middle[1])
        assert set(points["kmer"][away < 0.95 * radius.min()]) <= set(table["kmer"])
        assert set(table["kmer"]) <= set(points["kmer"][away < 1.05 * radius.max()])
        unharmed(watched)


def find(watched: Watched, pattern: str) -> None:
    watched.page.get_by_placeholder("CGCG").fill(pattern)
    watched.page.keyboard.press("Enter")
    watched.page.wait_for_selector(f'.kmap[data-key*="find={pattern}&"]', timeout=60_000)
    watched.settle()


def exported(watched: Watched) -> pd.DataFrame:
    """Download the table of what is chosen."""
    # The last menu of the page is that of the table of k-mers.
    watched.page.get_by_role("button", name="Download").last.click()
    with watched.page.expect_download(timeout=60_000) as waiting:
        watched.page.locator(".st-key-embed-chosen-TSV").get_by_role("button").click()
    watched.page.keyboard.press("Escape")
    return pd.read_csv(waiting.value.path(), sep="\t", keep_default_na=False)


def test_without_webgl_the_density_is_shown_and_chosen_from(plain: Browser, address: str) -> None:
    with tab(plain, address) as watched:
        watched.page.goto(f"{address}/embeddings?run=pca")
        watched.page.get_by_text("no WebGL").wait_for(timeout=60_000)
        watched.settle()
        box = watched.page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
        watched.page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 5)
        watched.page.mouse.down()
        watched.page.mouse.move(box["x"] + 0.98 * box["width"], box["y"] + 0.95 * box["height"], steps=8)
        watched.page.mouse.up()
        assert number_before(watched, "k-mers chosen") > 50
        unharmed(watched)


def neighbour(genes: pd.DataFrame, symbol: str) -> str:
    """Return another scored gene of the same chromosome."""
    there = genes[(genes["windows"] > 0) & (genes["contig"] == genes.loc[symbol, "contig"])]
    return next(name for name in there.index if name != symbol)


def test_the_gene_browser_shows_the_gene_and_follows(drawing: Browser, address: str, gene_runs: Path) -> None:
    genes = pd.read_csv(gene_runs / "genes.tsv", sep="\t").set_index("symbol")
    gene = genes.loc["DEMO-ANK3"]

    def place(watched: Watched) -> tuple[str, int, int]:
        contig, _, span = watched.page.locator(".gbrowser").get_attribute("data-locus").partition(":")
        start, end = (int(part.replace(",", "")) for part in span.split("-"))
        return contig, start, end

    with tab(drawing, address, height=1400) as watched:
        asked: list[str] = []
        watched.page.on("request", lambda request: asked.append(request.url))
        watched.page.goto(f"{address}/genes?gene=DEMO-ANK3")
        watched.page.wait_for_selector(".gbrowser[data-ready]", timeout=60_000)
        watched.settle()
        contig, start, end = place(watched)
        assert contig == gene["contig"]
        assert start < gene["start"] < gene["end"] < end
        assert any("/track/probability" in url for url in asked)
        assert any("/indexed/index-genome/data" in url for url in asked)
        assert not any("/indexed/index-reads" in url for url in asked), "reads only when they are asked for"
        view = watched.page.locator(".gbrowser-view").bounding_box()
        watched.page.mouse.move(view["x"] + 500, view["y"] + 150)
        watched.page.mouse.down()
        watched.page.mouse.move(view["x"] + 300, view["y"] + 150, steps=10)
        watched.page.mouse.up()
        watched.page.wait_for_url("**locus=*", timeout=30_000)
        assert place(watched)[1] > start, "dragged to the left, further along"
        # With another gene's page open, a click on this one in the track opens it.
        watched.page.goto(f"{address}/genes?gene={neighbour(genes, 'DEMO-ANK3')}&locus={gene['contig']}:"
                          f"{gene['start'] - 2000}-{gene['end'] + 2000}")
        watched.page.wait_for_selector(".gbrowser[data-ready]", timeout=60_000)
        watched.settle()
        watched.page.locator(".igv-track-label", has_text="Genes").scroll_into_view_if_needed()
        watched.page.wait_for_timeout(1500)
        label = watched.page.locator(".igv-track-label", has_text="Genes").bounding_box()
        view = watched.page.locator(".igv-viewport").first.bounding_box()
        watched.page.mouse.click(view["x"] + view["width"] / 2, label["y"] + 10)
        watched.page.wait_for_url("**gene=DEMO-ANK3*", timeout=30_000)
        box = watched.page.get_by_role("searchbox", name="Gene")
        other = genes[(genes["windows"] > 0) & (genes["contig"] != gene["contig"])].index[0]
        box.fill(other)
        watched.page.wait_for_function(
            f"() => document.querySelector('.gbrowser').dataset.locus.startsWith('{genes.loc[other, 'contig']}:')",
            timeout=60_000,
        )
        unharmed(watched)
    with tab(drawing, address, height=1400) as watched:
        watched.page.goto(f"{address}/genes?gene=DEMO-ANK3&locus={gene['contig']}:1001-9000")
        watched.page.wait_for_selector(".gbrowser[data-ready]", timeout=60_000)
        watched.settle()
        assert np.allclose(place(watched)[1:], (1001, 9000), atol=60)
        unharmed(watched)
