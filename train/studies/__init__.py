"""Studies of what a release is worth to a trainer: each is one command, told in train/README.md."""

import os

os.environ.setdefault("TQDM_DISABLE", "1")  # a line for each run; tqdm reads it when it is imported, TRL has no switch
