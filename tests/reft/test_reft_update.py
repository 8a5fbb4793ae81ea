"""Whole updates of ReFT, models and optimizer included, against a literal, slow one written from the paper's code (arXiv
2401.08967; mwp_ReFT train_rl_reft.py, 274-392 and 394-675): left-padded prompts, row by row, token by token."""

from functools import partial
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from reft.algorithms.reft import ReFT
from reft.batch import collate
from reft.config import LearnerConfig, ModelConfig
from reft.learner.driver import Learner, LocalGang, UpdateShape
from reft.learner.rank import Rank, RankSettings
from reft.model import make_fresh
from reft.tasks.signed_sum import SignedSum
from reft.tokenizer import word_tokenizer
from rewards.equal import NO_ANSWER
from rollout.types import Completion, Problem, Sample

BETA, GAMMA, LAM, CLIP, VALUE_CLIP, VF_COEF, EPOCHS = 0.05, 1.0, 0.95, 0.2, 0.2, 5.0, 2
RATE, EPSILON, CLIP_NORM = 3e-3, 1e-5, 1.0
PAD, END, LONGEST = 0, 1, 7
SCORES = [1.0, 0.1, 0.0]

Row = tuple[list[int], list[int], float]
"""Prompt, chain and score."""


def sample_rows(model: nn.Module, generator: torch.Generator) -> list[Row]:
    """Ten chains drawn from the model, token by token; some end, some are cut."""
    rows = []
    for number in range(10):
        prompt = torch.randint(2, 30, (2 + number % 4,), generator=generator).tolist()
        chain: list[int] = []
        while len(chain) < LONGEST and (not chain or chain[-1] != END):
            with torch.no_grad():
                probabilities = (
                    model(torch.tensor([prompt + chain]), attention_mask=torch.ones(1, len(prompt + chain)))
                    .logits[0, -1]
                    .softmax(0)
                )
            probabilities[END] += 0.15  # a fresh model would hardly ever end
            chain.append(int(torch.multinomial(probabilities, 1, generator=generator)))
        rows.append((prompt, chain, SCORES[int(torch.randint(0, 3, (), generator=generator))]))
    return rows


class Paper:
    """The paper's learner: a model with a value head on its trunk, AdamW, no minibatches."""

    def __init__(self, folder: Path, head: nn.Linear) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.reference = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.head = nn.Linear(head.in_features, 1)
        self.head.load_state_dict(head.state_dict())
        self.parameters = {**dict(self.model.named_parameters()), "head.w": self.head.weight, "head.b": self.head.bias}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=RATE, eps=EPSILON, weight_decay=0.0)
        self.losses: list[float] = []
        self.gradients: list[dict[str, torch.Tensor]] = []

    def forward(self, model: nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S-1) log-probs of the next tokens, (B, S) values. Positions count from each row's first token."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        output = model(ids, attention_mask=mask, position_ids=positions, output_hidden_states=True)
        logprobs = torch.log_softmax(output.logits.float(), -1)
        taken = torch.stack([logprobs[b, torch.arange(ids.shape[1] - 1), ids[b, 1:]] for b in range(len(ids))])
        return taken, self.head(output.hidden_states[-1]).squeeze(-1)

    def update(self, rows: list[Row]) -> None:
        width_of_prompts = max(len(prompt) for prompt, _, _ in rows)
        total = width_of_prompts + max(len(chain) for _, chain, _ in rows)
        ids = torch.full((len(rows), total), PAD)
        attention = torch.zeros(len(rows), total, dtype=torch.long)
        actions = numpy.zeros((len(rows), total), dtype=bool)
        score = numpy.zeros((len(rows), total))
        for b, (prompt, chain, reward) in enumerate(rows):
            start, end = width_of_prompts - len(prompt), width_of_prompts + len(chain)
            ids[b, start:end] = torch.tensor(prompt + chain)
            attention[b, start:end] = 1
            for state in range(width_of_prompts - 1, end - 1):
                actions[b, state] = True
            score[b, end - 2] = reward  # the state in which the last token, an end token or not, is the action
        with torch.no_grad():
            old_logprobs, old_values = self.forward(self.model, ids, attention)
            reference_logprobs, _ = self.forward(self.reference, ids, attention)
        advantage = numpy.zeros((len(rows), total))
        returns = numpy.zeros((len(rows), total))
        for b in range(len(rows)):
            following, next_value = 0.0, 0.0
            for state in range(total - 1, -1, -1):
                if not actions[b, state]:
                    continue
                kl = float(old_logprobs[b, state] - reference_logprobs[b, state])
                value = float(old_values[b, state])
                delta = score[b, state] - BETA * kl + GAMMA * next_value - value
                following = delta + GAMMA * LAM * following
                advantage[b, state], returns[b, state] = following, following + value
                next_value = value
        every = advantage[actions]
        white = (advantage - every.mean()) / numpy.sqrt(every.var(ddof=1) + 1e-8)
        for _ in range(EPOCHS):
            logprobs, values = self.forward(self.model, ids, attention)
            losses = []
            for b, (_, chain, _) in enumerate(rows):
                policy, value = torch.zeros(()), torch.zeros(())
                for state in numpy.nonzero(actions[b])[0]:
                    ratio = torch.exp(logprobs[b, state] - old_logprobs[b, state])
                    a, target, before = float(white[b, state]), float(returns[b, state]), old_values[b, state]
                    policy = policy + torch.max(-a * ratio, -a * torch.clamp(ratio, 1 - CLIP, 1 + CLIP))
                    near = torch.clamp(values[b, state], before - VALUE_CLIP, before + VALUE_CLIP)
                    value = value + torch.max((values[b, state] - target) ** 2, (near - target) ** 2)
                losses.append((policy + VF_COEF * 0.5 * value) / len(chain))
            loss = sum(losses) / len(losses)
            self.optimizer.zero_grad()
            loss.backward()
            self.losses.append(loss.item())
            self.gradients.append({name: tensor.grad.clone() for name, tensor in self.parameters.items()})
            nn.utils.clip_grad_norm_(self.parameters.values(), CLIP_NORM)
            self.optimizer.step()


def our_samples(rows: list[Row]) -> list[Sample]:
    samples = []
    for prompt, chain, reward in rows:
        arrays = [numpy.array(tokens, dtype=numpy.int32) for tokens in (prompt, chain)]
        finish = "stop" if chain[-1] == END else "length"
        completion = Completion(*arrays, numpy.zeros(len(chain), dtype=numpy.float32), "", finish)
        samples.append(Sample(Problem("p", "", ""), completion, None, NO_ANSWER, {}, reward, 0))
    return samples


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("micro_batch", [3, 100])
def test_three_updates_equal_the_paper_s(tmp_path: Path, architecture: str, micro_batch: int) -> None:
    tokenizer = word_tokenizer(SignedSum().words(), 64)
    make_fresh(ModelConfig(architecture, layers=2, width=16, heads=2, context=64), tokenizer, 0, tmp_path)
    settings = RankSettings(
        str(tmp_path), str(tmp_path), ModelConfig(value_head="uniform"),
        LearnerConfig(threads=1, lr=RATE, eps=EPSILON, micro_batch=micro_batch), ReFT(), 1.0, 0, deepspeed=False,
    )  # fmt: skip
    shape = UpdateShape(EPOCHS, 1, micro_batch, "constant", 0, 0, 3, None, RATE, "float32", 0)
    learner = Learner(LocalGang(partial(Rank, settings=settings)), shape)
    rank = learner.gang.rank
    gradients: list[dict[str, torch.Tensor]] = []
    step = rank.optimization.step

    def watched(factor: float, critic_only: bool) -> float:
        named = rank.model.named_parameters()
        gradients.append({name: parameter.grad.clone() for name, parameter in named})
        return step(factor, critic_only)

    rank.optimization.step = watched
    paper = Paper(tmp_path, rank.model.value_head)
    ours = {"head.w": "value_head.weight", "head.b": "value_head.bias"}
    generator = torch.Generator().manual_seed(0)
    for update in range(3):
        rows = sample_rows(paper.model, generator)
        assert {chain[-1] == END for _, chain, _ in rows} == {True, False}, "some chains end and some are cut"
        paper.update(rows)
        experience, metrics = ReFT().credit(collate(our_samples(rows), pad=PAD), learner)
        assert (abs(metrics["kl/reference"]) > 1e-3) == (update > 0), "the policy has left its start, so the KL term is tried"
        loss = learner.update(experience)["loss/total"]
        assert loss == pytest.approx(sum(paper.losses[-EPOCHS:]) / EPOCHS, rel=1e-5, abs=1e-6)
    assert len(gradients) == len(paper.gradients) == 3 * EPOCHS
    for mine, theirs in zip(gradients, paper.gradients, strict=True):
        for name, gradient in theirs.items():
            found = mine[ours.get(name, f"lm.{name}")]
            torch.testing.assert_close(found, gradient, rtol=1e-5, atol=1e-5 * float(gradient.abs().max()) + 1e-7)
    state = rank.model.state_dict()
    for name, weights in paper.parameters.items():
        torch.testing.assert_close(state[ours.get(name, f"lm.{name}")], weights.detach(), rtol=1e-5, atol=1e-5)
