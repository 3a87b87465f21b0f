"""What writes solutions: one model of options for each engine."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from stepforge.pipelines.options.base import NAME, Options, pattern
from stepforge.pipelines.options.places import PlaceDict, PlaceName, PlaceNameOrNone, PlaceTuple
from stepforge.pipelines.options.sources import COLUMNS, Rows, check_columns

URL = pattern(r"^https?://[^@?\s]+$", "an address such as http://localhost:8000/v1, without a user, a key or a query")
VARIABLE = pattern(r"^[A-Za-z_]\w*$", "the name of an environment variable, such as API_KEY")
Thoughts = Literal["inline", "column", "drop"]
Parameter = Literal["seed", "temperature", "top_p", "top_k", "max_tokens", "stop", "n", "logprobs"]


class Sampling(Options):
    """What, beside the model and the prompt, decides the distribution of a completion."""

    temperature: float = Field(0.7, ge=0, le=5, description="Sampling temperature; 0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling: keep the smallest set of tokens with this "
                                                      "probability mass.")
    top_k: int = Field(0, ge=0, description="Keep only this many of the most probable tokens; 0 keeps all.")
    max_tokens: int = Field(256, ge=1, description="Largest number of tokens per completion.")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, description="Strings that end a completion; by default those of the prompt."
    )


class Sampler(Sampling):
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    prompt: str = Field("plain", description="Name of a prompt, a Jinja template that shows {{ problem }}, or `chat` "
                                             "for the model's own template.")
    samples: int = Field(8, ge=0, description="Solutions per problem; 0 for a model that only judges or continues.")
    parameters: int | None = Field(
        None, ge=1, description="Active parameters per token; by default counted from the model's config."
    )
    price: float | None = Field(None, gt=0, description="Price per million generated tokens, in any currency.")
    input_price: float | None = Field(
        None, ge=0, description="Price per million input tokens; by default 0."
    )
    cached_input_price: float | None = Field(
        None, ge=0, description="Price per million cached input tokens; most of a rollout's prompt is cached."
    )
    thoughts: Thoughts = Field(
        "inline", description="Where the thoughts of a reasoning model go: into the solution between <think> and "
                              "</think>, into the column `thought`, or nowhere."
    )

    @property
    def read_cost(self) -> float:
        """Price of a prompt token relative to a generated one, at the cached price if given."""
        read = self.input_price if self.cached_input_price is None else self.cached_input_price
        return 0.0 if read is None or self.price is None else read / self.price


class EmbeddedGenerator(Sampler):
    engine: Literal["embedded"] = Field(description="Engine that provides the solutions.")
    model: PlaceName = Field("tiny", description="`tiny`, the model that ships with the package, or a folder with a "
                                           "Llama-style model.")


class HostedModel(Sampler):
    """A model that somebody runs behind an OpenAI-compatible API. Where it is does not enter the generator's id: what
    serves another model under the same name needs another `revision`."""

    model: PlaceName = Field(description="Name of the model on the server.")
    revision: str | None = Field(None, description="Revision of the model, in the provider's words.")
    api: Literal["completions", "chat"] = Field(
        "completions", description="API of the server; `chat` cannot continue a solution from a step."
    )
    extra: PlaceDict = Field(default={}, description="More fields for the request body, such as min_p.")
    omit: tuple[Parameter, ...] = Field((), description="Fields to leave out of requests because the server refuses "
                                                        "them, such as seed.")
    rename: dict[Parameter, str] = Field(
        default={}, description="The server's names for fields, such as {max_tokens: max_completion_tokens}."
    )
    logprobs: bool = Field(False, description="Request log-probabilities; their sum and mean are stored.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if both := sorted(set(self.omit) & self.rename.keys()):
            raise ValueError(f"{both} stand in both `omit` and `rename`; keep one")
        taken = [name for name in self.rename.values() if name in (*get_args(Parameter), *self.extra)]
        if taken or len(set(self.rename.values())) < len(self.rename):
            raise ValueError(f"rename: {dict(self.rename)} gives two fields one name")
        return self


class EndpointGenerator(HostedModel):
    engine: Literal["endpoint"] = Field(description="Engine that provides the solutions.")
    url: PlaceName = Field(pattern=URL, description="Base URL of the server, including /v1.")
    key_variable: str | None = Field(
        None, pattern=VARIABLE, description="Name of the environment variable with the API key."
    )
    concurrency: int = Field(64, ge=1, description="Largest number of open requests; the client lowers it if the "
                                                   "server is overloaded.")
    timeout_s: float = Field(600, gt=0, description="Longest time to wait for one reply, in seconds.")
    answer_mib: int = Field(16, ge=1, le=1024, description="Largest uncompressed reply to accept, in MiB.")


class BatchGenerator(HostedModel):
    """A hosted model that is asked by files, in rounds: `stepforge batch export`, then `import`. It has the id of an
    endpoint with the same settings, so that either can finish what the other began."""

    engine: Literal["batch"] = Field(description="Engine that provides the solutions.")
    batch_discount: float = Field(0, ge=0, lt=1, description="Discount on all prices for batches, such as 0.5.")


class ServerOptions(Options):
    """A server that a run starts. What is here decides which servers run; generators that agree in it share them."""

    model: PlaceName = Field(description="A folder with a model, its id on the Hub, or `tiny`.")
    revision: str | None = Field(None, description="Branch, tag or commit on the Hub; its commit is recorded.")
    adapter: PlaceNameOrNone = Field(None, description="Folder with a LoRA adapter for the model.")
    dtype: str = Field("auto", description="Data type of the weights, in the engine's words.")
    max_model_len: int | None = Field(None, ge=2, description="Largest number of tokens of prompt and completion "
                                                              "together.")
    prefix_caching: bool = Field(True, description="Cache the common prefixes of prompts.")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share each layer (tensor parallelism).")
    pipeline_parallel: int = Field(1, ge=1, description="Groups of GPUs with consecutive layers of the model "
                                                        "(pipeline parallelism).")
    data_parallel: int = Field(1, ge=1, description="Copies of the model behind one server (data parallelism).")
    backend: Literal["mp", "ray"] | None = Field(
        None, description="How vLLM distributes a model: `mp`, processes of one machine, or `ray`, the Ray cluster "
                          "that RAY_ADDRESS names, for a model over several machines; by default vLLM decides.")
    replicas: int = Field(1, ge=1, description="Servers with separate GPUs; shards are distributed over them.")
    gpu_memory: float | None = Field(None, gt=0, le=1, description="Share of each GPU's memory that the server may "
                                                                   "use.")
    trust_remote_code: bool = Field(False, description="Allow Python code from the model's repository to run.")
    arguments: PlaceTuple = Field((), description="More arguments for `vllm serve` or `sglang.launch_server`.")
    start_timeout_s: float = Field(1800, gt=0, description="Longest time to wait for a server to start, in seconds.")


class LaunchedGenerator(Sampler, ServerOptions):
    """A model behind servers that the run starts."""

    engine: Literal["vllm", "sglang"] = Field(description="Engine that provides the solutions.")
    concurrency: int = Field(256, ge=1, description="Largest number of open requests; one request may ask for several "
                                                    "completions.")
    logprobs: bool = Field(False, description="Request log-probabilities; their sum and mean are stored.")
    timeout_s: float = Field(3600, gt=0, description="Longest time to wait for one reply, in seconds.")


class VllmGenerator(LaunchedGenerator):
    engine: Literal["vllm"] = Field(description="Engine that provides the solutions.")


class SglangGenerator(LaunchedGenerator):
    engine: Literal["sglang"] = Field(description="Engine that provides the solutions.")

    @model_validator(mode="after")
    def _no_backend(self) -> Self:
        if self.backend is not None:
            raise ValueError("backend: only vLLM has one; for SGLang over several machines, start it yourself and use "
                             "engine: endpoint")
        return self


SOLUTIONS = ("solution", "solutions", "steps")  # a text, a list of texts, or a list that is one text in pieces
SAMPLE_COLUMNS = ("problem", *SOLUTIONS, "thought", "generator", "finish_reason", "complete", "prompt_tokens",
                  "completion_tokens", "seed", "upstream_verdict", "upstream_first_error", "upstream_labels")


class RecordedGenerator(Rows):
    engine: Literal["recorded"] = Field(description="Engine that provides the solutions.")
    name: str = Field(pattern=NAME, description="Name of the generator in tables and cards.")
    model: PlaceName = Field("recorded", description="Name of the model that wrote the samples, for the card.")
    columns: dict[str, str] = Field(
        default={"solution": "solution"},
        description=f"{COLUMNS} {', '.join(SAMPLE_COLUMNS)}. `problem` is read from the column of that name "
        "unless mapped. Map one of `solution` (one text), `solutions` (a list of samples) and `steps` (one sample in "
        "pieces). One line break stands between pieces, whatever breaks or blank lines a piece ends in. "
        "With `solutions`, each other column holds a list of the same length, or one value for all samples; one "
        "`completion_tokens` for several samples is their sum, so that of each is unknown.",
    )
    join: str | None = Field(
        None, description="Path to the problem's source_id. By default samples are matched to problems by the text or "
                          "the problem_id in the column `problem`. The id of a problem that was dropped as a "
                          "duplicate names the problem that stayed."
    )
    thoughts: Thoughts = Field(
        "inline", description="Where thoughts go, from a mapped column or from <think> and other models' tags: into "
                              "the solution, into the column `thought`, or nowhere."
    )
    step_mark: str | None = Field(
        None, min_length=1, description="Mark that ends the steps within a text, such as that of Math-Shepherd. It is "
                                        "removed, and a text of `upstream_labels` that has labels in its place gives "
                                        "the labels."
    )
    prompt: str = Field("plain", description="Prompt that the release puts before these solutions.")
    samples: int | None = Field(None, ge=1, description="Largest number of samples per problem; by default all.")

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


Writer = EmbeddedGenerator | VllmGenerator | SglangGenerator | EndpointGenerator | BatchGenerator  # what can write
Generator = Annotated[Writer | RecordedGenerator, Field(discriminator="engine")]
