"""All solutions with their verdicts, for whoever wants to filter again."""

from stepforge.builders import tables
from stepforge.builders.configs.base import Config, optional
from stepforge.builders.tables import BOOL, INT, TEXT, column

CONFIG = Config(
    "solutions", 8, ("solution_id",), "all solutions with their verdicts; your own filters",
    (*tables.SOLUTIONS.schema, *list(tables.VERDICTS.schema)[1:],
     optional("judge_soundness", TEXT, "Soundness by the judge; null if no judge read it."),
     optional("judge_first_error", INT, "Step, from 0, in which the judge sees the first error."),
     optional("judge", TEXT, "Name of the judge among the generators."),
     column("duplicate", BOOL, "Whether another solution of the problem is kept instead of this one.")),
    trains=False)
