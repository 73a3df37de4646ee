"""Which code page a text is in whose bytes do not tell: by the letters that each would make of them.

What belongs here: choosing among code pages, or saying that the bytes do not tell. What does not: byte order marks and
UTF-8 (`text_encoding`).
"""

import re
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

LATIN = ("cp1252", "cp1250", "cp1254", "cp1257", "cp850", "cp852")
OTHERS = (
    *("cp1251", "koi8_r", "cp866", "cp1253", "cp1255", "cp1256", "cp874"),
    *("cp932", "gb18030", "big5", "euc_jp", "cp949"),
)
ALPHABETS = {
    "French": "àâæçéèêëîïôœùûüÿ",
    "German": "äöüß",
    "Spanish": "áéíñóúü",
    "Portuguese": "áâãàçéêíóôõú",
    "Catalan": "àçèéíïòóúü",
    "Italian": "àèéìíòóùú",
    "Dutch": "áéëïóöü",
    "Danish and Norwegian": "æøåé",
    "Swedish and Finnish": "åäöé",
    "Icelandic": "áæðéíóöþúý",
    "Polish": "ąćęłńóśźż",
    "Czech": "áčďéěíňóřšťúůýž",
    "Slovak": "áäčďéíĺľňóôŕšťúýž",
    "Hungarian": "áéíóöőúüű",
    "Romanian": "ăâîşţ",
    "Croatian and Slovene": "čćđšž",
    "Turkish": "çğıİöşüâ",
    "Lithuanian": "ąčęėįšųūž",
    "Latvian": "āčēģīķļņšūž",
    "Estonian": "äõöüšž",
}
UNUSED_IN_CP1252 = b"\x81\x8d\x8f\x90\x9d"
COMMON = {
    "cp932": (*range(0x81, 0x84), *range(0x88, 0x98)),
    "euc_jp": (*range(0xA1, 0xA6), *range(0xB0, 0xD0)),
    "gb18030": (*range(0xA1, 0xA4), *range(0xB0, 0xD8)),
    "big5": (*range(0xA1, 0xA4), *range(0xA4, 0xC7)),
    "cp949": (*range(0xA1, 0xA4), *range(0xB0, 0xC9)),
}
"""The first bytes of kana, hangul, and the characters that their standards put first, since they are the usual ones."""
ALL_USUAL = 0.25
"""What speaks for a code page of such characters if nearly all are usual ones: no other text comes to that by chance."""
SIGNS = frozenset("€£¥§°²³µ½¼¾«»\u2018\u2019\u201c\u201d\u201e\u2013\u2014…•·\u00d7©®™±¿¡ªº\u00a0")
MARGIN = 0.1
"""By so much must a reading be better than the next, of a measure from 0 to 1, to be taken for sure."""
SAMPLE_BYTES = 40_000
BETWEEN_WORDS = re.compile(rb'[;,\s"0-9]+')
"""Signs that are no part of a character of two bytes in any code page."""


def likely_code_pages(lines: bytes) -> list[str]:
    """The code pages that the text may be in, the likeliest first; a single one if the bytes tell.

    Latin code pages are told by the alphabets of the languages that are written in them: the right one makes words of
    one language. The others are told by charset-normalizer, which knows how often letters come. Readings that give the
    same text are one.

    Args:
        lines: Lines of the text that hold bytes beyond ASCII.
    """
    if len(lines) > SAMPLE_BYTES:  # whole lines, for half a character is none
        lines = lines[:SAMPLE_BYTES].rpartition(b"\n")[0] or lines
    latin = _readings(lines, LATIN)
    if _is_latin(lines):
        fits = {page: _fit(text) for page, text in latin.items()}
        best = max(fits.values(), default=0)
        if best > 0:
            found = _without_dos({page: latin[page] for page in latin if fits[page] == best})
            return found if len(found) == 1 else _by_frequency(lines, found)
        bare = lines.translate(None, UNUSED_IN_CP1252)
        if bare != lines and _fit(bare.decode("cp1252")) > 0:
            return ["latin-1"]  # where those bytes are control characters
    ranked = _by_frequency(lines, [*_readings(lines, OTHERS), *([] if not latin else list(latin)[:2])])
    return ranked or list(latin)


def _readings(lines: bytes, pages: tuple[str, ...]) -> Mapping[str, str]:
    """The text under each code page that allows the bytes; of equal ones the first."""
    found: dict[str, str] = {}
    for page in pages:
        try:
            text = lines.decode(page)
        except UnicodeDecodeError:
            continue
        if text not in found.values() and not any("\x80" <= letter <= "\x9f" for letter in text):
            found[page] = text
    return found


def _without_dos(fitting: Mapping[str, str]) -> list[str]:
    """Of readings that fit alike those of Windows, where one has nothing but letters: text in DOS's code pages has its
    most frequent letters where Windows has quotes and signs.
    """
    windows = [page for page in fitting if page.startswith("cp12")]
    has_letters_only = any(all(letter <= "\x7f" or letter.isalpha() for letter in fitting[page]) for page in windows)
    return windows if has_letters_only else list(fitting)


def _is_latin(lines: bytes) -> bool:
    """Whether bytes beyond ASCII stand alone among ASCII letters, as accents do; in other scripts they make whole words."""
    beyond = re.findall(rb"[\x80-\xff]+", lines)
    pairs = sum(len(run) > 1 for run in beyond)
    return pairs * 3 <= len(beyond)


@cache
def _letters(language: str) -> frozenset[str]:
    return frozenset(ALPHABETS[language] + ALPHABETS[language].upper().replace("SS", ""))


def _fit(text: str) -> float:
    """1 if all letters beyond ASCII are those of one language and stand where letters do; less for what is left over."""
    words = re.findall(r"[^\W_]+", text)
    beyond = {letter for letter in text if letter > "\x7f"}
    letters = {letter for letter in beyond if letter.isalpha() and letter not in SIGNS}
    if not beyond or not (letters | SIGNS) >= beyond:
        return 0.0
    for word in words:
        strange = [letter for letter in word if letter > "\x7f" and letter.isalpha()]
        if strange and (
            any(letter.isdigit() for letter in word) or (len(word) == 1 and word.isupper()) or _changes_case(word)
        ):
            return 0.0
    # A sign between two letters is a letter of another code page.
    if re.search(r"[A-Za-z][^\W\d_]*[£¥§°²³µ½¼¾«»…•\u00d7©®±¿¡ªº][A-Za-z]", text):
        return 0.0
    if any(letters <= _letters(language) for language in ALPHABETS):
        return 1.0
    western = frozenset().union(*(_letters(language) for language in list(ALPHABETS)[:10]))
    return 0.5 if letters <= western else 0.0


def _changes_case(word: str) -> bool:
    return any(one.islower() and other.isupper() and other > "\x7f" for one, other in pairwise(word))


def _common_share(lines: bytes, page: str) -> float:
    """The part of the characters of two bytes that are usual ones; 1 in code pages without such characters."""
    if page not in COMMON:
        return 1.0
    beyond = [letter.encode(page) for letter in lines.decode(page) if letter > "\x7f"]
    second = 0xA1 if page in ("gb18030", "euc_jp", "cp949") else 0x40
    usual = sum(len(code) == 2 and code[0] in COMMON[page] and code[1] >= second for code in beyond)
    return usual / len(beyond) if beyond else 1.0


def _by_frequency(lines: bytes, pages: list[str]) -> list[str]:
    """The code pages by charset-normalizer, the best first; a single one if it is better than the next by `MARGIN`."""
    from charset_normalizer import from_bytes

    if not pages:
        return []
    words = b"\n".join(dict.fromkeys(word for word in BETWEEN_WORDS.split(lines) if not word.isascii()))
    penalty = dict.fromkeys(pages, 0.0)
    for sample in (lines, words):
        matches = from_bytes(sample, cp_isolation=pages, threshold=0.6)
        said = {match.encoding: match.chaos - match.coherence for match in matches}
        for match in matches:  # it keeps one of those that give the same text
            said |= {page: said[match.encoding] for page in match.could_be_from_charset if page in pages}
        for page in pages:
            penalty[page] += said.get(page, 1.0) / 2
    for page in pages:
        share = _common_share(lines, page)
        penalty[page] += (1 - share) / 2 - (ALL_USUAL if page in COMMON and share >= 0.95 else 0)
    ranked = sorted(pages, key=lambda page: (penalty[page], pages.index(page)))
    sure = len(ranked) == 1 or penalty[ranked[1]] - penalty[ranked[0]] >= MARGIN
    return ranked[:1] if sure and penalty[ranked[0]] < 1.0 else ranked
