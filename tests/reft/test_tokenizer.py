import pytest

from reft.tokenizer import bpe_tokenizer, word_tokenizer


def test_words_are_tokens_and_nothing_else_is() -> None:
    tokenizer = word_tokenizer(["a", "+", "12"], context=9)
    ids = tokenizer("a + 12 a")["input_ids"]
    assert [tokenizer.convert_ids_to_tokens(number) for number in ids] == ["a", "+", "12", "a"]
    assert len(tokenizer) == 5
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert tokenizer.model_max_length == 9
    with pytest.raises(Exception, match="vocabulary"):
        tokenizer("b")


def test_bytes_are_never_unknown_and_digits_stand_alone() -> None:
    tokenizer = bpe_tokenizer(["There are 1234 apples.", "There are 12 pears."] * 20, 300, context=64)
    for text in ("There are 98 apples.\n", "  naïve – 数学 🙂", "a  b\tc"):
        assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("1234")["input_ids"])
    assert tokens == ["1", "2", "3", "4"]
    assert len(tokenizer) <= 300
    assert len(tokenizer("There are apples.")["input_ids"]) < 8, "frequent words have grown together"
