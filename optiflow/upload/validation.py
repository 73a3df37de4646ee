"""Row-level validation by pandera: the schema that every upload obeys, and failure cases as faults.

What does not belong here: types (a schema sees typed columns), and the upload as a whole.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from optiflow.errors import UserError
from optiflow.split import ROW
from optiflow.upload.faults import SCHEMA, quote

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema, PolarsData

EMPTY = "is empty"
REASONS = {"not_nullable": EMPTY}


def table_schema(needed: Sequence[str], finite: Sequence[str]) -> "DataFrameSchema":
    """What holds for every upload: the `needed` columns have a value in each row, the `finite` ones a finite number."""
    import pandera.polars as pa

    def is_finite(data: "PolarsData") -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key).is_finite())

    check = pa.Check(is_finite, error="is not a finite number")
    return pa.DataFrameSchema(
        {
            name: pa.Column(nullable=name not in needed, checks=[check] if name in finite else [])
            for name in dict.fromkeys([*needed, *finite])
        }
    )


def schema_faults(typed: pl.DataFrame, raw: pl.DataFrame, schema: "DataFrameSchema", file_name: str) -> pl.DataFrame:
    """The failure cases of a schema as faults, with the cell as the file holds it.

    Args:
        typed: `row` and the typed columns; the schema does not see `row`.
        raw: The same rows as they were read.
        schema: Only its checks count: what it would coerce or filter has no effect on the upload.
        file_name: For messages.

    Raises:
        UserError: a check failed for a column or the table as a whole, such as a missing column or a wrong type.
    """
    import pandera.errors

    try:
        schema.validate(typed.drop(ROW), lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases: pl.DataFrame = error.failure_cases
    else:
        return pl.DataFrame(schema=SCHEMA)
    whole = cases.filter(pl.col("index").is_null())
    if whole.height:
        said = "; ".join(
            f"column {quote(case['column'] or case['failure_case'])}: {case['check']} ({quote(case['failure_case'])})"
            for case in whole.head(3).iter_rows(named=True)
        )
        raise UserError(f"{file_name}: the table does not fit its pipeline: {said}.")
    found = [
        pl.DataFrame(
            {
                "row": typed[ROW].gather(part["index"]),
                "column": part["column"],
                "reason": part["check"].replace(REASONS),
                "value": raw[column].cast(pl.String).gather(part["index"]) if column in raw.columns else None,
            },
            schema=SCHEMA,
        )
        for (column,), part in cases.partition_by("column", as_dict=True, maintain_order=True).items()
    ]
    return pl.concat(found)
