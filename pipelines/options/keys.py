"""Keys that a recipe would send elsewhere: a variable's name says whose key it holds, a URL says who gets it.

In: the name of an environment variable and a URL, both from a recipe that a stranger may have written. Out: a warning,
or nothing. It is no proof: a variable of another name is not recognised.
"""

import re
from urllib.parse import urlsplit

# What the names of variables say, in this order, and the hosts (with all below them) that the keys are meant for.
SERVICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"^HF_|HUGGING_?FACE", "Hugging Face", ("huggingface.co", "hf.co", "huggingface.cloud", "hf.space")),
    (r"AZURE", "Azure", ("azure.com", "windows.net", "azure.cn")),
    (r"OPENAI", "OpenAI", ("openai.com",)),
    (r"ANTHROPIC|CLAUDE", "Anthropic", ("anthropic.com",)),
    (r"GEMINI|GOOGLE", "Google", ("googleapis.com",)),
    (r"MISTRAL", "Mistral", ("mistral.ai",)),
    (r"DEEPSEEK", "DeepSeek", ("deepseek.com",)),
    (r"DASHSCOPE|ALIBABA", "Alibaba Cloud", ("aliyuncs.com",)),
    (r"GROQ", "Groq", ("groq.com",)),
    (r"TOGETHER", "Together", ("together.ai", "together.xyz")),
    (r"FIREWORKS", "Fireworks", ("fireworks.ai",)),
    (r"OPENROUTER", "OpenRouter", ("openrouter.ai",)),
    (r"COHERE", "Cohere", ("cohere.ai", "cohere.com")),
    (r"NVIDIA|^NGC_", "NVIDIA", ("nvidia.com",)),
    (r"^XAI_|GROK", "xAI", ("x.ai",)),
    (r"GITHUB|^GH_", "GitHub", ("github.com", "githubusercontent.com", "githubcopilot.com", "github.ai")),
    (r"GITLAB", "GitLab", ("gitlab.com",)),
    (r"WANDB", "Weights & Biases", ("wandb.ai",)),
    (r"^AWS_", "AWS", ("amazonaws.com",)),
    (r"KAGGLE", "Kaggle", ("kaggle.com",)),
    (r"SLACK", "Slack", ("slack.com",)),
)


def foreign_key(variable: str, url: str) -> str | None:
    """Whose key goes elsewhere and where to, in a sentence; None where nothing speaks against it."""
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    for pattern, service, hosts in SERVICES:
        if re.search(pattern, variable.upper()):
            if any(host == own or host.endswith(f".{own}") for own in hosts):
                return None
            return (f"the variable {variable} looks like a key of {service}, and this recipe sends it to {host}; run "
                    "the recipe only if that host may have it")
    return None
