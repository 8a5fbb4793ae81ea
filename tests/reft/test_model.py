"""The policy: exact log-probs, values on the right states, whatever the padding; fresh weights of any architecture."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from reft.config import ModelConfig
from reft.errors import ConfigError, RunError
from reft.model import (
    PolicyModel,
    check_model,
    fresh_config,
    load_causal_lm,
    load_tokenizer,
    make_fresh,
    parameter_count,
    save_value,
)
from reft.tokenizer import word_tokenizer

WORDS = list("abcdefgh")


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen2"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "model"
    make_fresh(
        ModelConfig(architecture=request.param, layers=2, width=16, heads=2, context=32), word_tokenizer(WORDS, 32), 3, path
    )
    return path


def policy(folder, critic="shared", head="uniform", temperature=1.0) -> PolicyModel:
    torch.manual_seed(0)
    return PolicyModel(str(folder), torch.float32, critic, head, temperature).eval()


def test_log_probs_values_and_entropies_by_hand(folder) -> None:
    model = policy(folder, temperature=0.7)
    tokens = torch.tensor([[2, 3, 4, 5]])
    logprobs, values, entropies, final_values = model(tokens, torch.tensor([4]))
    with torch.no_grad():
        output = model.lm(tokens, output_hidden_states=True)
    distribution = torch.softmax(output.logits[0, :-1] / 0.7, -1)
    for t in range(3):
        assert logprobs[0, t].item() == pytest.approx(distribution[t, tokens[0, t + 1]].log().item(), rel=1e-4)
        assert entropies[0, t].item() == pytest.approx(-(distribution[t] * distribution[t].log()).sum().item(), rel=1e-4)
    hidden = model.lm.base_model(tokens).last_hidden_state[0]
    torch.testing.assert_close(values[0], model.value_head(hidden[:-1]).squeeze(-1))
    torch.testing.assert_close(final_values, model.value_head(hidden[-1]))


def test_padding_changes_nothing(folder) -> None:
    model = policy(folder)
    alone = model(torch.tensor([[2, 3, 4]]), torch.tensor([3]))
    for pad in (0, 1, 4):
        padded = model(torch.tensor([[2, 3, 4, pad, pad], [5, 4, 3, 2, 6]]), torch.tensor([3, 5]))
        for left, right in zip(alone[:3], padded[:3], strict=True):
            torch.testing.assert_close(left[0], right[0, :2], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(alone[3][0], padded[3][0], atol=1e-6, rtol=1e-5)


def test_a_new_head_starts_at_zero(folder) -> None:
    _, values, *_ = policy(folder, head="zero")(torch.tensor([[2, 3, 4]]), torch.tensor([3]))
    assert values.abs().max() == 0


def test_a_separate_critic_has_its_own_trunk(folder) -> None:
    model = policy(folder, critic="separate")
    tokens, lengths = torch.tensor([[2, 3, 4]]), torch.tensor([3])
    _, values, *_ = model(tokens, lengths)
    (values**2).sum().backward()
    assert all(parameter.grad is None for parameter in model.lm.parameters())
    assert any(parameter.grad is not None for parameter in model.critic.parameters())


@pytest.mark.parametrize("critic", ["shared", "separate"])
def test_the_critic_is_saved_beside_the_model(folder, tmp_path, critic: str) -> None:
    model = policy(folder, critic)
    target = tmp_path / "saved"
    model.lm.save_pretrained(target)
    with torch.no_grad():
        for parameter in (*model.value_head.parameters(), *(model.critic.parameters() if model.critic else ())):
            parameter.add_(0.5)
    save_value(model.value_state(), target)
    again = policy(target, critic, head="zero")
    for name, tensor in model.value_state().items():
        assert torch.equal(again.value_state()[name], tensor), name
    with pytest.raises(RunError, match=r"model.critic"):
        policy(target, "separate" if critic == "shared" else "shared")


def test_dropout_is_off_everywhere(folder) -> None:
    config = AutoConfig.from_pretrained(folder)
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            assert value == 0, name
    hub_like = AutoConfig.for_model("gpt2", n_embd=16, n_head=2, n_layer=1, vocab_size=20, bos_token_id=None, eos_token_id=1)
    assert hub_like.resid_pdrop == 0.1, "the default has dropout, which loading must remove"
    path = folder.parent / "dropout"
    AutoModelForCausalLM.from_config(hub_like).save_pretrained(path)
    model = load_causal_lm(str(path), torch.float32)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}


def test_bfloat16_weights_give_float32_log_probs(folder) -> None:
    half = PolicyModel(str(folder), torch.bfloat16, "shared", "uniform", 1.0).eval()
    for output in half(torch.tensor([[2, 3, 4]]), torch.tensor([3])):
        assert output.dtype == torch.float32


def test_fresh_weights_follow_the_seed(tmp_path) -> None:
    config = ModelConfig(layers=1, width=16, heads=2, context=32)
    states = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_fresh(config, word_tokenizer(WORDS, config.context), seed, tmp_path / name)
        states.append(AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict())
    same = [all(torch.equal(states[0][key], other[key]) for key in states[0]) for other in states[1:]]
    assert same == [True, False]


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen2", "qwen3", "mistral", "gpt_neox"])
def test_parameters_are_counted_without_making_them(architecture: str) -> None:
    config = fresh_config(ModelConfig(architecture=architecture, layers=1, width=16, heads=2, context=32), 20, 0, 1)
    model = AutoModelForCausalLM.from_config(config)
    assert parameter_count(config) == sum(parameter.numel() for parameter in model.parameters())


def test_wrong_models(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"model.architecture='gpt7'"):
        fresh_config(ModelConfig(architecture="gpt7"), 20, 0, 1)
    with pytest.raises(ConfigError, match=r"model.extra: gpt2 has no colour"):
        fresh_config(ModelConfig(extra={"colour": 1}), 20, 0, 1)
    with pytest.raises(RunError, match=r"no checkpoint: it has no config.json"):
        check_model(str(tmp_path))
    with pytest.raises(RunError, match=r"neither a checkpoint folder nor a hub model"):
        check_model("nobody/nothing-of-this-name")
    (tmp_path / "config.json").write_text("{not json")
    with pytest.raises(RunError, match="neither"):
        check_model(str(tmp_path))
    with pytest.raises(RunError, match="no tokenizer"):
        load_tokenizer(str(tmp_path))
