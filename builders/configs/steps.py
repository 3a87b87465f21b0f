"""Steps with their values, advantages and pits."""

from stepforge.builders import tables
from stepforge.builders.configs.base import A_PIT_WITHOUT_A_FALL, Config, RowTest, optional
from stepforge.builders.tables import BOOL

CONFIG = Config(
    "steps", 10, ("solution_id", "step_index"), "steps with values, advantages and pits; analysis",
    (*tables.STEPS.schema,
     optional("spurious", BOOL, "Whether the step of a correct solution lowered the value; null if unknown.")),
    solutions={"solution_id": "any"}, trains=False, annotated=True,
    tests=(RowTest(A_PIT_WITHOUT_A_FALL, ("steps.fall_low",),
                   "SELECT 'steps', solution_id FROM steps WHERE is_pit AND NOT coalesce(fall_low > 0, false)"),))
