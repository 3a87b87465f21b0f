"""Continuations from prefixes, with their verdicts."""

from stepforge.builders import tables
from stepforge.builders.configs.base import Config

CONFIG = Config("rollouts", 11, ("rollout_id",), "continuations from prefixes, with verdicts; analysis",
                tuple(tables.ROLLOUTS.schema), solutions={"solution_id": "any"}, trains=False,
                annotated=True)
