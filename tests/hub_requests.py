"""Pull requests of the tests' Hub: opening one with a commit, listing, adding commits, renaming and merging."""

import json
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


def open_request(kept: Repo, title: str, author: str) -> int:
    """The number of a new pull request; its branch is `refs/pr/NUMBER`."""
    number = len(kept.requests) + 1
    kept.requests[number] = {"title": title, "author": author, "status": "open"}
    return number


def merge_request(kept: Repo, number: int) -> None:
    kept.refs["main"] = kept.refs[f"refs/pr/{number}"]
    kept.requests[number]["status"] = "merged"
