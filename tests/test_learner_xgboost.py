"""The XGBoost learner: equal to plain XGBoost, and strict about SageMaker's hyperparameters."""

import math

import numpy as np
import pytest
import xgboost
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optiflow.errors import JobFailedError, UserError
from optiflow.learners import xgboost as learner
from optiflow.learners.hyperparameters import validate_hyperparameters
from optiflow.learners.matrix import Matrix

# Name, lowest and highest allowed value, whether each bound is allowed; from SageMaker's developer guide.
FLOAT_RANGES = [
    ("eta", 0, 1, True, True),
    ("subsample", 0, 1, False, True),
    ("colsample_bytree", 0, 1, False, True),
    ("colsample_bylevel", 0, 1, False, True),
    ("colsample_bynode", 0, 1, False, True),
    ("min_child_weight", 0, math.inf, True, False),
    ("gamma", 0, math.inf, True, False),
    ("alpha", 0, math.inf, True, False),
    ("lambda", 0, math.inf, True, False),
    ("max_delta_step", 0, math.inf, True, False),
    ("tweedie_variance_power", 1, 2, False, False),
    ("rate_drop", 0, 1, True, True),
]

fractions = st.floats(0, 1)
amounts = st.floats(0, 2**20)


def matrix(rows: int = 400, columns: int = 4, seed: int = 1) -> Matrix:
    generator = np.random.default_rng(seed)
    features = generator.random((rows, columns), dtype=np.float32)
    features[generator.random((rows, columns)) < 0.05] = np.nan
    target = np.nan_to_num(features[:, 0]) * 5 + np.nan_to_num(features[:, 1]) ** 2 + generator.normal(0, 0.3, rows)
    return Matrix(features, target.astype(np.float32))


def checked(**params: object) -> dict[str, int | float | str]:
    # One thread: on a busy machine XGBoost's threads spin while they wait for each other.
    return validate_hyperparameters(
        {"num_round": "20", "nthread": "1", **{name: str(value) for name, value in params.items()}}
    )


@pytest.mark.parametrize("range_", FLOAT_RANGES, ids=lambda r: r[0])
@settings(max_examples=30, deadline=None)
@given(
    value=st.one_of(
        st.floats(-3, 3, width=32, allow_subnormal=False),
        st.sampled_from([0.0, 1.0, 2.0, math.inf, math.nan, 1e300, 1e-300]),
    )
)
def test_a_number_is_accepted_exactly_inside_its_documented_range(range_, value: float):
    name, low, high, low_closed, high_closed = range_
    inside = (low < value < high) or (value == low and low_closed) or (value == high and high_closed)
    fits_in_32_bits = value == 0 or 2**-120 <= abs(value) <= 2**127
    if inside and fits_in_32_bits:
        assert checked(**{name: repr(value)})[name] == value
    else:
        with pytest.raises(UserError, match=rf"'{name}' is '{repr(value).replace('+', '.')}'.*number in [(\[]{low},"):
            checked(**{name: repr(value)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("num_round", text) for text in ("0", "-1", "1.5", "ten", "", "1_0", "9" * 12)),
        *(("max_depth", text) for text in ("-1", "6.0")),
        *(("eval_metric", text) for text in ("rmse,", "rsme", "rmse;mae", "error@x")),
        *(("objective", text) for text in ("squarederror", "reg:linear", "REG:SQUAREDERROR")),
        ("tree_method", "gpu_hist"),
        ("monotone_constraints", "(1,2)"),
        ("interaction_constraints", "[[0,1],__import__]"),
        ("seed", "-1"),
        ("nthread", "0"),
    ],
)
def test_a_value_that_the_algorithm_does_not_allow_is_named_with_what_is_allowed(name: str, text: str):
    with pytest.raises(UserError) as caught:
        checked(**{name: text})
    assert f"'{name}' is '{text}': allowed is " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("max_dept", "max_depth"), ("learning_rate", "eta"), ("n_estimators", "num_round"), ("Eta", "eta")],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(name: str, meant: str):
    with pytest.raises(UserError, match=f"unknown hyperparameter '{name}': did you mean '{meant}'"):
        checked(**{name: "1"})


def test_num_round_is_required():
    with pytest.raises(UserError, match="'num_round' is missing"):
        validate_hyperparameters({"eta": "0.1"})


def test_classes_and_multi_objectives_belong_together():
    assert checked(objective="multi:softprob", num_class=3)["num_class"] == 3
    for wrong in ({"objective": "multi:softmax"}, {"num_class": 3}):
        with pytest.raises(UserError, match="num_class"):
            checked(**wrong)


def test_values_get_their_types():
    values = checked(max_depth=" 4 ", eta="1e-1", eval_metric="rmse, mae", objective="reg:squarederror")
    assert values == {
        "num_round": 20,
        "nthread": 1,
        "max_depth": 4,
        "eta": 0.1,
        "eval_metric": "rmse,mae",
        "objective": "reg:squarederror",
    }
    assert type(values["max_depth"]) is int


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "eta": fractions,
            "subsample": st.floats(0.01, 1),
            "colsample_bytree": st.floats(0.01, 1),
            "gamma": amounts,
            "lambda": amounts,
            "alpha": amounts,
            "min_child_weight": amounts,
            "max_depth": st.integers(0, 8),
            "max_bin": st.integers(2, 300),
            "grow_policy": st.sampled_from(["depthwise", "lossguide"]),
            "tree_method": st.sampled_from(["auto", "exact", "approx", "hist"]),
            "booster": st.sampled_from(["gbtree", "dart"]),
            "base_score": amounts,
            "eval_metric": st.sampled_from(["rmse", "mae,rmse", "mape"]),
        },
    )
)
def test_whatever_passes_the_check_xgboost_trains_with(raw: dict[str, object]):
    try:
        params = checked(**raw) | {"num_round": 2}
    except UserError:  # lossguide or no depth limit with exact, or a number next to 0
        assume(False)
    booster, history = learner.train(params, matrix(60))
    assert booster.num_boosted_rounds() == history.rounds == 2


@pytest.mark.parametrize("order", ["C", "F"])
def test_trees_are_those_of_plain_xgboost_bit_for_bit(order):
    data = matrix()
    params = checked(eta=0.3, max_depth=4, subsample=0.7, colsample_bytree=0.5, seed=3)
    mine, _ = learner.train(params, Matrix(np.array(data.features, order=order), data.target), matrix(seed=2))
    plain = xgboost.train(
        {"eta": 0.3, "max_depth": 4, "subsample": 0.7, "colsample_bytree": 0.5, "seed": 3, "nthread": 1},
        xgboost.DMatrix(data.features, label=data.target),
        num_boost_round=20,
    )
    assert mine.get_dump(dump_format="json") == plain.get_dump(dump_format="json")
    fresh = matrix(seed=5).features
    assert np.array_equal(learner.predict(mine, fresh), plain.predict(xgboost.DMatrix(fresh)))


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_early_stopping_keeps_the_best_round_of_the_last_metric(booster: str):
    train, validation = matrix(80), matrix(300, seed=2)
    params = checked(eta=0.6, early_stopping_rounds=5, eval_metric="rmse,mae", booster=booster) | {"num_round": 300}
    model, history = learner.train(params, train, validation)
    scores = history.scores["validation:mae"]
    assert history.best_iteration == int(np.argmin(scores))
    assert history.rounds == len(scores) == history.best_iteration + 1 + 5 < 300
    assert model.num_boosted_rounds() == history.best_iteration + 1
    error = np.abs(learner.predict(model, validation.features) - validation.target).mean()
    assert error == pytest.approx(history.final()["validation:mae"], rel=1e-5)


def test_early_stopping_without_validation_data_trains_all_rounds():
    model, history = learner.train(checked(early_stopping_rounds=1), matrix())
    assert model.num_boosted_rounds() == history.rounds == 20
    assert list(history.scores) == ["train:rmse"]


def test_gblinear_trains_with_early_stopping():
    params = checked(booster="gblinear", early_stopping_rounds=2)
    model, history = learner.train(params, matrix(), matrix(seed=2))
    assert learner.predict(model, matrix(seed=2).features).std() > 0
    assert history.best_iteration == history.rounds - 1


def test_each_round_is_reported_as_it_ends():
    seen = []
    _, history = learner.train(checked(), matrix(), matrix(seed=2), on_round=lambda *round_: seen.append(round_))
    assert [number for number, _ in seen] == list(range(20))
    assert [scores["validation:rmse"] for _, scores in seen] == history.scores["validation:rmse"]


def test_weights_count():
    data = matrix()
    weight = np.where(np.arange(data.rows) % 2, 1e-6, 1).astype(np.float32)
    weighted, _ = learner.train(checked(), Matrix(data.features, data.target, weight))
    plain = xgboost.train({"nthread": 1}, xgboost.DMatrix(data.features, data.target, weight=weight), 20)
    assert weighted.get_dump() == plain.get_dump()


def test_a_saved_model_predicts_the_same_after_loading(tmp_path):
    model, _ = learner.train(checked(), matrix())
    learner.save(model, tmp_path / learner.MODEL_FILE)
    data = matrix(seed=9).features
    assert np.array_equal(
        learner.predict(learner.load(tmp_path / learner.MODEL_FILE), data), learner.predict(model, data)
    )


def test_contributions_sum_to_the_prediction():
    model, _ = learner.train(checked(), matrix())
    data = matrix(seed=9).features
    values = learner.contributions(model, data)
    assert values.shape == (400, 5)
    np.testing.assert_allclose(values.sum(axis=1), learner.predict(model, data), atol=1e-4)
    assert np.abs(values[:, 0]).mean() > 5 * np.abs(values[:, 3]).mean(), "the target depends on column 0, not on 3"


def test_softprob_gives_one_column_a_class():
    data = matrix()
    labels = np.digitize(data.target, np.quantile(data.target, [0.3, 0.6])).astype(np.float32)
    model, _ = learner.train(checked(objective="multi:softprob", num_class=3), Matrix(data.features, labels))
    probabilities = learner.predict(model, data.features)
    assert probabilities.shape == (400, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9


def test_columns_that_do_not_fit_are_told_in_numbers():
    model, _ = learner.train(checked(), matrix())
    with pytest.raises(UserError, match="trained on 4 feature columns, the data has 3"):
        learner.predict(model, matrix(columns=3).features)
    with pytest.raises(UserError, match="validation has 3 feature columns, channel train 4"):
        learner.train(checked(), matrix(), matrix(columns=3))


def test_what_xgboost_refuses_is_told_in_one_sentence():
    with pytest.raises(JobFailedError) as caught:
        learner.train(checked(objective="binary:logistic"), matrix())
    assert "logistic" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Stack trace" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b"\x80\x04\x95pickle", b"{L\x00\x00"])
def test_a_file_that_is_no_model_is_refused(tmp_path, data: bytes):
    path = tmp_path / learner.MODEL_FILE
    path.write_bytes(data)
    with pytest.raises(UserError, match="xgboost-model is"):
        learner.load(path)
