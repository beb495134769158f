"""NeanDL core: everything the dashboard and the command line do, without either of them.

Importing this package loads nothing heavy; `neandl_core/README.md` holds the definitions and the map of modules.
"""

__version__ = "0.1.0"
