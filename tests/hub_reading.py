"""What the tests' Hub says of a repository: its revisions, commits and files, and what is in a file."""

import json
import re
from typing import Any
from urllib.parse import parse_qs

from hub_requests import DATE
from hub_store import Commit, Refused


class Reading:
    """Addresses of the protocol that change nothing; mixed into the server's handler."""

    def info(self: Any, repo: str, revision: str = "main") -> None:
        kept = self._repo(repo)
        commit = kept.at(revision)
        siblings = [{"rfilename": path} for path in sorted(commit.files)]
        self._json({"id": repo, "sha": commit.id, "private": kept.private, "siblings": siblings, "tags": [],
                    "gated": False, "disabled": False, "downloads": 0, "likes": 0})

    def refs(self: Any, repo: str) -> None:
        kept = self._repo(repo)
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": kept.refs[n]} for n in sorted(kept.tags)]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": kept.refs["main"]}
        self._json({"branches": [main], "converts": [], "tags": tags, "pullRequests": []})

    def commits(self: Any, repo: str, revision: str) -> None:
        kept, listed = self._repo(repo), []
        commit: Commit | None = kept.at(revision)
        while commit:
            listed.append({"id": commit.id, "title": commit.title, "message": "", "authors": [],
                          "date": DATE})
            commit = kept.commits.get(commit.parent or "")
        self._json(listed)

    def tree(self: Any, repo: str, revision: str, path: str | None) -> None:
        files = self._repo(repo).at(revision).files
        inside = f"{path}/" if path else ""
        depth = 99 if self.query.get("recursive", [""])[0].lower() in ("1", "true") else 1
        entries, folders = [], set()
        for name, file in sorted(files.items()):
            if name.startswith(inside):
                parts = name.removeprefix(inside).split("/")
                folders |= {inside + "/".join(parts[:i]) for i in range(1, min(len(parts), depth + 1))}
                if len(parts) <= depth:
                    entries.append(file.entry(name))
        if path and not entries and not folders:
            raise Refused(404, "EntryNotFound", f"no folder {path}")
        self._json([*map(_directory, sorted(folders)), *entries])

    def paths_info(self: Any, repo: str, revision: str) -> None:
        files = self._repo(repo).at(revision).files
        if "json" in (self.headers.get("Content-Type") or ""):
            wanted = json.loads(self.body)["paths"]
        else:
            wanted = parse_qs(self.body.decode())["paths"]
        listed = []
        for path in wanted:
            if path in files:
                listed.append(files[path].entry(path))
            elif any(name.startswith(path.rstrip("/") + "/") for name in files):
                listed.append(_directory(path))
        self._json(listed)

    def resolve(self: Any, repo: str, revision: str, path: str) -> None:
        commit = self._repo(repo).at(revision)
        if path not in commit.files:
            raise Refused(404, "EntryNotFound", f"no file {path}")
        file = commit.files[path]
        tag = file.sha256 if file.lfs else file.git_id
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{tag}"', "Accept-Ranges": "bytes",
                   "Content-Type": "application/octet-stream"}
        if file.lfs:
            headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(file.size)}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            return self._answer(file.content, 200, headers | {"Content-Length": str(file.size)})
        start, stop = int(wanted[1]), min(int(wanted[2] or file.size), file.size - 1)
        part = file.content[start:stop + 1]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{file.size}"
        self._answer(part, 206, headers | {"Content-Length": str(len(part))})


def _directory(path: str) -> dict:
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}
