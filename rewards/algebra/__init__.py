"""Answers as mathematics: text to trees, trees to values, values compared. Nothing here evaluates text.

characters → tokens → cursor → atoms → terms → functions → parse        text to a tree; spoken: words to one
number, numerals, units                                                 numbers and units, in signs and in words
exact, numeric → scalar, roots → regions, relations, labels → compare   trees compared by value
symbolic                                                                sympy, for a sandbox
"""
