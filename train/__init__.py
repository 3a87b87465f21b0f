"""Trainers of the field's methods on a release: sft, dpo, step_dpo, kto, awr, prm and grpo, one file each.

They read releases and import nothing else of stepforge. TRL reports every run to its makers unless told not to; here
it is told not to, and HF_HUB_DISABLE_TELEMETRY=0 in the environment lets it.
"""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is imported, so before all else
