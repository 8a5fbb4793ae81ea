"""Weights between processes: the same bits, in memory that is shared where it can be."""

import pickle
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rollout.engine import checksum, untied
from rollout.engines.hf import HFEngineFactory
from rollout.parcel import Parcel

WEIGHTS = {
    "matrix": torch.arange(12.0).reshape(3, 4).T,
    "half": torch.linspace(-1, 1, 7, dtype=torch.bfloat16),
    "counter": torch.tensor(3),
    "nothing": torch.zeros(0, 5),
}


def send(parcel: Parcel) -> Parcel:
    """As Ray does: arrays' memory beside the stream, to be read only."""
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(parcel, protocol=5, buffer_callback=buffers.append)
    assert len(stream) < 2000, "no numbers are in the stream"
    return pickle.loads(stream, buffers=[memoryview(buffer.raw()).toreadonly() for buffer in buffers])


def test_weights_arrive_bit_by_bit() -> None:
    arrived = send(Parcel(WEIGHTS))
    assert list(arrived) == list(WEIGHTS)
    assert checksum(arrived) == checksum(WEIGHTS)
    for name, tensor in WEIGHTS.items():
        assert arrived[name].dtype == tensor.dtype, name
        assert torch.equal(arrived[name], tensor), name


def test_memory_that_was_sent_is_what_arrives() -> None:
    arrived = send(Parcel(WEIGHTS))
    assert arrived.shared
    assert arrived["half"].data_ptr() == WEIGHTS["half"].data_ptr()
    assert not Parcel(WEIGHTS).shared
    assert not pickle.loads(pickle.dumps(Parcel(WEIGHTS))).shared, "in the stream are copies, which may be written to"


@pytest.mark.parametrize("tied", [True, False])
def test_an_engine_keeps_shared_memory_and_copies_other(tiny_model: Path, tied: bool) -> None:
    engine = HFEngineFactory(str(tiny_model))()
    if not tied:
        vocabulary, width = engine.model.get_input_embeddings().weight.shape
        engine.model.set_output_embeddings(torch.nn.Linear(width, vocabulary, bias=False))
    weights = {name: torch.randn_like(tensor) for name, tensor in untied(engine.model.state_dict()).items()}
    assert engine.load_weights(Parcel(weights)) == checksum(weights)
    places = {name: tensor.data_ptr() for name, tensor in untied(engine.model.state_dict()).items()}
    assert not set(places.values()) & {tensor.data_ptr() for tensor in weights.values()}
    parcel = send(Parcel(weights))
    assert engine.load_weights(parcel) == checksum(weights)
    kept = untied(engine.model.state_dict())
    assert {name: tensor.data_ptr() for name, tensor in kept.items()} == {name: parcel[name].data_ptr() for name in weights}
    others = {name: tensor + 1 for name, tensor in weights.items()}
    assert engine.load_weights(others) == checksum(others)
    assert checksum(parcel) == checksum(weights), "what others read as well is not written to"


def test_an_engine_of_another_precision_copies(tiny_model: Path) -> None:
    engine = HFEngineFactory(str(tiny_model), dtype="bfloat16")()
    weights = untied(AutoModelForCausalLM.from_pretrained(tiny_model).state_dict())
    rounded = {name: tensor.bfloat16() for name, tensor in weights.items()}
    assert engine.load_weights(send(Parcel(weights))) == checksum(rounded)
