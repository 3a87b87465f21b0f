"""Rows in the layouts that public data sets and tools use, three problems each, and a recipe for each.

The texts are ours. Every layout has its rows, a recipe of at most fifteen lines, in which FILE and BESIDE stand for
its files, and what a person would expect of the run.
"""

import json
import re
from dataclasses import dataclass, field
from textwrap import dedent

PROBLEMS = ["A train has 6 wagons of 14 seats. 5 seats are broken. How many can be used?",
            "Lena buys 4 boxes with 9 pencils each and lends 8 pencils. How many does she have?",
            "What is $\\frac{2}{5}$ of $35$?"]
GOLDS = ["79", "28", "14"]
RIGHT = ["There are 6 * 14 = 84 seats.\nThen 84 - 5 = 79 can be used.\nThe answer is \\boxed{79}.",
         "She buys 4 * 9 = 36.\nShe has 36 - 8 = 28.\nThe answer is \\boxed{28}.",
         "35 / 5 = 7 and 2 * 7 = 14.\nThe answer is \\boxed{14}."]
WRONG = ["There are 6 * 14 = 82 seats.\nThen 82 - 5 = 77 can be used.\nThe answer is \\boxed{77}.",
         "She buys 4 * 9 = 36.\nShe has 36 + 8 = 44.\nThe answer is \\boxed{44}.",
         "35 / 5 = 7.\nThe answer is \\boxed{7}."]
CUT = ["There are 6 * 14 = 84 seats.\nThen 84", "She buys 4 * 9", "35 / 5 = 7 and"]
SAMPLES = [{"problem": problem, "solution": right} for problem, right in zip(PROBLEMS, RIGHT, strict=True)]
ALL = list(zip(PROBLEMS, GOLDS, RIGHT, WRONG, CUT, strict=True))


@dataclass(frozen=True)
class Layout:
    """Rows of one file, the recipe that reads it, and what comes out.

    problems: how many are kept. drops: reasons of problems that are not. verdicts: of all samples, sorted: c(orrect),
    i(ncorrect), u(ndecided). beside: rows of a second file: problems, or samples where the layout holds none.
    told: what the first rows of `solutions` hold beside their texts.
    """

    rows: list[dict]
    recipe: str
    verdicts: str
    problems: int = 3
    drops: dict[str, int] = field(default_factory=dict)
    negatives: int = 0
    beside: list[dict] = field(default_factory=list)
    tells: list[dict] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(json.dumps(row) for row in self.rows)


def recipe(text: str) -> str:
    return "name: layout\n" + dedent(text).strip() + "\nrelease: {to: 'local:PUBLISHED', splits: {}}\n"


LAYOUTS = {
    "answer_list": Layout(
        [{"question": p, "final_answer": [g], "solution": [r], "unit": None} for p, g, r, _, _ in ALL],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: question, answer: final_answer}}
            generators:
              - {name: own, engine: recorded, paths: [FILE], columns: {problem: question, solutions: solution}}
            """), verdicts="ccc"),
    "batch_output": Layout(
        [{"id": f"b{i}", "custom_id": f"p{i}-s{s}", "error": None, "response": {"status_code": 200, "body": {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": end}],
            "usage": {"prompt_tokens": 30, "completion_tokens": 25}}}}
         for i, (_, _, r, _, c) in enumerate(ALL) for s, (text, end) in enumerate([(r, "stop"), (c, "length")])],
        recipe("""
            problems:
              - source: files
                paths: [BESIDE]
                columns: {problem: problem, answer: answer, source_id: custom_id}
            generators:
              - name: batch
                engine: recorded
                paths: [FILE]
                join: custom_id ~ ^(.+)-s[0-9]+$
                columns: {solution: "response.body.choices[0].message.content",
                          finish_reason: "response.body.choices[0].finish_reason",
                          completion_tokens: response.body.usage.completion_tokens}
            """), verdicts="cccuuu", tells=[{"finish_reason": "stop", "complete": True, "completion_tokens": 25},
                                          {"finish_reason": "length", "complete": False}],
        beside=[{"custom_id": f"p{i}", "problem": p, "answer": g} for i, (p, g, *_) in enumerate(ALL)]),
    "chat_messages": Layout(
        [{"answer": g, "messages": [{"role": "system", "content": "Think first."}, {"role": "user", "content": p},
                                    {"role": "assistant", "content": r}]} for p, g, r, _, _ in ALL],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: "messages[-2].content", answer: answer}}
            generators:
              - name: chat
                engine: recorded
                paths: [FILE]
                columns: {problem: "messages[-2].content", solution: "messages[-1].content"}
            """), verdicts="ccc"),
    "conversations_from_value": Layout(
        [{"answer": g, "conversations": [{"from": "human", "value": p}, {"from": "gpt", "value": w}]}
         for p, g, _, w, _ in ALL],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: "conversations[0].value", answer: answer}}
            generators:
              - name: gpt
                engine: recorded
                paths: [FILE]
                columns: {problem: "conversations[0].value", solution: "conversations[1].value"}
            """), verdicts="iii", negatives=3),
    "generator_column": Layout(
        [{"problem": p, "answer": g, "model": model, "solution": text, "n_tokens": 25} for p, g, r, w, _ in ALL
         for model, text in (("small-1b", w), ("large-7b", r))],
        recipe("""
            problems: [{source: files, paths: [FILE]}]
            generators:
              - name: models
                engine: recorded
                paths: [FILE]
                columns: {solution: solution, generator: model, completion_tokens: n_tokens}
            """), drops={"duplicate": 3}, verdicts="ccciii", negatives=3),
    "harness_samples": Layout(
        [{"doc_id": i, "doc": {"question": p, "answer": f"...\n#### {g}"}, "target": g, "resps": [[r]],
          "filtered_resps": [g], "exact_match": 1.0} for i, (p, g, r, _, _) in enumerate(ALL)],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: doc.question, answer: target}}
            generators:
              - name: harness
                engine: recorded
                paths: [FILE]
                columns: {problem: doc.question, solutions: resps, upstream_verdict: exact_match}
            """), verdicts="ccc", tells=[{"upstream_verdict": "correct", "complete": None}]),
    "json_in_text": Layout(
        [{"problem_id": f"q{i}", "prompt": p, "verification_info": json.dumps({"ground_truth": g}),
          "responses": json.dumps([r])} for i, (p, g, r, _, _) in enumerate(ALL)],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: prompt, answer: verification_info.ground_truth}}
            generators:
              - {name: own, engine: recorded, paths: [FILE], columns: {problem: prompt, solutions: responses}}
            """), verdicts="ccc"),
    "nan_in_another_column": Layout(
        [{"problem": p, "answer": g, "score": float("nan"), "solution": r} for p, g, r, _, _ in ALL],
        recipe("""
            problems: [{source: files, paths: [FILE]}]
            generators: [{name: own, engine: recorded, paths: [FILE]}]
            """), verdicts="ccc"),
    "nested_question_labels": Layout(
        [{"question": {"problem": p, "ground_truth_answer": g}, "label": {"finish_reason": "solution", "steps": [
            {"completions": [{"text": step, "rating": rating}], "chosen_completion": 0}
            for step, rating in zip(w.split("\n"), ratings, strict=True)]}}
         for (p, g, _, w, _), ratings in zip(ALL, [[-1, -1, -1], [1, -1, -1], [-1, -1]], strict=True)],
        recipe("""
            problems:
              - {source: files, paths: [FILE],
                 columns: {problem: question.problem, answer: question.ground_truth_answer}}
            generators:
              - name: steps
                engine: recorded
                paths: [FILE]
                columns: {problem: question.problem,
                          steps: "label.steps[].completions[chosen_completion].text",
                          upstream_labels: "label.steps[].completions[chosen_completion].rating"}
            """), verdicts="iii", negatives=3, tells=[{"solution": WRONG[0], "upstream_labels": ["-1", "-1", "-1"]}]),
    "openr1": Layout(
        [{"problem": p, "answer": g, "problem_type": "Algebra", "generations": [r, w, c],
          "finish_reasons": ["stop", "stop", "length"], "correctness_math_verify": [True, False, False],
          "is_reasoning_complete": [True, True, False]} for p, g, r, w, c in ALL],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: problem, answer: answer, subject: problem_type}}
            generators:
              - name: r1
                engine: recorded
                paths: [FILE]
                columns: {solutions: generations, finish_reason: finish_reasons, complete: is_reasoning_complete,
                          upstream_verdict: correctness_math_verify}
            """), verdicts="ccciiiuuu", negatives=3, tells=[{"complete": True, "upstream_verdict": "correct"},
                                                            {"upstream_verdict": "incorrect"}, {"complete": False}]),
    "placeholder_answers": Layout(
        [{"problem": p, "answer": a, "solution": r}
         for (p, _, r, _, _), a in zip(ALL, ["proof", "notfound", "79"], strict=True)],
        recipe("""
            problems: [{source: files, paths: [FILE]}]
            generators: [{name: own, engine: recorded, paths: [FILE]}]
            """), problems=1, drops={"no_gold": 2}, verdicts="i", negatives=1),
    "rl_prompt_reward_model": Layout(
        [{"data_source": "own", "prompt": [{"role": "user", "content": f"Solve this.\n\n{p}\n\nEnd with the answer."}],
          "ability": "MATH", "reward_model": {"ground_truth": g, "style": "rule"},
          "extra_info": {"index": i, "split": "train"}} for i, (p, g, *_) in enumerate(ALL)],
        recipe(r"""
            problems:
              - source: files
                paths: [FILE]
                columns: {problem: 'prompt[0].content ~ (?s)^Solve this\.\n\n(.*)\n\nEnd with',
                          answer: reward_model.ground_truth, source_id: extra_info.index}
            generators: [{name: own, engine: recorded, paths: [BESIDE]}]
            """), verdicts="ccc", beside=SAMPLES),
    "step_values": Layout(
        [{"question": p, "final_answer": g, "reasoning_steps": [
            {"solution_prefix": "\n".join(w.split("\n")[:n]), "mc_value": value}
            for n, value in enumerate([0.9, 0.45, 0.0][:len(w.split("\n"))], start=1)]} for p, g, _, w, _ in ALL],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: question, answer: final_answer}}
            generators:
              - name: values
                engine: recorded
                paths: [FILE]
                columns: {problem: question, solution: "reasoning_steps[-1].solution_prefix",
                          upstream_labels: "reasoning_steps[].mc_value"}
            """), verdicts="iii", negatives=3),
    "steps_with_first_error": Layout(
        [{"id": f"own-{i}", "generator": "m-7b", "problem": p, "steps": w.split("\n"), "final_answer_correct": False,
          "label": label} for i, ((p, _, _, w, _), label) in enumerate(zip(ALL, [0, 1, -1], strict=True))],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: problem}, answer: majority}
            generators:
              - name: process
                engine: recorded
                paths: [FILE]
                columns: {steps: steps, generator: generator, upstream_verdict: final_answer_correct,
                          upstream_first_error: label}
            """), verdicts="uuu", tells=[{"solution": WRONG[0], "generator": "m-7b", "upstream_verdict": "incorrect",
                                         "upstream_first_error": 0}]),
    "thinking": Layout(
        [{"problem": p, "answer": g, "reasoning_content": w, "content": text, "finish_reason": end}
         for (p, g, _, w, _), text, end in zip(ALL, [*RIGHT[:2], ""], ["stop", "stop", "length"], strict=True)],
        recipe("""
            problems: [{source: files, paths: [FILE]}]
            generators:
              - name: thinker
                engine: recorded
                paths: [FILE]
                columns: {solution: content, thought: reasoning_content, finish_reason: finish_reason}
                thoughts: column
            """), verdicts="ccu", tells=[{"solution": RIGHT[0], "thought": WRONG[0]}, {},
                                        {"solution": "", "thought": WRONG[2], "complete": False}]),
    "two_answers_for_one_problem": Layout(
        [{"problem": PROBLEMS[n], "answer": a, "solution": RIGHT[n]}
         for n, a in ((0, "79"), (0, "790"), (1, "28"), (1, "28.0"))],
        recipe("""
            problems: [{source: files, paths: [FILE]}]
            generators: [{name: own, engine: recorded, paths: [FILE]}]
            """), problems=1, drops={"two_golds": 2, "duplicate": 1}, verdicts="cc"),
    "two_text_columns": Layout(
        [{"Body": b, "Question": q, "Answer": float(g)} for (b, q), g in zip(
            [re.split(r"(?<=\.) (?=How)", text) for text in PROBLEMS[:2]] + [["", PROBLEMS[2]]], GOLDS, strict=True)],
        recipe("""
            problems:
              - {source: files, paths: [FILE], columns: {problem: '{Body} {Question}', answer: Answer}}
            generators: [{name: own, engine: recorded, paths: [BESIDE]}]
            """), verdicts="ccc", beside=SAMPLES),
}
