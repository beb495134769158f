"""Figures: checked tables in, Plotly figures out; nothing is computed here beyond scaling and binning.

`style.py` is the only place that knows colours and fonts; `print.py` draws the same figure for paper, without a
browser. Every figure labels its axes with units and says how many reads, windows or genes it rests on.
"""
