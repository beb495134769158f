"""What browsers may ask the server for beside pages, and send to it: points, genomes and reads; uploads."""

from __future__ import annotations

from pages.shared.embedding.routes import ROUTES as POINTS
from pages.shared.gene_browser.routes import ROUTES as GENES
from pages.shared.upload_route import ROUTES as UPLOADS

ROUTES = [*POINTS, *GENES, *UPLOADS]
