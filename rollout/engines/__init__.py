"""Engines: `hf` runs decoder-only models of `transformers` on torch; `vllm_engine` is vLLM; `scripted` replays given texts, for
tests."""
