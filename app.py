"""The dashboard's server: Streamlit's, with the routes by which browsers get fonts, programs, points and reads,
and send files.

The shell lies in a folder that has no ``pages/`` beside it. Otherwise Streamlit takes the first address opened after
a start, if it leads to a page, for one of its older multi-page apps and never runs the shell.
"""

import gc
from pathlib import Path

import streamlit as st
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from pages.shared.routes import ROUTES

ASSETS = Path(__file__).resolve().parent / "assets"

app = st.App("pages/shared/shell.py", routes=[Mount("/assets", StaticFiles(directory=ASSETS)), *ROUTES])

# The server looks for garbage after each run of a page. What is loaded by now stays, and is not looked through again.
gc.collect()
gc.freeze()
