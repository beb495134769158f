"""A small project with known truth: a genome with introgressed and depleted loci, genes, and three BAM files.

Nothing here is biology found in a sample: the numbers are chosen so that the methods have something to find, and the
truth is written beside the data so that their answers can be checked.
"""
