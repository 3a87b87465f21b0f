"""The rows of `rl` under the nested names that verl reads."""

import pyarrow as pa

from stepforge.builders.configs.base import MESSAGES, PROBLEM, Config
from stepforge.builders.tables import INT, TEXT, column

_REWARD = pa.struct([("style", TEXT), ("ground_truth", TEXT)])
_EXTRA = pa.struct([("index", INT), ("split", TEXT)])

CONFIG = Config(
    "rl_verl", 12, ("problem_id",), "the rows of `rl` under verl's names",
    (PROBLEM, column("data_source", TEXT, "Name of the source."),
     column("prompt", MESSAGES, "Message of the user."), column("ability", TEXT, "Always math."),
     column("reward_model", _REWARD, "Gold answer as `ground_truth`, with the style rule."),
     column("extra_info", _EXTRA, "Index of the row in the release, from 0, and its split.")),
    texts=("prompt",), asked=True)
