import numpy
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from reft.tokenizer import bpe_tokenizer, word_tokenizer
from rollout.codec import Codec


def test_words_come_back_as_they_were(tiny_model) -> None:
    codec = Codec(AutoTokenizer.from_pretrained(tiny_model))
    text = "b + 3 -2 c - 4 2 x"
    (chain,) = codec.chains([text])
    assert chain.dtype == numpy.int32
    assert chain[-1] == codec.end
    assert codec.text(chain) == text


def test_a_word_outside_the_vocabulary_is_an_error() -> None:
    tokenizer = word_tokenizer(["a", "b"], 16)
    with pytest.raises(Exception, match="UNK"):
        tokenizer("a c")


def test_bpe_round_trip_keeps_digits_apart() -> None:
    texts = ["Question:\nhow many? 1234\nAnswer:\n", "héllo  wörld\n\n"]
    codec = Codec(bpe_tokenizer(texts * 50, 400, 64))
    for text in texts:
        assert codec.text(codec.chains([text])[0]) == text
    digits = codec.tokenizer.convert_ids_to_tokens(codec.prompts(["1234"])[0])
    assert digits == ["1", "2", "3", "4"]


def test_a_prompt_never_ends_in_an_end_token_that_the_tokenizer_adds() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = word_tokenizer(["a", "b"], 16)
    end = tokenizer.eos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A <end>", special_tokens=[("<end>", end)])
    codec = Codec(PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<end>"))
    assert end not in codec.prompts(["a b"])[0]
    assert list(codec.chains(["a b"])[0]).count(end) == 1


def test_end_serves_as_padding_where_there_is_none() -> None:
    tokenizer = word_tokenizer(["a"], 16)
    tokenizer.pad_token = None
    assert Codec(tokenizer).pad == tokenizer.eos_token_id


@pytest.mark.parametrize("kind", ["words", "bytes", "pieces"])
def test_text_behind_a_prefix_joins_as_the_tokenizer_joins(kind: str) -> None:
    """Also where a tokenizer drops the first space of a text, so that what was sampled cannot be decoded alone."""
    chain = "héllo wörld 12 apples and 3 more"
    if kind == "pieces":
        pieces = Tokenizer(models.WordLevel({"<end>": 0, **{f"▁{word}": n for n, word in enumerate(chain.split(), 1)}}))
        pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<end>")
    else:
        tokenizer = bpe_tokenizer([chain] * 50, 300, 64) if kind == "bytes" else word_tokenizer(chain.split(), 64)
    codec = Codec(tokenizer)
    (tokens,) = codec.chains([chain])
    for words in range(len(chain.split())):
        (prefix,) = codec.prefixes([" ".join(chain.split()[:words])])
        assert prefix.tolist() == tokens[: len(prefix)].tolist(), "as a demonstration has it"
        assert codec.text(prefix) + codec.text_behind(prefix, tokens[len(prefix) :]) == chain
    assert codec.text_behind(prefix, tokens[-1:]) == ""
