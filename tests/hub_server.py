"""A small server that speaks the Hub's HTTP protocol for datasets, for tests with the real clients.

It keeps repositories in memory (hub_store.py). A test starts it in its own process, hands its address to clients as
HF_ENDPOINT, and gives it faults: what to do instead of answering, for which requests, how often. It is written from
the protocol as the clients use it, and knows nothing of what is published.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from hub_reading import Reading
from hub_requests import Requests, merge_request, open_request
from hub_store import File, Refused, Repo

TOKEN = "hf_token_of_the_tests"
REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose "METHOD /path" matches `pattern`.

    kind: `status` answers with `status` and `headers`; `cut` closes the connection after half of the body was read;
    `lost` does what was asked and closes the connection in place of the answer; `call` runs `hook` and then goes on.
    """

    pattern: str
    kind: str = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    hook: Callable[[], None] | None = None
    seen: int = 0


class Lost(Exception):
    """The connection ends without an answer."""


class Hub(ThreadingHTTPServer):
    """The server and its state; `url` goes into HF_ENDPOINT."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repos: dict[str, Repo] = {}
        self.stored: dict[str, File] = {}
        self.faults: list[Fault] = []
        self.log: list[str] = []
        self.sent = 0  # bytes of bodies
        self.lock = threading.RLock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""

    def merge(self, repo: str, number: int) -> None:
        merge_request(self.repos[repo], number)


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers while the block runs."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class Handler(Requests, Reading, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:  # noqa: N802
        self._handle()

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        path, self.query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        self.body = b""
        try:
            fault = self._fault(f"{self.command} {path}")
            if fault and fault.kind == "cut":
                self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
                raise Lost
            self.body = self._read_body()
            if fault and fault.kind == "status":
                raise Refused(fault.status, "", "a fault of the test")
            if fault and fault.hook:
                fault.hook()
            self._route(path, silent=bool(fault and fault.kind == "lost"))
        except Refused as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": str(refused)}
            body = json.dumps({"error": str(refused)}).encode()
            self._answer(body, refused.status, headers | (fault.headers if fault else {}))
        except Lost:
            self.close_connection = True
            self.connection.close()

    def _fault(self, request: str) -> Fault | None:
        with self.server.lock:
            self.server.log.append(request)
            for fault in self.server.faults:
                if fault.seen < fault.times and re.search(fault.pattern, request):
                    fault.seen += 1
                    return fault
        return None

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _route(self, path: str, silent: bool) -> None:
        self.silent = silent
        for method, pattern, action in ROUTES:
            if self.command in method and (match := re.fullmatch(pattern, path)):
                return action(self, **match.groupdict())
        raise Refused(404, "EntryNotFound", f"no such address: {self.command} {path}")

    def _repo(self, name: str, write: bool = False) -> Repo:
        token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        repo = self.server.repos.get(name)
        if write and not token:
            raise Refused(401, "", "Invalid username or password.")
        if repo is None or (repo.private and not token):
            raise Refused(404 if token else 401, "RepoNotFound", f"no repository {name}")
        return repo

    def _answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        if getattr(self, "silent", False):
            raise Lost
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.server.sent += len(body)
            self.wfile.write(body)

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(json.dumps(value).encode(), status)

    # What follows is one method for each address of the protocol.

    def create(self) -> None:
        wanted = json.loads(self.body)
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        at = {"url": f"{self.server.url}/datasets/{name}", "name": name, "id": name}
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "", "Invalid username or password.")
        with self.server.lock:
            if name in self.server.repos:
                return self._json({"error": "You already created this dataset repo", **at}, 409)
            repo = self.server.repos[name] = Repo(bool(wanted.get("private")) or wanted.get("visibility") == "private")
            repo.add("main", None, "initial commit", {".gitattributes": File(b"*.parquet filter=lfs\n", False)})
        self._json(at)

    def validate(self) -> None:
        content = json.loads(self.body)["content"]
        if not content.startswith("---\n"):
            raise Refused(400, "", "no header")
        self._json({"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        there = self._repo(repo, write=True).at(revision).files
        modes = []
        for wanted in json.loads(self.body)["files"]:
            lfs = wanted["path"].endswith((".parquet", ".png"))
            old = there.get(wanted["path"])
            known = {"oid": old.sha256 if old.lfs else old.git_id} if old else {}
            mode = {"path": wanted["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            modes.append(mode | known)
        self._json({"files": modes})

    def batch(self, repo: str) -> None:
        self._repo(repo, write=True)
        answers = []
        for wanted in json.loads(self.body)["objects"]:
            at = f"{self.server.url}/lfs/{wanted['oid']}"
            actions = {"upload": {"href": at}, "verify": {"href": f"{at}/verify"}}
            known = wanted["oid"] in self.server.stored
            answers.append({"oid": wanted["oid"], "size": wanted["size"]} | ({} if known else {"actions": actions}))
        self._json({"transfer": "basic", "objects": answers})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, "", "the content is not that of its name")
        self.server.stored[oid] = File(self.body, True)
        self._answer(b"")

    def verify(self, oid: str) -> None:
        if oid not in self.server.stored:
            raise Refused(404, "", "nothing was uploaded under this name")
        self._json({})

    def commit(self, repo: str, revision: str) -> None:
        kept = self._repo(repo, write=True)
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        header = lines[0]["value"]
        with self.server.lock:
            parent = kept.at(revision)
            if header.get("parentCommit") not in (None, parent.id):
                raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
            files = dict(parent.files)
            for line in lines[1:]:
                self._apply(files, line["key"], line["value"])
            pr = open_request(kept, header["summary"], "tester") if "create_pr" in self.query else 0
            target = f"refs/pr/{pr}" if pr else revision
            made = kept.add(target, parent.id, header["summary"], files)
        url = f"{self.server.url}/datasets/{repo}"
        answer = {"commitOid": made.id, "commitUrl": f"{url}/commit/{made.id}"}
        if pr:
            answer["pullRequestUrl"] = f"{url}/discussions/{pr}"
        self._json(answer)

    def _apply(self, files: dict[str, File], key: str, value: dict) -> None:
        if key == "file":
            files[value["path"]] = File(base64.b64decode(value["content"]), False)
        elif key == "lfsFile":
            there = next((file for file in files.values() if file.lfs and file.sha256 == value["oid"]), None)
            if (file := self.server.stored.get(value["oid"], there)) is None:
                raise Refused(400, "", f"LFS object {value['oid']} was never uploaded")
            files[value["path"]] = file
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")

    def tag(self, repo: str, revision: str) -> None:
        kept, name = self._repo(repo, write=True), json.loads(self.body)["tag"]
        with self.server.lock:
            if name in kept.tags:
                raise Refused(409, "", f"Tag {name} exists already")
            kept.refs[name] = kept.at(revision).id
            kept.tags.add(name)
        self._json({})

    def branch(self, repo: str, revision: str) -> None:
        kept = self._repo(repo, write=True)
        with self.server.lock:
            if revision in kept.refs:
                raise Refused(409, "", f"Reference {revision} exists already")
            kept.refs[revision] = kept.at("main").id
        self._json({})

    def whoami(self) -> None:
        self._json({"name": "tester", "type": "user", "orgs": []})


REVISION = r"(?P<revision>refs/pr/\d+|[^/]+)"
API = rf"/api/datasets/{REPO}"
ROUTES = [
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("POST", rf"{API}/preupload/{REVISION}", Handler.preupload),
    ("POST", rf"/datasets/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", Handler.upload),
    ("POST", r"/lfs/(?P<oid>[0-9a-f]{64})/verify", Handler.verify),
    ("POST", rf"{API}/commit/{REVISION}", Handler.commit),
    ("POST", rf"{API}/tag/{REVISION}", Handler.tag),
    ("POST", rf"{API}/branch/{REVISION}", Handler.branch),
    ("GET", API, Handler.info),
    ("GET", rf"{API}/revision/{REVISION}", Handler.info),
    ("GET", rf"{API}/refs", Handler.refs),
    ("GET", rf"{API}/discussions", Handler.discussions),
    ("POST", rf"{API}/discussions/(?P<number>\d+)/title", Handler.title),
    ("POST", rf"{API}/discussions/(?P<number>\d+)/merge", Handler.merged),
    ("GET", rf"{API}/commits/{REVISION}", Handler.commits),
    ("GET", rf"{API}/tree/{REVISION}(?:/(?P<path>.+))?", Handler.tree),
    ("POST", rf"{API}/paths-info/{REVISION}", Handler.paths_info),
    ("GET HEAD", rf"/datasets/{REPO}/resolve/{REVISION}/(?P<path>.+)", Handler.resolve),
    ("GET", r"/api/whoami-v2", Handler.whoami),
]


if __name__ == "__main__":
    with serving() as hub:
        print(hub.url, flush=True)  # noqa: T201
        while True:
            time.sleep(60)
