"""A published folder trains as it is with TRL's own command line: SFT, DPO and KTO, two steps each."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepforge.cards.publish import publish

torch = pytest.importorskip("torch", reason="needs torch: pip install stepforge[train]")
transformers = pytest.importorskip("transformers", reason="needs transformers: pip install stepforge[train]")
pytest.importorskip("trl", reason="needs trl: pip install stepforge[train]")


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer model with one token for every byte, its weights as they fall."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(["<pad>", "<end>", *letters])}
    bare = Tokenizer(models.BPE(vocabulary, []))
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="<pad>", eos_token="<end>")
    config = transformers.LlamaConfig(vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64,
                                      num_hidden_layers=2, num_attention_heads=2, pad_token_id=0, eos_token_id=1)
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("command", "config"), [("sft", "positives"), ("dpo", "pairs"), ("kto", "unpaired")])
def test_trl_trains_two_steps(command: str, config: str, make_release: Callable[..., Path], tiny_model: Path,
                              tmp_path: Path) -> None:
    publish(make_release(only=("positives", "pairs", "unpaired")), f"local:{tmp_path / 'out'}", "1.0.0")
    run = subprocess.run(
        [str(Path(sys.executable).parent / "trl"), command, "--model_name_or_path", str(tiny_model),
         "--dataset_name", str(tmp_path / "out/latest"), "--dataset_config", config, "--max_steps", "2",
         "--per_device_train_batch_size", "2", "--output_dir", str(tmp_path / "model"), "--report_to", "none",
         "--bf16", "False", "--use_cpu", "True", "--save_strategy", "no", "--logging_steps", "1"],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stderr[-3000:]
    assert "train_loss" in run.stdout + run.stderr
