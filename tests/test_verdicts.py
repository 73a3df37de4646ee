"""Verdicts on samples whose cause is taken away, and on the samples as they are; more seeds in `benchmarks.verdicts`."""

from benchmarks.verdicts import orders, store_sales


def test_orders_calls_a_model_of_permuted_quantities_no_better_and_one_of_the_sample_better() -> None:
    outcomes = [outcome for _, outcome, _ in orders.verdicts((orders.GENUINE, 1), rows=2000)]
    assert outcomes[0] == "better"
    assert outcomes[1] != "better"


def test_store_sales_calls_a_model_of_shuffled_weeks_no_better_and_one_of_the_sample_better() -> None:
    outcomes = [outcome for _, outcome, _ in store_sales.verdicts((store_sales.GENUINE, 1))]
    assert outcomes[0] == "better"
    assert outcomes[1] != "better"
