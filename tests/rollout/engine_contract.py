"""What every engine that samples from a model must do, as tests. A module that takes them over has the fixtures `folder`, where
the model is, and `engine`, as it is when it is made."""

from itertools import chain

import numpy
import pytest
import torch
from transformers import AutoModelForCausalLM

from reft.model import PolicyModel
from rollout.engine import Engine, WeightsError, checksum, untied
from rollout.engines.continuous import LOOK
from rollout.engines.draws import truncate
from rollout.types import SamplingParams

WORDS = [*"abcdefgh", "?"]
PROMPTS = ["a b ?", "c ?", "d e f g h ?"]
PREFIXES = ["c d e f g h a b", "", "b"]
CONTEXT = 64


class EngineContract:
    def test_is_an_engine(self, engine) -> None:
        assert isinstance(engine, Engine)

    @pytest.mark.parametrize("temperature", [0.7, 1.0, 1.5])
    def test_logprobs_are_the_learner_s(self, folder, engine, temperature: float) -> None:
        policy = PolicyModel(str(folder), torch.float32, "shared", "zero", temperature).eval()
        groups = engine.generate(PROMPTS, 3, SamplingParams(temperature, 12), seed=5)
        for completion in (completion for group in groups for completion in group):
            tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
            policy_logprobs, *_ = policy(torch.tensor(tokens, dtype=torch.long)[None], torch.tensor([len(tokens)]))
            start = len(completion.prompt_tokens) - 1
            torch.testing.assert_close(policy_logprobs[0, start:], torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)

    def test_logprobs_behind_a_prefix_are_the_learner_s(self, folder, engine) -> None:
        """Rows with and without a prefix side by side, against one forward pass over each row."""
        policy = PolicyModel(str(folder), torch.float32, "shared", "zero", 1.0).eval()
        groups = engine.generate(PROMPTS, 3, SamplingParams(1.0, 14), seed=5, prefixes=PREFIXES)
        for prompt, prefix, group in zip(PROMPTS, PREFIXES, groups, strict=True):
            for completion in group:
                assert completion.prompt_tokens.tolist() == engine.codec.prompts([f"{prompt} {prefix}"])[0].tolist()
                assert completion.prefix_length == len(prefix.split())
                assert completion.prefix == engine.codec.text(engine.codec.prefixes([prefix])[0])
                assert completion.chain == engine.codec.text(completion.chain_tokens)
                assert completion.chain.startswith(completion.prefix)
                tokens = numpy.concatenate([completion.prompt_tokens, completion.tokens])
                logprobs, *_ = policy(torch.tensor(tokens, dtype=torch.long)[None], torch.tensor([len(tokens)]))
                start = len(completion.prompt_tokens) - 1
                torch.testing.assert_close(logprobs[0, start:], torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize(
        "params",
        [
            SamplingParams(0.8, 12, top_k=3),
            SamplingParams(1.0, 12, top_p=0.6),
            SamplingParams(1.0, 12, top_k=8, top_p=0.7),
            SamplingParams(1.3, 12, min_p=0.93),
        ],
        ids=["top_k", "top_p", "both", "min_p"],
    )
    def test_truncated_logprobs_are_those_of_what_is_left(self, folder, engine, params: SamplingParams) -> None:
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        cut = 0
        for completion in chain.from_iterable(engine.generate(PROMPTS, 8, params, seed=5)):
            tokens = torch.tensor(numpy.concatenate([completion.prompt_tokens, completion.tokens]), dtype=torch.long)
            with torch.no_grad():
                logits = truncate(model(tokens[None]).logits[0, :-1] / params.temperature, params)
            cut += int(logits.isinf().sum())
            known = logits.log_softmax(-1).gather(1, tokens[1:, None])[len(completion.prompt_tokens) - 1 :, 0]
            torch.testing.assert_close(known, torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)
        assert cut, "nothing was left out"

    def test_what_cannot_be_sampled_is_refused(self, engine) -> None:
        with pytest.raises(ValueError, match=f"a prompt and its longest chain have {CONTEXT + 1} tokens, and the model"):
            engine.generate(["a ?", "a b ?"], 1, SamplingParams(1.0, CONTEXT - 2), seed=0)
        with pytest.raises(ValueError, match="1 prefixes are not one for each of 2 prompts"):
            engine.generate(["a ?", "b ?"], 1, SamplingParams(1.0, 9), seed=0, prefixes=["c"])
        with pytest.raises(ValueError, match="prompt 1 has no token"):
            engine.generate(["a ?", ""], 1, SamplingParams(1.0, 9), seed=0)

    def test_no_chain_ends_before_its_least_length(self, folder, engine) -> None:
        """What could not be drawn is left out of the distribution; what comes later is as the model has it."""
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        params = SamplingParams(1.0, 12, min_tokens=4)
        lengths = []
        for completion in chain.from_iterable(engine.generate(PROMPTS, 24, params, seed=5, prefixes=PREFIXES)):
            tokens = torch.tensor(numpy.concatenate([completion.prompt_tokens, completion.tokens]), dtype=torch.long)
            with torch.no_grad():
                logits = model(tokens[None]).logits[0, len(completion.prompt_tokens) - 1 : -1]
            logits[:4, list(engine.codec.stops)] = -torch.inf
            known = logits.log_softmax(-1).gather(1, tokens[len(completion.prompt_tokens) :, None])[:, 0]
            torch.testing.assert_close(known, torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)
            lengths.append((len(completion.tokens), completion.finish))
        assert all(length >= 4 for length, _ in lengths)
        assert any(finish == "stop" for _, finish in lengths), "ends are drawn behind that"

    def test_a_prefix_is_the_end_of_a_prompt(self, engine) -> None:
        """The same chains as from prompts that end in the prefixes, each as long as the chain as a whole may be."""
        given = engine.generate(PROMPTS, 3, SamplingParams(1.0, 14), seed=3, prefixes=PREFIXES)
        joined = [f"{prompt} {prefix}" for prompt, prefix in zip(PROMPTS, PREFIXES, strict=True)]
        plain = engine.generate(joined, 3, SamplingParams(1.0, 14), seed=3)
        for prefix, group, other in zip(PREFIXES, given, plain, strict=True):
            budget = 14 - len(prefix.split())
            for left, right in zip(group, other, strict=True):
                assert left.tokens.tolist() == right.tokens[:budget].tolist()
                numpy.testing.assert_allclose(left.logprobs, right.logprobs[:budget], atol=1e-5)

    def test_a_chain_with_a_prefix_is_cut_at_its_longest_as_a_whole(self, engine) -> None:
        """Also where padding looks like an end token and neighbours go on."""
        engine.codec.pad = engine.codec.end
        groups = engine.generate(["a ?", "a ?"], 32, SamplingParams(1.0, 9), seed=0, prefixes=["b c d e f", ""])
        finishes = set()
        for budget, group in zip((4, 9), groups, strict=True):
            for completion in group:
                ended = completion.tokens[-1] == engine.codec.end
                assert completion.finish == ("stop" if ended else "length")
                assert engine.codec.end not in completion.tokens[:-1]
                assert len(completion.tokens) == len(completion.logprobs) <= budget
                assert ended or len(completion.tokens) == budget
                finishes.add((budget, completion.finish))
        assert (4, "length") in finishes
        with pytest.raises(ValueError, match="nothing is left to be sampled"):
            engine.generate(["a ?"], 1, SamplingParams(1.0, 5), seed=0, prefixes=["b c d e f"])

    def test_prompt_and_longest_chain_may_fill_the_context(self, folder, engine) -> None:
        """A long prefix stands beside a row that is sampled from its beginning."""
        engine.codec.stops = (0,)
        prompt, longest = "d e f g h ?", CONTEXT - 6
        params = SamplingParams(1.0, longest)
        chains = engine.generate([prompt] * 2, 1, params, seed=0, prefixes=[" ".join("ab" * 28), ""])
        policy = PolicyModel(str(folder), torch.float32, "shared", "zero", 1.0).eval()
        for (completion,) in chains:
            tokens = torch.tensor(numpy.concatenate([completion.prompt_tokens, completion.tokens]), dtype=torch.long)
            assert len(tokens) <= CONTEXT
            logprobs, *_ = policy(tokens[None], torch.tensor([len(tokens)]))
            known = logprobs[0, len(completion.prompt_tokens) - 1 :]
            torch.testing.assert_close(known, torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)

    def test_a_chain_does_not_depend_on_other_prompts(self, engine) -> None:
        together = engine.generate(PROMPTS, 4, SamplingParams(1.0, 12), seed=3)
        for count, n in ((1, 4), (2, 2), (3, 1)):
            fewer = engine.generate(PROMPTS[:count], n, SamplingParams(1.0, 12), seed=3)
            for group, part in zip(together, fewer, strict=False):
                for left, right in zip(group, part, strict=False):
                    assert left.tokens.tolist() == right.tokens.tolist()
                    assert left.finish == right.finish
                    numpy.testing.assert_allclose(left.logprobs, right.logprobs, atol=1e-5)

    def test_one_call_is_the_same_again(self, engine) -> None:
        """To the last bit."""
        first, second = (engine.generate(PROMPTS, 16, SamplingParams(1.0, 40), seed=7) for _ in range(2))
        for left, right in zip(chain.from_iterable(first), chain.from_iterable(second), strict=True):
            assert left.tokens.tolist() == right.tokens.tolist()
            assert left.logprobs.tolist() == right.logprobs.tolist()

    def test_seeds_decide(self, engine) -> None:
        def draw(seed: int) -> list[list[int]]:
            groups = engine.generate(PROMPTS, 4, SamplingParams(1.0, 12), seed)
            return [completion.tokens.tolist() for group in groups for completion in group]

        assert draw(1) == draw(1) != draw(2)
        assert len({tuple(tokens) for tokens in draw(1)}) > 6, "samples of one prompt have streams of their own"

    def test_greedy_takes_the_most_likely(self, folder, engine) -> None:
        """The log-probs are those under temperature 1."""
        ((completion,),) = engine.generate(["a b ?"], 1, SamplingParams(0.0, 5), seed=0)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        ids = torch.tensor(completion.prompt_tokens, dtype=torch.long)[None]
        with torch.no_grad():
            for token, logprob in zip(completion.tokens, completion.logprobs, strict=True):
                distribution = model(ids).logits[0, -1].log_softmax(-1)
                assert int(distribution.argmax()) == token
                assert float(logprob) == pytest.approx(float(distribution[token]), abs=1e-5)
                ids = torch.cat([ids, torch.tensor([[int(token)]])], 1)

    def test_a_chain_ends_with_the_end_token_or_at_its_longest(self, engine) -> None:
        for completion in engine.generate(["a ?"], 64, SamplingParams(1.0, 6), seed=0)[0]:
            ended = completion.tokens[-1] == engine.codec.end
            assert completion.finish == ("stop" if ended else "length")
            assert engine.codec.end not in completion.tokens[:-1]
            assert len(completion.tokens) == len(completion.logprobs) <= 6
            assert ended or len(completion.tokens) == 6

    def test_a_text_ends_a_chain_and_is_its_last(self, engine) -> None:
        """The chains are those without it, cut where it first stands."""
        free = engine.generate(PROMPTS, 16, SamplingParams(1.0, 40), seed=5)
        cut = engine.generate(PROMPTS, 16, SamplingParams(1.0, 40, stop=("h", "?")), seed=5)
        ends = engine.codec.chains(["h ?"])[0][:2].tolist()
        finishes, discarded = set(), 0
        for before, after in zip(chain.from_iterable(free), chain.from_iterable(cut), strict=True):
            length = next((at + 1 for at, token in enumerate(before.tokens) if token in ends), len(before.tokens))
            assert after.tokens.tolist() == before.tokens[:length].tolist()
            assert len(after.logprobs) == length
            numpy.testing.assert_allclose(after.logprobs, before.logprobs[:length], atol=1e-5)
            ended = after.tokens[-1] in (*ends, engine.codec.end)
            assert after.finish == ("stop" if ended else "length")
            assert after.text == engine.codec.text(after.tokens)
            finishes.add(int(after.tokens[-1]) if ended else None)
            assert len(after.tokens) <= after.drawn <= len(before.tokens), "what is discarded is drawn as without the text"
            assert after.discarded <= LOOK
            assert not after.discarded or after.tokens[-1] in ends
            discarded += after.discarded
        assert {*ends, engine.codec.end} <= finishes
        assert discarded > 0
        assert not any(completion.discarded for completion in chain.from_iterable(free))

    def test_new_weights_are_sampled_from(self, folder, engine, tmp_path) -> None:
        """No key or value of the old ones is left behind, though the prompts are those of before."""
        long = [" ".join("abcdefgh" * 5), *PROMPTS]
        params = SamplingParams(1.0, 12)
        before = engine.generate(long, 3, params, seed=5)
        torch.manual_seed(1)
        other = AutoModelForCausalLM.from_pretrained(folder)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        weights = untied(other.state_dict())
        old = checksum(untied(AutoModelForCausalLM.from_pretrained(folder).state_dict()))
        assert engine.load_weights(weights) == checksum(weights) != old
        other.save_pretrained(tmp_path)
        engine.codec.tokenizer.save_pretrained(tmp_path)
        policy = PolicyModel(str(tmp_path), torch.float32, "shared", "zero", 1.0).eval()
        after = engine.generate(long, 3, params, seed=5)
        for completion in chain.from_iterable(after):
            tokens = torch.tensor(numpy.concatenate([completion.prompt_tokens, completion.tokens]), dtype=torch.long)
            logprobs, *_ = policy(tokens[None], torch.tensor([len(tokens)]))
            known = logprobs[0, len(completion.prompt_tokens) - 1 :]
            torch.testing.assert_close(known, torch.tensor(completion.logprobs), atol=1e-5, rtol=1e-5)
        pairs = zip(chain.from_iterable(before), chain.from_iterable(after), strict=True)
        assert any(left.tokens.tolist() != right.tokens.tolist() for left, right in pairs)

    def test_weights_that_do_not_fit_are_refused(self, folder, engine) -> None:
        weights = untied(AutoModelForCausalLM.from_pretrained(folder).state_dict())
        name = next(iter(weights))
        with pytest.raises(WeightsError, match=name):
            engine.load_weights({key: value for key, value in weights.items() if key != name})
        with pytest.raises(WeightsError, match="odd"):
            engine.load_weights({**weights, "odd": torch.zeros(1)})
