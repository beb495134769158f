"""The genome browser of the gene page: igv.js over a gene run's tables, and the routes that it reads from."""
