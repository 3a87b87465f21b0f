"""All solutions with their verdicts, for whoever wants to filter again."""

from stepforge.builders import tables
from stepforge.builders.configs.base import Config, optional
from stepforge.builders.tables import BOOL, INT, TEXT, column

CONFIG = Config(
    "solutions", 8, ("solution_id",), "all solutions with their verdicts; filtering again",
    (*tables.SOLUTIONS.schema, *list(tables.VERDICTS.schema)[1:],
     optional("judge_soundness", TEXT, "What a model says of its reasoning; null where none read it."),
     optional("judge_first_error", INT, "Step, from 0, where that model sees the first error."),
     optional("judge", TEXT, "That model's name among the generators."),
     column("duplicate", BOOL, "Another solution of the problem says the same.")),
    trains=False)
