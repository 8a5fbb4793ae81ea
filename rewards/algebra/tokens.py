r"""An answer's text to tokens: LaTeX, calculator notation and plain words, without evaluating anything.

`tidy` removes what changes the look and not the meaning; `squash` is the form whose equality is equality of text.
"""

import re
from typing import NamedTuple

from rewards.algebra.characters import plain
from rewards.algebra.units import is_unit

LONGEST_TEXT = 2_000
"""Characters of an answer that are read at all."""
MOST_TOKENS = 600
MOST_UNCLOSED = 2
"""Braces that an answer may lack at its end."""
LONGEST_NUMBER = 4_000
"""Digits of a number that is read as one (Python refuses 4,300)."""


class Unreadable(ValueError):
    """The text is no mathematics that the parser knows, or too long or deep to be an answer; the message says where."""


class Token(NamedTuple):
    """`kind` is num, name, cmd, op, text or row; `spaced` says that white space stood before it."""

    kind: str
    text: str
    spaced: bool


_COSMETIC = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|Biggl|Biggr|big|Big|bigg|Bigg|displaystyle|textstyle|limits|nolimits|middle|mathstrut|strut)"
    r"(?![a-zA-Z])\.?"
)
_SIZES = re.compile(
    r"\\(?:tiny|scriptsize|footnotesize|small|normalsize|large|Large|LARGE|huge|Huge|scriptstyle|scriptscriptstyle|normalfont|"
    r"bfseries|mdseries|itshape|upshape|rmfamily|sffamily|ttfamily|boldmath|centering)(?![a-zA-Z])"
    r"|\\[hv]?phantom(?![a-zA-Z])\s*(?:\{[^{}]*\}|[^\s\\{}])"
)
"""Commands that change how what follows is set, and those that only leave room for it."""
_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:(?:~|\\[,;: ])\d{3})+)(?![\d/])")
"""White space between thousands, as LaTeX writes it."""
_SPACES = re.compile(
    r"(?<!\\)\\[,;:!> \n]|\\q?quad|\\(?:hspace\*?\{[^{}]*\}|thinspace|nobreakspace)(?![a-zA-Z])|~|[ \t\r\n\f\v]+|\u00a0"
)
_COUNTRY = re.compile(r"\bUS ?(?=\\?\$)")
_PRICE = re.compile(r"\$(?= ?\d)")
_ELLIPSIS = re.compile(r"\.{3,}")
_ENDLESS = re.compile(r"(\d{0,30}\.\d{1,30}) ?\\ldots ?(?![\d.])")
_CYCLE = re.compile(r"(\d*)\.(\d*?)(\d+?)\3+")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_TIGHT = re.compile(r"(?<=,)\s*(?<!\\)\\!\s*(?=\d{3})|(?<!\\)\\!")
_FRACTIONS = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_RENAMED = {
    "leq": "le", "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">", "dots": "ldots",
    "cdots": "ldots", "dotsc": "ldots", "varnothing": "emptyset", "land": "wedge", "lor": "vee", "lbrace": "{",
    "rbrace": "}", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|", "lbrack": "[", "rbrack": "]", "lparen": "(",
    "rparen": ")", "ast": "*", "tg": "tan", "ctg": "cot", "arctg": "arctan", "cosec": "csc", "degree": "circ",
    "simeq": "approx", "sim": "approx", "iny": "infty", "colon": ":", "cupdot": "cup", "uplus": "cup",
    "backslash": "setminus", "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "Longleftrightarrow": "iff",
    "mathbin": "", "mathrel": "",
}  # fmt: skip
_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>")
_COLOURS = re.compile(r"\\(?:textcolor|color)\s*\{[^{}]*\}")
_LAYOUTS = re.compile(r"\\(?:begin|end)\{(?:aligned|align\*?|equation\*?|gathered|gather\*?|split|center)\}")
_MATRIX = re.compile(r"\\begin\{(?:\w*matrix|array|\w?cases)\}")
_SYSTEM = re.compile(r"\\left\s*\\(?:\{|lbrace)\s*\\begin\{(?:array|matrix|aligned|align\*?|gathered|split)\}(?:\{[^{}]*\})?")
_SYSTEM_END = re.compile(r"\\end\{\w+\*?\}\s*\\right\s*\.")
"""Rows behind one brace: cases by another name."""
_BOLD = re.compile(r"\\(?:mathbf|boldsymbol|bm)\s*\{([a-zA-Z])\}(?=\s*\\times|\s*\\(?:mathbf|boldsymbol|bm)\s*\{[A-Z]\})")
"""A vector or matrix before another, with which it does not change places."""
_ODDS = re.compile(r"\d{1,18}(?: to \d{1,18}){1,3}")
"""`5 to 3`, a ratio and nothing else."""
_RESIDUE = re.compile(
    r"(?:\\(?:mathrm|text)\s*\{\s*)?\(\s*(?:\\(?:mathrm|text|operatorname)\s*\{\s*)?\\?mod(?![a-z])\s*\}?\s*([^()]{1,40})\)"
)
_REMAINDER = re.compile(r"(?<=[\w)}]) (?:\\(?:mathrm|text|operatorname)\s*\{\s*mod\s*\}|mod(?![a-z])) ?(?=[\w({\\])")
"""What the remainder is by, in words or letters, as commands say it."""
_CHOSEN = re.compile(r"(?<![\w})])(?:\{\})?[_^]\{?(\d+|n)\}?\s*(?:\\mathrm\s*\{C\}|C)_\{?(\d+|[rk])\}?")
"""`^{10}C_3`, a binomial coefficient."""
_DELIMITERS = re.compile(r"(?<!\\)\\[()\[\]]")
_RECURRING = re.compile(r"(\d{1,30})?\.(\d{0,30})\\(?:overline|bar)\s*(?:\{(\d{1,30})\}|(\d))")
_DOTTED = re.compile(r"(?<=\d)\.(\d{0,30})\\dot\s*(?:\{(\d)\}|(\d))(?:(\d{0,30})\\dot\s*(?:\{(\d)\}|(\d)))?")
"""A dot over the first digit that recurs and one over the last, which may be the same."""
_BRACKETED = re.compile(r"(?<![\d.])(\d{1,30})\.(\d{0,30})\((\d{1,30})\)(?!\w)")
"""`0.1(6)`, what recurs in brackets."""
_SCALE = re.compile(r"(\^\s*(?:\\circ|\{\s*\\circ\s*\}))\s*([CFK])(?![\w{])")
"""`20^\\circ C`, a temperature and no product."""
_WORDED = r" ?(?:\\(?:text|mathrm) ?\{ ?)?([A-Za-z]+) ?\}? ?"
_MIXED = re.compile(rf"(?<=\d){_WORDED}(?=\d+(?:\.\d+)?{_WORDED}$)")
"""`3 hours 20 minutes`."""
_PRIME = re.compile(r"\^ ?(?:\{ ?\\prime ?\}|\\prime(?![a-zA-Z]))")
_TIMES = re.compile(r"(?<=\d) ?[xX] ?(?=10 ?\^)|(?<=\d) x (?=\d)")
_UNIT_AT_END = re.compile(
    r"(?<=[\d}]) ?(?:(?:[kcm]?m|mi|ft|k?g|N|J|in)(?:/(?:s|hr?|mol|m|K)(?:\^\{?-?[23]\}?)?|\^\{?[23]\}?)|(?<= )[mgshLNJWV])$"
)
"""Units that would be read as names, at the end of a number: with a slash or a power, or a letter behind a space."""
_MICRO = re.compile(
    r"(?<=[\d}]) ?(?:(?<= )\\mu ?|\\(?:text|mathrm) ?\{ ?\\mu ?|\\mu ?(?=\\))(?:\\(?:text|mathrm) ?\{ ?)?([mgsFACVLl])\s*\}*$"
)
_MICROS = {
    "m": "micrometers", "g": "micrograms", "s": "microseconds", "F": "microfarads", "A": "microamperes", "C": "microcoulombs",
    "V": "microvolts", "L": "microliters", "l": "microliters",
}  # fmt: skip
_TEXT_COMMANDS = (
    r"text|textbf|textsl|textsc|textit|textrm|textsf|texttt|textnormal|textup|mbox|hbox|mathrm|mathbf|mathit|mathsf|mathtt|"
    r"boldsymbol|bm|bold|rm|bf|it|sf|tt|sl|sc|operatorname\*?|emph|underline|boxed|fbox|ensuremath|mathop|pmb"
)
_WRAPPED = re.compile(rf"\\(?:{_TEXT_COMMANDS})(?![a-zA-Z])\s*")
_ALL_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm)\s*\{([^{}\\]*)\}")
_SHORT = re.compile(r"\s*(?=\w*[a-z])[A-Za-z]{2,3}\s*")
"""Letters that would be a product without the sign that they are text."""
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
_LOOSE = re.compile(r" (?![0-9A-Za-z.])|(?<![0-9A-Za-z.]) ")
_TOKEN = re.compile(
    r"(?P<num>[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|(?:\d+(?:\.\d+)?|\.\d+)[eE][+-]?\d{1,6}(?![\d.])|\d+(?:\.\d+|\.(?=\s*[-/*+)^]))?|\.\d+)"
    r"|(?P<word>[^\W\d_]+)|(?P<cmd>\\[a-zA-Z]+)|(?P<row>\\\\)|(?P<brace>\\[{}|])|(?P<op>\*\*|<=|>=|!=|==|=>|->|\^\\circ|[-+*/^_=<>()\[\]{}|,;:!%'&.?])"
)


def tidy(text: str) -> str:
    """`text` without what only changes its look. Linear in its length."""
    text = plain(text)
    if "<|" in text:
        text = _SPECIAL.sub(" ", text)
    if "\\" in text or "$" in text or "~" in text or "{" in text:
        text = _priced(text).replace("{,}", ",").replace("\\%", "%").replace("\\#", "#").replace("\\&", " and ")
        text = _BOLD.sub(r"\\vec{\1}", _COLOURS.sub("", _DELIMITERS.sub(" ", text)))
        if "\\begin" in text:
            text = _SYSTEM_END.sub(r"\\end{cases}", _SYSTEM.sub(r"\\begin{cases}", text))
        if "\\begin" in text and not _MATRIX.search(text):
            text = _LAYOUTS.sub(" ", text).replace("&", " ")
        if "\\begin" not in text:
            text = _DOUBLED.sub(r"\\", text)
        text = _FRACTIONS.sub(r"\\frac", _SIZES.sub(" ", _COSMETIC.sub("", _TIGHT.sub("", text))))
        text = _THOUSANDS.sub(_closed_up, text)
        text += "}" * _unclosed(text)
    if "." in text:
        text = _recurring_decimals(text)
    text = _SPACES.sub(" ", text).strip(' ,;"').removeprefix("=").lstrip()
    text = _as_commands(text)
    if "\\mu" in text and (micro := _MICRO.search(text)) is not None and not _has_names(text[: micro.start()]):
        text = rf"{text[: micro.start()]} \text{{{_MICROS[micro[1]]}}}"
    if text[-1:].isalpha() or text[-1:] in "23}":
        match = _UNIT_AT_END.search(text)
        if match is not None and not _has_names(text[: match.start()]):
            text = rf"{text[: match.start()]} \text{{{match[0]}}}"
    if text.startswith("\\") and (match := _ALL_TEXT.fullmatch(text)) is not None and not _SHORT.fullmatch(match[1]):
        text = match[1].strip()
    while text and (text.endswith("\\") or (text[-1] in ".:" and not text.endswith(".."))):
        text = text[:-1].rstrip(" ,;")
    return text


def _priced(text: str) -> str:
    r"""`text` with dollar signs that are money as commands, and without those that begin and end formulas."""
    text = _COUNTRY.sub("", text).replace("\\$", r"\dollar ")
    if text.count("$") % 2:
        text = _PRICE.sub(r"\\dollar ", text, count=1)
    return text.replace("$", " ")


def _unclosed(text: str) -> int:
    """Braces that are missing at the end, where so few are that the answer was cut off and not written by chance."""
    missing = text.count("{") - text.count("\\{") - text.count("}") + text.count("\\}")
    return missing if 0 < missing <= MOST_UNCLOSED else 0


def _has_names(text: str) -> bool:
    return any(sign.isalpha() for sign in _COMMAND.sub("", text))


def _as_commands(text: str) -> str:
    """`text` with the signs that letters stand for as commands: times, remainders, binomial coefficients."""
    if "per cent" in text:
        text = text.replace("per cent", "percent")
    if " to " in text and _ODDS.fullmatch(text):
        text = text.replace(" to ", ":")
    if "mod" in text:
        text = _REMAINDER.sub(r" \\mod ", _RESIDUE.sub(r"\\pmod{\1}", text))
    if "C_" in text or "{C}_" in text:
        text = _CHOSEN.sub(r"\\binom{\1}{\2}", text)
    if "circ" in text:
        text = _SCALE.sub(r"\1\\text{\2}", text)
    if (match := _MIXED.search(text)) is not None and is_unit(match[1]) and is_unit(match[2]):
        text = f"{text[: match.end()].rstrip()} and {text[match.end() :]}"
    if "prime" in text:
        text = _PRIME.sub("'", text)
    return _TIMES.sub(r" \\times ", text) if "x" in text else text


def _recurring_decimals(text: str) -> str:
    """`text` with decimals whose digits recur as fractions, whichever way it is said that they do."""
    if "\\" in text:
        text = _RECURRING.sub(_recurring, _DOTTED.sub(_barred, text))
    if ")" in text:
        text = _BRACKETED.sub(_recurring, text)
    return _ENDLESS.sub(_endless, _ELLIPSIS.sub(r"\\ldots ", text))


def _endless(match: re.Match[str]) -> str:
    """`0.1666...` as a fraction, where the last digits repeat; else the digits that are there."""
    if (cycle := _CYCLE.fullmatch(match[1])) is not None:
        return _recurring(cycle)
    return match[1]


def _recurring(match: re.Match[str]) -> str:
    r"""`0.1\overline{6}` as a fraction."""
    before, cycle = match[2] or "", next(part for part in match.groups()[2:] if part)
    whole = int((match[1] or "0") + before + cycle) - int((match[1] or "0") + before)
    return rf"\frac{{{whole}}}{{{'9' * len(cycle)}{'0' * len(before)}}}"


def _barred(match: re.Match[str]) -> str:
    r"""`.1\dot{6}` and `.\dot{1}4285\dot{7}` with a bar over what recurs."""
    first, last = match[2] or match[3], match[5] or match[6] or ""
    return rf".{match[1]}\overline{{{first}{match[4] or ''}{last}}}"


def _closed_up(match: re.Match[str]) -> str:
    """A number without what stands between its thousands."""
    return match[1] + re.sub(r"\D", "", match[2])


def squash(tidied: str) -> str:
    """What equality of text compares: the tidied text without white space, but for that between letters or digits. Braces stay:
    they say what belongs to a root or an exponent."""
    return _LOOSE.sub("", tidied)


def tokenize(tidied: str) -> list[Token]:
    r"""Tokens of tidied text; `\text{...}` becomes one text token, or its content where that is mathematics.

    Raises:
        Unreadable: for characters that no answer has, and for too many of them.
    """
    if len(tidied) > LONGEST_TEXT:
        raise Unreadable(f"{len(tidied)} characters, more than {LONGEST_TEXT}")
    tokens: list[Token] = []
    position, depth = 0, 0
    while position < len(tidied):
        if tidied[position] == " ":
            position += 1
            continue
        spaced = position > 0 and tidied[position - 1] == " "
        if tidied[position] == "\\" and (match := _WRAPPED.match(tidied, position)):
            position = _wrapped(tidied, match.end(), spaced, tokens)
            continue
        match = _TOKEN.match(tidied, position)
        if match is None:
            raise Unreadable(f"{tidied[position : position + 12]!r} is no mathematics")
        position = match.end()
        kind, value = str(match.lastgroup), match[0]
        if kind == "num" and "," in value and depth > 0:  # inside brackets a comma parts
            position = match.start() + value.index(",")
            value = value[: value.index(",")]
        if len(value) > LONGEST_NUMBER:
            raise Unreadable(f"a number of {len(value)} digits")
        token = _token(kind, value, spaced)
        if token is not None:
            depth += (token.text in ("(", "[", "\\{")) - (token.text in (")", "]", "\\}"))
            tokens.append(token)
        if len(tokens) > MOST_TOKENS:
            raise Unreadable(f"more than {MOST_TOKENS} tokens")
    return tokens


def _token(kind: str, value: str, spaced: bool) -> Token | None:
    match kind:
        case "num":
            return Token("num", value.replace(",", ""), spaced)
        case "word":
            return Token("name", value, spaced)
        case "row":
            return Token("row", value, spaced)
        case "brace":
            return Token("op", "|" if value == "\\|" else value, spaced)
        case "op":
            return Token("op", {"**": "^", "==": "="}.get(value, value), spaced)
    name = _RENAMED.get(value[1:], value[1:])
    if not name:
        return None
    if name.isalpha():
        return Token("cmd", name, spaced)
    return Token("op", "\\" + name if name in "{}" else name, spaced)


def _wrapped(text: str, position: int, spaced: bool, tokens: list[Token]) -> int:
    r"""Read `\text{...}` and its kin behind the command's name; returns the position behind it."""
    if position >= len(text) or text[position] != "{":
        return position  # `\rm`, `\bf` and the like switch a font
    depth = 0
    for end in range(position, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            break
    else:
        raise Unreadable("a brace is not closed")
    content = text[position + 1 : end].strip()
    if not content:
        return end + 1
    measures = bool(tokens) and (tokens[-1].text[-1] in "0123456789}" or tokens[-1].text.endswith("circ")) and is_unit(content)
    if measures or (re.fullmatch(r"[A-Za-z][A-Za-z .,'/()-]*", content) and len(content) > 1):
        for piece in re.split(r"(,|\band\b|\bor\b)", content):
            if piece.strip():
                tokens.append(Token("op" if piece == "," else "text", piece.strip(" .") or piece.strip(), spaced))
    else:
        inner = tokenize(content)
        tokens += [inner[0]._replace(spaced=spaced), *inner[1:]] if inner else []
    return end + 1
