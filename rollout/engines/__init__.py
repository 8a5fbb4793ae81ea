"""Engines: `hf` runs any Hugging Face causal LM on torch; `scripted` replays given texts, for tests."""
