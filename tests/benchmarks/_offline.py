"""vLLM's own `LLM.generate`, for throughput.py: runs in the Python that has vLLM and measures when it is told to.

    python _offline.py WORK.json   # {"engine": LLM's arguments, "prompts": [...], "seeds": [...], "sampling": {...}}

Prints `ready`, and for every line on standard input the generated tokens and the seconds of one `LLM.generate`.
"""

import json
import sys
import time
from pathlib import Path

from vllm import LLM, SamplingParams  # type: ignore[import-not-found]


def main() -> None:
    """Serve measurements until standard input ends."""
    work = json.loads(Path(sys.argv[1]).read_text())
    llm = LLM(**work["engine"])
    sampling = [SamplingParams(seed=seed, **work["sampling"]) for seed in work["seeds"]]
    print("ready", flush=True)
    for _ in sys.stdin:
        llm.reset_prefix_cache()
        start = time.perf_counter()
        outputs = llm.generate(work["prompts"], sampling, use_tqdm=False)
        seconds = time.perf_counter() - start
        tokens = sum(len(choice.token_ids) for output in outputs for choice in output.outputs)
        print(json.dumps({"tokens": tokens, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
