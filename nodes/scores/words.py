"""Numbers out of ten in a judge's words, each with how surely it is the verdict.

| rank | what it is | for example |
|---|---|---|
| `FINAL` | marked as the last word | `Final score: 8/10`, `Overall 8/10`, `the pair deserves 8/10`, `Gesamtnote: 8` |
| `SCORE` | marked as a score, or alone on its line | `Score: 8/10`, `I give it 8 out of 10`, `评分：8/10`, `8/10` |
| `PLAIN` | neither | `Good pair. 8/10` |
| none | something else | a criterion's share, a quotation, what would be, a deduction, `1/10 of the users` |

A number that is marked and cannot be used (a range, below 1, above 10, of another scale) keeps its rank without a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

PLAIN, SCORE, FINAL = 1, 2, 3
MOST = 500
"""Numbers that are looked at; a text with more of them holds no clear verdict."""


class Mention(NamedTuple):
    """A number and how surely it is the verdict."""

    value: float | None
    """1..10; None when it cannot be used."""
    rank: int
    said: str
    """As it stands in the text."""
    bare: bool
    """Without its scale: `Score: 7`."""
    leads: bool
    """Whether nothing but a label stands before it."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_FINAL_WORDS = _set(
    "final finally overall total verdict conclusion whole pair altogether revised corrected adjusted updated boxed "
    "insgesamt gesamt gesamtnote gesamtbewertung gesamtpunktzahl gesamtwertung gesamturteil endnote endbewertung fazit "
    "finale globale global globalement totale ensemble finalement final totaal eindscore eindcijfer eindoordeel "
    "итог итого итоговая итоговый общая końcowa ogólna slutbetyg totalt toplam genel "
    "最终评分 最终得分 最终分数 最后得分 总分 总评分 总体评分 综合评分 総合評価 総合点 総合スコア 最終評価 最終スコア 最終得点 "
    "최종 총점 종합 최종점수 종합점수"
)
_SCORE_WORDS = _set(
    "score scores rating rate grade mark marks points quality assessment evaluation judgment judgement reward result "
    "note bewertung punkte punktzahl wertung urteil évaluation notation puntuación puntaje calificación nota "
    "valoración punteggio voto valutazione pontuação avaliação оценка балл баллы рейтинг cijfer beoordeling ocena "
    "betyg poäng puan skor nilai điểm arvosana pisteet hodnocení értékelés 评分 得分 分数 打分 我的评分 评价 評価 スコア "
    "点数 得点 採点 评分为 得分为 점수 평가 평점 점수는"
)
_GIVING = _set(
    "give gives giving rate rates score scores assign award deserves deserve merits earns gets grade gebe bewerte "
    "vergebe verdient donne attribue mérite doy otorgo merece do assegno merita ставлю заслуживает geef verdient"
)
_FILLING = _set(
    "the this that s my our a an is of for to it as in on at be by i we d ll ich wir je j nous yo io я und response "
    "no wait actually but answer responses answers candidate preference therefore so thus hence would will ist est es è é der die das den "
    "dem des diese dieses dieser la le les el il lo l du de del di da cette ce esta este questo questa antwort réponse "
    "respuesta risposta paar paire par coppia pairs out number solid strong clear therefore and then now here"
)
_SIDES = (
    _set("positive chosen preferred positiv positiven positive positiva"),
    _set("negative rejected dispreferred negativ negativen negativa"),
)
_CRITERIA = _set(
    "criterion criteria kriterium critère criterio correctness helpfulness accuracy coherence clarity relevance style "
    "contrast fluency completeness honesty safety grammar format depth conciseness korrektheit utilité exactitude step"
)
_PERSON = _set("i we ich wir je nous yo io я")
_MODAL = _set("would could might should wäre könnte würde hätte serait pourrait sería podría sarebbe potrebbe seria бы")
_CONDITION = _set("if unless perfect ideal maximum max had were wenn ohne without sans sin parfait perfekt")
_NEGATED = _set("not never nicht instead than neither")
_REPORTED = _set(
    "says said claims claimed states demands demanded asks asked wants tells insists writes wrote prints printed "
    "declares quotes quoting quoted pretends requests instructs ends behauptet sagt verlangt fordert prétend dit dice"
)
_STATING = _set("is equals makes ist est es è é")
_DEDUCTED = _set("minus deduct deducted deducting deduction lost loses lose less penalty off abzug moins menos meno")
_AFTER_UNREAL = re.compile(r"\W{0,3}(?:would|if|had|could|might|were|wäre|wenn|serait|si)\b")
_AFTER_DEDUCTED = re.compile(r"\W{0,3}(?:is |was |were )?(?:deducted|deduction|off|penalty|lost|less|abzug)\b")
_AFTER_SHARE = re.compile(
    r"\s{1,2}(?:of (?:the|all|its|their|these|those|them|users|people)\b|people\b"
    r"|(?!(?:points|stars|marks|minus|plus|this|thus|its|has|was|is|as|plus|across|versus|always|perhaps|besides)\b)"
    r"[a-z]{2,20}s\b)"
)

_NUMBER = r"(?<![A-Za-z\d.,/×½¼¾⅓⅔\-+])(?<!/ )(?P<n>[+\-]?[0-9]{1,4}(?:[.,][0-9]{1,6})?)"
_TEN = r"(?:10(?:[.,]0)?|ten|zehn|dix|diez|dieci|dez|tien|десяти|десять)(?![a-zà-ÿ\d]|[.,]\d|\s?/\s?\d|\s?%)"
_POINTS = r"(?:\s?(?:points?|pts?\.?|stars?|punkten?|puntos|punti|pontos|баллов|балла|punten|poäng|分|点|점))?"
_OUT_OF = (
    rf"{_POINTS}(?:\s{{0,3}}/\s{{0,3}}|\s{{1,3}}(?:out\s{{1,3}}of|on a scale (?:of 1 |from 1 )?to|von(?: maximal)?"
    rf"|sur|su|de|di|van(?: de)?|av|af|из|z|uit)\s{{1,3}}(?:a (?:possible|maximum of) )?){_TEN}"
)
_LINKED = r"\s{0,2}(?:-{1,2}>?|=>|→|~|to|and|or|bis|und|oder|à|et|ou|a|y|o|e|до|или|и|至|到|或|から)\s{0,2}"
_DIGITS = "[0-9]{1,4}(?:[.,][0-9]{1,6})?"
_OUT_OF_TEN = re.compile(rf"(?:(?<![A-Za-z\d.,/])(?P<low>{_DIGITS}){_LINKED}{_DIGITS}|{_NUMBER}){_OUT_OF}")
_FULL_MARKS = re.compile(
    rf"10\s?(?:分|点|점)\s?(?:満点|满分|滿分|만점)?\s?(?:中|に|에서?|で|，|,)?\s?(?:给|得)?{_NUMBER}\s?(?:分|点|점)"
    rf"|{_NUMBER.replace('<n>', '<m>')}\s?(?:分|点|점)\s?[(,，、]\s?(?:满分|滿分|満点|만점|共)\s?10"
)
_BARE = re.compile(
    rf"(?:[:=]|\b(?:is|ist|est|es|è|é)\b|為|为|(?<=boxed)\{{)\s{{0,3}}[\"'(\[]?{_NUMBER}"
    r"(?P<other>\s?(?:%|/\s?\d+|(?:out of|von|sur|de|su|percent|prozent|pour cent)\b))?(?![\d/a-z]|[.,]\d)"
)
_HIGH = re.compile(rf"{_LINKED}[0-9]")

_FOLDED = str.maketrans(
    {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u200a\u202f\u3000"), " ")
    | dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"), None)
    | {ord("⁄"): "/", ord("∕"): "/", ord("−"): "-", ord("–"): "-", ord("‑"): "-", ord("—"): " - ", ord("―"): " - "}
)
_TIMES = re.compile(r"(?<=\d)[*_]+(?=\d)")
_MARKS = re.compile(r"~~[^~\n]*~~|\*+|_+|\$+|\\(?=boxed)|<br ?/?>")
_QUOTED = re.compile(
    r"\"[^\"\n]*\"|“[^“”\n]*”|„[^„“”\n]*[“”]|«[^«»\n]*»|»[^«»\n]*«|`[^`\n]*`|「[^「」\n]*」|『[^『』\n]*』"
    r"|(?<![^\W_])'[^'\n]*'(?!\w)|(?<!\w)‘[^‘’\n]*’|(?m:^ {0,3}>[^\n]*)"
)
_ONLY_A_SCORE = re.compile(r"[^\w]*[\d.,]+\s?/?\s?(?:10)?[^\w]*$")
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"[.!?;]\s|[。！？；\n]")
_CLAUSE = re.compile(r"[,，、;|():]| - ")


def folded(text: str) -> str:
    """The text with the ASCII forms of digits, slashes, spaces and dashes."""
    return text if text.isascii() else text.translate(_FOLDED)


def words_of(text: str) -> list[str]:
    """Its words, in order, without numbers."""
    return _WORD.findall(text)


def plain(text: str) -> str:
    """The text in lower case with the ASCII forms of digits, slashes, spaces and dashes, without bold marks and
    without what it quotes."""
    text = _MARKS.sub("", _TIMES.sub("×", folded(text)))
    return _QUOTED.sub(_kept, text).lower()


def _kept(quote: re.Match[str]) -> str:
    """A quotation is left out, unless it is a score in quotation marks."""
    said = quote[0]
    return said if len(said) < 16 and _ONLY_A_SCORE.match(said) else " "


def number_of(said: str) -> float | None:
    """1..10 exactly as written, with a point or a comma; None for anything else."""
    if said[0] in "+-" or ("," in said and len(said.partition(",")[2]) == 3):
        return None
    value = float(said.replace(",", "."))
    return value if 1 <= value <= 10 else None


def mentions(text: str) -> list[Mention]:
    """What `plain` text says out of ten, in order; see the module's table. Linear in its length."""
    found: list[Mention] = []
    before = 0
    matches = list(islice(_numbers(text), MOST + 1))
    if len(matches) > MOST:
        return [Mention(None, FINAL, f"more than {MOST} numbers", False, False)]
    for match in matches:
        bare = match.re is _BARE
        rank, leads = _rank(text, before, match.start(), match.end())
        if rank and not (bare and (rank == PLAIN or not leads)):
            said = match.groupdict()
            spoilt = said.get("low") or said.get("other") or (not bare and _HIGH.match(text, match.end()))
            found.append(
                Mention(None if spoilt else number_of(said["n"] or said["m"]), rank, match[0].strip(), bare, leads)
            )
        before = match.end()
    return found


def _numbers(text: str) -> Iterator[re.Match[str]]:
    """Numbers out of ten, and bare ones behind a colon or its like, in order."""
    scaled = [*islice(_OUT_OF_TEN.finditer(text), 2 * MOST)]  # of two that overlap one counts
    if not text.isascii():
        scaled = sorted([*scaled, *islice(_FULL_MARKS.finditer(text), 2 * MOST)], key=lambda match: match.start())
    ends = 0
    rest = _BARE.finditer(text)
    bare = next(rest, None)
    for match in scaled:
        if match.start() < ends:
            continue
        while bare and bare.end() <= match.start():
            yield bare
            bare = next(rest, None)
        while bare and bare.start() < match.end():
            bare = next(rest, None)
        yield match
        ends = match.end()
    if bare:
        yield bare
        yield from rest


def _rank(text: str, floor: int, begun: int, end: int) -> tuple[int, bool]:
    """How surely the number at `begun` is the verdict, and whether only a label leads to it. `floor` is where the
    number before it ends."""
    after = text[end : end + 40]
    if _AFTER_SHARE.match(after) or _AFTER_DEDUCTED.match(after) or _AFTER_UNREAL.match(after):
        return 0, False
    line = max(text.rfind("\n", 0, begun) + 1, begun - 160)
    sentence = _SENTENCE.split(text[max(line, floor) : begun])[-1]
    words = _WORD.findall(sentence)
    if not words and line > floor - 1 and (above := _heading_above(text, line)):
        words = _WORD.findall(above)  # a heading, with the number below it
    clause = _WORD.findall(_CLAUSE.split(sentence.rstrip(" :=-,(["))[-1]) or words
    whole, known = label_of(words), label_of(clause)
    told = _REPORTED.intersection(words) and not (_PERSON.intersection(clause) and _GIVING.intersection(clause))
    supposed = _CONDITION.intersection(words) and _MODAL.intersection(words)
    leads = not words or bool(whole)
    if (whole or known) and not (supposed or told):
        return max(whole, known), leads
    if _dismissed(words, clause) or (words and words[-1] in _STATING and not _KNOWN.issuperset(words)):
        return 0, False
    return (SCORE if text[begun] not in ":=" and _alone(text, begun, end) else PLAIN), leads


def label_of(words: list[str]) -> int:
    """The rank that a label of these words gives; 0 for words that are none."""
    said = set(words)
    if (said & _MODAL and not (said & _PERSON and said & _GIVING)) or said & _NEGATED:
        return 0
    free = said & _PERSON and said & _GIVING and not (said & _REPORTED or _one_sided(said))
    if not (free or said <= _KNOWN):
        return 0
    if said & _FINAL_WORDS:
        return FINAL
    return SCORE if said & _SCORE_WORDS or said & _GIVING else 0


_KNOWN = _FINAL_WORDS | _SCORE_WORDS | _GIVING | _FILLING | _PERSON


def _dismissed(words: list[str], clause: list[str]) -> bool:
    """Whether the words before a number make it something else than a verdict."""
    said = set(words)
    return bool(
        _DEDUCTED.intersection(clause)
        or (len(clause) <= 6 and _CRITERIA.intersection(clause))
        or _one_sided(said)
        or said & (_NEGATED | _MODAL | _CONDITION | _REPORTED)
    )


def _one_sided(said: set[str]) -> bool:
    """Whether the words are about one response of a pair and not about the other."""
    return bool(said & _SIDES[0]) != bool(said & _SIDES[1])


def _heading_above(text: str, line: int) -> str:
    """The heading above the line that begins at `line`; "" where no line or a sentence stands there."""
    above = text[max(0, line - 90) : line].rstrip().rpartition("\n")[2]
    return above if len(above) < 60 and not above.endswith((".", "!", "?", "。")) else ""


def _alone(text: str, begun: int, end: int) -> bool:
    """Whether nothing else is said on the number's line."""
    line = text.rfind("\n", 0, begun) + 1
    stop = text.find("\n", end)
    rest = text[end : len(text) if stop < 0 else stop]
    return begun - line < 16 and len(rest) < 16 and not _WORD.search(text[line:begun] + rest)
