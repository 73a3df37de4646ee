"""Options: layers, messages, and a digest that depends on what they say alone."""

from itertools import permutations
from typing import Any

import pytest

from optiflow import spans
from optiflow.errors import UserError
from optiflow.options import NOT_OF_THE_ROWS, DatasetOptions, merge_options, parse_options_file


def test_later_layers_win_and_nested_ones_key_by_key() -> None:
    merged = merge_options(
        {"target": "a", "split": {"test_fraction": 0.1, "seed": 1}, "hyperparameters": {"eta": "0.3", "seed": "1"}},
        {"date_column": "d", "split": {"seed": 2}, "fred_series": ["UNRATE", "DGS10"]},
        {"target": "b", "hyperparameters": {"eta": 0.1}, "fred_series": ["DGS10"]},
    )
    assert (merged.target, merged.date_column, merged.fred_series) == ("b", "d", ("DGS10",))
    assert (merged.split.test_fraction, merged.split.seed, merged.split.strategy) == (0.1, 2, "time")
    assert merged.hyperparameters == {"eta": "0.1", "seed": "1"}


def test_no_layer_changes_while_they_are_merged() -> None:
    first = {"split": {"seed": 1}}
    merge_options(first, {"split": {"seed": 2}})
    assert first == {"split": {"seed": 1}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tarjet": "x"}, ["b.yaml", "'tarjet'", "Did you mean 'target'?", "Known keys: target, date_column"]),
        ({"split": {"test_frac": 0.1}}, ["'split.test_frac'", "Did you mean 'test_fraction'?", "strategy"]),
        ({"zzz": 1}, ["'zzz'", "Known keys"]),
        ({"split": {"test_fraction": 1.0}}, ["'split.test_fraction'", "1.0", "less than 1"]),
        ({"split": {"test_fraction": float("nan")}}, ["'split.test_fraction'", "nan"]),
        ({"split": {"strategy": "newest"}}, ["'split.strategy'", "'newest'", "'time' or 'random'"]),
        ({"fred_series": ["dgs10"]}, ["'fred_series.0'", "'dgs10'"]),
        ({"max_rejected_fraction": 2}, ["'max_rejected_fraction'", "less than or equal to 1"]),
        ({"currency": ""}, ["'currency'", "up to 20 characters"]),
        ({"unit": "a" * 21}, ["'unit'", "such as kg or EUR"]),
        ({"unit": "kg\n"}, ["'unit'", "up to 20 characters"]),
        ({"week_date": "middle"}, ["'week_date'", "'begins' or 'ends'"]),
        ({1: 2}, ["'1'", "keys should be strings"]),
        ({"tarjet": "x", "max_rejected_fraction": 2}, ["'tarjet'", "'max_rejected_fraction'"]),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_the_file(options: Any, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        merge_options(options, where="b.yaml")
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    "layers", [({"split": "time"}, {"split": {"seed": 1}}), ({"split": {"seed": 1}}, {"split": 5})]
)
def test_a_layer_of_another_shape_replaces_the_one_before_and_is_judged_alone(layers: tuple[Any, Any]) -> None:
    last = layers[1]
    if isinstance(last["split"], dict):
        assert merge_options(*layers).split.seed == 1
    else:
        with pytest.raises(UserError, match="'split' is 5"):
            merge_options(*layers)


def test_equal_options_have_equal_digests_however_they_were_written() -> None:
    pairs: dict[str, Any] = {"target": "y", "hyperparameters": {"eta": 0.1, "max_depth": 3}, "split": {"seed": 7}}
    digests = {merge_options(*({k: v} for k, v in order)).digest() for order in permutations(pairs.items())}
    digests.add(merge_options(pairs | {"hyperparameters": {"max_depth": "3", "eta": "0.1"}}).digest())
    digests.add(DatasetOptions.model_validate_json(merge_options(pairs).model_dump_json()).digest())
    assert len(digests) == 1


def test_the_digest_of_the_defaults_is_the_same_in_every_process_and_version() -> None:
    """The lake files tables under it. Change it only together with a new option, and know what it costs."""
    expected = "f35a93816e62557807f98df57180f5da5d324a928403ada3d3365c68b5de2bcf"  # pragma: allowlist secret
    assert DatasetOptions().digest() == expected


def test_every_option_changes_the_digest() -> None:
    changed: dict[str, Any] = {
        "target": "y",
        "date_column": "d",
        "date_format": "%d",
        "fred_series": ["UNRATE"],
        "split": {"seed": 1},
        "hyperparameters": {"eta": 1},
        "drop_columns": ["a"],
        "keep_columns": ["a"],
        "max_rejected_fraction": 0.5,
        "columns": {"sales": "a"},
        "duplicates": "sum",
        "horizon": 3,
        "decimal": ",",
        "null_values": ["a"],
        "encoding": "cp1250",
        "sheet": "2023",
        "header_row": 4,
        "footer_rows": 1,
        "fill_down": ["a"],
        "unfinished": "keep",
        "movement_types": {"a": "in"},
        "unit": "kg",
        "currency": "EUR",
        "week_date": "ends",
    }
    assert set(changed) == set(DatasetOptions.model_fields) - set(NOT_OF_THE_ROWS)
    digests = {merge_options({key: value}).digest() for key, value in changed.items()}
    assert len(digests | {DatasetOptions().digest()}) == len(changed) + 1


def test_an_options_file_is_a_mapping_and_an_empty_one_says_nothing() -> None:
    assert parse_options_file("target: Order Quantity\nfred_series: [UNRATE]\n", "a.yaml") == {
        "target": "Order Quantity",
        "fred_series": ["UNRATE"],
    }
    assert parse_options_file("# nothing yet\n", "a.yaml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", r"a\.yaml, line \d: not valid YAML"),
        ("- a\n- b", r"a\.yaml: expected `key: value` lines, found a list"),
        ("!!python/object/apply:os.system [echo]", r"a\.yaml, line 1: not valid YAML"),
    ],
)
def test_what_is_no_mapping_is_refused_with_the_file_and_the_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_options_file(text, "a.yaml")


def test_words_for_nothing_may_be_numbers_or_one_word_alone() -> None:
    assert merge_options({"null_values": [-999, "unsold"]}).null_values == ("-999", "unsold")
    assert merge_options({"null_values": "unsold"}).null_values == ("unsold",)


@pytest.mark.parametrize(
    ("span", "expected"), [("30min", 1800), ("12h", 43_200), ("1d", 86_400), ("2 w", 14 * 86_400), ("0", 0), (0, 0)]
)
def test_a_pace_is_read_as_people_write_it_and_makes_no_other_revision(span: object, expected: int) -> None:
    options = merge_options({"retrain_every": span})
    assert spans.seconds(options.retrain_every) == expected
    assert options.digest() == DatasetOptions().digest()


@pytest.mark.parametrize("span", ["daily", "1", "-1d", "1.5h", "", "1month", True, [1]])
def test_a_pace_that_is_none_is_refused_with_an_example(span: object) -> None:
    with pytest.raises(UserError, match=r"'retrain_every' is .*such as 30min, 12h, 1d or 1w"):
        merge_options({"retrain_every": span})


def test_names_and_units_that_look_like_numbers_are_text_wherever_an_option_is_text() -> None:
    said = "fill_down: [2024, No]\nunit: 100\ncurrency: 1e3\nsheet: 2023\ndrop_columns: [2022]\n"
    merged = merge_options(parse_options_file(said, "a.yaml"))
    assert (merged.fill_down, merged.unit, merged.currency) == (("2024", "No"), "100", "1e3")
    assert (merged.sheet, merged.drop_columns) == (("2023",), ("2022",))
