"""Where answers really stand in responses, strictly and leniently."""

import pytest

from rewards.answer import Extraction, extract, extract_letter


@pytest.mark.parametrize(
    ("text", "answer", "place"),
    [
        (r"so \boxed{7}.", "7", "box"),
        (r"\boxed{2}. On second thought, the answer is \boxed{3}.", "3", "box"),
        (r"\boxed{\frac{1}{3}} \approx \boxed{0.333}", r"\frac{1}{3}", "box"),
        (r"\boxed {42}", "42", "box"),
        (r"\fbox{7}", "7", "box"),
        (r"\boxed 4", "4", "box"),
        (r"x = \boxed{\frac{1}{2", r"\frac{1}{2", "box"),
        (r"<think>\boxed{5}</think> \boxed{6}", "6", "box"),
        ("<answer>5</answer>", "5", "tag"),
        ("long\n#### 1,234", "1,234", "hashes"),
        ("The answer is 5. The answer is 6.", "6", "marker"),
        ("The final answer is: $5$. I hope it is correct.", "5", "marker"),
        ("**Answer:** 73", "73", "marker"),
        ("The answer is\n$$\n5\n$$", "5", "marker"),
        ("The answer is 0.5.", "0.5", "marker"),
        ("The answer is 6, not 7.", "6", "marker"),
        ("A: 18", "18", "marker"),
        ("42<|im_end|>", "42", "bare"),
        ("x = 5", "x = 5", "bare"),
        (r"First \boxed{5}. <answer>6</answer>", "6", "tag"),
        (r"<answer>6</answer> no, \boxed{5}", "5", "box"),
        (r"\boxed{20} or maybe \boxed{21}", "20 , 21", "box"),
        ("The answer is 72 because 8*9=72", "72", "marker"),
        ("**21**", "21", "bare"),
        ("It is not hard to see that the answer is 7", "7", "marker"),
        ("That was wrong. The answer is 7", "7", "marker"),
        ("Answer: 7 apples remain in the basket.", "7 apples", "marker"),
        ("The answer is 7 apples that remain.", "7 apples", "marker"),
        ("Thus the answer is 7 (since 14/2 = 7).", "7", "marker"),
        ("The answer is 7. This is correct.", "7", "marker"),
        ("These are not prime\nAnswer: 7", "7", "marker"),
        (r"\boxed{7}. It is not hard to verify this.", "7", "box"),
        ("α = 3", "α = 3", "bare"),
        ("The answer is: 7 clips, which she sold in April and May.", "7 clips", "marker"),
        ("Answer: No, it is not a prime.", "No", "marker"),
        ("José", "José", "bare"),
    ],
)
def test_strict(text: str, answer: str, place: str) -> None:
    found = extract(text, "strict")
    assert (found.answer, found.place) == (answer, place)
    assert extract(text, "lenient") == found


@pytest.mark.parametrize(
    "text",
    [
        "计算得 6×7。答案是42", "答案：42。", "因此，最终答案是：$42$。", "故答案为：42", "答えは42です。", "정답은 42입니다",
        "Ответ: 42.",
        "La respuesta es 42.", "La respuesta final es $42$.", "La réponse est 42.", "Die Antwort lautet 42.", "Antwort: 42",
        "A resposta é 42.", "La risposta è 42.", "答案是41。不对，答案是42。",
    ],
)  # fmt: skip
def test_other_languages(text: str) -> None:
    assert extract(text, "strict") == Extraction("42", "marker")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("La réponse est donc 3,5.", "3.5"), ("Die Antwort ist 0,125", "0.125"), ("La respuesta es 1,200", "1,200"),
        ("答案是12个苹果。", "12"), ("答えは1500円です。", "1500"), ("Ответ: 12 яблок.", "12"),
        ("A resposta é 12 reais.", "12"),
        ("答案是3万。", "3万"), ("Ответ: 5 тысяч", "5 тысяч"), ("Die Antwort ist 12 km", "12 km"),
        ("La respuesta es 3 o más", "3 o más"),
    ],
)  # fmt: skip
def test_numbers_in_other_languages(text: str, answer: str) -> None:
    assert extract(text, "strict") == Extraction(answer, "marker")


@pytest.mark.parametrize("text", ["答案不是42", "La respuesta no es 42", "Die Antwort ist nicht 42", "La réponse n'est pas 42"])
def test_denied_in_other_languages(text: str) -> None:
    assert extract(text, "strict").answer is None


def test_a_letter_that_is_denied() -> None:
    for text in (
        "It is not B",
        "B is wrong",
        "B is not correct",
        "Not option B",
        "Option B isn't right",
        "I would eliminate B",
    ):
        assert extract_letter(text, "lenient").answer is None
    assert extract_letter("It is not A, so B", "lenient").answer == "B"


@pytest.mark.parametrize("text", ["故选B", "故选：B。", "所以答案选B", "答案是B", "答案：(B)"])
def test_choices_in_chinese(text: str) -> None:
    assert extract_letter(text, "strict").answer == "B"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So $$f(x) = x^2+1$$", "f(x) = x^2+1"),
        ("So there are 12 of them and that makes 15 apples.", "15"),
        ("We find that $x < 3$.", "x < 3"),
        ("just 42", "42"),
        ("Ans = 13", "13"),
        ("### Answer\n13", "13"),
        ("```\n13\n```", "13"),
        ("Result → 17", "17"),
        ("the total cost of the order is $29.00.", "$29.00"),
        ("Svaret är 12.", "12"),
        ("Đáp án là 12.", "12"),
        ("الجواب هو 12", "12"),
        ("คำตอบคือ 12", "12"),
        ("Η απάντηση είναι 12", "12"),
        ("उत्तर 12 है।", "12"),
        ("一共有12个苹果。", "12"),
    ],
)
def test_only_lenient(text: str, answer: str) -> None:
    assert extract(text, "strict").answer is None
    assert extract(text, "lenient").answer == answer


@pytest.mark.parametrize(
    "text",
    [
        "It might be any of 14, 15, 16",
        "",
        "   ",
        "<think>the answer is 5",
        "The answer is not 5",
        "The answer cannot be 5",
        "I do not think the answer is 72.",
        "It's false that the answer is 7",
        "I am not sure the answer is 7",
        "I doubt that the final answer is $7$.",
        r"\boxed{}",
        "\\boxed{7}\n\n\\boxed{}",
        r"\boxed{7} is wrong.",
        r"It is not $\boxed{7}$.",
        "<answer>7</answer> Oh no, this is false.",
        "7 is not the answer.",
        "7 can't be the answer.",
        "The answer is $7$. That can't be right.",
        "Svaret är inte 7.",
        "Ответ не 7.",
        "Het antwoord is niet 7.",
        "答えは7ではありません。",
        "정답은 7가 아닙니다.",
        "It is $7$, which is incorrect.",
        "The answer is 7. Wait, that is incorrect.",
        "The answer is $7$. However, this is not correct.",
        "The answer is 7 because I guess. It's wrong.",
        "x" * 10**6,
    ],
)
def test_nothing(text: str) -> None:
    assert extract(text, "lenient").answer is None


def test_several_boxes_where_several_answers_are_known() -> None:
    text = "Scratch \\boxed{9}\nThere are \\boxed{2} cats and \\boxed{3} dogs."
    assert extract(text).answer == "3"
    assert extract(text, several=True).answer == "2 , 3"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The correct option is B.", "B"),
        ("So option A or option B", None),
        ("because B is valid", None),
        ("B is incorrect", None),
    ],
)
def test_options_named_strictly(text: str, letter: str | None) -> None:
    assert extract_letter(text, "strict").answer == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (C).", "C"),
        ('The answer is "C".', "C"),
        ("B is correct", "B"),
        (r"\boxed{\text{E}}", "E"),
        ("D. it can't be A or B", "D"),
        ("I considered \\boxed{C} but finally \\boxed{E}", "E"),
        ("Because B is valid", "B"),
        ("The correct option is B.", "B"),
        ("Both A and C are right", None),
        ("ANSWER: None of the above", None),
        ("I don't know", None),
    ],
)
def test_letters(text: str, letter: str | None) -> None:
    found = extract_letter(text, "lenient").answer
    assert (found if found is None or len(found) == 1 else None) == letter


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{-\boxed{3}}", "-{3}"),
        (r"\boxed{8 \text{ or } \boxed{3}}", r"8 \text{ or } {3}"),
        (r"\boxed{\frac{1}{\boxed{3}}}", r"\frac{1}{{3}}"),
        (r"so \boxed{ \boxed{\frac{3}{4}} }.", r"\frac{3}{4}"),
        (r"\boxed{" + "a long chain " * 300 + r"\boxed{5}", "5"),
        (r"\boxed{the sum is \boxed{5}", "5"),
    ],
)
def test_a_box_in_a_box_is_part_of_it(response: str, answer: str) -> None:
    assert extract(response, "strict").answer == answer
