"""Engines: `hf` runs any Hugging Face causal LM on torch; `vllm_engine` is vLLM; `scripted` replays given texts, for tests."""
