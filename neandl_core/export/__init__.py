"""Figures to take away: files for a journal, slides, a report of one file, tables for Excel."""
