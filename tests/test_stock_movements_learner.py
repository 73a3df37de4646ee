"""The learner of stock movements: a score that no other row can change, and reasons that say what is unusual."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from optiflow.errors import UserError
from optiflow.learners import stock_movements as learner
from optiflow.learners.hyperparameters import parse_hyperparameters
from optiflow.learners.stock_movements import components, encodings, features, files, reasons, scoring
from optiflow.pipelines.stock_movements.sample import stock_movements, wrong_movements

ROWS = 6000


def movements(rows: int = ROWS, seed: int = 7) -> pl.DataFrame:
    return stock_movements(rows, seed, bad_rows=False).select(
        pl.int_range(2, pl.len() + 2, dtype=pl.Int64).alias("row"),
        pl.exclude("created_at_ts", "quantity"),
        pl.col("quantity").cast(pl.Float64),
        created_at=pl.col("created_at_ts").str.to_datetime("%Y-%m-%d %H:%M:%S"),
    )


def trained(rows: pl.DataFrame, folder: Path, **parameters: str) -> dict:
    folder.mkdir(exist_ok=True)
    values = parse_hyperparameters(learner.PARAMETERS, {**learner.DEFAULTS, **parameters})
    return learner.train({"train": rows.to_arrow()}, values, folder, lambda _: None)


def scored(folder: Path, rows: pl.DataFrame) -> pl.DataFrame:
    frame = pl.from_arrow(learner.score(folder, rows.to_arrow()))
    assert isinstance(frame, pl.DataFrame)
    return frame


def one(rows: pl.DataFrame, **cells: object) -> pl.DataFrame:
    """A usual sale of the best-selling item, with other cells."""
    usual = rows.filter(pl.col("transaction_type") == "out", pl.col("item_id") == pl.col("item_id").mode().first())
    middle = usual.sort((pl.col("quantity") - pl.col("quantity").median()).abs(), "row").head(1)
    return middle.with_columns(pl.lit(value).alias(name) for name, value in cells.items()).with_columns(
        total_amount=pl.col("quantity") * pl.col("unit_price")
    )


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return movements()


@pytest.fixture(scope="module")
def model(rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    trained(rows, folder)
    return folder


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_rows_result_does_not_depend_on_the_other_rows_of_the_batch(
    rows: pl.DataFrame, model: Path, data: st.DataObject
) -> None:
    whole = scored(model, rows)
    chosen = data.draw(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=40))

    assert scored(model, rows[chosen]).equals(whole[chosen])


def test_rows_scored_one_by_one_equal_rows_scored_in_bulk_to_the_last_bit(rows: pl.DataFrame, model: Path) -> None:
    few = rows.head(30)

    single = pl.concat([scored(model, few[place : place + 1]) for place in range(few.height)])

    assert single.equals(scored(model, few))


def test_words_may_come_as_dictionaries_or_large_strings_and_in_chunks(rows: pl.DataFrame, model: Path) -> None:
    plain = scored(model, rows)
    words = [pl.col(key) for key in encodings.KEYS]
    categories = rows.with_columns(word.cast(pl.Categorical) for word in words)
    table = rows.to_arrow()
    chunked = pa.concat_tables([table.slice(0, 10), table.slice(10, 0), table.slice(10)])

    assert scored(model, categories).equals(plain)
    assert pa.Table.equals(
        learner.score(model, chunked).combine_chunks(), plain.to_arrow().cast(learner.score(model, table).schema)
    )


def test_scaler_and_components_equal_those_of_scikit_learn(rows: pl.DataFrame) -> None:
    known = encodings.fit(rows.to_arrow())
    matrix = features.sampled_matrix(rows.to_arrow(), known, ROWS, 0)

    fitted = components.fit(matrix, parse_hyperparameters(learner.PARAMETERS, learner.DEFAULTS))

    standard = StandardScaler().fit_transform(matrix.T.astype(float))
    pca = PCA(0.8, svd_solver="full").fit(standard)
    assert fitted.kept == pca.n_components_
    assert fitted.explained == pytest.approx(pca.explained_variance_ratio_.sum())
    np.testing.assert_allclose(np.abs(fitted.axes[:, : fitted.kept].T), np.abs(pca.components_), atol=1e-6)  # pyright: ignore[reportArgumentType, reportCallIssue, reportOperatorIssue]


def test_clusters_are_as_tight_as_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(rng.uniform(-9, 9, (6, 1, 4)), 1.0, (6, 300, 4)).reshape(-1, 4)

    centres = components.kmeans(points, 6, np.random.default_rng(42), 100)

    inertia = ((points[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum()
    assert inertia <= 1.01 * KMeans(6, n_init=10, random_state=0).fit(points).inertia_  # pyright: ignore[reportArgumentType, reportCallIssue, reportOperatorIssue]


def test_fewer_different_points_than_clusters_give_fewer_clusters() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0]] * 20)

    assert len(components.kmeans(points, 5, np.random.default_rng(0), 10)) == 2


def test_the_score_is_the_sum_of_both_squared_errors_over_their_training_means(rows: pl.DataFrame, model: Path) -> None:
    saved = files.load(model)
    matrix = features.sampled_matrix(rows.to_arrow(), saved.known, ROWS, 0)
    standard = (matrix.T.astype(float) - saved.fitted.mean) / saved.fitted.scale
    axes = saved.fitted.axes[:, : saved.fitted.kept]
    kept = standard @ axes
    error = ((standard - kept @ axes.T) ** 2).sum(axis=1)
    distance = ((kept[:, None] - saved.fitted.centres) ** 2).sum(axis=2)

    result = scored(model, rows)

    expected = error / error.mean() / 2 + distance.min(axis=1) / distance.min(axis=1).mean() / 2
    np.testing.assert_allclose(result["anomaly_score"], expected, rtol=1e-3)
    assert (result["cluster_id"].to_numpy() == distance.argmin(axis=1)).mean() > 0.999
    assert result["anomaly_score"].mean() == pytest.approx(1, rel=1e-3)


def test_shares_of_the_score_add_up_to_one(rows: pl.DataFrame, model: Path) -> None:
    saved = files.load(model)
    values = features.slice_of(rows.to_arrow(), saved.known)

    shares = reasons.shares_of_score(values, scored(model, rows)["cluster_id"].to_numpy(), saved.known, saved.fitted)

    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert (shares >= 0).all()


@pytest.mark.parametrize("quantile", ["0.95", "0.99"])
def test_as_many_training_rows_are_flagged_as_the_quantile_leaves_over(
    rows: pl.DataFrame, tmp_path: Path, quantile: str
) -> None:
    summary = trained(rows, tmp_path, threshold_quantile=quantile)

    flagged = scored(tmp_path, rows)["is_anomaly"].sum()
    assert flagged == pytest.approx(ROWS * (1 - float(quantile)), abs=1.5)
    assert summary["metrics"]["flagged_share"] == flagged / ROWS


def test_the_injected_errors_are_found_far_more_often_than_chance(rows: pl.DataFrame, model: Path) -> None:
    found = scored(model, rows).with_columns(rows["transaction_id"]).join(wrong_movements(ROWS), on="transaction_id")
    by_cause = dict(found.group_by("cause").agg(pl.col("is_anomaly").mean()).iter_rows())

    assert by_cause["night booking"] == 1
    assert by_cause["wrong unit price"] > 0.5
    assert by_cause["large write-down"] > 0.5
    assert by_cause["ten-fold quantity"] > 0.1


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"quantity": -50_000.0}, "quantity -50000 (usual for this item, type out: "),
        ({"unit_price": 99_999.5}, "unit_price 99999.50 (usual for this item: "),
        ({"item_category": "Toys", "warehouse_id": "WH-MOON"}, "warehouse WH-MOON (never seen in training)"),
    ],
)
def test_a_flagged_row_says_which_value_is_unusual(
    rows: pl.DataFrame, model: Path, cells: dict[str, object], reason: str
) -> None:
    result = scored(model, one(rows, **cells))

    assert result["is_anomaly"].to_list() == [True]
    assert reason in result["reasons"][0]


def test_no_price_of_a_new_item_is_far_from_usual_since_nobody_knows_what_is(rows: pl.DataFrame, model: Path) -> None:
    new = one(rows, item_id="never seen before")
    prices = [0.05, 1.0, 30.0, 9_999.0]
    priced = pl.concat([new.with_columns(unit_price=pl.lit(price)) for price in prices])

    assert scored(model, priced)["anomaly_score"].n_unique() == 1
    known = pl.concat([one(rows).with_columns(unit_price=pl.lit(price)) for price in prices])
    assert scored(model, known)["anomaly_score"].n_unique() == len(prices)


def test_a_booking_at_night_says_the_hour(rows: pl.DataFrame, model: Path) -> None:
    night = one(rows).with_columns(pl.col("created_at").dt.truncate("1d") + pl.duration(hours=3, minutes=30))

    assert scored(model, night)["reasons"][0].startswith("booked between 03:00 and 03:59 (rare in training)")


def test_a_usual_row_is_not_flagged_and_has_no_reasons(rows: pl.DataFrame, model: Path) -> None:
    result = scored(model, one(rows))

    assert result["is_anomaly"].to_list() == [False]
    assert result["reasons"].to_list() == [None]


def test_every_flagged_row_has_a_reason_and_no_other_row_has_one(rows: pl.DataFrame, model: Path) -> None:
    result = scored(model, rows)

    assert (result["reasons"].is_not_null() == result["is_anomaly"]).all()
    assert (result["reasons"].drop_nulls().str.len_chars() > 10).all()


def test_an_unseen_item_is_as_surprising_as_items_met_once_together(rows: pl.DataFrame) -> None:
    table = pl.concat(
        [rows.head(100), *(rows[100:101].with_columns(item_id=pl.lit(name)) for name in ("new1", "new2"))]
    )

    known = encodings.fit(table.to_arrow())

    once = table["item_id"].value_counts().filter(pl.col("count") == 1).height
    assert known.rarity["item_id"][-1] == pytest.approx(-np.log(once / table.height), rel=1e-6)
    assert (
        encodings.encode(pa.array(["nobody", None, "new1"]), known.arrays["item_id"]).tolist()[:2]
        == [len(known.words["item_id"])] * 2
    )


def test_training_twice_gives_the_same_files_and_needs_no_scikit_learn(
    rows: pl.DataFrame, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)

    trained(rows, tmp_path)

    assert (tmp_path / files.MODEL).read_bytes() == (model / files.MODEL).read_bytes()
    with np.load(tmp_path / files.ARRAYS) as ours, np.load(model / files.ARRAYS) as theirs:
        assert ours.files == theirs.files
        assert all((ours[name] == theirs[name]).all() for name in ours.files)


def test_a_row_without_a_number_is_refused_with_its_place(rows: pl.DataFrame, model: Path) -> None:
    gap = rows.head(5).with_columns(quantity=pl.when(pl.col("row") == 4).then(None).otherwise("quantity"))

    with pytest.raises(UserError, match="row 4, column 'quantity' is empty"):
        scored(model, gap)


def test_too_few_movements_are_refused(rows: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="5 movements before the hold-out cannot say what is usual"):
        trained(rows.head(5), tmp_path)


def test_a_broken_model_folder_is_refused(rows: pl.DataFrame, model: Path, tmp_path: Path) -> None:
    for name in (files.MODEL, files.WORDS):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    (tmp_path / files.ARRAYS).write_bytes(b"not a zip")

    with pytest.raises(UserError, match="train again"):
        scored(tmp_path, rows.head(1))


def test_more_rows_than_a_slice_are_scored_like_few(
    rows: pl.DataFrame, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scored(model, rows)
    monkeypatch.setattr(scoring, "SLICE_ROWS", 1000)

    assert scored(model, rows).equals(whole)
