"""What reads a run and changes none."""

MOST_SOLUTIONS = 20_000  # that a report carries, unless told otherwise
