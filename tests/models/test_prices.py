import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.models.prices import Prices
from anyprefer.models.traits import Traits, traits_of
from tests.scripted import Scripted


class Named(Scripted):
    model_name: str = ""


class Local(Scripted):
    traits: object = Traits(name="gpt-4o", fields=(), tools=False, shapes=False, in_process=True)


def named(name):
    return traits_of(Named().model_copy(update={"model_name": name}))


def file(tmp_path, text):
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name", ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-20240806", "openai/gpt-4o", "openai/gpt-4o-2024-08-06"]
)
def test_dates_and_providers_do_not_matter(name):
    assert Prices().of(named(name)) == (2.5, 10.0)


@pytest.mark.parametrize("name", ["gpt-4o-tuned", "my-7b", "", "gpt"])
def test_an_unknown_price_is_none_and_never_zero(name):
    assert Prices().of(named(name)) is None
    assert Prices().cost(named(name), 1000, 1000) is None


def test_a_cost_is_per_million_tokens_read_and_written():
    assert Prices().cost(named("gpt-4o"), 1_000_000, 100_000) == pytest.approx(3.5)


def test_a_model_of_this_process_costs_nothing_whatever_its_name():
    assert Prices().cost(traits_of(Local()), 1000, 1000) == 0


def test_a_file_wins_over_the_table_and_adds_to_it(tmp_path):
    prices = Prices(file(tmp_path, '"gpt-4o" = [1, 2]\n"my-7b" = [0, 0.5]\n"gpt-4o-2024-08-06" = [7, 8]\n'))
    assert prices.of(named("gpt-4o")) == (1, 2)
    assert prices.of(named("org/my-7b")) == (0, 0.5)
    assert prices.of(named("gpt-4o-2024-08-06")) == prices.of(named("openai/gpt-4o-2024-08-06")) == (7, 8)
    assert prices.of(named("gpt-4o-mini")) == (0.15, 0.6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = [1]", "'x' must be two numbers"),
        ("x = 1", "'x' must be two numbers"),
        ("x = [1, -2]", "'x' must be two numbers"),
        ("x = [true, 2]", "'x' must be two numbers"),
        ('x = ["1", "2"]', "'x' must be two numbers"),
        ("[x]\ninput = 1", "'x' must be two numbers"),
        ("x = [nan, 1]", "'x' must be two numbers"),
        ("x = [inf, 1]", "'x' must be two numbers"),
        ("x =", "cannot be read as TOML"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, text, words):
    with pytest.raises(SettingsError, match=words) as error:
        Prices(file(tmp_path, text))
    assert "prices.toml" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        Prices(tmp_path / "nowhere.toml")
