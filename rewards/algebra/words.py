"""Words that answers contain: units, functions, joints of a list, hedges. Closed lists, lower case."""

FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh", "cosh",
    "tanh", "coth",
    "ln", "log", "lg", "exp", "sqrt", "cbrt", "abs", "max", "min", "gcd", "lcm", "det", "floor", "ceil", "sgn", "sign", "re",
    "im", "arg",
    "asin", "acos", "atan", "binom", "arsinh", "arcosh", "artanh", "sech", "csch",
}  # fmt: skip
SYNONYMS = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "lg": "log",
    "arsinh": "asinh",
    "arcosh": "acosh",
    "artanh": "atanh",
    "sign": "sgn",
}

GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi",
    "rho",
    "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
}  # fmt: skip

_UNITS = {
    "m": "m meter meters metre metres", "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters",
    "km": "km kilometer kilometers kilometre kilometres", "in": "in inch inches", "ft": "ft foot feet", "yd": "yd yard yards",
    "mi": "mi mile miles", "g": "g gram grams", "kg": "kg kilogram kilograms", "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces", "s": "s sec secs second seconds", "min": "min mins minute minutes", "h": "h hr hrs hour hours",
    "day": "day days", "week": "week weeks", "month": "month months", "year": "year years", "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters", "gal": "gal gallon gallons", "dollar": "dollar dollars usd bucks", "cent": "cent cents",
    "mph": "mph", "kmh": "kmh kph", "n": "newton newtons", "j": "joule joules", "w": "watt watts", "v": "volt volts",
    "hz": "hz hertz",
    "pa": "pa pascal pascals", "mol": "mol mole moles", "unit": "unit units", "point": "point points", "euro": "euro euros eur",
}  # fmt: skip
UNITS = {word: unit for unit, words in _UNITS.items() for word in words.split()}
"""Each known word for a unit with the unit's short name."""
BARE_UNITS = {word for word in UNITS if len(word) > 1} - {"in", "min", "mol", "pa"}
"""Units that may follow a number without a sign that they are text."""
VAGUE_UNITS = {"unit", "point"}

JOINTS = {"and", "or", "but"}
HEDGES = {
    "or", "not", "no", "wrong", "maybe", "perhaps", "possibly", "incorrect", "other", "unless", "except", "false", "never",
    "isn't", "if", "million", "millions", "thousand", "thousands", "hundred", "hundreds", "billion", "dozen", "dozens",
    "squared", "cubed", "factorial", "minus", "plus", "times", "divided", "over", "probably", "versus", "could", "cannot",
    "can", "may", "might", "must", "would", "also", "alternatively", "lie", "half", "double", "twice", "be", "is", "are",
    "was", "less", "more", "most", "least", "hello", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "zero", "without", "instead", "but", "although", "though", "sorry", "anything", "whatever", "random", "guess",
    "unknown", "untrue", "either", "neither", "nor", "else", "between", "than", "approximately",
}  # fmt: skip
"""Words that take back what stands before them."""
LONGEST_SUFFIX = 6
"""Words behind a value that may say what it counts."""
QUALIFIERS = ("for all", "for any", "for every", "for each", "for some", "where", "with", "such that")
"""What begins a side condition."""
IGNORED_BEFORE = {
    "only", "exactly", "is", "are", "the", "approximately", "about", "answer", "total", "of", "a", "equals", "rs", "k",
}  # fmt: skip
"""Words that may stand before a value and say nothing of it."""
PERCENT = {"percent", "pct", "percentage"}
DEGREE = {"degree", "degrees", "deg"}
EMPTY = {"empty set", "emptyset", "no solution", "no solutions"}
