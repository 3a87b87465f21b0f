"""Where stages run, in how many shards, and with how much of a machine."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from stepforge.pipelines.options.base import Options, pattern

Kind = Literal["local", "slurm", "ray", "jobs"]
StageName = Literal["problems", "synthesize", "decontaminate", "generate", "verify", "deduplicate", "judge",
                    "annotate", "measure", "build", "card", "publish"]  # in the order in which they run
AskingStage = Literal["synthesize", "generate", "judge", "annotate"]  # of a model
ShardedStage = Literal[AskingStage, "verify", "deduplicate", "build"]  # the others are SQL in one process

TIME = pattern(r"^(\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}|INFINITE|UNLIMITED)$",
               "a time of sbatch, such as 90, 24:00:00 or 2-12")
LEAST_DUCKDB_MIB = 256  # with less, a release of a few thousand solutions is not built


def bytes_of(memory: str) -> int:
    """A size such as 2GiB or 500 MB in bytes."""
    step = 1024 if "i" in memory else 1000
    return int(float(memory.rstrip("KMGTiB ")) * step ** ("KMGT".index(memory.lstrip("0123456789. ")[0]) + 1))


def _enough(memory: str) -> str:
    if bytes_of(memory) < LEAST_DUCKDB_MIB * 2**20:
        raise ValueError(f"DuckDB needs {LEAST_DUCKDB_MIB}MiB or more, got {memory}")
    return memory


class SlurmServers(Options):
    """Jobs that serve the models of `vllm` and `sglang` generators to all ranks, instead of a server per rank."""

    nodes: int = Field(1, ge=1, description="Jobs with servers, each on one node; each runs the `replicas` of the "
                                            "generator.")
    gpus: int = Field(1, ge=0, description="GPUs per job.")
    cpus: int = Field(8, ge=1, description="CPUs per job.")
    memory_gb: int = Field(64, ge=1, description="Memory per job, in GiB.")
    partition: str | None = Field(None, description="Partition for these jobs; by default that of the ranks.")
    time: str | None = Field(None, pattern=TIME, description="Time limit per job; by default that of the ranks. A job "
                                                             "that reaches it is replaced.")
    sbatch: dict[str, str] = Field(default={}, description="More options for sbatch, beside those of the ranks.")


class Slurm(Options):
    partition: str = Field(description="Partition for the jobs.")
    time: str = Field(
        "24:00:00", pattern=TIME,
        description="Time limit per job in a form of sbatch: minutes, hours:minutes:seconds, days-hours and so on.",
    )
    qos: str | None = Field(None, description="Quality of service, if the cluster needs one.")
    sbatch: dict[str, str] = Field(default={}, description="More options for sbatch, such as {account: math}.")
    setup: str | None = Field(
        None, description="Shell line to run before each task; by default it puts the environment of stepforge on "
                          "PATH."
    )
    servers: SlurmServers | None = Field(None, description="Jobs with servers that all ranks share; by default each "
                                                           "rank starts its own.")


class Ray(Options):
    address: str | None = Field(
        None, description="Address of the Ray cluster; by default RAY_ADDRESS, else a cluster on this machine."
    )


class Jobs(Options):
    staging: str = Field(
        pattern=pattern(r"^[a-z0-9]+://.+", "a URL such as s3://BUCKET/FOLDER"),
        description="Folder on hf:// or s3:// that this machine and the jobs can read and write."
    )
    install: tuple[str, ...] = Field(
        min_length=1, description="Packages that a job installs: stepforge with its extras as pip names them, and "
                                  "others."
    )
    flavor: str = Field("cpu-basic", description="Hardware flavor of the jobs.")
    image: str | None = Field(None, description="Docker image that contains uv; by default the one of the Hub.")
    timeout: str = Field("2h", pattern=pattern(r"^\d+(\.\d+)?[smhd]?$", "a time such as 90m, 2h or 1d"),
                         description="Time limit per job, such as 90m, 2h or 1d.")
    namespace: str | None = Field(None, description="User or organisation that pays; by default the one who is logged "
                                                    "in.")
    secrets: tuple[str, ...] = Field((), description="Environment variables to pass to jobs, such as an API key.")
    poll_s: int = Field(15, ge=1, description="Seconds between two checks of the jobs.")


class Shards(Options):
    """What a stage may have otherwise than the rest; what is left out is as for all stages."""

    kind: Kind | None = Field(None, description="Where this stage runs.")
    tasks: int | None = Field(None, ge=1, le=10_000, description="Shards of this stage.")
    workers: int | None = Field(None, ge=1, description="Shards of this stage that run in parallel.")
    tasks_per_job: int | None = Field(None, ge=1, description="Shards of this stage per job.")
    cpus_per_task: int | None = Field(None, ge=1, description="CPUs to reserve per shard of this stage.")
    memory_gb_per_cpu: int | None = Field(None, ge=1, description="Memory to reserve per CPU of this stage, in GiB.")
    gpus_per_task: int | None = Field(None, ge=0, description="GPUs to reserve per shard of this stage.")
    slurm: Slurm | None = Field(None, description="Slurm settings of this stage.")
    jobs: Jobs | None = Field(None, description="Settings of this stage's jobs on the Hub.")


class Executor(Options):
    kind: Kind = Field("local", description="Where stages run.")
    tasks: int = Field(2, ge=1, le=10_000, description="Shards per stage; more shards need less memory each.")
    workers: int = Field(2, ge=1, description="Shards that run in parallel.")
    buckets: int = Field(
        1, ge=1, le=10_000, description="Parts of each table, by a hash of the problem id. With more than 1, each "
                                        "shard reads and writes its own parts only, and a resumed run skips finished "
                                        "parts. Use 1 up to 50,000 problems, beyond that about one per 5,000, and at "
                                        "least as many as `tasks`. If the number changes, the run divides its tables "
                                        "again."
    )
    tasks_per_job: int = Field(1, ge=1, description="Shards per Slurm, Ray or Hub job; a job runs them one after "
                                                    "another.")
    cpus_per_task: int = Field(1, ge=1, description="CPUs to reserve per shard on Slurm and Ray.")
    memory_gb_per_cpu: int = Field(2, ge=1, description="Memory to reserve per CPU on Slurm and Ray, in GiB.")
    gpus_per_task: int = Field(0, ge=0, description="GPUs to reserve per shard on Slurm and Ray.")
    duckdb_memory: Annotated[str, AfterValidator(_enough)] = Field(
        "2GiB", pattern=pattern(r"^\d+(\.\d+)?\s?[KMGT]i?B$", "a size such as 2GiB"),
        description=f"Memory limit of DuckDB, {LEAST_DUCKDB_MIB}MiB or more.",
    )
    slurm: Slurm | None = Field(None, description="Slurm settings; needed if a stage runs on Slurm.")
    ray: Ray = Field(Ray(), description="Ray settings.")
    jobs: Jobs | None = Field(None, description="Settings for jobs on the Hub; needed if a stage runs there.")
    stages: dict[ShardedStage, Shards] = Field(default={}, description="Settings of single stages that differ from "
                                                                       "the rest.")

    def of(self, stage: str) -> "Executor":
        """The executor as one stage has it."""
        overrides = self.stages.get(stage) if stage in get_args(ShardedStage) else None  # type: ignore[call-overload]
        given: dict[str, Any] = {name: value for name, value in overrides or () if value is not None}
        return self.model_copy(update=given | {"stages": {}})

    @model_validator(mode="after")
    def _buckets_lie_where_shards_work(self) -> "Executor":
        for stage in get_args(ShardedStage):
            if self.buckets > 1 and self.of(stage).kind == "jobs":
                raise ValueError(f"buckets: {self.buckets}, but {stage} runs as jobs on the Hub, which share no disk; "
                                 "allowed is 1 there")
        return self

    @model_validator(mode="after")
    def _kinds_have_what_they_need(self) -> "Executor":
        for stage in get_args(ShardedStage):
            executor = self.of(stage)
            for kind in ("slurm", "jobs"):
                if executor.kind == kind and getattr(executor, kind) is None:
                    raise ValueError(f"kind {kind!r} of {stage} needs `{kind}` with at least "
                                     f"{_required(Slurm if kind == 'slurm' else Jobs)}")
            if stage in get_args(AskingStage) and executor.tasks_per_job > 1:
                raise ValueError(
                    f"tasks_per_job: {executor.tasks_per_job} for {stage}, which asks a model; datatrove's inference "
                    f"runner skips data when it serves a second shard in one process. Allowed is 1: set "
                    f"executor.stages.{stage}.tasks_per_job to 1"
                )
        return self


def _required(model: type[Options]) -> str:
    return " and ".join(f"`{name}`" for name, field in model.model_fields.items() if field.is_required())
