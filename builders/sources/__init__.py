"""Where problems come from: one file for each source."""

GENERATED = ("arithmetic", "star_graph")  # made here, and drawn from no data set of others
