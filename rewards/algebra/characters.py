r"""Text as models write it to the characters that the parser reads: one plain form for what looks the same.

Plain ASCII passes untouched. Otherwise signs of mathematics become their LaTeX names (`≤` is `\le`, `x²` is `x^{2}`),
compatibility forms fold together (NFKC: full-width digits, bold digits), invisible characters go. Letters of other
alphabets stay what they are: a Cyrillic А is no A.
"""

import re
import unicodedata

_SIGNS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "－": "-", "∗": "*", "⋆": "*", "×": r"\times ",
    "✕": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "•": r"\cdot ", "∙": r"\cdot ", "÷": r"\div ", "∕": "/", "⁄": "/",
    "±": r"\pm ", "∓": r"\mp ", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "∞": r"\infty ", "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ",
    "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≃": r"\approx ", "≅": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∈": r"\in ", "∉": r"\notin ", "∅": r"\emptyset ", "⌀": r"\emptyset ",
    "ø": r"\emptyset ", "Ø": r"\emptyset ", "°": r"^\circ ", "º": r"^\circ ", "˚": r"^\circ ", "′": "'", "‘": "'", "’": "'",
    "“": '"', "”": '"', "″": "''", "∣": "|", "│": "|", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "→": r"\to ", "∀": r"\forall ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "…": r"\ldots ", "⋯": r"\cdots ",
    "ℝ": r"\mathbb{R} ", "ℤ": r"\mathbb{Z} ", "ℕ": r"\mathbb{N} ", "ℚ": r"\mathbb{Q} ", "ℂ": r"\mathbb{C} ", "∧": r"\wedge ",
    "∨": r"\vee ", "，": ",", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")", "【": "[", "】": "]", "｛": "{", "｝": "}",
    "％": "%", "円": r"\text{ yen}", "元": r"\text{ yuan}", "₹": "INR ",
    "€": r"\euro ", "£": r"\pounds ", "¥": r"\yen ", "￥": r"\yen ", "。": ".",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta", "ι": "iota",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "υ": "upsilon",
    "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_TABLE = str.maketrans({**_SIGNS, **{letter: rf"\{name} " for letter, name in _GREEK.items()}})

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋₍₎"
_TO_RAISED = str.maketrans(_RAISED, "0123456789+-()ni")
_TO_LOWERED = str.maketrans(_LOWERED, "0123456789+-()")
_RAISED_RUN = re.compile(f"[{_RAISED}]+")
_LOWERED_RUN = re.compile(f"[{_LOWERED}]+")
_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
           "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8)}  # fmt: skip
_ROOT = re.compile(r"([√∛])\s*(\d+(?:\.\d+)?)")
"""A root sign and the whole number behind it, of which TeX would take one digit."""
_VULGAR_RUN = re.compile(f"[{''.join(_VULGAR)}]")


def plain(text: str) -> str:
    """`text` in the parser's characters. Linear in its length; never fails, lone surrogates included."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", text)
    text = _RAISED_RUN.sub(lambda match: f"^{{{match[0].translate(_TO_RAISED)}}}", text)
    text = _LOWERED_RUN.sub(lambda match: f"_{{{match[0].translate(_TO_LOWERED)}}}", text)
    text = _VULGAR_RUN.sub(lambda match: r"\frac{{{}}}{{{}}}".format(*_VULGAR[match[0]]), text)
    text = _ROOT.sub(r"\1{\2}", text).translate(_TABLE)
    if not text.isascii():
        # Circled numbers are labels; folded to digits they would be numbers.
        text = "".join(
            sign if "CIRCLED" in unicodedata.name(sign, "") else unicodedata.normalize("NFKC", sign) for sign in text
        )
        text = text.translate(_TABLE)  # what was folded into a sign, such as mathematical alphabets' Greek
    return text
