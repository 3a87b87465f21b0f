"""Pull requests of the tests' Hub: opening one with a commit, listing, adding commits, renaming and merging."""

import json
from collections.abc import Iterator
from typing import Any

from hub_store import Refused, Repo

DATE = "2024-01-01T00:00:00.000Z"


class Requests:
    """Addresses of the protocol that concern pull requests; mixed into the server's handler."""

    def discussions(self: Any, repo: str) -> None:
        kept: Repo = self._repo(repo)
        wanted = {key: values[0] for key, values in self.query.items()}
        listed = [{"num": number, "title": request["title"], "author": {"name": request["author"]},
                   "createdAt": DATE, "status": request["status"], "isPullRequest": True,
                   "repo": {"name": repo, "type": "dataset"}}
                  for number, request in sorted(kept.requests.items(), reverse=True)
                  if wanted.get("author") in (None, request["author"])
                  and wanted.get("status") in (None, "all", request["status"])]
        self._json({"discussions": listed, "count": len(listed), "start": 0})

    def title(self: Any, repo: str, number: str) -> None:
        request = self._repo(repo, write=True).requests.get(int(number))
        if request is None:
            raise Refused(404, "EntryNotFound", f"no discussion {number}")
        old, request["title"] = request["title"], json.loads(self.body)["title"]
        self._json({"newTitle": {"id": "0" * 15, "type": "title-change", "createdAt": DATE,
                                 "author": {"name": "tester"}, "data": {"from": old, "to": request["title"]}}})

    def merged(self: Any, repo: str, number: str) -> None:
        kept: Repo = self._repo(repo, write=True)
        if kept.requests.get(int(number), {}).get("status") != "open":
            raise Refused(404, "EntryNotFound", f"no open pull request {number}")
        merge_request(kept, int(number))
        self._json({"newStatus": {"id": "0" * 15, "type": "status-change", "createdAt": DATE,
                                  "author": {"name": "tester"}, "data": {"status": "merged"}}})


def open_request(kept: Repo, title: str, author: str) -> int:
    """The number of a new pull request; its branch is `refs/pr/NUMBER`."""
    number = len(kept.requests) + 1
    kept.requests[number] = {"title": title, "author": author, "status": "open"}
    return number


def merge_request(kept: Repo, number: int) -> None:
    """Put what the request changed since it left main on top of main."""
    ours = list(_history(kept, "main"))
    theirs = list(_history(kept, f"refs/pr/{number}"))
    base = next(commit for commit in theirs if commit in ours)
    if base == ours[0]:
        kept.refs["main"] = theirs[0]
    else:
        old, new, files = kept.at(base).files, kept.at(theirs[0]).files, dict(kept.at("main").files)
        files |= {path: file for path, file in new.items() if old.get(path) != file}
        kept.add("main", ours[0], "Merge", {path: file for path, file in files.items()
                                            if path in new or path not in old})
    kept.requests[number]["status"] = "merged"


def _history(kept: Repo, ref: str) -> Iterator[str]:
    """Ids of a commit and of those before it."""
    commit = kept.at(ref)
    while True:
        yield commit.id
        if commit.parent is None:
            return
        commit = kept.commits[commit.parent]
