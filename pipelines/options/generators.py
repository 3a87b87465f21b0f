"""What writes solutions: one model of options for each engine."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from stepforge.pipelines.options.base import NAME, Options

Parameter = Literal["seed", "temperature", "top_p", "top_k", "max_tokens", "stop", "n", "logprobs"]


class Sampling(Options):
    """What, beside the model and the prompt, decides the distribution of a completion."""

    temperature: float = Field(0.7, ge=0, le=5, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: smallest set of tokens with this mass.")
    top_k: int = Field(0, ge=0, description="Keep this many likeliest tokens; 0 keeps all.")
    max_tokens: int = Field(256, ge=1, description="Longest completion in tokens.")
    stop: tuple[str, ...] | None = Field(None, description="Strings that end a completion; by default the prompt's.")


class Sampler(Sampling):
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    prompt: str = Field("plain", description="Name of a prompt, a Jinja template of your own, or chat.")
    samples: int = Field(8, ge=0, description="Solutions for each problem; 0 for a model that only judges.")
    parameters: int | None = Field(
        None, ge=1, description="Parameters that compute a token; by default counted from the model's config."
    )
    price: float | None = Field(None, gt=0, description="Price of a million generated tokens, in any currency.")
    thoughts: Literal["inline", "column", "drop"] = Field(
        "inline", description="Thoughts of a reasoning model: in the solution between <think> and </think>, in a "
        "column `thought` of their own, or nowhere."
    )


class EmbeddedGenerator(Sampler):
    engine: Literal["embedded"]
    model: str = Field("tiny", description="The shipped tiny model, or a folder with a Llama-style model.")


class EndpointGenerator(Sampler):
    """An OpenAI-compatible server that somebody runs. Where it is does not enter the generator's id: what serves
    another model under the same name needs another `revision`."""

    engine: Literal["endpoint"]
    url: str = Field(pattern=r"^https?://[^@?\s]+$", description="The server's base URL, up to and with /v1.")
    model: str = Field(description="The model's name there.")
    revision: str | None = Field(None, description="Revision of the model, as its maker calls it.")
    key_variable: str | None = Field(
        None, pattern=r"^[A-Za-z_]\w*$", description="Environment variable that holds the API key."
    )
    api: Literal["completions", "chat"] = Field(
        "completions", description="What the server can do; one that can only chat continues no steps."
    )
    concurrency: int = Field(64, ge=1, description="Most requests at a time; fewer where that is too much.")
    timeout_s: float = Field(600, gt=0, description="Longest wait for one answer, in seconds.")
    extra: dict[str, Any] = Field(default={}, description="More fields of a request's body, such as min_p.")
    omit: tuple[Parameter, ...] = Field((), description="Fields that the server refuses and never gets, such as seed.")
    rename: dict[Parameter, str] = Field(
        default={}, description="What the server calls fields, such as {max_tokens: max_completion_tokens}."
    )
    logprobs: bool = Field(False, description="Ask for log-probabilities; their sum and mean are kept.")
    answer_mib: int = Field(16, ge=1, le=1024, description="Largest answer that is read, unpacked, in MiB.")

    @model_validator(mode="after")
    def _names_differ(self) -> "EndpointGenerator":
        if both := sorted(set(self.omit) & self.rename.keys()):
            raise ValueError(f"{both} stand in both `omit` and `rename`; keep one")
        taken = [name for name in self.rename.values() if name in (*get_args(Parameter), *self.extra)]
        if taken or len(set(self.rename.values())) < len(self.rename):
            raise ValueError(f"rename: {dict(self.rename)} gives two fields one name")
        return self


class ServerOptions(Options):
    """A vLLM server. What is here decides which servers run; generators that agree in all of it share them."""

    model: str = Field(description="A folder with a model, its id on the Hub, or `tiny`.")
    revision: str | None = Field(None, description="Branch, tag or commit on the Hub; its commit is recorded.")
    adapter: str | None = Field(None, description="A folder with a LoRA adapter that is put on the model.")
    dtype: str = Field("auto", description="Type of the weights, as vLLM calls it.")
    max_model_len: int | None = Field(None, ge=2, description="Longest prompt and completion together, in tokens.")
    prefix_caching: bool = Field(True, description="Compute what prompts have in common once.")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share every layer.")
    data_parallel: int = Field(1, ge=1, description="Copies of the model behind one server.")
    replicas: int = Field(1, ge=1, description="Servers, each with GPUs of its own; shards take turns.")
    gpu_memory: float | None = Field(None, gt=0, le=1, description="Share of a GPU's memory that vLLM may take.")
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    arguments: tuple[str, ...] = Field((), description="More arguments of `vllm serve`.")
    start_timeout_s: float = Field(1800, gt=0, description="Longest wait for a server to start, in seconds.")


class VllmGenerator(Sampler, ServerOptions):
    engine: Literal["vllm"]
    concurrency: int = Field(256, ge=1, description="Most requests at a time; one may ask for many completions.")
    logprobs: bool = Field(False, description="Ask for log-probabilities; their sum and mean are kept.")
    timeout_s: float = Field(3600, gt=0, description="Longest wait for one answer, in seconds.")


class RecordedGenerator(Options):
    engine: Literal["recorded"]
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    paths: list[str] = Field(
        default=[], description="JSONL, CSV or Parquet files with solutions: paths, globs, or URLs such as s3://."
    )
    hub: str | None = Field(None, description="Or a dataset on the Hub.")
    revision: str | None = Field(None, description="Its revision.")
    hub_split: str = Field("train", description="Its split.")
    model: str = Field("recorded", description="The model that wrote them, for the card.")
    problem: str = Field("problem", description="Column with the problem's text (or its problem_id).")
    solution: str = Field("solution", description="Column with one solution, a list of them, or a list of records.")
    solution_key: str | None = Field(None, description="Where the solutions are records: the key of the text.")
    prompt: str = Field("plain", description="Prompt template that the release writes before these solutions.")
    samples: int | None = Field(None, ge=1, description="At most this many for each problem; all by default.")

    @model_validator(mode="after")
    def _one_place(self) -> "RecordedGenerator":
        if bool(self.paths) == bool(self.hub):
            raise ValueError("give either `paths` or `hub`")
        return self


Writer = EmbeddedGenerator | VllmGenerator | EndpointGenerator  # what can write; the others have written
Generator = Annotated[Writer | RecordedGenerator, Field(discriminator="engine")]
