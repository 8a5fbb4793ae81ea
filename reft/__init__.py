"""Samples in, a better model out, and how much better.

Light on purpose: importing `reft` imports none of torch, ray or transformers.
"""

import os

__version__ = "0.1.0"

# Ray reads this when it is imported. What its own long lines on the standard output say of lost processes, the run says in a
# short one.
os.environ.setdefault(
    "RAY_DEDUP_LOGS_SKIP_REGEX",
    "A worker died or was killed|has been marked dead|killed due to memory pressure",
)
