"""What axe-core finds wrong on an open page: contrast, names of buttons, links, fields and frames and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.browser import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")


@dataclass(frozen=True)
class Allowed:
    """A rule that is broken within a part of the page which Streamlit draws and no setting of it reaches."""

    rule: str
    within: str
    reason: str


ALLOWED = (
    Allowed("list", '[data-testid="stSidebarNavItems"]', "Streamlit puts its groups of the menu between ul and li"),
    Allowed("listitem", '[data-testid="stSidebarNavItems"]', "the same: the entries lie in a div of their group"),
)
_RUN = """async ([tags, allowed]) => {
  const found = await axe.run(document, {runOnly: tags, resultTypes: ["violations"]});
  return found.violations.flatMap((broken) => broken.nodes
    .filter((node) => !allowed.some(([rule, within]) =>
      rule === broken.id && document.querySelector(node.target[0])?.closest(within)))
    .map((node) => ({rule: broken.id, html: node.html, why: node.failureSummary})));
}"""


def violations(page: Page) -> list[str]:
    """Return one line per part of the page that breaks a rule; none are hidden by the page being long."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(_RUN, [list(TAGS), [[one.rule, one.within] for one in ALLOWED]])
    return [f"{one['rule']}: {one['html'][:160]} {' '.join(one['why'].split())[:240]}" for one in found]
