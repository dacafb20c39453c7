"""A declared causal graph: read it, and find out what it allows to be concluded."""
