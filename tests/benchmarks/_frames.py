"""The same deduplication and measures as the product's SQL, written for pandas and for polars as their users would.

In: a Parquet file with the columns of `sample`. Out: a Parquet file of duplicates, and the mean and its standard error
by generator, measure and k. `chance[k][n, members]` is given: the probability that k of n samples meet a class.
`pandas_at_once` is a tuned variant of `with_pandas` that treats all k in one table instead of one after the other.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

KEYS: dict[str, list[str]] = {"coverage": [], "diversity_text": ["text_key"], "diversity_equations": ["equation_key"]}
PROBLEM = ["generator", "problem_id"]
Curves = dict[tuple[str, str, int], tuple[float, float]]
Chance = dict[int, np.ndarray]


def with_pandas(samples: Path, duplicates: Path, chance: Chance) -> Curves:
    rows = _pandas_duplicates(samples, duplicates)
    curves: Curves = {}
    for measure, members, n in _pandas_classes(rows):
        for k, table in chance.items():
            enough = members[members["n"] >= k]
            value = enough[PROBLEM].assign(value=table[enough["n"], enough["members"]]).groupby(PROBLEM)["value"].sum()
            value = value.reindex(n.index[n >= k], fill_value=0.0).groupby("generator").agg(["mean", "sem"])
            curves |= {(name, measure, k): (row["mean"], row["sem"]) for name, row in value.iterrows()}
    return curves


def pandas_at_once(samples: Path, duplicates: Path, chance: Chance) -> Curves:
    rows = _pandas_duplicates(samples, duplicates)
    tables, ks = np.stack(list(chance.values()), axis=-1), list(chance)
    curves: Curves = {}
    for measure, members, n in _pandas_classes(rows):
        value = pd.DataFrame(tables[members["n"], members["members"]], columns=ks)
        value[PROBLEM] = members[PROBLEM]
        value = value.groupby(PROBLEM).sum().reindex(n.index, fill_value=0.0)
        value = value.where(n.to_numpy()[:, None] >= np.array(ks)).groupby("generator").agg(["mean", "sem"])
        curves |= {(name, measure, k): (row[k, "mean"], row[k, "sem"]) for name, row in value.iterrows() for k in ks}
    return curves


def _pandas_duplicates(samples: Path, duplicates: Path) -> pd.DataFrame:
    rows = pd.read_parquet(samples)
    rows["key"] = rows["equation_key"].where(rows["correct"], rows["text_key"])
    ranked = rows.sort_values(["complete", "position"], ascending=[False, True])
    same = ranked.groupby(["problem_id", "correct", "key"], sort=False)
    first = same[["solution_id", "text_key"]].transform("first")
    removed = pd.DataFrame({
        "solution_id": ranked["solution_id"], "survivor_id": first["solution_id"],
        "reason": np.where(ranked["text_key"] == first["text_key"], "text", "equations"),
    })[ranked["solution_id"] != first["solution_id"]]
    removed.sort_index().to_parquet(duplicates, compression="zstd", index=False)
    return rows


def _pandas_classes(rows: pd.DataFrame):
    """By measure, the classes of equal correct samples with their members and n, and n by problem."""
    counted = rows[rows["counts"]]
    correct = counted[counted["correct"]]
    n = counted.groupby(PROBLEM).size().rename("n")
    for measure, keys in KEYS.items():
        members = correct.groupby([*PROBLEM, *keys]).size().rename("members").reset_index()
        yield measure, members.merge(n.reset_index(), on=PROBLEM), n


def with_polars(samples: Path, duplicates: Path, chance: Chance) -> Curves:
    key, group = pl.when("correct").then("equation_key").otherwise("text_key"), ["problem_id", "correct", "key"]
    rows = pl.scan_parquet(samples).with_columns(key=key).collect()
    survivors = rows.lazy().sort("complete", "position", descending=[True, False]).group_by(
        group, maintain_order=True).agg(pl.first("solution_id").alias("survivor_id"),
                                        pl.first("text_key").alias("survivor_key"), pl.len()).filter(pl.col("len") > 1)
    reason = pl.when(pl.col("text_key") == pl.col("survivor_key")).then(pl.lit("text")).otherwise(pl.lit("equations"))
    removed = rows.lazy().join(survivors, on=group).filter(pl.col("solution_id") != pl.col("survivor_id"))
    removed.sort("position").select("solution_id", "survivor_id", reason=reason).collect().write_parquet(
        duplicates, compression="zstd")
    counted = rows.filter("counts")
    n = counted.group_by(PROBLEM).agg(pl.len().alias("n"))
    curves: Curves = {}
    for measure, keys in KEYS.items():
        members = counted.filter("correct").group_by([*PROBLEM, *keys]).agg(pl.len().alias("members"))
        members = members.join(n, on=PROBLEM)
        for k, table in chance.items():
            enough = members.filter(pl.col("n") >= k)
            chances = pl.Series("value", table[enough["n"], enough["members"]])
            value = enough.with_columns(chances).group_by(PROBLEM).agg(pl.sum("value"))
            value = n.filter(pl.col("n") >= k).join(value, on=PROBLEM, how="left").fill_null(0.0)
            statistics = value.group_by("generator").agg(mean=pl.mean("value"), std=pl.std("value"), problems=pl.len())
            curves |= {(row["generator"], measure, k): (row["mean"], row["std"] / row["problems"]**0.5)
                       for row in statistics.iter_rows(named=True)}
    return curves
