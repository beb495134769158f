"""All routes of the dashboard's server besides Streamlit's own and the assets."""

from __future__ import annotations

from pages.shared.embedding.routes import ROUTES as POINTS
from pages.shared.gene_browser.routes import ROUTES as GENES

ROUTES = [*POINTS, *GENES]
