"""Where stages run, in how many shards, and with how much memory."""

from typing import Literal

from pydantic import Field

from stepforge.pipelines.options.base import Options


class Executor(Options):
    kind: Literal["local"] = Field("local", description="Where stages run.")
    tasks: int = Field(2, ge=1, le=10_000, description="Shards of a stage; more shards need less memory each.")
    workers: int = Field(2, ge=1, description="Shards that run at the same time.")
    duckdb_memory: str = Field("2GiB", pattern=r"^\d+(\.\d+)?\s?[KMGT]i?B$", description="Memory limit of DuckDB.")
