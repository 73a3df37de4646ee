"""Bare Dagster: a chain of as many assets and checks as ours, that do nothing and store nothing."""

import dagster as dg

JOB = "empty_job"
PARTITIONS = dg.DynamicPartitionsDefinition(name="empty")


def empty_chain(assets: int, checks: int) -> dg.Definitions:
    """`assets` in a row, each after the one before; the first of them have a check each, `checks` in all."""
    links = [_link(number) for number in range(assets)]
    job = dg.define_asset_job(JOB, dg.AssetSelection.assets(*links))
    return dg.Definitions(
        assets=links,
        asset_checks=[_check(number) for number in range(checks)],
        jobs=[job],
        executor=dg.in_process_executor,
    )


def _link(number: int) -> dg.AssetsDefinition:
    @dg.asset(name=f"link_{number}", partitions_def=PARTITIONS, deps=[f"link_{number - 1}"] if number else [])
    def link() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    return link


def _check(number: int) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=f"link_{number}", name=f"check_{number}")
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return check
