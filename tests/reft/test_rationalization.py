"""Hints: what they say, that they are used, and that nothing which is kept holds one."""

from dataclasses import replace

import pytest

from reft.errors import ConfigError, RunError
from reft.rationalization import check_hints, check_stored, is_marked, marks_of, without_hints
from reft.tasks import Hint
from reft.tasks.jsonl import Jsonl
from reft.tasks.signed_sum import SignedSum, _problem
from rollout.types import Problem
from tests.reft.test_selection import drawn

PLAIN = Problem("p", "a 5 b 3 > 8 ?", "8")
HINTS = {"p": Hint("a 5 b 3 > 8 ! b + ?", "! b +")}


def test_samples_are_told_of_without_the_hint_and_those_that_quote_it_are_known() -> None:
    hinted = replace(PLAIN, prompt=HINTS["p"].prompt)
    texts = ("b + 3 8 ok", "so !  b + then 8 ok", "so ! B, + then")
    found = without_hints([replace(drawn("p", text), problem=hinted) for text in texts], [PLAIN], HINTS, set())
    assert all(sample.problem is PLAIN for sample, _ in found)
    assert [quotes for _, quotes in found] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("So (the answer is 12).", True),
        ("THE ANSWER, is: 12!", True),
        ("the answer is 120", False),
        ("there are 12, so the answer is that", False),
    ],
)
def test_case_and_punctuation_hide_no_hint(text: str, quotes: bool) -> None:
    hints = {"p": Hint("How many? (The answer is 12.)", "(The answer is 12.)")}
    ((_, found),) = without_hints([drawn("p", text)], [PLAIN], hints, set())
    assert found == quotes


@pytest.mark.parametrize("hint", [Hint("a 5 b 3 > 8 ?", "> 8"), Hint("a 5 b 3 > 8 ?", "A 5")])
def test_a_hint_that_is_in_the_plain_prompt_leaks(hint: Hint) -> None:
    with pytest.raises(RunError, match="of problem 'p' leaks"):
        check_hints([PLAIN], {"p": hint})
    check_hints([PLAIN], {"p": Hint("x: a 5 b 4?", "a 5 b 4")})


@pytest.mark.parametrize("text", ["", " ", "the sign is +"])
def test_a_hint_that_no_chain_could_be_seen_to_quote_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="of problem 'p' does not stand in the prompt"):
        check_hints([PLAIN], {"p": Hint("a 5 b 3 > 8 ? and a sign", text)})


def test_nothing_with_a_hint_is_stored() -> None:
    check_stored([replace(drawn("p", "b + 3 8 ok"), problem=PLAIN), drawn("unasked", "b + 3")], HINTS, {"!"})
    with pytest.raises(RunError, match="of problem 'unasked' that is to be kept holds its hint"):
        check_stored([drawn("unasked", "b - 9 ! x")], HINTS, {"!"})
    told = replace(PLAIN, prompt=HINTS["p"].prompt)
    for chain, problem in (("so ! b + then", PLAIN), ("b + 3 8 ok", told)):
        with pytest.raises(RunError, match="of problem 'p' that is to be kept holds its hint"):
            check_stored([replace(drawn("p", chain), problem=problem)], HINTS, set())


@pytest.mark.parametrize(
    ("answer", "text", "marked"),
    [
        ("1,234", "The hint says (Hint: it is 1234.), so 1234", True),
        ("12", "(Hint: it is $12.)", True),
        ("12", "Hint: it's 12.", True),
        ("12", "it is 12", False),
        ("12", "as was hinted, 12", False),
    ],
)
def test_a_chain_that_speaks_of_its_hint_in_other_words_is_known(answer: str, text: str, marked: bool) -> None:
    hint = Hint(f"How many? (Hint: it is {answer}.)", f"(Hint: it is {answer}.)")
    marks = marks_of([hint], ["How many?", "It is easy: 5 + 7 = 12."])
    assert marks == {"hint"}, "no answer is one"
    assert is_marked(drawn("p", text), marks) == marked
    ((_, quotes),) = without_hints([drawn("p", text)], [PLAIN], {"p": hint}, marks)
    assert quotes == marked


def test_hints_of_plain_words_have_no_marks() -> None:
    assert marks_of([Hint("a", "it is 12")], ["it is so"]) == frozenset()
    assert not is_marked(drawn("p", "it is 12"), frozenset())
    assert marks_of([], iter(["never read"])) == frozenset()


def test_the_sign_of_the_second_operand_is_a_hint() -> None:
    task = SignedSum(hint_share=0.5)
    assert task.hinted(_problem((5, 3, 4), 4)) == Hint("a 5 b 3 c 4 > 4 ! b + ?", "! b +")
    assert task.hinted(_problem((5, 3, 4), 6)) == Hint("a 5 b 3 c 4 > 6 ! b - ?", "! b -")
    with pytest.raises(ConfigError, match=r"task\.hint_share=0 shows nobody what a hint is"):
        SignedSum().hinted(_problem((5, 3, 4), 4))


def test_demonstrations_of_hinted_prompts_keep_to_the_hint() -> None:
    task = SignedSum(hint_share=0.5, demonstrations_size=400, give_up=0)
    problems = task.splits().train
    shown = task.demonstrations(problems, seed=0)
    hinted = [demonstration for demonstration in shown if "!" in demonstration.problem.prompt]
    assert 150 < len(hinted) < 250
    for demonstration in hinted:
        sign = demonstration.problem.prompt.split()[-2]
        tries = demonstration.chain.replace("ok", "x").split("x")
        assert {words.split()[1] for words in tries if words.strip()} == {sign}
        assert demonstration.chain.endswith("ok"), "a solution has the hinted sign, and nobody gives up"
    assert "!" in task.words()
    assert "!" not in SignedSum().words(), "other runs keep their vocabulary"
    assert not any("!" in demonstration.chain for demonstration in shown)


def test_records_tell_the_answer_behind_the_question() -> None:
    task = Jsonl(train="x.jsonl", hint=" (The answer is {answer}.)")
    problem = Problem("1", "Question:\nHow many?\nAnswer reasoning:\n", "12", {"question": "How many?", "opening": ""})
    hint = task.hinted(problem)
    assert hint == Hint("Question:\nHow many? (The answer is 12.)\nAnswer reasoning:\n", "(The answer is 12.)")
    with pytest.raises(ConfigError, match=r"task\.hint is empty"):
        Jsonl(train="x.jsonl").hinted(problem)
    with pytest.raises(ConfigError, match=r"stands in task.closing=.* every chain would quote it"):
        Jsonl(train="x.jsonl", hint=" (The answer is {answer}.)").validate()
    Jsonl(train="x.jsonl", hint=" (Hint: it is {answer}.)").validate()
    for useless in (" hm", " ({answer})"):
        with pytest.raises(ConfigError, match=r"needs \{answer\} and words of its own"):
            Jsonl(train="x.jsonl", hint=useless).validate()
