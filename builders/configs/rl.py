"""Problems with their prompts, answers and pass rates, flat, as trainers with a verifier for a reward read them."""

from stepforge.builders.configs.base import PROBLEM, TASKS, Config, RowTest, optional
from stepforge.builders.tables import INT, REAL, TEXT, column

CONFIG = Config(
    "rl", 7, ("problem_id",), "prompts with answers and pass rates; GRPO and other RL, curricula",
    (PROBLEM, column("prompt", TEXT, "Problem in the prompt of `generator`, or of the recipe's first generator."),
     column("answer", TEXT, "Gold answer."),
     optional("pass_rate", REAL, "Share of correct solutions among `n_samples`; null without samples."),
     column("n_samples", INT, "Number of samples, without undecided ones such as `ambiguous` or `timeout`; those "
                              "without an answer count."),
     optional("generator", TEXT, "Generator of the samples; null if the samples of all generators count."),
     optional("level", TEXT, "Difficulty in the words of the source."),
     optional("subject", TEXT, "Subject, if the source has one."),
     column("source", TEXT, "Name of the source.")),
    texts=("prompt", "answer"), turns=("prompt",), chat=(), made_of=TASKS,
    tests=(RowTest("a pass rate is no share, or one of no samples", ("rl.pass_rate",),
                   "SELECT 'rl', problem_id FROM rl "
                   "WHERE pass_rate NOT BETWEEN 0 AND 1 OR (pass_rate IS NULL) <> (n_samples = 0)"),
           RowTest("one prompt has several answers", ("rl.answer",),
                   "SELECT 'rl', min(problem_id) FROM rl GROUP BY prompt HAVING count(DISTINCT answer) > 1")))
