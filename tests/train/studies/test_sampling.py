"""The studies' sampler writes what transformers' `generate` writes, and draws what the model's probabilities say."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stepforge.train.studies.sampling import Policy

PROMPTS = ["Add 3, 4 and 5.\n", "Add 12, 40 and 7.\n", "Add 1, 2 and 3.\n", "Add 3, 4 and 5.\n"]


def test_greedy_texts_are_those_of_generate(tiny: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    policy = Policy(tiny, "cpu", 12)
    for prompt, completion in zip(PROMPTS, policy.complete(PROMPTS, 0.0, 0), strict=True):
        inputs = tokenizer(prompt, return_tensors="pt")
        out = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs.input_ids.shape[1]:].tolist()
        ended = tokenizer.eos_token_id in out
        assert completion.text == tokenizer.decode(out[:out.index(tokenizer.eos_token_id)] if ended else out)
        assert completion.complete == ended
    assert policy.parameters == model.num_parameters()


def test_same_seed_gives_the_same_texts_and_equal_prompts_differ(tiny: Path) -> None:
    policy = Policy(tiny, "cpu", 12)
    first, again, other = (policy.complete(PROMPTS, 1.0, seed) for seed in (1, 1, 2))
    assert first == again and first != other
    assert first[0] != first[3]


def test_tokens_are_drawn_as_often_as_the_model_says(tiny: Path) -> None:
    """1,000 draws of one token: by chance the distance below exceeds 0.3 less than once in a million runs.

    In total variation, of the 10 likeliest tokens and the rest: its mean is about 0.05, and it moves by at most 0.001
    a draw, so exceeding 0.3 has odds below exp(-2 * 1000 * 0.25^2).
    """
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    with torch.no_grad():
        logits = model(**tokenizer(PROMPTS[0], return_tensors="pt")).logits[0, -1]
    expected = (logits * 20).softmax(-1)  # temperature 0.05 parts the tokens of a model that was never trained
    texts = [text.text for text in Policy(tiny, "cpu", 1).complete(PROMPTS[:1] * 1000, 0.05, 3)]
    likeliest = expected.topk(10).indices.tolist()
    gaps = [abs(texts.count(tokenizer.decode([token])) / 1000 - expected[token].item()) for token in likeliest]
    rest = 1 - sum(texts.count(tokenizer.decode([token])) for token in likeliest) / 1000
    assert (sum(gaps) + abs(rest - (1 - expected[likeliest].sum().item()))) / 2 < 0.3
