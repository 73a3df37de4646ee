"""Names in other scripts as Latin letters: what a dataset id can be made of.

What belongs here: the scripts of which each letter stands for a sound, as passports and catalogues spell them. What does
not: scripts that need a dictionary (Chinese, Japanese) or vowels that nobody wrote (Arabic, Hebrew).
"""

import unicodedata

# ruff: noqa: RUF001  the letters that look like Latin ones are the point

_CYRILLIC = [
    "а",
    "a",
    "б",
    "b",
    "в",
    "v",
    "г",
    "g",
    "д",
    "d",
    "е",
    "e",
    "ё",
    "yo",
    "ж",
    "zh",
    "з",
    "z",
    "и",
    "i",
    "й",
    "y",
    "к",
    "k",
    "л",
    "l",
    "м",
    "m",
    "н",
    "n",
    "о",
    "o",
    "п",
    "p",
    "р",
    "r",
    "с",
    "s",
    "т",
    "t",
    "у",
    "u",
    "ф",
    "f",
    "х",
    "kh",
    "ц",
    "ts",
    "ч",
    "ch",
    "ш",
    "sh",
    "щ",
    "shch",
    "ы",
    "y",
    "э",
    "e",
    "ю",
    "yu",
    "я",
    "ya",
    "і",
    "i",
    "ї",
    "yi",
    "є",
    "ye",
    "ґ",
    "g",
    "ў",
    "u",
    "ј",
    "j",
    "љ",
    "lj",
    "њ",
    "nj",
    "ћ",
    "c",
    "ђ",
    "dj",
    "џ",
    "dz",
]
_GREEK = [
    "α",
    "a",
    "β",
    "v",
    "γ",
    "g",
    "δ",
    "d",
    "ε",
    "e",
    "ζ",
    "z",
    "η",
    "i",
    "θ",
    "th",
    "ι",
    "i",
    "κ",
    "k",
    "λ",
    "l",
    "μ",
    "m",
    "ν",
    "n",
    "ξ",
    "x",
    "ο",
    "o",
    "π",
    "p",
    "ρ",
    "r",
    "σ",
    "s",
    "ς",
    "s",
    "τ",
    "t",
    "υ",
    "y",
    "φ",
    "f",
    "χ",
    "ch",
    "ψ",
    "ps",
    "ω",
    "o",
]

_SPELT = dict(zip(_CYRILLIC[::2], _CYRILLIC[1::2], strict=True)) | dict(zip(_GREEK[::2], _GREEK[1::2], strict=True))
_SPELT |= {"ъ": "", "ь": ""}


def to_latin(text: str) -> tuple[str, bool]:
    """The text in ASCII, accents folded, and whether every letter and digit of it is there.

    Letters of Latin script that cannot be folded (`ß`) are left out and not counted as lost: ids that exist already were
    made so.
    """
    if text.isascii():
        return text, True
    spelt, is_whole = "", True
    for letter in unicodedata.normalize("NFC", text):
        if letter.lower() in _SPELT:
            spelt += _SPELT[letter.lower()]
            continue
        for part in unicodedata.normalize("NFKD", letter):
            if part.isascii():
                spelt += part
            elif part.lower() in _SPELT:
                spelt += _SPELT[part.lower()]
            elif part.isdecimal():
                spelt += str(unicodedata.digit(part))
            elif unicodedata.category(part)[0] in "LN" and not unicodedata.name(part, "").startswith("LATIN"):
                is_whole = False
    return spelt, is_whole
