"""What is measured by the words behind a value: one spelling for each unit, whatever way it is written."""

import re
from collections import Counter

_SPELLINGS = {
    "m": "m meter meters metre metres", "cm": "cm cms centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres", "km": "km kms kilometer kilometers kilometre kilometres",
    "nm": "nm nanometer nanometers", "um": "um micrometer micrometers micron microns", "pm": "picometer picometers",
    "in": "in inch inches",
    "ft": "ft foot feet", "yd": "yd yard yards", "mi": "mi mile miles", "cubit": "cubit cubits", "ly": "lightyear lightyears",
    "furlong": "furlong furlongs", "acre": "acre acres", "ha": "hectare hectares", "g": "g gram grams gm",
    "kg": "kg kgs kilogram kilograms kilos", "mg": "mg milligram milligrams", "ug": "ug microgram micrograms",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces", "ton": "ton tons tonne tonnes", "s": "s sec secs second seconds",
    "ms": "ms millisecond milliseconds", "us": "microsecond microseconds",
    "ns": "ns nanosecond nanoseconds",
    "min": "min mins minute minutes", "h": "h hr hrs hour hours", "day": "day days",
    "week": "week weeks wk wks", "fortnight": "fortnight fortnights", "month": "month months", "year": "year years yr yrs",
    "decade": "decade decades", "century": "century centuries", "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters millilitre millilitres", "gal": "gal gallon gallons", "qt": "qt quart quarts",
    "pt": "pint pints", "cup": "cup cups", "tbsp": "tbsp tablespoon tablespoons", "tsp": "tsp teaspoon teaspoons",
    "yuan": "yuan rmb cny",
    "dollar": "dollar dollars usd bucks buck", "cent": "cent cents", "penny": "penny pennies", "nickel": "nickel nickels",
    "dime": "dime dimes", "quarter": "quarter quarters", "euro": "euro euros eur", "sterling": "sterling gbp",
    "yen": "yen jpy", "rupee": "rupee rupees rs inr", "n": "n newton newtons", "j": "j joule joules",
    "kj": "kj kilojoule kilojoules", "cal": "cal calorie calories", "w": "w watt watts", "kw": "kw kilowatt kilowatts",
    "v": "v volt volts", "amp": "amp amps ampere amperes", "ohm": "ohm ohms", "hz": "hz hertz", "khz": "khz kilohertz",
    "mhz": "mhz megahertz", "pa": "pa pascal pascals", "kpa": "kpa kilopascal kilopascals",
    "atm": "atm atmosphere atmospheres", "mol": "mol mole moles", "kelvin": "kelvin kelvins", "celsius": "celsius",
    "fahrenheit": "fahrenheit", "rad": "rad rads radian radians", "rpm": "rpm", "coulomb": "c coulomb coulombs",
    "farad": "f farad farads", "uf": "microfarad microfarads", "nf": "nf nanofarad nanofarads", "pf": "pf picofarad picofarads",
    "uc": "microcoulomb microcoulombs", "nc": "nanocoulomb nanocoulombs", "ul": "microliter microliters",
    "ua": "microampere microamperes microamp microamps", "uv": "microvolt microvolts",
    "ma": "milliampere milliamperes milliamp milliamps", "mv": "millivolt millivolts", "kv": "kv kilovolt kilovolts",
    "megawatt": "megawatt megawatts", "milliwatt": "milliwatt milliwatts", "gigawatt": "gw gigawatt gigawatts",
    "kwh": "kwh kilowatthour kilowatthours", "ev": "ev electronvolt electronvolts", "kev": "kev", "mev": "mev", "gev": "gev",
    "mj": "megajoule megajoules", "ghz": "ghz gigahertz", "mmol": "mmol millimole millimoles", "bit": "bit bits",
    "byte": "byte bytes", "kb": "kb kilobyte kilobytes", "mb": "mb megabyte megabytes", "gb": "gb gigabyte gigabytes",
}  # fmt: skip
UNITS = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
"""Each known word for a unit, in lower case, with the unit's short name."""
_COMPOUNDS = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "fps": "ft/s"}
BARE = {word for word in {*UNITS, *_COMPOUNDS, "sq", "cu"} if len(word) > 1} - {
    "in",
    "min",
    "mol",
    "pa",
    "cal",
    "rad",
    "ha",
    "ms",
}
"""Units that may follow a number without a sign that they are text. The others are too easily names, functions or words."""
MIXED = {"kWh", "kW", "kJ", "kV", "kPa", "Hz", "kHz", "MHz", "GHz", "eV", "keV", "MeV", "GeV", "mL", "mA", "mV", "nF", "pF"}
"""Units with capitals that may follow likewise."""

CURRENCIES = {"dollar": "dollar", "euro": "euro", "pounds": "sterling", "yen": "yen", "usd": "dollar", "eur": "euro",
              "gbp": "sterling", "rs": "rupee", "inr": "rupee"}  # fmt: skip
"""Commands and words that may stand before an amount of money."""
SCALES = {
    "c": "celsius",
    "celsius": "celsius",
    "f": "fahrenheit",
    "fahrenheit": "fahrenheit",
    "k": "kelvin",
    "kelvin": "kelvin",
}
"""Of temperatures, behind a degree sign."""
POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_PIECE = re.compile(r"[a-z]+|/|\^\{?-?\d\}?|-?\d")


def is_unit(said: str) -> bool:
    """Whether words are a unit and nothing else."""
    pieces = _PIECE.findall(said.lower())
    known = all(
        piece in UNITS or piece in _COMPOUNDS or piece in POWERS or piece == "per" for piece in pieces if piece.isalpha()
    )
    return known and unit(said) != "" and _PIECE.sub("", said.lower()).strip(" .*") == ""


def unit(said: str) -> str:
    """The unit that words name, as factors in order with their powers: `meters per second` and `m/s` are both `m s^-1`.
    "" for words that name none, such as what is counted."""
    for compound, spelled in _COMPOUNDS.items():
        said = re.sub(rf"\b{compound}\b", spelled, said.lower())
    powers: Counter[str] = Counter()
    sign, power, last = 1, 1, ""
    for piece in _PIECE.findall(said.replace(".", "")):
        if piece in ("/", "per"):
            sign = -1
        elif piece[-1] in "0123456789}" and last:
            exponent = int(piece.strip("^{}"))
            powers[last] += (exponent - 1) * (1 if powers[last] > 0 else -1)
        elif piece in POWERS and (last and piece.endswith("ed")):
            powers[last] += (POWERS[piece] - 1) * (1 if powers[last] > 0 else -1)
        elif piece in POWERS:
            power = POWERS[piece]
        else:
            last = UNITS.get(piece, "")
            if last:
                powers[last] += sign * power
                sign = power = 1
    return " ".join(name if count == 1 else f"{name}^{count}" for name, count in sorted(powers.items()) if count)
