"""The steps of the Decontaminate page, one module each, in the order of the work."""
