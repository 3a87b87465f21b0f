"""Problems with their prompts, answers and pass rates, flat, as trainers with a verifier for a reward read them."""

from stepforge.builders.configs.base import PROBLEM, Config, RowTest, optional
from stepforge.builders.tables import INT, REAL, TEXT, column

CONFIG = Config(
    "rl", 7, ("problem_id",), "prompts with answers and pass rates; GRPO and other RL, curricula",
    (PROBLEM, column("prompt", TEXT, "The problem in the prompt of `generator`, or of the recipe's first generator."),
     column("answer", TEXT, "The gold answer."),
     optional("pass_rate", REAL, "Share of correct ones among the samples that count; null without any."),
     column("n_samples", INT, "Samples that count."),
     optional("generator", TEXT, "Whose samples these are; null where those of all generators count."),
     optional("level", TEXT, "Difficulty in the source's own words."),
     optional("subject", TEXT, "Subject, where the source names one."),
     column("source", TEXT, "Name of the source that the problem came from.")),
    texts=("prompt", "answer"), turns=("prompt",), chat=(),
    tests=(RowTest("a pass rate is no share, or one of no samples", ("rl.pass_rate",),
                   "SELECT 'rl', problem_id FROM rl "
                   "WHERE pass_rate NOT BETWEEN 0 AND 1 OR (pass_rate IS NULL) <> (n_samples = 0)"),))
