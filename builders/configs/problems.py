"""Problems with the pass rate of every generator."""

import pyarrow as pa

from stepforge.builders import tables
from stepforge.builders.configs.base import Config, RowTest
from stepforge.builders.tables import INT, REAL, TEXT, column

_RATE = pa.struct([("generator", TEXT), ("n_samples", INT), ("n_correct", INT), ("pass_rate", REAL)])

CONFIG = Config(
    "problems", 9, ("problem_id",), "problems with the pass rate of every generator; curricula, filtering",
    (*(field for field in tables.PROBLEMS.schema if field.name != "split"),
     column("upstream_split", TEXT, "Split in the source."),
     column("generators", pa.list_(_RATE), "Samples and pass rate per generator; n_samples "
            "leaves out undecided samples such as `ambiguous` or `timeout`, but not those without an answer.")),
    trains=False,
    tests=(RowTest("a group of problems is in more than one split", ("problems.group_id",),
                   "SELECT 'problems', group_id FROM problems GROUP BY group_id HAVING count(DISTINCT split) > 1"),))
