"""The vLLM engine does what the embedded one does. Loading takes a minute, so the tests of a model share an engine."""

import importlib.util
import pickle
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from reft.config import ModelConfig
from reft.model import make_fresh
from reft.tokenizer import word_tokenizer
from rollout.engine import WeightsError, checksum, untied
from rollout.engines.vllm_engine import VLLMEngine, VLLMEngineFactory
from rollout.types import SamplingParams
from tests.rollout.engine_contract import CONTEXT, PROMPTS, WORDS, EngineContract

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed: pip install 'reft-rl[vllm]'"),
    pytest.mark.filterwarnings("default"),  # vLLM and what it brings along warn
]
MODELS = {
    "llama with shared heads": ("llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "gpt2": ("gpt2", {}),
    "qwen2": ("qwen2", {"num_key_value_heads": 1}),
}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_model(path: Path, architecture: str, extra: dict[str, object]) -> Path:
    """Heads of 32, the least that vLLM has on a CPU."""
    shape = ModelConfig(architecture=architecture, layers=2, width=64, heads=2, context=CONTEXT, extra=extra)
    make_fresh(shape, word_tokenizer(WORDS, CONTEXT), 1, path)
    return path


@pytest.fixture(scope="module", params=MODELS)
def folder(request, tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / request.param, *MODELS[request.param])


@pytest.fixture(scope="module")
def loaded(folder):
    engine = pickle.loads(pickle.dumps(VLLMEngineFactory(str(folder), device=DEVICE, memory=0.3)))()
    yield engine
    engine.close()


@pytest.fixture
def engine(folder, loaded) -> VLLMEngine:
    """As it was made, whatever a test before has changed."""
    loaded.codec = type(loaded.codec)(loaded.codec.tokenizer)
    loaded.load_weights(untied(AutoModelForCausalLM.from_pretrained(folder).state_dict()))
    return loaded


class TestVLLMEngine(EngineContract):
    pass


def test_more_prompt_tokens_than_a_step_takes_are_put_in_over_several(engine) -> None:
    """2,048 of them are one; each row keeps its own stream of random numbers all the same."""
    prompts = [" ".join(random.Random(number).choices("abcdefgh", k=40)) for number in range(64)]
    groups = engine.generate(prompts, 2, SamplingParams(1.0, 12), seed=3)
    few = engine.generate(prompts[:8], 2, SamplingParams(1.0, 12), seed=3)
    chains, alone = ([[chain.tokens.tolist() for chain in group] for group in drawn] for drawn in (groups, few))
    assert len(chains) == 64
    assert chains[:8] == alone


def test_samples_share_their_prompt(engine, monkeypatch) -> None:
    """The first has computed it, but for what fills no block; a call begins with nothing."""
    cached: list[int] = []
    step = engine.engine.step

    def watch() -> list[object]:
        outputs = step()
        cached.extend(output.num_cached_tokens for output in outputs if output.finished)
        return outputs

    monkeypatch.setattr(engine.engine, "step", watch)
    prompt = " ".join("abcdefgh" * 5)
    for _ in range(2):
        engine.generate([prompt], 4, SamplingParams(1.0, 4), seed=0)
        assert sorted(cached) == [0, 32, 32, 32]
        cached.clear()


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (SamplingParams(0.005, 5), "temperature=0.005 is below"),
        (SamplingParams(1.0, 5, top_p=0.9, min_p=0.1), r"min_p=0.1 before top_p=0.9"),
        (SamplingParams(1.0, CONTEXT - 3), "65 tokens, and the model 64 positions"),
    ],
)
def test_what_vllm_would_do_otherwise_is_refused(engine, params: SamplingParams, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        engine.generate(["a b c ?"], 1, params, seed=0)


def test_weights_that_did_not_go_where_they_belong_are_found(engine, folder, monkeypatch) -> None:
    """Each weight of the model in turn is changed behind vLLM's back."""
    weights = untied(AutoModelForCausalLM.from_pretrained(folder).state_dict())
    model = engine.engine.model_executor.driver_worker.worker.get_model()
    load = model.load_weights
    for name in weights:

        def tamper(sent, name=name):
            return load((key, tensor + 1e-3 * (key == name)) for key, tensor in sent)

        monkeypatch.setattr(model, "load_weights", tamper, raising=False)
        with pytest.raises(WeightsError, match=f"model: {name} is not loaded as it was sent$"):
            engine.load_weights(weights)
    monkeypatch.undo()
    assert engine.load_weights(weights) == checksum(weights)


def test_weights_of_bfloat16_are_read_back_as_well(tmp_path) -> None:
    """vLLM repacks them in another way, and turns biases into float32."""
    folder = make_model(tmp_path / "qwen2", *MODELS["qwen2"])
    engine = VLLMEngineFactory(str(folder), "bfloat16", DEVICE, memory=0.3)()
    try:
        weights = untied(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).state_dict())
        weights = {name: tensor + torch.rand(tensor.shape, dtype=tensor.dtype) for name, tensor in weights.items()}
        assert engine.load_weights(weights) == checksum(weights)
    finally:
        engine.close()


@pytest.mark.skipif(DEVICE == "cuda" and torch.cuda.device_count() < 2, reason="one GPU cannot share weights with another")
def test_processes_share_the_weights(tmp_path) -> None:
    """Each has half the heads of queries, and the one of keys; what they hold is read back from both."""
    extra = {"num_key_value_heads": 1, "tie_word_embeddings": True}
    folder = make_model(tmp_path / "llama", "llama", extra)
    engine = VLLMEngineFactory(str(folder), device=DEVICE, memory=0.3, tensor_parallel=2)()
    try:
        contract = EngineContract()
        contract.test_logprobs_are_the_learner_s(folder, engine, 1.0)
        contract.test_one_call_is_the_same_again(engine)
        contract.test_new_weights_are_sampled_from(folder, engine, tmp_path)
        contract.test_weights_that_do_not_fit_are_refused(folder, engine)
    finally:
        engine.close()


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="vLLM sleeps on GPUs only")
def test_what_sleeps_holds_no_memory_and_draws_the_same(folder) -> None:
    before, whole = torch.cuda.mem_get_info()  # another engine may have its share
    engine = VLLMEngineFactory(str(folder), device="cuda", memory=0.3, sleeps=True)()
    try:
        assert before - torch.cuda.mem_get_info()[0] < 0.2 * whole
        first, second = (engine.generate(PROMPTS, 4, SamplingParams(1.0, 12), seed=3) for _ in range(2))
        weights = untied(AutoModelForCausalLM.from_pretrained(folder).state_dict())
        assert engine.load_weights(weights) == checksum(weights)
        third = engine.generate(PROMPTS, 4, SamplingParams(1.0, 12), seed=3)
        chains = [[chain.tokens.tolist() for group in groups for chain in group] for groups in (first, second, third)]
        assert chains[0] == chains[1] == chains[2]
        assert before - torch.cuda.mem_get_info()[0] < 0.2 * whole
    finally:
        engine.close()


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="CUDA IPC needs a GPU")
def test_another_process_s_weights_are_taken_on_the_gpu(folder, engine) -> None:
    """By CUDA IPC, as a learner on the same GPU has them."""
    context = torch.multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    learner = context.Process(target=share_weights, args=(str(folder), theirs))
    learner.start()
    try:
        weights, sent = ours.recv()
        assert all(tensor.is_cuda for tensor in weights.values())
        assert engine.load_weights(weights) == sent
    finally:
        ours.send(None)
        learner.join()


def share_weights(folder: str, pipe) -> None:
    """A learner's process: its weights lie on the GPU until they have been taken."""
    state = untied(AutoModelForCausalLM.from_pretrained(folder).cuda().state_dict())
    weights = {name: tensor + 1 for name, tensor in state.items()}
    pipe.send((weights, checksum(weights)))
    pipe.recv()


@pytest.mark.skipif(DEVICE == "cuda", reason="vLLM is built for the GPU here")
def test_another_device_than_vllm_s_is_refused(folder) -> None:
    with pytest.raises(ValueError, match="this build of vLLM is for 'cpu', and the worker has 'cuda'"):
        VLLMEngineFactory(str(folder), device="cuda")()
