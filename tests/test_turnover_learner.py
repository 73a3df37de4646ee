import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.container import serving as endpoint
from optiflow.errors import UserError
from optiflow.learners import turnover as learner
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.turnover import measures, survival
from optiflow.learners.turnover.calibration import cross_fitted, fit_platt
from optiflow.learners.turnover.concordance import concordance
from optiflow.learners.turnover.features import MISSING, UNSEEN, Encoder
from optiflow.learners.turnover.labels import Labels
from optiflow.learners.turnover.serving import answer, load
from optiflow.learners.turnover.words import Vocabulary
from optiflow.pipelines.turnover.sample import EXPORT_DAY, turnover

QUICK = {"num_round": "80", "eta": "0.15"}


def sample(items: int, seed: int = 11, pace: float = 1.0, export: date = EXPORT_DAY) -> pl.DataFrame:
    """The sample as a channel; with an earlier export, as the file was on that day."""
    named = {"item_created_date": "created", "item_sold_date": "sold"}
    rows = turnover(items, seed, pace=pace, bad_rows=False).rename(named).filter(pl.col("created") <= export)
    known = pl.when(pl.col("sold") <= export).then("sold")
    return rows.with_row_index("row", 2).with_columns(sold=known, as_of=pl.lit(export)).cast({"row": pl.Int64})


def days_of(rows: pl.DataFrame) -> np.ndarray:
    return (rows["sold"] - rows["created"]).dt.total_days().to_numpy()


def trained(folder: Path, train: pl.DataFrame, validation: pl.DataFrame, **given: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    parameters = parse_hyperparameters(learner.PARAMETERS, {**learner.DEFAULTS, **QUICK, **given})
    channels = {"train": train.to_arrow(), "validation": validation.to_arrow()}
    return learner.train(channels, parameters, folder, lambda _: None)


def scored(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    table = pl.from_arrow(learner.score(folder, rows.to_arrow()))
    assert isinstance(table, pl.DataFrame)
    return table


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    judged = sample(2500).filter(pl.col("created") <= EXPORT_DAY - timedelta(days=150))
    assert judged["sold"].null_count() < 30
    return judged


@pytest.fixture(scope="module")
def model(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("model")
    return folder, trained(folder, rows[:-500], rows[-500:-250], retailer="outlet")


def test_days_beat_the_mean_of_the_category_on_held_out_items(rows: pl.DataFrame, model: tuple[Path, Any]) -> None:
    test = rows[-250:].drop_nulls("sold")
    past = rows[:-250].drop_nulls("sold").with_columns(days=pl.Series(days_of(rows[:-250].drop_nulls("sold"))))
    naive = test.join(past.group_by("category").agg(pl.col("days").mean()), on="category", maintain_order="left")[
        "days"
    ]
    model_error = measures.day_errors(days_of(test), scored(model[0], test)["expected_days"].to_numpy())
    naive_error = measures.day_errors(days_of(test), naive.to_numpy())
    assert model_error["rmse"] < 0.8 * naive_error["rmse"]
    assert model_error["mae"] < 0.7 * naive_error["mae"]


def test_chances_of_the_classifier_come_true_where_few_items_are_quick(tmp_path: Path) -> None:
    """Days that no bell curve of ln(days) follows: of each brand a share sells on day 29, and the others on day 31 or much later."""
    rng = np.random.default_rng(17)
    share = {"A": 0.6, "B": 0.1, "C": 0.02}
    brand = rng.choice(list(share), 3000)
    quick = rng.random(3000) < [share[name] for name in brand]
    days = np.where(quick, 29, np.where(rng.random(3000) < 0.5, 31, rng.integers(200, 500, 3000)))
    created = EXPORT_DAY - timedelta(days=900) + pl.Series(np.arange(3000) // 10) * timedelta(days=1)
    items = pl.DataFrame(
        {
            "row": np.arange(2, 3002),
            "created": created,
            "sold": created + pl.Series(days) * timedelta(days=1),
            "as_of": [EXPORT_DAY] * 3000,
            "price": 100.0,
            "description": "a thing",
            "category": "things",
            "brand": brand,
        }
    )
    assert trained(tmp_path, items[:1600], items[1600:2300])["chosen"] == "classifier"
    said = scored(tmp_path, items[2300:]).with_columns(brand=pl.Series(brand[2300:]))
    means = dict(said.group_by("brand").agg(pl.col("chance_30_days").mean()).iter_rows())
    assert means == {name: pytest.approx(true, abs=0.08) for name, true in share.items()}


@pytest.mark.parametrize("rows", [3, 23, 250])
def test_every_validation_item_gets_its_chance_from_a_calibration_that_has_not_seen_it(rows: int) -> None:
    seen: list[np.ndarray] = []

    def fit_and_score(fitted: np.ndarray, held: np.ndarray) -> np.ndarray:
        assert not set(fitted) & set(held)
        assert sorted([*fitted, *held]) == list(range(rows))
        seen.append(held)
        return held / rows

    np.testing.assert_array_equal(cross_fitted(rows, fit_and_score), np.arange(rows) / rows)
    assert sorted(np.concatenate(seen)) == list(range(rows))


def test_chances_come_true_and_beat_the_base_rate(rows: pl.DataFrame, model: tuple[Path, Any]) -> None:
    test = rows[-250:]
    quick = np.nan_to_num(days_of(test), nan=np.inf) <= 30
    chance = scored(model[0], test)["chance_30_days"].to_numpy()
    assert measures.log_loss(quick, chance) < 0.85 * measures.log_loss(quick, np.full(250, quick.mean()))
    assert abs(chance.mean() - quick.mean()) < 0.07
    bins = measures.calibration_bins(quick, chance, bins=3)
    assert max(abs(part["chance"] - part["share"]) for part in bins) < 0.15


def test_the_summary_says_how_it_went(model: tuple[Path, Any]) -> None:
    summary = model[1]
    told = {"rmse", "mae", "precision", "recall", "f1", "log_loss", "concordance"}
    assert {f"validation:{name}" for name in told} <= summary["metrics"].keys()
    assert summary["counts"]["validation"]["items"] == 250
    assert summary["chosen"] in summary["candidates"]
    assert max(summary["candidates"].values()) < 0.6
    assert sum(part["items"] for part in summary["calibration"]) == summary["counts"]["validation"]["judged"]
    assert 0.4 < summary["spread"] < 0.7  # the sample's noise is 0.5
    json.dumps(summary)


def test_censored_items_keep_days_from_being_too_short(tmp_path: Path) -> None:
    # A young shop with slow sales: half of its items are unsold, and the truth is what they did after the export.
    export = date(2014, 5, 1)
    truth = sample(12_000, pace=2.0).filter(pl.col("created") <= export)
    seen = sample(12_000, pace=2.0, export=export)
    assert 0.4 < seen["sold"].null_count() / seen.height < 0.7
    fresh = sample(3_000, seed=5, pace=2.0).filter(pl.col("created") <= date(2015, 6, 1)).drop_nulls("sold")

    def error(folder: str, rows: pl.DataFrame) -> float:
        train, validation = rows[::2], rows[1::2]
        trained(tmp_path / folder, train, validation)
        guess = scored(tmp_path / folder, fresh)["expected_days"].to_numpy()
        return float(np.mean(np.log(guess) - np.log(np.maximum(days_of(fresh), 0.5))))

    assert truth.height == seen.height
    kept = error("kept", seen)
    dropped = error("dropped", seen.drop_nulls("sold"))
    as_sold = error("as_sold", seen.with_columns(sold=pl.col("sold").fill_null(export)))
    assert abs(kept) < 0.15
    assert dropped < -0.3
    assert as_sold < -0.3


def test_a_higher_price_sells_slower(rows: pl.DataFrame, model: tuple[Path, Any]) -> None:
    items = rows[-250:]
    low, high = (scored(model[0], items.with_columns(price=pl.col("price") * factor)) for factor in (0.7, 1.4))
    assert (high["expected_days"].to_numpy() >= low["expected_days"].to_numpy()).all()
    assert (high["chance_30_days"].to_numpy() <= low["chance_30_days"].to_numpy()).all()
    ratio = high["expected_days"].to_numpy() / low["expected_days"].to_numpy()
    assert np.median(ratio) > 1.8  # 2 ** 1.6 = 3.0 in truth


def test_a_classifier_is_taken_when_it_is_clearly_better(tmp_path: Path) -> None:
    # Three brands sell after 25 days, give or take two; the others at once or after a year. One spread does not fit both.
    items = sample(1500).head(1000)
    turn = pl.int_range(pl.len())
    torn = pl.when(turn % 2 == 0).then(3 + turn % 5).otherwise(250 + turn % 99)
    steady = pl.col("brand").is_in(["Northway", "Campo", "Pathwise"])
    items = items.with_columns(
        sold=pl.col("created") + pl.duration(days=pl.when(steady).then(23 + turn % 5).otherwise(torn))
    )
    items = items.with_columns(as_of=pl.lit(date(2018, 1, 1)))
    summary = trained(tmp_path, items[:700], items[700:], retailer="bicycles")
    assert summary["chosen"] == "classifier"
    assert summary["candidates"]["classifier"] < summary["candidates"]["days"] - 0.03
    served = json.loads(answer(load(tmp_path), request(items[-9:]), None, "bicycles"))
    assert [p["chance_30_days"] for p in served["predictions"]] == scored(tmp_path, items[-9:])[
        "chance_30_days"
    ].to_list()
    assert abs(scored(tmp_path, items[700:])["chance_30_days"].to_numpy().mean() - 0.75) < 0.1


def test_equal_data_gives_an_equal_model(rows: pl.DataFrame, model: tuple[Path, Any], tmp_path: Path) -> None:
    again = trained(tmp_path / "again", rows[:-500], rows[-500:-250], retailer="outlet")
    assert again == model[1]


def test_nothing_is_learned_from_validation_but_when_to_stop(rows: pl.DataFrame, tmp_path: Path) -> None:
    strange = rows[-250:].with_columns(
        description=pl.lit("quaxolotl quaxolotl"), brand=pl.lit("Brandneu"), price=pl.col("price") * 9
    )
    trained(tmp_path / "a", rows[:-500], rows[-500:-250], num_round="5")
    trained(tmp_path / "b", rows[:-500], strange, num_round="5")
    assert load(tmp_path / "a").encoder == load(tmp_path / "b").encoder
    assert "quaxolotl" not in load(tmp_path / "b").encoder.vocabulary.words


def test_tf_idf_is_that_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["Brand new, NEW tent", "used tent", "old green tent with a tear", "green boots", "Öl und Zelt"]
    ours = Vocabulary.fit(texts, max_terms=100, min_items=1)
    theirs = TfidfVectorizer().fit(texts)
    assert list(ours.words) == sorted(theirs.vocabulary_)
    queries = [*texts, "new green unknown words", ""]
    np.testing.assert_allclose(ours.transform(queries), theirs.transform(queries).toarray(), atol=1e-6)


def test_missing_rare_and_unseen_names_have_codes_of_their_own() -> None:
    table = pa.table(
        {
            "category": ["a"] * 6 + ["rare", None],
            "brand": ["x", "y"] * 4,
            "price": [10.0] * 8,
            "description": [None] * 8,
            "created": pa.array([date(2020, 2, 3)] * 8),
        }
    )
    encoder = Encoder.fit(table, max_terms=10, min_items=3)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    codes = again.transform(table)[:, encoder.names.index("category")]
    assert codes.tolist() == [2] * 6 + [UNSEEN, MISSING]
    weekday = again.transform(table)[0, encoder.names.index("weekday of creation")]
    assert weekday == date(2020, 2, 3).weekday()


def test_a_young_item_has_no_answer_even_if_it_is_sold() -> None:
    day = date(2020, 3, 31)
    created = [date(2020, 3, 1), date(2020, 3, 1), date(2020, 3, 2), date(2020, 2, 1)]
    sold = [date(2020, 3, 31), None, date(2020, 3, 5), date(2020, 3, 5)]
    labels = Labels.of(pa.table({"created": created, "sold": sold, "as_of": [day] * 4}), "train")
    assert labels.judged.tolist() == [True, True, False, True]
    assert labels.quick.tolist() == [True, False, False, False]
    assert labels.days.tolist() == [30, 30, 3, 33]
    assert labels.sold.tolist() == [True, False, True, True]


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, 3000), st.floats(0.1, 2.5), st.floats(0, 5000))
def test_what_is_left_of_an_item_fits_its_distribution(middle: float, spread: float, age: float) -> None:
    middles, ages = np.array([middle]), np.array([age])
    left = survival.remaining_days(ages, middles, spread)
    assert left >= 0
    chances = [float(survival.chance_next(days, ages, middles, spread)[0]) for days in (30, 60, 90)]
    assert all(0 <= chance <= 1 for chance in chances)
    assert chances == sorted(chances)
    if age > 1 and chances[0] < 1 and left > 2:
        half = float(survival.chance_next(float(left[0]) - survival.HALF_DAY, ages, middles, spread)[0])
        assert half == pytest.approx(0.5, abs=0.01)


ITEMS = st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 5)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(ITEMS)
def test_concordance_is_that_counted_pair_by_pair(items: list[tuple[int, bool, int]]) -> None:
    right, pairs = 0.0, 0
    for day, sold, expected in items:
        for other_day, other_sold, other in items:
            # An item that was watched in vain until the day on which this one sold takes longer.
            if sold and (day < other_day or (day == other_day and not other_sold)):
                pairs += 1
                right += (expected < other) + (expected == other) / 2
    days, sales, told = (np.array(values) for values in zip(*items, strict=True)) if items else (np.empty(0),) * 3
    counted = concordance(days, sales.astype(bool), told)
    assert counted == (pytest.approx(right / pairs) if pairs else None)


def test_concordance_counts_every_row() -> None:
    # Without censoring it is Somers' D of the days' order, on the scale of 0 to 1. The first quarter is foretold backwards.
    from scipy.stats import somersd

    rng = np.random.default_rng(8)
    days = rng.integers(1, 60, 8000).astype(float)
    expected = np.where(np.arange(8000) < 2000, -1, 1) * (days // 2) + rng.integers(0, 9, 8000)
    theirs = (somersd(days, expected).statistic + 1) / 2
    assert theirs > 0.55
    assert concordance(days, np.ones(8000, bool), expected) == pytest.approx(theirs)
    assert concordance(days[::-1], np.ones(8000, bool), expected[::-1]) == pytest.approx(theirs)


def test_platt_scaling_undoes_a_bias() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(-1, 1.5, 20_000)
    quick = rng.random(20_000) < 1 / (1 + np.exp(-truth))
    platt = fit_platt(2 * truth + 1, quick)
    assert platt.slope == pytest.approx(0.5, abs=0.03)
    assert platt.shift == pytest.approx(-0.5, abs=0.06)


def test_too_few_sales_are_refused(rows: pl.DataFrame, tmp_path: Path) -> None:
    unsold = rows[:100].with_columns(sold=pl.when(pl.col("row") < 10).then("sold"))
    with pytest.raises(UserError, match="8 of 100 training items were sold, at least 20"):
        trained(tmp_path, unsold, rows[-50:])


def test_without_quick_items_the_chance_comes_from_the_days(rows: pl.DataFrame, tmp_path: Path) -> None:
    slow = rows.filter((pl.col("sold") - pl.col("created")).dt.total_days() > 30)
    summary = trained(tmp_path, slow[:-100], slow[-100:], num_round="20")
    assert summary["chosen"] == "days"
    assert "the chance comes from the days alone" in summary["notes"][0]
    assert np.mean(scored(tmp_path, slow[-100:])["chance_30_days"].to_numpy() < 0.5) > 0.9


def request(rows: pl.DataFrame, **more: object) -> bytes:
    items = rows.select("price", "description", "category", "brand", pl.col("created").cast(pl.String)).to_dicts()
    return json.dumps({"instances": items, **more}).encode()


def test_serving_says_what_scoring_says(rows: pl.DataFrame, model: tuple[Path, Any]) -> None:
    test = rows[-50:]
    said = json.loads(answer(load(model[0]), request(test), "application/json", "outlet"))
    table = scored(model[0], test)
    assert [p["expected_days"] for p in said["predictions"]] == table["expected_days"].to_list()
    assert [p["chance_30_days"] for p in said["predictions"]] == table["chance_30_days"].to_list()
    assert said["retailer"] == "outlet"
    assert said["model"] == model[1]["digest"]


GOOD = {"price": 10, "description": "new tent", "category": "Tents", "brand": None, "created": "2016-07-01"}


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        ({**GOOD, "price": 0}, "instance 1, field 'price' is 0: send a number above 0"),
        ({**GOOD, "price": "10"}, "instance 1, field 'price' is \"10\""),
        ({**GOOD, "price": float("nan")}, "instance 1, field 'price' is NaN"),
        ({**GOOD, "price": True}, "instance 1, field 'price' is true"),
        ({k: v for k, v in GOOD.items() if k != "price"}, "instance 1, field 'price' is missing"),
        ({**GOOD, "created": "01.07.2016"}, "instance 1, field 'created' is \"01.07.2016\": send a date such as"),
        ({**GOOD, "created": "2016-02-30"}, "instance 1, field 'created' is \"2016-02-30\""),
        ({**GOOD, "brand": 7}, "instance 1, field 'brand' is 7: send text or null"),
        ({**GOOD, "colour": "red"}, "instance 1, field 'colour' is not known"),
        (["price"], 'instance 1 is \\["price"\\]'),
    ],
)
def test_a_bad_request_names_the_instance_and_the_field(
    model: tuple[Path, Any], instance: object, message: str
) -> None:
    body = json.dumps({"instances": [GOOD, instance]})
    with pytest.raises(UserError, match=message):
        answer(load(model[0]), body, "application/json", "outlet")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"instances": []}', b'{"instances": 3}', b"\xff\xfe"])
def test_a_body_without_instances_is_refused(model: tuple[Path, Any], body: bytes) -> None:
    with pytest.raises(UserError, match="send \\{"):
        answer(load(model[0]), body, "application/json", "outlet")


def test_other_content_types_are_refused(model: tuple[Path, Any]) -> None:
    with pytest.raises(UserError, match="content type 'text/csv' is not read here"):
        answer(load(model[0]), b"1,2", "text/csv", "outlet")


def test_interleaved_retailers_get_their_own_model_or_none(
    rows: pl.DataFrame, model: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = sample(1200, seed=3, pace=4.0)[:900]
    trained(tmp_path, slow[:-150], slow[-150:], retailer="slow-shop")
    models = {"outlet": load(model[0]), "slow-shop": load(tmp_path)}
    items = rows[-20:]
    means: dict[str, list[float]] = {"outlet": [], "slow-shop": []}
    for retailer in ("outlet", "slow-shop", "slow-shop", "outlet", "slow-shop"):
        said = json.loads(answer(models[retailer], request(items, retailer=retailer), None, retailer))
        assert said["retailer"] == retailer
        means[retailer].append(np.mean([p["expected_days"] for p in said["predictions"]]).item())
        other = next(name for name in models if name != retailer)
        with pytest.raises(UserError, match=f"this is the model of retailer '{other}', not of '{retailer}'"):
            answer(models[other], request(items), None, retailer)
        with pytest.raises(UserError, match=f"not of '{other}'"):
            answer(models[retailer], request(items, retailer=other), None, retailer)
        monkeypatch.setenv(endpoint.RETAILER_VARIABLE, other)
        with pytest.raises(UserError, match=f"model of retailer '{retailer}'"):
            endpoint.model_fn(str({"outlet": model[0], "slow-shop": tmp_path}[retailer]))
    assert len({*means["outlet"]}) == len({*means["slow-shop"]}) == 1
    assert means["slow-shop"][0] > 2.5 * means["outlet"][0]


def test_sagemakers_functions_answer_as_this_process_does(
    rows: pl.DataFrame, model: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(endpoint.RETAILER_VARIABLE, "outlet")
    body = request(rows[-5:])
    served = endpoint.model_fn(str(model[0]))
    said = endpoint.output_fn(endpoint.predict_fn(endpoint.input_fn(body.decode(), "application/json"), served), None)
    assert said == (answer(load(model[0]), body, "application/json", "outlet"), "application/json")
    with pytest.raises(UserError, match="has no instances"):
        endpoint.input_fn("{}", "application/json")


def test_a_model_without_a_retailer_is_not_served(rows: pl.DataFrame, tmp_path: Path) -> None:
    trained(tmp_path, rows[:300], rows[300:400], num_round="3")
    with pytest.raises(UserError, match="does not say whose it is"):
        answer(load(tmp_path), request(rows[:1]), None, "outlet")


@pytest.mark.parametrize("file", ["turnover.json", "days.ubj"])
def test_a_broken_model_is_refused(model: tuple[Path, Any], tmp_path: Path, file: str) -> None:
    for path in model[0].iterdir():
        (tmp_path / path.name).write_bytes(b"{}" if path.name == file else path.read_bytes())
    with pytest.raises(UserError, match=file):
        load(tmp_path)
