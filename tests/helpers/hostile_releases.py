"""Releases as a stranger could send them: a sound one, changed in one of many ways by a seed; and what reads them.

`mutate` changes the copy of a release in place and says what it did. `attempt` passes it to every
reader of releases and returns the outcome: an answer, an error for the user, or a bug.
"""

import hashlib
import io
import json
import os
import random
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from stepforge.builders.errors import UserError
from stepforge.cards.check import check, problems_table
from stepforge.cards.versions import diff, diff_tables, versions, versions_table
from stepforge.pipelines.views.releases import open_release

MANIFEST = "stepforge.json"
ESC = "\x1b[31mred\x1b]0;title\x07"
STRINGS = ("", "x" * 3000, ESC, "[red]bold[/red]", "[/nothing]", "../../etc/passwd", "/etc/passwd", "a\nb",
           "\u202eabc", "a\x00b", "'; DROP TABLE x; --", "NaN", "v1.0.0", "1.0", "train", "pairs", "\ufeff",
           "a/b/c", "..", "%s{0}")
VALUES = (None, True, -1, 0, 2**70, 1.5, -1e300, [], {}, [[]], {"a": {}}, [1, "a", None], *STRINGS)


def mutate(folder: Path, draw: random.Random) -> str:
    """Change the release in `folder`; returns what was done."""
    kinds: list[Callable[[Path, random.Random], str]] = [
        change_value, change_value, change_value, change_value, change_key, change_bytes_of_manifest,
        change_footer, change_footer, change_footer, change_page, change_rows, change_schema, change_file,
        change_name, change_name, bomb]
    return draw.choice(kinds)(folder, draw)


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """The places of all values below a value, as keys from the top."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in [(*at, key), *places(item, (*at, key))]]


def change_value(folder: Path, draw: random.Random) -> str:
    manifest = read(folder)
    *above, last = place = draw.choice(places(manifest))
    target = inside(manifest, above)
    target[last] = draw.choice([*VALUES, target[last], [target[last]], {"x": target[last]}, str(target[last]),
                                -target[last] if isinstance(target[last], int) else 7])
    write(folder, manifest)
    return f"value {place} is {str(target[last])[:40]!r}"


def change_key(folder: Path, draw: random.Random) -> str:
    manifest = read(folder)
    *above, last = place = draw.choice([at for at in places(manifest) if isinstance(at[-1], str)])
    target = inside(manifest, above)
    value = target.pop(last)
    name = draw.choice([None, *STRINGS])
    if name is not None:
        target[name] = value
    write(folder, manifest)
    return f"key {place} is {name!r}"


def change_bytes_of_manifest(folder: Path, draw: random.Random) -> str:
    path = folder / MANIFEST
    content = bytearray(path.read_bytes())
    kind = draw.choice(["flip", "cut", "whole", "large", "insert"])
    if kind == "flip":
        for _ in range(draw.randint(1, 20)):
            content[draw.randrange(len(content))] = draw.randrange(256)
    elif kind == "cut":
        del content[draw.randrange(len(content)):]
    elif kind == "whole":
        content = bytearray(draw.choice([
            b"", b"{}", b"[]", b"null", b"1", b'"a"', b"[" * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"NaN",
            b"\xff\xfe", b'{"name": "\\ud800", "configs": {}, "files": {}}', b"9" * 9000, b"PK\x03\x04",
            b'{"name": "x", "configs": {}, "files": {}}', b'{"name": "x", "name": 1, "configs": {}, "files": {}}']))
    elif kind == "insert":
        at = draw.randrange(len(content))
        content[at:at] = draw.choice([b",", b"{", b"[", b"\x00", b"\xf0\x9f", b'"', b"1e999", b"Infinity"])
    path.write_bytes(content)
    if kind == "large":
        os.truncate(path, 2**30)
    return f"bytes of the manifest: {kind}"


def change_footer(folder: Path, draw: random.Random) -> str:
    path = shard(folder, draw)
    content = bytearray(path.read_bytes())
    start = max(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), 0)
    if draw.random() < 0.1:
        content[-8:-4] = draw.randrange(2**32).to_bytes(4, "little")
    for _ in range(draw.choice([1, 1, 2, 5, 30])):
        content[draw.randrange(start, len(content) - 4)] = draw.randrange(256)
    path.write_bytes(content)
    agree(folder, path, draw)
    return f"footer of {path.name} changed"


def change_page(folder: Path, draw: random.Random) -> str:
    path = shard(folder, draw)
    content = bytearray(path.read_bytes())
    end = max(len(content) - 8 - int.from_bytes(content[-8:-4], "little"), 5)
    for _ in range(draw.choice([1, 3, 40])):
        content[draw.randrange(4, end)] = draw.randrange(256)
    path.write_bytes(content)
    agree(folder, path, draw)
    return f"pages of {path.name} changed"


def change_rows(folder: Path, draw: random.Random) -> str:
    """Values that a trainer or a statement does not expect."""
    path = shard(folder, draw)
    table = pq.read_table(path)
    name = draw.choice(table.column_names)
    kind, count = table.schema.field(name).type, table.num_rows
    values: list = table[name].to_pylist()
    odd = {"string": [None, "", ESC, "x" * 100_000], "double": [None, float("nan"), float("inf"), -1.0],
           "int64": [None, -2**63, 2**62, -1], "int32": [None, -1, 2**31 - 1], "bool": [None]}.get(str(kind), [None])
    for _ in range(draw.choice([1, count])):
        values[draw.randrange(count)] = draw.choice(odd)
    place = table.schema.get_field_index(name)
    pq.write_table(table.set_column(place, pa.field(name, kind), pa.array(values, kind)), path)
    agree(folder, path, draw)
    return f"odd values in {name} of {path.parent.name}"


def change_schema(folder: Path, draw: random.Random) -> str:
    path = shard(folder, draw)
    table = pq.read_table(path)
    place = draw.randrange(table.num_columns)
    name = table.column_names[place]
    change = draw.choice(["name", "type", "lost", "twice", "deep", "none", "case"])
    if change == "name":
        table = table.rename_columns([draw.choice(STRINGS[2:]) if other == name else other
                                      for other in table.column_names])
    elif change == "type":
        kind = draw.choice([pa.string(), pa.int8(), pa.binary(), pa.list_(pa.string()), pa.timestamp("us"),
                            pa.struct([("a", pa.string())]), pa.map_(pa.string(), pa.int32()), pa.decimal128(38, 10)])
        table = table.set_column(place, name, pa.nulls(table.num_rows, kind))
    elif change == "lost":
        table = table.remove_column(place)
    elif change == "twice":
        table = table.append_column(name, table[name])
    elif change == "case":
        table = table.append_column(name.upper(), table[name])
    elif change == "deep":
        kind = pa.string()
        for _ in range(draw.choice([5, 60, 300])):
            kind = pa.list_(kind)
        table = table.append_column("deep", pa.nulls(table.num_rows, kind))
    else:
        table = table.select([])
    pq.write_table(table, path)
    agree(folder, path, draw)
    return f"schema of {path.parent.name}: {change} {name}"


def change_file(folder: Path, draw: random.Random) -> str:
    """What stands in the place of a file."""
    path = shard(folder, draw)
    kind = draw.choice(["gone", "empty", "garbage", "folder", "link", "loop", "pipe", "other", "zeros", "text"])
    other = shard(folder, draw).read_bytes()
    path.unlink()
    if kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(draw.randbytes(2000))
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(draw.choice(["/dev/zero", "/dev/null", "/etc/passwd", "/nowhere", "/proc/self/mem"]))
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "other":
        path.write_bytes(other)
    elif kind == "zeros":
        path.touch()
        os.truncate(path, 10_000)
    elif kind == "text":
        path.write_text("a,b\n1,2\n")
    if kind not in ("folder", "link", "loop", "pipe", "gone"):
        agree(folder, path, draw)
    return f"{path.parent.name}/{path.name} is {kind}"


def change_name(folder: Path, draw: random.Random) -> str:
    """A file, config or column under a name that leads elsewhere or steers a terminal."""
    manifest = read(folder)
    part = draw.choice(["files", "configs"])
    old = draw.choice(sorted(manifest[part]))
    new = draw.choice([*STRINGS, f"pairs/../{old}", f"./{old}", f"{old}/", f"//{old}", f"{ESC}/{old}", "a" * 300,
                       "/dev/zero", "pairs/train-00000-of-00001.parquet", f"pairs/{ESC}-00000.parquet", "C:\\x", "~"])
    facts = manifest[part].pop(old)
    manifest[part][new] = facts | {"config": draw.choice([new, facts.get("config"), new.partition("/")[0]])}
    write(folder, manifest)
    if part == "files" and "\x00" not in new and ".." not in new and not new.startswith("/"):
        target = folder / new
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / old, target)
        except OSError:
            pass
    return f"{part} {old} is {new!r}"


def bomb(folder: Path, draw: random.Random) -> str:
    """A small file that is large in memory."""
    path = shard(folder, draw)
    names = pq.read_schema(path).names
    kind = draw.choice(["rows", "texts", "prefix", "nested", "zeros"])
    many = draw.choice([20_000, 200_000, 3_000_000])
    if kind == "rows":
        table = pa.table({name: pa.nulls(many, pa.string()) for name in names})
    elif kind == "texts":
        long = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["a" * 500_000])
        ids = [f"{draw.getrandbits(64):016x}" for _ in range(20_000)]
        table = pa.table({name: long if index else ids for index, name in enumerate(names)})
    elif kind == "nested":
        texts = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), ["a" * 100_000])
        table = pa.table({names[0]: pa.ListArray.from_arrays(pa.array([0, 200_000], pa.int32()), texts)})
    else:
        table = pa.table({name: ["a" * 200_000] * 100 for name in names})
    encoding = {name: "DELTA_BYTE_ARRAY" for name in table.column_names} if kind == "prefix" else None
    pq.write_table(table, path, compression="zstd", use_dictionary=encoding is None, column_encoding=encoding)
    agree(folder, path, random.Random(1), always=True)
    return f"bomb of {kind} in {path.parent.name}"


def agree(folder: Path, path: Path, draw: random.Random, always: bool = False) -> None:
    """Let the manifest state the file's checksum and length; half the time its rows and columns, too."""
    manifest = read(folder)
    facts = manifest["files"][path.relative_to(folder).as_posix()]
    facts |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    if always or draw.random() < 0.5:
        try:
            footer, schema = pq.read_metadata(path), pq.read_schema(path)
        except (pa.ArrowException, OSError, ValueError, KeyError):
            pass
        else:
            facts["rows"] = footer.num_rows
            manifest["configs"][facts["config"]]["columns"] = {field.name: str(field.type) for field in schema}
            manifest["configs"][facts["config"]]["rows"][facts["split"]] = footer.num_rows
    write(folder, manifest)


def shard(folder: Path, draw: random.Random) -> Path:
    return draw.choice(sorted(folder.glob("*/*.parquet")))


def read(folder: Path) -> dict:
    return json.loads((folder / MANIFEST).read_bytes())


def write(folder: Path, manifest: dict) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest))


def inside(value: Any, keys: list) -> Any:
    for key in keys:
        value = value[key]
    return value


def attempt(place: Path) -> dict[str, str]:
    """What came of every reader of PLACE/v2.0.0, beside PLACE/v1.0.0, which is sound: "said", "refused", "panicked"
    (polars, where a user collects rows of a file whose pages lie) or a fault.
    """
    to, folder = f"local:{place}", place / "v2.0.0"
    return {
        "check": outcome(lambda: shown(problems_table(check(str(folder))))),
        "diff": outcome(lambda: shown(*diff_tables(diff(to, "1.0.0", "2.0.0")))),
        "diff back": outcome(lambda: shown(*diff_tables(diff(to, "2.0.0", "1.0.0")))),
        "versions": outcome(lambda: shown(versions_table(versions(to)))),
        "open_release": outcome(lambda: opened(folder)),
    }


class Panicked(Exception):
    """Polars gave up on the bytes of a page."""


def opened(folder: Path) -> None:
    release = open_release(folder)
    shown(repr(release), release._repr_html_())
    for config in release.configs:
        for split in (None, "train"):
            try:
                release.frame(config, split).collect()
            except (UserError, pl.exceptions.PolarsError):  # rows are decoded when the user collects them
                continue
            except pl.exceptions.PanicException as panic:   # so they are here, and polars does not say what is wrong
                raise Panicked from panic


def shown(*renderables: Any) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    for renderable in renderables:
        if not isinstance(renderable, str):
            console.print(renderable)
    text = console.file.getvalue() + "".join(part for part in renderables if isinstance(part, str))
    assert "\x1b[31mred" not in text and "\x07" not in text and "\u202e" not in text, "it reaches the terminal"


def outcome(call: Callable[[], None]) -> str:
    try:
        call()
    except UserError as error:
        return "refused" if "\n" not in str(error) and "\x1b" not in str(error) else f"refused in lines: {error!r}"
    except Panicked:
        return "panicked"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | TimeoutError):
            raise
        return "".join(traceback.format_exception(error)[-3:])
    return "said"
