"""The embedding explorer: maps of k-mers, what is chosen on them, and the routes that browsers get the points from."""
