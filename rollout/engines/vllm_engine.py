"""The vLLM engine (extra `vllm`): paged attention, prompts shared by their samples, tensor parallelism.

vLLM runs in this process, and is imported when an engine is made. It draws as this package does in distribution, not number by
number: the chains of a seed are others than the embedded engine's.
"""

import contextlib
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from rollout.codec import Codec
from rollout.engine import NOBODY, EngineFactory, Listener, Weights, WeightsError, checksum, list_stops
from rollout.engines.chains import Start, make_completion, make_starts
from rollout.engines.draws import stream_seed
from rollout.engines.readback import find_faults, find_strangers
from rollout.types import Completion, SamplingParams
from rollout.usage import Usage

LOOK = 8
"""Tokens of a row from one look for texts that end a chain to the next, since tokens must be made text for it."""
COLDEST = 0.01
"""vLLM raises lower temperatures to this."""
CPU_CACHE = 1 << 30
"""Bytes for keys and values on a CPU."""


@dataclass(frozen=True)
class VLLMEngineFactory(EngineFactory):
    """Builds a `VLLMEngine`."""

    tensor_parallel: int = 1
    """Devices that share the weights; vLLM starts a process for each where there are several."""
    memory: float = 0.9
    """Share of a GPU's memory that may be taken, 0 to 1."""
    sleeps: bool = False
    """Whether the GPU's memory is given back while nothing is sampled."""

    def __call__(self) -> "VLLMEngine":
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        # vLLM takes one thread where this is not set. OpenMP has long read it.
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
        # Else several processes ask for a NUMA node each.
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        # In this process, so that what stands side by side in a batch does not depend on when requests arrive.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine
        from vllm.v1.executor.abstract import Executor

        if current_platform.device_type != self.device:
            raise ValueError(f"this build of vLLM is for {current_platform.device_type!r}, and the worker has {self.device!r}")
        cpu = {
            "kv_cache_memory_bytes": CPU_CACHE,
            "block_size": 32,
            "enforce_eager": True,
            # vLLM puts back the generator of a row whose prompt it cuts in two, and torch's on a CPU cannot be.
            "enable_chunked_prefill": False,
        }
        arguments: dict[str, Any] = {
            "model": self.model,
            "skip_tokenizer_init": True,
            "dtype": self.dtype,
            "max_num_seqs": self.max_rows,
            "tensor_parallel_size": self.tensor_parallel,
            "distributed_executor_backend": "mp" if self.tensor_parallel > 1 else "uni",
            "gpu_memory_utilization": self.memory,
            "enable_sleep_mode": self.sleeps,
            "enable_prefix_caching": True,
            "logprobs_mode": "processed_logprobs",
            "generation_config": "vllm",
            "disable_log_stats": True,
        }
        config = EngineArgs(**(arguments | (cpu if self.device == "cpu" else {}))).create_engine_config()
        engine = LLMEngine(config, Executor.get_class(config), log_stats=False, multiprocess_mode=False)
        tokenizer = AutoTokenizer.from_pretrained(self.model, trust_remote_code=False)
        return VLLMEngine(engine, Codec(tokenizer, _stop_tokens(self.model)), self.sleeps)


class VLLMEngine:
    """Samples with vLLM.

    A chain follows from its seed and from the logits, and these, in their last bits, may depend on what stands beside it in the
    batch. So one call gives the same chains again, and another that has the same row in it may, in a rare draw, go another way;
    on a CPU in float32 none was seen to.

    Args:
        engine: vLLM's, in this process.
        codec: of the model's tokenizer.
        sleeps: whether the GPU's memory is given back while nothing is sampled.
    """

    def __init__(self, engine: Any, codec: Codec, sleeps: bool = False) -> None:
        self.engine, self.codec, self.sleeps = engine, codec, sleeps
        self._usage = Usage()
        self._calls = 0
        self.longest: int = engine.model_config.max_model_len
        """Positions of the model."""
        self._rest()

    def generate(
        self,
        prompts: Sequence[str],
        n: int,
        params: SamplingParams,
        seed: int,
        prefixes: Sequence[str] | None = None,
        listener: Listener = NOBODY,
    ) -> list[list[Completion]]:
        """As `Engine.generate`.

        Raises:
            ValueError: also for what vLLM would do otherwise than asked: a temperature below 0.01, `top_p` with `min_p`, and
                prompts whose longest chains leave the model's context.
        """
        if 0 < params.temperature < COLDEST:
            raise ValueError(f"temperature={params.temperature} is below vLLM's least, {COLDEST}; choose 0 or a higher one")
        if params.top_p < 1 and params.min_p > 0:
            raise ValueError(f"vLLM takes min_p={params.min_p} before top_p={params.top_p}, not after it; choose one of them")
        starts = make_starts(self.codec, prompts, prefixes, params.max_tokens, self.longest)
        begun = time.monotonic()
        try:
            self._wake()
            # What a call before has left there would change how sums are grouped, and so their last bits.
            self.engine.reset_prefix_cache()
            rows = [start for start in starts for _ in range(n)]
            seeds = [stream_seed(seed, place, sample) for place in range(len(starts)) for sample in range(n)]
            chains: dict[int, Completion] = {}
            groups: list[list[Completion]] = [[] for _ in starts]
            # Closed when it is left: what nobody wants any more must be out of vLLM before another call.
            with contextlib.closing(self._run(rows, seeds, params, listener)) as sampled:
                for row, output in sampled:
                    chains[row] = self._completion(rows[row], output, params.stop)
                    own = range(row - row % n, row - row % n + n)
                    if all(other in chains for other in own):
                        groups[row // n] = [chains[other] for other in own]
                        listener.take(row // n, groups[row // n])
        finally:
            self._rest()
        self._usage += Usage(tokens=sum(len(chain.tokens) for chain in chains.values()), generating=time.monotonic() - begun)
        return groups

    def load_weights(self, weights: Weights) -> int:
        """As `Engine.load_weights`. The checksum is that of `weights`, once all of them have been found in the model."""
        self._wake(["weights"])
        faults = [fault for faults in self.engine.collective_rpc(_reload, args=(dict(weights),)) for fault in faults]
        self.engine.reset_prefix_cache()
        self._rest()
        if faults:
            raise WeightsError(f"published weights do not fit the engine's model: {'; '.join(faults[:4])}")
        return checksum(weights)

    def drain_usage(self) -> Usage:
        """Tokens and seconds; vLLM's scheduler keeps the rest to itself."""
        usage, self._usage = self._usage, Usage()
        return usage

    def close(self) -> None:
        """End vLLM's processes and give back what it holds."""
        self.engine.engine_core.shutdown()

    def _run(
        self, rows: Sequence[Start], seeds: Sequence[int], params: SamplingParams, listener: Listener
    ) -> Generator[tuple[int, Any]]:
        """Each row's number and vLLM's output for it, as it is done."""
        from vllm.sampling_params import RequestOutputKind
        from vllm.sampling_params import SamplingParams as VLLMParams

        self._calls += 1
        kind = RequestOutputKind.CUMULATIVE if params.stop else RequestOutputKind.FINAL_ONLY
        for place, (start, seed) in enumerate(zip(rows, seeds, strict=True)):
            asked = VLLMParams(
                temperature=params.temperature,
                top_k=params.top_k,
                top_p=params.top_p,
                min_p=params.min_p,
                seed=seed,
                max_tokens=start.budget,
                min_tokens=min(params.min_tokens, start.budget),
                ignore_eos=True,
                stop_token_ids=list(self.codec.stops),
                logprobs=0,
                flat_logprobs=True,
                detokenize=False,
                output_kind=kind,
            )
            prompt = {"prompt_token_ids": start.tokens.tolist()}
            self.engine.add_request(f"{self._calls}/{place}", prompt, asked)
        left = set(range(len(rows)))
        try:
            while left:
                listener.check()
                for output in self.engine.step():
                    place = int(output.request_id.partition("/")[2])
                    if place not in left:
                        continue  # it was ended with this step on its way
                    ended = not output.finished and self._has_ended(rows[place], output.outputs[0], params.stop)
                    if ended:
                        self.engine.abort_request([output.request_id])
                    if ended or output.finished:
                        left.remove(place)
                        yield place, output.outputs[0]
        finally:
            self.engine.abort_request([f"{self._calls}/{place}" for place in left])  # where nobody wants the rest

    def _has_ended(self, start: Start, output: Any, stop: Sequence[str]) -> bool:
        """Whether a row's text holds what ends it. It may have done so some tokens before: they are cut off behind all."""
        if len(output.token_ids) % LOOK:
            return False
        return self.codec.find_end(start.prefix, numpy.asarray(output.token_ids, dtype=numpy.int32), stop) is not None

    def _completion(self, start: Start, output: Any, stop: Sequence[str]) -> Completion:
        tokens = numpy.asarray(output.token_ids, dtype=numpy.int32)
        # One for each token: that of the one which was drawn.
        return make_completion(self.codec, start, tokens, numpy.asarray(output.logprobs.logprobs, dtype=numpy.float32), stop)

    def _wake(self, parts: list[str] | None = None) -> None:
        if self.sleeps:
            self.engine.wake_up(parts)

    def _rest(self) -> None:
        """Let the GPU's memory go; the weights wait in the machine's."""
        if self.sleeps:
            self.engine.sleep(level=1)


def _reload(worker: Any, weights: Weights) -> list[str]:
    """Load weights in one of vLLM's workers; returns what is wrong with what it then holds."""
    model = worker.get_model()
    if strangers := find_strangers(model, weights):
        return [f"{name} is on one side only" for name in strangers]
    worker.reload_weights(weights_iterator=iter(weights.items()))
    for module in model.modules():
        # vLLM reloads a tied weight in place, and not what an output layer on a CPU has packed of it.
        if "cpu_linear" in vars(module) and module.weight.numel():
            module.quant_method.process_weights_after_loading(module)
    faults = find_faults(model, weights, worker.rank, worker.parallel_config.tensor_parallel_size)
    return [f"{name} is not loaded as it was sent" for name in faults]


def _stop_tokens(model: str) -> list[int]:
    """Ids that end a chain by the model's generation config, or by its config."""
    try:
        return list_stops(GenerationConfig.from_pretrained(model))
    except OSError:  # there is none
        return list_stops(AutoConfig.from_pretrained(model, trust_remote_code=False))
