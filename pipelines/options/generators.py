"""What writes solutions: one model of options for each engine."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from stepforge.pipelines.options.base import NAME, Options, pattern
from stepforge.pipelines.options.sources import COLUMNS, Rows, check_columns

URL = pattern(r"^https?://[^@?\s]+$", "an address such as http://localhost:8000/v1, without a user, a key or a query")
VARIABLE = pattern(r"^[A-Za-z_]\w*$", "the name of an environment variable, such as API_KEY")
Thoughts = Literal["inline", "column", "drop"]
Parameter = Literal["seed", "temperature", "top_p", "top_k", "max_tokens", "stop", "n", "logprobs"]


class Sampling(Options):
    """What, beside the model and the prompt, decides the distribution of a completion."""

    temperature: float = Field(0.7, ge=0, le=5, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: smallest set of tokens with this mass.")
    top_k: int = Field(0, ge=0, description="Keep this many likeliest tokens; 0 keeps all.")
    max_tokens: int = Field(256, ge=1, description="Longest completion in tokens.")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, description="Strings that end a completion; by default the prompt's."
    )


class Sampler(Sampling):
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    prompt: str = Field("plain", description="Name of a prompt, a Jinja template of your own, or chat.")
    samples: int = Field(8, ge=0, description="Solutions for each problem; 0 for a model that only judges.")
    parameters: int | None = Field(
        None, ge=1, description="Parameters that compute a token; by default counted from the model's config."
    )
    price: float | None = Field(None, gt=0, description="Price of a million generated tokens, in any currency.")
    input_price: float | None = Field(
        None, ge=0, description="Price of a million tokens that the model reads; by default nothing."
    )
    cached_input_price: float | None = Field(
        None, ge=0, description="The same of tokens in the engine's cache, where a rollout's prompt mostly is."
    )
    thoughts: Thoughts = Field(
        "inline", description="Thoughts of a reasoning model: in the solution between <think> and </think>, in a "
        "column `thought` of their own, or nowhere."
    )

    @property
    def read_cost(self) -> float:
        """What reading a token costs a rollout beside writing one: its prefix was read for the rollout before."""
        read = self.input_price if self.cached_input_price is None else self.cached_input_price
        return 0.0 if read is None or self.price is None else read / self.price


class EmbeddedGenerator(Sampler):
    engine: Literal["embedded"] = Field(description="Kind of the engine.")
    model: str = Field("tiny", description="The shipped tiny model, or a folder with a Llama-style model.")


class HostedModel(Sampler):
    """A model that somebody runs behind an OpenAI-compatible API. Where it is does not enter the generator's id: what
    serves another model under the same name needs another `revision`."""

    model: str = Field(description="The model's name there.")
    revision: str | None = Field(None, description="Revision of the model, as its maker calls it.")
    api: Literal["completions", "chat"] = Field(
        "completions", description="What the server can do; one that can only chat continues no steps."
    )
    extra: dict[str, Any] = Field(default={}, description="More fields of a request's body, such as min_p.")
    omit: tuple[Parameter, ...] = Field((), description="Fields that the server refuses and never gets, such as seed.")
    rename: dict[Parameter, str] = Field(
        default={}, description="What the server calls fields, such as {max_tokens: max_completion_tokens}."
    )
    logprobs: bool = Field(False, description="Ask for log-probabilities; their sum and mean are kept.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if both := sorted(set(self.omit) & self.rename.keys()):
            raise ValueError(f"{both} stand in both `omit` and `rename`; keep one")
        taken = [name for name in self.rename.values() if name in (*get_args(Parameter), *self.extra)]
        if taken or len(set(self.rename.values())) < len(self.rename):
            raise ValueError(f"rename: {dict(self.rename)} gives two fields one name")
        return self


class EndpointGenerator(HostedModel):
    engine: Literal["endpoint"] = Field(description="Kind of the engine.")
    url: str = Field(pattern=URL, description="The server's base URL, up to and with /v1.")
    key_variable: str | None = Field(
        None, pattern=VARIABLE, description="Environment variable that holds the API key."
    )
    concurrency: int = Field(64, ge=1, description="Most requests at a time; fewer where that is too much.")
    timeout_s: float = Field(600, gt=0, description="Longest wait for one answer, in seconds.")
    answer_mib: int = Field(16, ge=1, le=1024, description="Largest answer that is read, unpacked, in MiB.")


class BatchGenerator(HostedModel):
    """A hosted model that is asked by files, in rounds: `stepforge batch export`, then `import`. It has the id of an
    endpoint with the same settings, so that either can finish what the other began."""

    engine: Literal["batch"] = Field(description="Kind of the engine.")
    batch_discount: float = Field(0, ge=0, lt=1, description="Share of the prices that a batch saves, such as 0.5.")


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
    engine: Literal["vllm"] = Field(description="Kind of the engine.")
    concurrency: int = Field(256, ge=1, description="Most requests at a time; one may ask for many completions.")
    logprobs: bool = Field(False, description="Ask for log-probabilities; their sum and mean are kept.")
    timeout_s: float = Field(3600, gt=0, description="Longest wait for one answer, in seconds.")

    @model_validator(mode="after")
    def _completions_fit(self) -> Self:
        if self.max_model_len is not None and self.max_tokens >= self.max_model_len:
            raise ValueError(f"max_tokens: {self.max_tokens} leaves no room for a prompt in max_model_len, which is "
                             f"{self.max_model_len}; take fewer tokens, or a longer context")
        return self


SOLUTIONS = ("solution", "solutions", "steps")  # a text, a list of texts, or a list that is one text in pieces
SAMPLE_COLUMNS = ("problem", *SOLUTIONS, "thought", "generator", "finish_reason", "complete", "prompt_tokens",
                  "completion_tokens", "seed", "upstream_verdict", "upstream_first_error", "upstream_labels")


class RecordedGenerator(Rows):
    engine: Literal["recorded"] = Field(description="Kind of the engine.")
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    model: str = Field("recorded", description="The model that wrote them, for the card.")
    columns: dict[str, str] = Field(
        default={"solution": "solution"},
        description=f"Mapping, {COLUMNS} Ours are {', '.join(SAMPLE_COLUMNS)}; `problem` is in a column of that name "
        "unless mapped. `solution` is one text, `solutions` a "
        "list of samples, `steps` a list of the pieces of one; what is told of `solutions` is a list as well, or one "
        "value for all.",
    )
    join: str | None = Field(
        None, description="Where the problem's source_id is, mapped as columns are; by default samples find their "
        "problem by its text, or by its problem_id, in the column `problem`."
    )
    thoughts: Thoughts = Field(
        "inline", description="Where a mapped or written thought goes: into the solution, into a column, or nowhere."
    )
    prompt: str = Field("plain", description="Prompt template that the release writes before these solutions.")
    samples: int | None = Field(None, ge=1, description="At most this many for each problem; all by default.")

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        check_columns(self.columns | ({"problem": self.join} if self.join else {}), SAMPLE_COLUMNS)
        texts = [name for name in SOLUTIONS if name in self.columns]
        if len(texts) != 1:
            raise ValueError(f"columns: one of {', '.join(SOLUTIONS)} is needed, got {texts or 'none'}")
        if "problem" in self.columns and self.join:
            raise ValueError("give either columns.problem or `join`: samples find their problem by text or by id")
        if texts == ["solutions"] and "upstream_labels" in self.columns:
            raise ValueError("columns.upstream_labels: the labels of one solution's steps; with `solutions` there are "
                             "several in a row. Map `solution` or `steps`")
        return self

    @property
    def mapping(self) -> dict[str, str]:
        """The mapping with the column that names the problem, by text or by id."""
        return {"problem": self.join or "problem"} | self.columns


Writer = EmbeddedGenerator | VllmGenerator | EndpointGenerator | BatchGenerator  # what can write
Generator = Annotated[Writer | RecordedGenerator, Field(discriminator="engine")]
