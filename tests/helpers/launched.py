"""A program in the place of a Python that has vLLM or SGLang: a real HTTP server, which goes wrong as it is told.

It serves /v1/models and /v1/completions at the port of its command line. WHAT says how it goes wrong, COUNT is a file
that gets a letter for each start, BODIES one that gets each request. A text depends on the prompt and the seed alone.
"""

import stat
import sys
from pathlib import Path

PROGRAM = '''#!{python}
import hashlib, json, os, re, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
what, count = os.environ["WHAT"], os.environ["COUNT"]
with open(count, "a") as file:
    file.write("x")
starts = len(open(count).read())
if what == "port" and starts < 3 or what == "ports":
    sys.exit("OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 1): address already in use")
if what == "sleeps":
    time.sleep(600)
if what == "memory":
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
def given(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None
sglang = "sglang.launch_server" in sys.argv
key = os.environ.get("VLLM_API_KEY")
if sglang:
    key = open(given("--config")).read().split()[1] if given("--config") else None
asked = 0
class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({{"data": [{{"id": "model", "max_model_len": 512}}]}})
    def do_POST(self):
        global asked
        asked += 1
        if what == "dies" or what == "dies once" and starts == 1 and asked == 4:
            print("vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue", flush=True)
            os._exit(1)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "BODIES" in os.environ:
            with open(os.environ["BODIES"], "a") as file:
                file.write(json.dumps(body) + "\\n")
        choices = []
        for index in range(body["n"]):
            told = f"{{body['prompt']}} {{body['seed'] + index}}"
            number = int(hashlib.sha256(told.encode()).hexdigest(), 16) % 5
            choices.append({{"index": index, "text": f"It is {{number}}.\\nThe answer is {{number}}.",
                            "finish_reason": "stop"}} | ({{}} if sglang else {{"token_ids": [5, index, 0]}}))
        time.sleep(float(os.environ.get("PAUSE", "0")))
        self.answer({{"choices": choices, "usage": {{"prompt_tokens": 9, "completion_tokens": 3}}}})
    def answer(self, value):
        right = key is None or self.headers["Authorization"] == f"Bearer {{key}}"
        body = json.dumps(value if right else {{"error": "no key"}}).encode()
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
ThreadingHTTPServer.request_queue_size = 1000  # beyond 5, connections wait for seconds
print("listening", *sys.argv[1:], flush=True)
ThreadingHTTPServer((given("--host"), int(given("--port"))), Server).serve_forever()
'''


def make_program(path: Path) -> Path:
    """Write the program."""
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
