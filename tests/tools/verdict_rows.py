"""Answers whose truth is known, by tool: those that are right, those that are wrong, and those that state no one answer."""

from typing import NamedTuple


class Rows(NamedTuple):
    """Answers to one prompt."""

    tool: str
    prompt: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    reference: object = None


_N = " Answer with the number only."
ARITHMETIC = (
    Rows(
        "calculator", "What is 48 + 27?" + _N,
        ("75", "75.", "75.0", "48 + 27 = 75", "The sum is 75.", "The answer is 75", "**75**", "Answer: 75", "７５", "seventy-five", "Seventy five.",
         "75 = 48 + 27", "It is 75.", "48 plus 27 equals 75.", "The sum of 48 and 27 is 75.", "So the total is 75.", "\\boxed{75}", "#### 75",
         "$75$", "48 + 27 is 75", "Sure! 75", "27 + 48 = 75", "The result is **75**.", "`75`", "75/1", "+75", "7.5e1", "48 + 27 = 40 + 20 + 8 + 7 = 75",
         "75 [2]", "7\u200b5", "\u0667\u0665", "75,0"),
        ("76", "65", "-75", "48 + 27 = 76", "The sum is 74.", "The answer is 85", "57", "seventy-six", "0.75", "750", "7.5", "\u221275", "minus 75", "75 thousand",
         "The sum of 48 and 27 is 65.", "48 + 27 is 74", "one hundred", "75/2", "\u0667\u0666", "", "   ", "48 + 27 = 65, which is 65.", "4827"),
        ("not 75", "It isn't 75.", "74 or 75", "74, 75, 76", "70-80", "70\u201380", "between 74 and 76", "Is it 75?", "75?", "about 75", "\u224875", "75%", "75!",
         "More than 75", "less than 76", "at least 75", "I don't know, 75", "Maybe 75", "75 or so", "either 74 or 75", "See page 75", "75 \u00b1 1", "\u221a75", "7 5",
         "73 74 75", "The answer is 74. The answer is 75.", "It could be 75", "anything but 75", "75\u00b2", "x75", "75x", "75:1", "1:75", "75.1.2", "75st",
         "75 and 76", "I have 74. You have 75.", "The sum is 74, not 75", "My favourite number is 75", "75 squared", "75 \u2260 76"),
    ),
    Rows(
        "calculator", "What is 7 / 4?",
        ("1.75", "7/4 = 1.75", "1 3/4", "1\u00be", "1,75", "The answer is 1.75."),
        ("1.7", "2", "1.8", "4/7", "-1.75", "1 1/2"),
        ("1 remainder 3", "1.75 or 7/4", "7/4?", "1 to 2"),
    ),
    Rows("calculator", "Compute 10 / 3.", ("3.33", "3.333", "10/3", "3 1/3", "3.3333333"), ("3.3", "3.34", "3", "0.33", "3.43"), ("3 remainder 1",)),
    Rows("calculator", "Compute 2/3.", ("0.67", "0.66", "0.667", "0.6667"), ("0.6", "0.68", "1.5", "0.065"), ("0.67?",)),
    Rows("calculator", "1,200 - 350 = ?", ("850", "850.00", "1,200 - 350 = 850", "eight hundred and fifty"), ("1,550", "85", "8,50", "950"), ("850 or 950",)),
    Rows("calculator", "What is 15 minus 20?", ("-5", "\u22125", "\uff0d5", "minus 5", "negative 5", "15 - 20 = -5"), ("5", "35", "-4"), ("- 5 or 5", "5 less")),
    Rows("calculator", "How much is 1000 * 1000?", ("1 million", "1,000,000", "1000000", "one million"), ("1 billion", "100,000", "1 thousand"), ("1 million dollars or so",)),
    Rows("calculator", "What is 2^10?", ("1024", "1,024", "2^10 = 1024"), ("20", "1,042", "512"), ("1024 bytes?",)),
    # what is no sum
    Rows("calculator", "What is 9/11?", ("A day of attacks in 2001",), (), ("0.8181", "0.82", "911")),
    Rows("calculator", "What is 20/20?", (), (), ("Perfect sight", "1")),
    Rows("calculator", "What is 4x4?", (), (), ("A car", "16")),
    Rows("calculator", "When was 2024-05-01?", (), (), ("1 May 2024", "2018")),
    Rows("calculator", "Translate into French: What is 2 + 2?", (), (), ("Qu'est-ce que 2 + 2 ?", "4", "5")),
    Rows("calculator", "What is 2 + 2? What is the capital of Peru?", (), (), ("4 and Lima", "Lima", "5")),
    Rows("calculator", "What is 1.500 + 1?", (), (), ("1501", "2.5")),
    Rows("calculator", "Call me at\n555-1234", (), (), ("OK", "-679")),
    Rows("calculator", "The score was\n3-1\nWho won?", (), (), ("Home", "2")),
    # an answer that is one equation
    Rows(
        "calculator", "Ann has 5 pens and buys 3 more. How many?",
        ("5 + 3 = 8", "20% of 50 = 10", "1/3 = 0.33", "2 + 2 == 4", "10^-2 = 0.01", "2 * 3 = 6 and 3 * 3 = 9", "1,5 + 1,5 = 3", "(2)(3) = 6", "1.5e3 + 1 = 1501", "5 + 3 = 4 + 4"),
        ("5 + 3 = 9", "5 + 3 = 9, so she has 9 pens.", "She has 5 + 3 = 9 pens.", "5 + 3 is 9", "2/3 = 0.7", "5 + 3 = 7 + 2", "1 + 1 = 3. 2 + 2 = 4.", "5 x 3 = 16"),
        ("She has 8 pens.", "She has 5 + 3 = 8 pens.", "5 - 3 = 2 pens", "5 + 3 = 9 is wrong", "101 + 1 = 110 in binary", "10 / 3 = 3 remainder 1", "12:30 + 1 = 13:30",
         "2 + 2 != 5", "50% = 0.5", "x + 3 = 8", "4! + 1 = 25", "50 - 20% = 40", "11 + 2 = 1 o'clock", "1 + 1 = 10 (base 2)", "5 + 3 = 1 thousand"),
    ),
)  # fmt: skip

_NAME = " Answer with the name only."
FACTS = (
    Rows(
        "fact_check", "What is the capital of Peru?" + _NAME,
        ("Lima", "lima", "LIMA", "Lima.", "**Lima**", "The capital of Peru is Lima.", "It is Lima.", "The answer is Lima", "L\u200bima", "\uff2cima", "Lima!", "\"Lima\"",
         "- Lima", "Answer: Lima", "Lima is the capital of Peru."),
        ("Cusco", "Spanish", "South America", "sol", "Santiago", "Peru", "The capital of Peru is Cusco.", "Arequipa.", "Madrid", "Quechua", "Lim", "Limas Brandy", "42", "", "country"),
        ("Not Lima", "Lima or Cusco", "It isn't Lima", "Is it Lima?", "Lima?", "Maybe Lima", "Lima and Cusco", "Lima, Cusco, Arequipa", "never Lima", "anything but Lima",
         "I don't know. Lima", "either Lima or Quito", "Lima, I think, but Cusco was once", "Cusco is wrong, Lima"),
    ),
    Rows(
        "fact_check", "What is the chemical symbol of helium? Answer with the symbol only.",
        ("He", "He.", "The chemical symbol of helium is He.", "The symbol is He.", "It is He.", "**He**"),
        ("H", "Hl", "HE", "he", "gas", "Helium", "Hydrogen", "2", "noble", "In", "element"),
        ("Not He", "He or H", "He?", "H/He or so?"),
    ),
    Rows("fact_check", "What is the chemical symbol of iron? Answer with the symbol only.", ("Fe", "Fe.", "The symbol is Fe"), ("Ir", "FE", "In", "26", "metal"), ("Fe or Ir", "not Ir")),
    Rows("fact_check", "Which chemical element has the symbol Na?" + _NAME, ("Sodium", "sodium.", "It is sodium."), ("Nitrogen", "Potassium", "metal", "11"), ("not sodium", "sodium or nitrogen")),
    Rows("fact_check", "Which chemical element has the atomic number 60?" + _NAME, ("Neodymium", "neodymium."), ("Tin", "lanthanide", "Iron", "Nd2"), ("Neodymium or tin",)),
    Rows("fact_check", "On which continent is Kenya?" + _NAME, ("Africa", "Africa.", "Kenya is in Africa."), ("Asia", "Nairobi", "Swahili", "shilling", "Europe"), ("Africa or Asia", "not Asia", "Africa?")),
    Rows("fact_check", "On which continent is Peru?" + _NAME, ("South America", "south america."), ("Lima", "Asia", "Spanish", "sol"), ("North or South America", "not Africa")),
    Rows("fact_check", "What is the official language of Peru? Answer with one word.", ("Spanish", "Spanish.", "It is Spanish."), ("Lima", "English", "sol", "Portuguese"), ("Spanish?", "Spanish or Quechua")),
    Rows("fact_check", "What is the capital of Montana? Answer with the name only.", ("Helena", "Helena."), ("Billings", "West", "United States"), ("not Billings", "Helena or Butte")),
    Rows("fact_check", "What is the capital of the US state of Texas?" + _NAME, ("Austin", "Austin."), ("Dallas", "Houston", "South"), ("Austin or Dallas",)),
    Rows("fact_check", "Is Lima the capital of Peru? Answer with yes or no.", (), (), ("Yes", "No", "Lima")),
    Rows("fact_check", "Does Peru have a coast?", (), (), ("Yes", "Peru", "Lima")),
    Rows("fact_check", "Which planet is the largest?" + _NAME, ("Jupiter", "Jupiter."), ("Mars", "Saturn"), ("Jupiter or Saturn", "not Mars")),
    Rows("fact_check", "How many sides has a pentagon?" + _N, ("5", "five", "Five."), ("6", "six", "four"), ("5 or 6", "not 6")),
    Rows("fact_check", "What is the currency of Peru?" + _NAME, ("sol", "The sol."), ("Lima", "Spanish", "dollar"), ("sol or dollar",)),
    Rows("fact_check", "In which year did the Second World War end?" + _N, ("1945", "1945.", "It ended in 1945"), ("1939", "1918", "1944"), ("1939 or 1945", "not 1939")),
    Rows("fact_check", "How many years is a century?" + _N, ("100", "100 years"), ("10", "ten", "1000"), ("100 or 10",)),
    Rows("fact_check", "What is the capital of Atlantis?", (), (), ("Poseidonis", "Lima")),
    Rows("fact_check", "What is the capital of Panama?" + _NAME, ("Panama City", "Panama City."), ("Balboa", "Spanish"), ("not Panama City",)),
)  # fmt: skip

_ONE = "\nAnswer with one of the choices."
CHOICES = (
    Rows(
        "multiple_choice", "Which metal conducts heat best?\n- copper\n- wood\n- glass\n- rubber" + _ONE,
        ("copper", "Copper.", "COPPER", "The copper", "- copper", "It is copper.", "The answer is copper", "**copper**", "copper!", "\"copper\"", "a) copper", "B) copper", "c\u200bopper"),
        ("steel", "", "banana", "42", "aluminium", "gold is it"),
        ("copper or wood", "not copper", "copper?", "copper and glass", "wood, copper", "copper wire", "Is it copper?", "maybe copper", "either copper or glass", "all but copper"),
    ),
    Rows(
        "multiple_choice", "How many legs has a spider?\n- 6\n- 7\n- 8\n- 10" + _ONE,
        ("8", "eight", "Eight.", "8.", "It is 8", "- 8", "8.0", "the answer is 8"),
        ("6", "10", "7", "-8", "six", "ten", "80", "88", "0.8", "18"),
        ("6 or 8", "8?", "not 8", "8, 10", "between 7 and 10", "8 or more", "8-10"),
    ),
    Rows(
        "multiple_choice", "What is the capital of Peru?\nA) Cusco\nB) Lima\nC) Quito" + _ONE,
        ("Lima", "B", "B)", "(B)", "B) Lima", "b", "B.", "The answer is B", "It is Lima.", "B: Lima", "(b) Lima", "Option B", "I choose B", "choice (B)", "lima.", "The capital of Peru is Lima"),
        ("A", "Cusco", "C) Quito", "(A)", "Quito.", "The answer is A", "Madrid", "It is Cusco."),
        ("A or B", "not A", "A) Lima", "B) Cusco", "A, B", "Lima?", "Lima or Quito", "B or C", "neither A nor C", "Lima and Quito"),
    ),
    Rows(
        "multiple_choice", "Which planet is the largest?\n1. Mars\n2. Jupiter\n3. Venus" + _ONE,
        ("Jupiter", "2", "2.", "2. Jupiter", "(2)", "The largest is Jupiter"),
        ("Mars", "3", "Venus.", "1. Mars", "Pluto"),
        ("1 or 2", "not Mars", "2. Mars", "Jupiter, Venus", "Jupiter?"),
    ),
)  # fmt: skip

FORMS = (
    Rows("answer_form", "What is 3 + 4? Answer with the number only.", ("7", "7.", "seven", "-7", "3.5", "1,000", "**7**", "7/2"), ("", "It depends on how you look at it.", "1 2 3 4 5 6 7 8", "I am not able to tell you the number 7 because I am busy today", "88, 89, 90", "none", "x")),
    Rows("answer_form", "Who was it? Answer with the name only.", ("Lima", "Port of Spain", "New York City", "Ada Lovelace"), ("", "42", "It was a person whose name I cannot tell you now, sadly, as I forgot it", "...", "The name that you are looking for is, in my view, the one of Ada")),
    Rows("answer_form", "Answer with one word: the capital of Peru?", ("Lima", "lima.", "well-known", "Lima!"), ("", "The capital of Peru is the big old city of Lima", "Lima-is-the-capital-of-Peru-and-it-is-big", "Lima_is_the_capital_of_Peru_and_it_is_big", "...")),
    Rows("answer_form", "Answer with the letter only: which is a vowel, A or B?", ("A", "a", "(A)", "A.", "A)", "B"), ("Banana", "", "vowel", "AB", "the first one", "42")),
    Rows("answer_form", "Answer with yes or no. Is water wet?", ("Yes", "no", "Yes.", "NO!"), ("banana", "", "maybe", "yes and no", "it is wet", "Yes, no", "water")),
    Rows("answer_form", "Answer with the symbol only: helium?", ("He", "He.", "Fe", "+", "H"), ("Helium", "", "the element helium", "helium gas")),
    Rows("answer_form", "Please reply with a single word.", ("Yes", "tree"), ("", "this is a long sentence that has far too many words in it", "...")),
    Rows("answer_form", "Give only the symbol of iron.", ("Fe",), ("", "Iron", "the symbol of iron is of course the well known letters F and e")),
    Rows("answer_form", "State the number only.", ("5", "five"), ("", "lots", "many many", "well")),
    Rows("answer_form", "Respond with just the number.", ("12", "12.5"), ("", "twelve-ish apples were seen by all of the people here", "no")),
    *(
        Rows("answer_form", prompt, (), (), ("Dear Sir, yes.", "7", "a long answer with many words in it"))
        for prompt in (
            "Answer the following word problem in full sentences: Tom has 3 apples.", "Reply to this letter: Dear Sir, my parcel never came.", "Tell me about Lima.",
            "Give the name of the town and say why.", "She only wrote the number of the house.", "Answer the name question first.", "Answer in full sentences.",
            "Write a word problem.", "Respond to the symbol error.", "What number is it?", "Say the word when you are done.", "Answer with a number between 1 and 10 and why.",
            "The answer is a number.", "He would answer with words.",
        )
    ),
)  # fmt: skip

REFERENCE = (
    Rows("reference", "How many?", ("7", "seven", "7.", "7.0", "It is 7", "The answer is 7.", "**7**", "She has 7 apples.", "3 + 4 = 7", "\uff17", "#### 7", "Seven"), ("8", "70", "-7", "eight", "0.7", "3 + 4 = 8", "17", ""),
         ("6 or 7", "not 7", "7?", "5, 6, 7", "5-7", "about 7", "between 6 and 8", "maybe 7", "7 or 8 apples", "7, not 8", "more than 7"), "7"),
    Rows("reference", "Range?", ("10-20", "10\u201320", "10 - 20"[:0] or "10-20."), ("10", "20", "11-20"), ("not 10-20", "10-20 or 30"), "10-20"),
    Rows("reference", "Which?", ("C++", "c++", "It is C++."), ("C", "C#", "Java", "++", ""), ("C or C++", "not C++", "C++?"), "C++"),
    Rows("reference", "Which letter?", ("A", "a", "A.", "(A)", "The answer is A", "A is right"), ("The", "...", "B", "An apple"[:0] or "D", ""), ("A or B", "not A", "A?"), "A"),
    Rows("reference", "Platform?", (".NET", ".net"), ("net", "Java", "NETT"), ("not .NET", ".NET or Java"), ".NET"),
    Rows("reference", "Operator?", ("+", " + "), ("-", "*", "/", "plus one"), ("+ or -",), "+"),
    Rows("reference", "Per cent?", ("50%", "0.5", "50 %", ".5"), ("5%", "0.05", "40%"), ("not 50%", "50", "50 or 60%"), "50%"),
    Rows("reference", "Negative?", ("-5", "\u20135", "\u22125", "minus 5"), ("5", "-6", "0.5"), ("-5 or 5", "not -5"), "-5"),
    Rows("reference", "Accents", ("Bogot\u00e1", "Bogota", "bogota.", "It is Bogota"), ("Lima", "Bogot", ""), ("Bogota or Lima", "not Bogota", "Bogota?", "Bogota, Colombia"), "Bogot\u00e1"),
    Rows("reference", "Which article?", ("the", "The"), ("a", "an", "this"), ("the or a",), "the"),
    Rows("reference", "Decimal?", ("1.5", "1,5", "1 1/2", "1\u00bd", "3/2"), ("15", "1.4", "-1.5"), ("1.5 or 2", "1-5"), "1,5"),
    Rows("reference", "Money?", ("$5.50", "5.5", "5,50", "$5.5"), ("5", "55", "6.50"), ("5.50 or 6", "about 5.50"), "$5.50"),
    Rows("reference", "GSM8K", ("72", "She sold 72 clips.", "48 + 24 = 72", "First 48.\nThen 24.\nSo she sold 72 clips in all.", "The answer is 72."), ("71", "She sold 71 clips.", "48 + 24 = 71", "720"),
         ("not 72", "71 or 72", "72?", "She sold 72 or 73."), "48/2 = <<48/2=24>>24.\n#### 72"),
    Rows("reference", "Which one?", ("Lima", "lima.", "The Lima", "LIMA"), ("Quito", "Lim", ""), ("Lima, Quito", "Lima and Quito", "not Lima"), ["Lima"]),
    Rows("reference", "Yes?", ("yes", "Yes.", "YES"), ("no", "No.", ""), ("yes and no", "not yes", "yes or no"), "yes"),
    Rows("reference", "How far?", ("5 km", "5 km.", "It is 5 km"), ("6 km", "50 km"), ("5", "5 miles", "5000 m", "not 5 km", "5 km or 6 km"), "5 km"),
    Rows("reference", "Who?", ("Albert Einstein", "albert einstein.", "It is Albert Einstein"), ("Isaac Newton", "Newton"), ("Einstein", "Einstein or Newton", "Albert", "not Albert Einstein"), "Albert Einstein"),
    Rows("reference", "Where?", ("United States of America", "The United States of America"), ("Canada", "Mexico"), ("USA", "United States", "America"), "United States of America"),
    Rows("reference", "Time?", ("12:30", "12 30"), ("12:31", "1230"), ("12:30 or 13:30",), "12:30"),
)  # fmt: skip

ALL = {"arithmetic": ARITHMETIC, "facts": FACTS, "choices": CHOICES, "forms": FORMS, "reference": REFERENCE}
