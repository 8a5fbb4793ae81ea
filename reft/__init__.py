"""Samples in, a better model out, and how much better.

Light on purpose: importing `reft` imports none of torch, ray or transformers.
"""

__version__ = "0.1.0"
