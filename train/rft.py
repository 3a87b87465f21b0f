"""Rejection fine-tuning: a model learns from its own verified solutions, round after round.

    python -m stepforge.train.rft --recipe mine.yaml --rounds 2 --model MODEL --output_dir OUT [sft's own]

In: a recipe (its problems, how its first generator samples, what is deduplicated) and a model. A round runs the
recipe's stages with that model as generator (sample, verify, deduplicate, build) and fine-tunes the *first* model on
the positives that come out, so that rounds do not pile up on one another; `--go_on` fine-tunes the round's own model
instead. Out: OUT/round1, OUT/round2 ..., and the releases in OUT/runs. What is done is skipped when it is run again.
Sampling needs the pipeline, so this file, unlike the other methods, stands on it.
"""

import argparse
from pathlib import Path

from stepforge.builders.errors import UserError
from stepforge.pipelines import plan
from stepforge.pipelines.options.generators import RecordedGenerator
from stepforge.pipelines.recipe import Recipe, load_recipe
from stepforge.pipelines.run_folder import release_path
from stepforge.train import sft
from stepforge.train.card import RECORD
from stepforge.train.release import ReleaseError
from stepforge.train.script import say, user_errors


def round_recipe(recipe: Recipe, model: str, number: int) -> Recipe:
    """The recipe of one round: the first generator with `model`, alone, and a release of positives only."""
    generator = recipe.generators[0]
    if isinstance(generator, RecordedGenerator):
        raise ReleaseError(f"--recipe: generator {generator.name!r} is recorded; rft needs one that samples, such as "
                           "engine: embedded")
    release = recipe.release.model_copy(update={"configs": ("positives", "problems"), "to": None})
    return recipe.model_copy(update={
        "name": f"{recipe.name}-round{number}", "generators": (generator.model_copy(update={"model": model}),),
        "annotate": None, "release": release})


def main(argv: list[str] | None = None) -> None:
    """Run the rounds; options that are not listed go to sft (see sft.py --help)."""
    parser = argparse.ArgumentParser(prog="stepforge train rft", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, required=True, help="recipe whose first generator is sampled from")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", "--model_name_or_path", required=True, help="folder of the model that starts")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--go_on", action="store_true", help="fine-tune the round's own model, not the first one")
    args, passed_on = parser.parse_known_args(argv)
    with user_errors("rft"):
        try:
            recipe, model = load_recipe(args.recipe), args.model
            for number in range(1, args.rounds + 1):
                folder, out = args.output_dir / "runs" / f"round{number}", args.output_dir / f"round{number}"
                if not (out / RECORD).is_file():  # written last
                    say(f"round {number}: sampling from {model}")
                    plan.run(round_recipe(recipe, model, number), folder, plan.silent, lambda planned, account: None)
                    start = model if args.go_on else args.model
                    sft.main(["--dataset", str(release_path(folder)), "--model", start,
                              "--output_dir", str(out), *passed_on])
                model = str(out)
        except UserError as error:
            raise ReleaseError(str(error)) from error


if __name__ == "__main__":
    main()
