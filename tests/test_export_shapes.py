"""The shapes in which tills, shops, ERPs and warehouse systems export sales and movements: read as they are.

What belongs here: files of these shapes, all invented, with what must come of them counted by hand. What does not: what
is wrong with a file (`test_pipelines_bad_input`).
"""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optiflow.errors import UserError
from optiflow.options import DatasetOptions, merge_options
from optiflow.pipelines import PIPELINES
from optiflow.pipelines.forecasting.unfinished import unfinished_edges
from optiflow.pipelines.stock_movements.words import BY_DIRECTION, type_of_word
from optiflow.pipelines.store_sales.days import are_days
from optiflow.pipelines.store_sales.weeks import week_in_words
from optiflow.proposals import ProposalError
from optiflow.upload.reading import Upload, read_upload

MONDAY = date(2023, 1, 2)
STORES, ITEMS, MOVES = "store_sales", "item_demand", "stock_movements"


def read(folder: Path, pipeline: str, lines: list[str], encoding: str = "utf-8", **options: Any) -> Upload:
    path = folder / "export.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    spec = PIPELINES[pipeline]
    return read_upload(path, path.name, merge_options(spec.default_options, options), spec)


def daily(
    days: int, first: date = MONDAY, stores: tuple[str, ...] = ("north", "south"), last: float = 1.0
) -> list[str]:
    """A row a store and day, 100 and a bit; the last day only `last` of it."""
    rows = [
        f"{first + timedelta(n)},{store},{(100 + 7 * (n % 5) + 3 * k) * (last if n == days - 1 else 1):.0f}"
        for n in range(days)
        for k, store in enumerate(stores)
    ]
    return ["date,store,sales", *rows]


class TestDaysOfAStore:
    def test_days_are_added_up_to_weeks_without_an_option_and_each_week_has_its_own_day(self, tmp_path: Path) -> None:
        upload = read(tmp_path, STORES, daily(20 * 7))

        assert upload.accepted.height == 40
        assert upload.accepted["date"].unique().sort().to_list() == [MONDAY + timedelta(6 + 7 * n) for n in range(20)]
        first = upload.accepted.filter(store="north").sort("date").row(0, named=True)
        assert first["sales"] == 7 * 100 + 7 * (0 + 1 + 2 + 3 + 4 + 0 + 1)
        assert upload.rows_in == 280 == upload.accepted.height + upload.merged + upload.rejected["row"].n_unique()
        assert any("The rows are days" in note for note in upload.notes)

    @pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
    def test_weeks_are_the_same_in_whatever_order_the_rows_stand(self, tmp_path: Path, order: str) -> None:
        header, *rows = daily(20 * 7)
        turned = {"ascending": rows, "descending": rows[::-1], "shuffled": [r for k in range(9) for r in rows[k::9]]}
        weeks = read(tmp_path, STORES, [header, *turned[order]]).accepted
        expected = read(tmp_path, STORES, [header, *rows]).accepted

        assert weeks.drop("row").sort("store", "date").equals(expected.drop("row").sort("store", "date"))

    def test_lines_of_a_till_are_added_up_by_the_option_and_weeks_stay_whole(self, tmp_path: Path) -> None:
        header, *rows = daily(20 * 7)
        receipts = [f"{row},{n}" for n, row in enumerate([*rows[::-1], *rows])]
        with pytest.raises(UserError, match="the same store-day more than once; the option `duplicates: sum`"):
            read(tmp_path, STORES, [f"{header},receipt", *receipts])
        twice = read(tmp_path, STORES, [f"{header},receipt", *receipts], duplicates="sum").accepted
        once = read(tmp_path, STORES, [header, *rows]).accepted

        assert twice["sales"].sum() == 2 * once["sales"].sum()
        assert sorted(twice["date"].unique()) == sorted(once["date"].unique())

    def test_a_week_that_the_option_merges_has_one_day_whatever_row_stands_first(self, tmp_path: Path) -> None:
        weeks = [f"1,{MONDAY + timedelta(7 * n)},{50 + n}" for n in range(30)]
        late = [f"1,{MONDAY + timedelta(7 * n + 3)},5" for n in range(5)]
        upload = read(tmp_path, STORES, ["store,date,sales", *late, *weeks], duplicates="sum")

        assert upload.accepted["date"].sort().to_list() == [MONDAY + timedelta(7 * n) for n in range(30)]
        assert upload.accepted.sort("date")["sales"].head(6).to_list() == [55, 56, 57, 58, 59, 55]

    @pytest.mark.parametrize(
        ("header", "options", "named", "said"),
        [
            ("date", {}, MONDAY + timedelta(6), "ends"),
            ("date", {"week_date": "begins"}, MONDAY, "begins"),
            ("date", {"hyperparameters": {"date_is": "week_start"}}, MONDAY, "begins"),
            ("week_date", {"week_date": "ends"}, MONDAY + timedelta(6), "ends"),
        ],
    )
    def test_weeks_of_days_are_named_as_the_option_says_and_are_said_to_be_so(
        self, tmp_path: Path, header: str, options: dict[str, Any], named: date, said: str
    ) -> None:
        first, *rows = daily(20 * 7)
        upload = read(tmp_path, STORES, [first.replace("date", header), *rows], **options)
        assert upload.accepted["date"].min() == named
        assert upload.week_date == said
        settled = merge_options(PIPELINES[STORES].default_options, options).model_copy(update=upload.found)
        assert (
            PIPELINES[STORES].hyperparameters(settled)["date_is"] == {"ends": "week_end", "begins": "week_start"}[said]
        )
        assert week_in_words(named, said) == f"{MONDAY} to {MONDAY + timedelta(6)}"

    def test_what_the_learner_and_the_page_hold_of_a_weeks_date_is_the_same(self, tmp_path: Path) -> None:
        sundays = [f"{date(2022, 1, 2) + timedelta(7 * n)},a,{100 + n % 9}" for n in range(80)]
        upload = read(tmp_path, STORES, ["week_start,store,sales", *sundays])
        settled = merge_options(PIPELINES[STORES].default_options).model_copy(update=upload.found)
        assert PIPELINES[STORES].hyperparameters(settled)["date_is"] == "week_start"
        mondays = [f"{MONDAY + timedelta(7 * n)},a,{100 + n % 9}" for n in range(80)]
        assert read(tmp_path, STORES, ["date,store,sales", *mondays]).week_date == "begins"
        contrary = {"week_date": "begins", "hyperparameters": {"date_is": "week_end"}}
        with pytest.raises(UserError, match=r"Leave hyperparameters\.date_is out"):
            read(tmp_path, STORES, ["date,store,sales", *sundays], **contrary)

    def test_a_first_and_a_last_week_that_lack_days_are_left_out_and_said(self, tmp_path: Path) -> None:
        upload = read(tmp_path, STORES, daily(5 + 20 * 7 + 3, first=MONDAY - timedelta(5)))

        assert upload.left_out == 2 * (5 + 3)
        assert upload.accepted["date"].n_unique() == 20
        assert [note for note in upload.notes if "first week of the file is not whole, it begins on Wednesday" in note]
        assert [note for note in upload.notes if "last week of the file is not whole, it ends on Wednesday" in note]
        assert upload.rows_in == upload.accepted.height + upload.merged + upload.rejected["row"].n_unique()

    def test_a_week_without_its_sunday_is_whole_where_shops_are_closed_on_sundays(self, tmp_path: Path) -> None:
        header, *rows = daily(20 * 7)
        open_days = [row for row in rows if date.fromisoformat(row[:10]).isoweekday() < 7]
        upload = read(tmp_path, STORES, [header, *open_days])

        assert (upload.left_out, upload.accepted.height) == (0, 40)

    def test_the_option_keeps_weeks_that_lack_days(self, tmp_path: Path) -> None:
        upload = read(tmp_path, STORES, daily(20 * 7 + 3), unfinished="keep")

        assert (upload.left_out, upload.accepted["date"].n_unique()) == (0, 21)

    def test_a_shop_that_has_no_column_for_itself_is_one_store_and_that_is_said(self, tmp_path: Path) -> None:
        upload = read(tmp_path, STORES, [",".join(row.split(",")[::2]) for row in daily(140, stores=("only",))])

        assert upload.accepted["store"].unique().to_list() == ["all stores"]
        assert any("--option columns.store=<your column>" in note for note in upload.notes)

    def test_weekly_rows_are_not_taken_for_days(self) -> None:
        weekly = pl.DataFrame({"store": ["a"] * 20, "date": [MONDAY + timedelta(7 * n - n % 2) for n in range(20)]})

        assert not are_days(weekly)


class TestUnfinishedDays:
    def test_an_export_at_noon_loses_its_last_day_and_says_so(self, tmp_path: Path) -> None:
        rows = [
            row.replace("store,sales", "store,item,sales").replace("north,", "north,tea,")
            for row in daily(120, last=0.35)
        ]
        rows = [row.replace("south,", "south,tea,") for row in rows]
        upload = read(tmp_path, ITEMS, rows)

        assert upload.left_out == 2
        assert upload.accepted["date"].max() == MONDAY + timedelta(118)
        assert "the last day of the file, 2023-05-01, is not whole: it sold 39% of what is usual" in upload.notes[-1]

    @pytest.mark.parametrize("share", [1.0, 0.9])
    def test_a_whole_last_day_stays(self, tmp_path: Path, share: float) -> None:
        rows = [f"{row},x" if n else f"{row},item" for n, row in enumerate(daily(120, last=share))]

        assert read(tmp_path, ITEMS, rows).left_out == 0

    def test_one_store_that_sold_little_makes_no_day_unfinished(self) -> None:
        table = pl.DataFrame(
            [
                (n, store, MONDAY + timedelta(n), 5.0 if (n, store) == (79, "a") else 100.0)
                for n in range(80)
                for store in "abc"
            ],
            schema=["row", "store", "date", "sales"],
            orient="row",
        )
        all_low = table.with_columns(sales=pl.when(pl.col("row") == 79).then(30.0).otherwise("sales"))

        assert unfinished_edges(table, ("store",), "date", "sales", 1).is_empty()
        assert unfinished_edges(all_low, ("store",), "date", "sales", 1)["row"].to_list() == [79, 79, 79][:1]

    def test_a_first_week_of_three_days_and_a_last_of_two_are_found_in_weekly_rows(self, tmp_path: Path) -> None:
        share = {0: 3 / 7, 39: 2 / 7}
        rows = [
            f"{MONDAY + timedelta(7 * n)},{s},{1000 * share.get(n, 1) + 10 * (n % 3):.0f}"
            for s in "ab"
            for n in range(40)
        ]
        upload = read(tmp_path, STORES, ["date,store,sales", *rows])

        assert sorted(upload.rejected["row"].to_list()) == [2, 41, 42, 81]
        assert upload.accepted["date"].n_unique() == 38

    def test_a_holiday_that_was_as_low_a_year_before_is_whole(self) -> None:
        days = [date(2022, 1, 1) + timedelta(n) for n in range(724)]  # to 25 December 2023
        table = pl.DataFrame({"row": range(724), "store": "a", "date": days})
        low = (pl.col("date").dt.month() == 12) & (pl.col("date").dt.day() == 25)
        noise = 100.0 + pl.col("row") % 5
        table = table.with_columns(sales=pl.when(low).then(10.0).otherwise(noise))

        assert unfinished_edges(table, ("store",), "date", "sales", 1).is_empty()
        first = table.filter(pl.col("date") > date(2023, 1, 1))
        assert unfinished_edges(first, ("store",), "date", "sales", 1).height == 1


class TestAStoreOrAnItemAlone:
    def test_a_forecasting_librarys_table_is_read(self, tmp_path: Path) -> None:
        rows = [f"SOAP_{k},{MONDAY + timedelta(n)},{5 + n % 3}" for k in "12" for n in range(90)]
        upload = read(tmp_path, ITEMS, ["unique_id,ds,y", *rows])

        assert upload.accepted.select("item", "store").unique().sort("item").rows() == [
            ("SOAP_1", "all stores"),
            ("SOAP_2", "all stores"),
        ]

    def test_its_weekly_table_is_one_of_stores(self, tmp_path: Path) -> None:
        rows = [f"N{k},{MONDAY + timedelta(7 * n)},{500 + n % 7}" for k in "12" for n in range(60)]

        assert read(tmp_path, STORES, ["unique_id,ds,y", *rows]).accepted["store"].unique().sort().to_list() == [
            "N1",
            "N2",
        ]

    def test_stores_alone_are_forecast_day_by_day(self, tmp_path: Path) -> None:
        upload = read(tmp_path, ITEMS, daily(90))

        assert upload.accepted["item"].unique().to_list() == ["all items"]
        assert upload.accepted["store"].n_unique() == 2

    def test_neither_is_refused_with_both_named(self, tmp_path: Path) -> None:
        rows = [f"{MONDAY + timedelta(n)},{n % 5}" for n in range(90)]
        with pytest.raises(UserError, match=r"no column for store .*, item .*\n"):
            read(tmp_path, ITEMS, ["date,sales", *rows])

    def test_rows_of_two_shops_under_a_name_nobody_knows_are_not_added_up_without_a_word(self, tmp_path: Path) -> None:
        rows = [f"{MONDAY + timedelta(n)},tea,{house},{n % 5 + 1}" for house in "AB" for n in range(90)]
        with pytest.raises(UserError, match="no column for store: all rows count as 'all stores'"):
            read(tmp_path, ITEMS, ["date,item,Haus,sales", *rows])

    def test_a_games_shop_of_the_east_is_read(self, tmp_path: Path) -> None:
        rows = [
            f"{MONDAY + timedelta(n):%d.%m.%Y},0,{shop},{item},499.00,{-1 if n == 50 and shop == 7 else 1 + n % 4}.0"
            for n in range(90)
            for shop in (7, 9)
            for item in (31, 32)
        ]
        upload = read(tmp_path, ITEMS, ["date,date_block_num,shop_id,item_id,item_price,item_cnt_day", *rows])

        assert upload.accepted.height + upload.rejected["row"].n_unique() == 360
        assert upload.accepted["store"].unique().sort().to_list() == ["7", "9"]

    def test_a_web_shops_orders_are_demand_by_article_and_blank_lines_mean_the_line_above(self, tmp_path: Path) -> None:
        lines = ["Name,Email,Paid at,Total,Lineitem quantity,Lineitem name,Lineitem sku"]
        for n in range(80):
            day = MONDAY + timedelta(n)
            lines += [f"#{n},a@b.example,{day} 09:00:00,30.00,1,Pot,P-1", f"#{n},a@b.example,,,2,Lid,L-1"]
        with pytest.raises(UserError, match="80 of 160 rows"):
            read(tmp_path, ITEMS, lines, duplicates="sum")
        upload = read(tmp_path, ITEMS, lines, duplicates="sum", fill_down=["Paid at"])

        assert dict(upload.accepted.group_by("item").agg(pl.col("sales").sum()).iter_rows()) == {"P-1": 80, "L-1": 160}

    def test_labels_that_stand_only_in_the_first_row_of_a_group_are_refused_with_the_option_that_reads_them(
        self, tmp_path: Path
    ) -> None:
        series = [(f"store {s}", f"item {i}") for s in "ab" for i in (1, 2)]
        rows = [(*key, MONDAY + timedelta(n), 3 + n % 7) for key in series for n in range(80)]
        lines, above = ["store,item,date,sales"], ("", "")
        for store, item, day, sold in rows:
            item_shown = "" if (store, item) == above else item
            lines.append(f"{'' if store == above[0] else store},{item_shown},{day},{sold}")
            above = (store, item)
        with pytest.raises(ProposalError) as refused:
            read(tmp_path, "item_demand", lines)
        assert refused.value.ways == ({"fill_down": ["item", "store"]},)
        upload = read(tmp_path, "item_demand", lines, **refused.value.ways[0])
        found = upload.accepted.select("store", "item", "date", "sales").rows()
        assert found == rows

    @pytest.mark.parametrize(("pipeline", "item"), [(STORES, ""), (ITEMS, ",tea")])
    def test_numbers_are_never_to_be_taken_from_the_row_above(self, tmp_path: Path, pipeline: str, item: str) -> None:
        lines = [f"{MONDAY + timedelta(n)},north{item},{'' if n % 3 == 0 else 100 + n % 7}" for n in range(140)]
        lines = [f"date,store{',item' if item else ''},sales", *lines]
        with pytest.raises(UserError, match="47 of 140 rows") as refused:
            read(tmp_path, pipeline, lines)
        assert not isinstance(refused.value, ProposalError)
        assert "write 0 where none was sold" in str(refused.value)
        with pytest.raises(UserError, match="fill_down names 'sales', whose numbers count row by row"):
            read(tmp_path, pipeline, lines, fill_down=["sales"])

    def test_where_labels_and_numbers_are_empty_only_the_labels_are_proposed(self, tmp_path: Path) -> None:
        rows = [f"{MONDAY + timedelta(n // 2)},{'' if n % 2 else n % 5},{'' if n % 2 else 'tea'}" for n in range(140)]
        with pytest.raises(ProposalError) as refused:
            read(tmp_path, ITEMS, ["date,sales,item", *rows])
        assert refused.value.ways == ({"fill_down": ["item"]},)

    def test_an_orders_target_is_not_taken_from_the_row_above(self, tmp_path: Path) -> None:
        rows = [f"{MONDAY + timedelta(n)},{n % 9 or ''},a" for n in range(60)]
        with pytest.raises(UserError, match="fill_down names 'units'"):
            read(tmp_path, "orders", ["day,units,kind", *rows], target="units", fill_down=["kind", "units"])

    def test_fill_down_of_a_column_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="fill_down names 'Paid on', no column of it"):
            read(tmp_path, ITEMS, daily(90), fill_down=["Paid on"])


def hours(n: int) -> datetime:
    return datetime(2024, 3, 4, 8) + timedelta(hours=5 * n)  # noqa: DTZ001


class TestMovements:
    def test_a_warehouse_systems_words_and_blanks_are_read(self, tmp_path: Path) -> None:
        kinds = ("Inbound", "Outbound", "Transfer", "Adjustment")
        header = "movement_id,sku_id,warehouse_id,movement_type,movement_date,expected_date,quantity,unit_cost,status"
        rows = [
            f"M{n},S{n % 9},W{n % 2},{kinds[n % 4]},{hours(n):%Y-%m-%d},{hours(n):%Y-%m-%d},{5 + n % 7},2.50,"
            f"{'Cancelled' if n % 20 == 0 else 'Completed'}"
            for n in range(200)
        ]
        upload = read(tmp_path, MOVES, [header, *rows])
        first = upload.accepted.row(0, named=True)

        assert (upload.accepted.height, upload.left_out) == (190, 10)
        assert (first["transaction_type"], first["total_amount"]) == ("out", (5 + 1) * 2.5)
        assert first["transaction_type (file)"] == "Outbound"
        assert "10 rows are left out: cancelled." in upload.notes
        assert upload.rows_in == upload.accepted.height + upload.rejected["row"].n_unique()

    def test_directions_settle_returns_and_what_is_lacking_stays_lacking(self, tmp_path: Path) -> None:
        kinds = (("VENTE", "OUT"), ("RETOUR", "IN"), ("RETOUR", "OUT"), ("CASSE", "OUT"), ("BONUS", "IN"))
        rows = [
            f"{n},{n % 9},{kinds[n % 5][0]},{kinds[n % 5][1]},{3 + n % 6},{hours(n):%Y-%m-%dT%H:%M:%S}"
            for n in range(200)
        ]
        upload = read(tmp_path, MOVES, ["movement_id,product_id,movement_type,direction,qty,timestamp", *rows])

        assert upload.accepted["transaction_type"].head(5).to_list() == ["out", "in", "out", "adjust", "in"]
        assert upload.accepted["unit_price"].null_count() == 200
        assert upload.accepted["warehouse_id"].unique().to_list() == ["all"]
        assert upload.rejected.is_empty()

    def test_a_ledger_with_two_columns_of_quantities_and_documents_of_several_lines_is_read(
        self, tmp_path: Path
    ) -> None:
        header = "Date,Item,In Qty,Out Qty,Balance Qty,Warehouse,Item Group,Valuation Rate,Value Change,Voucher Type,Voucher #"
        words = ("Purchase Receipt", "Delivery Note", "Stock Entry", "Stock Entry")
        rows = [
            f"{hours(n):%d-%m-%Y %H:%M:%S},I{n % 9},{(n % 2 == 0) * 4},{-(n % 2) * 3},50,Main,Goods,10.0,"
            f"{40 if n % 2 == 0 else -30},{words[n % 4]},V-{n // 2}"
            for n in range(200)
        ]
        rows = [",'Opening',,,50,,,,,,", *rows, "Total,,400,-300,,,,,,,"]
        upload = read(tmp_path, MOVES, [header, *rows])

        assert upload.accepted.height == 200
        assert upload.rejected["row"].unique().sort().to_list() == [2, 203]
        assert upload.accepted["quantity"].head(2).to_list() == [4, -3]
        assert upload.accepted["transaction_id"].head(3).to_list() == ["V-0/1", "V-0/2", "V-1/1"]
        assert upload.accepted["transaction_type"].head(4).to_list() == ["in", "out", "in", "out"]

    @pytest.mark.parametrize(
        ("out", "expected"),
        [(("3", "-2", ""), [-10.0, 10.0, -3.0, 2.0]), (("-3", "-2", ""), [-10.0, 10.0, -3.0, -2.0])],
    )
    def test_what_is_reversed_goes_the_other_way_in_two_columns_of_quantities(
        self, tmp_path: Path, out: tuple[str, str, str], expected: list[float]
    ) -> None:
        moves = [("-10", out[2]), ("10", out[2]), ("", out[0]), ("", out[1])]
        rows = [
            f"{n},I{n % 9},{'Receipt' if n % 4 < 2 else 'Issue'},{moves[n % 4][0]},{moves[n % 4][1]},{hours(n):%Y-%m-%d}"
            for n in range(200)
        ]
        upload = read(tmp_path, MOVES, ["id,item,type,In Qty,Out Qty,date", *rows])
        assert upload.accepted["quantity"].head(4).to_list() == expected

    def test_saps_list_of_material_documents_is_read_as_it_is_exported(self, tmp_path: Path) -> None:
        header = "Materialbeleg;Pos;Werk;Lagerort;Material;Bewegungsart;Menge in ErfassME;ErfassME;Betrag in Hauswährung;Währung"
        kinds = ("101", "261", "601", "311", "701", "102")
        rows = []
        for n in range(240):
            sign = "-" if kinds[n % 6] in ("261", "601", "102") else ""
            rows.append(
                f"490000{n // 3:04};{n % 3 + 1};1000;0001;47-{n % 9};{kinds[n % 6]};1.2{n % 10}0,000{sign};ST;"
                f"2.4{n % 10}0,00{sign};EUR;{hours(n):%d.%m.%Y};{hours(n):%H:%M:%S};Gehäuse"
            )
        lines = [f"{header};Buchungsdatum;Erfassungszeit;Warengruppe", *rows]
        upload = read(tmp_path, MOVES, lines, encoding="cp1252")
        second = upload.accepted.row(1, named=True)

        assert (upload.accepted.height, upload.rejected.height) == (240, 0)
        assert upload.accepted["transaction_type"].head(6).to_list() == [
            "in",
            "out",
            "out",
            "transfer",
            "adjust",
            "out",
        ]
        assert (second["transaction_id"], second["quantity"], second["total_amount"]) == (
            "4900000000/2",
            -1210.0,
            -2410.0,
        )
        assert second["unit_price"] == pytest.approx(2410 / 1210)
        assert second["created_at"] == hours(1)
        assert second["item_category"] == "Gehäuse"

    def test_the_sign_tells_the_type_where_no_column_does(self, tmp_path: Path) -> None:
        rows = [f"{n},I{n % 9},{4 if n % 3 else -5},{hours(n)}" for n in range(200)]
        upload = read(tmp_path, MOVES, ["id,sku,qty,date", *rows])

        assert upload.accepted["transaction_type"].head(3).to_list() == ["out", "in", "in"]
        positive = [row.replace("-5", "5") for row in rows]
        with pytest.raises(UserError, match="nothing says which movements come in and which go out"):
            read(tmp_path, MOVES, ["id,sku,qty,date", *positive])

    def test_a_word_of_the_systems_own_is_told_by_the_option(self, tmp_path: Path) -> None:
        rows = [f"{n},I{n % 9},{('Z77', 901)[n % 2]},{3 + n % 5},{hours(n)}" for n in range(200)]
        lines = ["id,sku,type,qty,date", *rows]
        with pytest.raises(UserError, match="the option `movement_types` says which \\('Z77'\\)"):
            read(tmp_path, MOVES, lines)
        upload = read(tmp_path, MOVES, lines, movement_types={"z77": "in", 901: "transfer"})

        assert upload.accepted["transaction_type"].head(2).to_list() == ["in", "transfer"]

    @pytest.mark.parametrize(("words", "kinds"), [("EIN,AUS", None), ("S,H", ["in", "out"]), ("E,S", ["in", "out"])])
    def test_the_letters_of_directions_depend_on_their_opposite(
        self, tmp_path: Path, words: str, kinds: list[str] | None
    ) -> None:
        pair = words.split(",")
        rows = [f"{n},I{n % 9},{pair[n % 2]},{3 + n % 5},{hours(n)}" for n in range(200)]
        lines = ["id,sku,direction,qty,date", *rows]
        if kinds is None:
            lines = [line.replace("EIN", "Zugang").replace("AUS", "Abgang") for line in lines]
        kinds_read = read(tmp_path, MOVES, lines).accepted["transaction_type"]

        assert kinds_read.head(2).to_list() == (kinds or ["in", "out"])

    def test_an_id_that_comes_twice_among_single_ones_is_still_a_fault(self, tmp_path: Path) -> None:
        rows = [f"{min(n, 198)},I{n % 9},out,{3 + n % 5},{hours(n)}" for n in range(200)]
        upload = read(tmp_path, MOVES, ["id,sku,type,qty,date", *rows])

        assert upload.rejected["reason"].unique().to_list() == ["the same transaction id more than once"]
        assert upload.rejected["row"].to_list() == [200, 201]

    def test_movements_without_a_price_are_learned_from_and_no_reason_speaks_of_one(self, tmp_path: Path) -> None:
        kinds = ("in", "out", "out", "adjust")
        rows = [f"{n},I{n % 9},{kinds[n % 4]},{900 if n == 377 else 3 + n % 5},{hours(n)}" for n in range(400)]
        rows_read = read(tmp_path, MOVES, ["id,sku,type,qty,date", *rows]).accepted
        spec = PIPELINES[MOVES]
        options = DatasetOptions(date_column="created_at")
        assert spec.learner is not None
        parameters = spec.check_hyperparameters(spec.hyperparameters(options))
        train, test = spec.split(rows_read, options)
        channels = {name: table.to_arrow() for name, table in spec.training(train, options).channels.items()}
        spec.learner.train(channels, parameters, tmp_path, lambda _: None)
        inputs = spec.scoring({"train": train, "test": test}, options, str)
        found = pl.from_arrow(spec.learner.score(tmp_path, inputs.tables["predictions"].to_arrow()))
        assert isinstance(found, pl.DataFrame)

        assert found["anomaly_score"].is_finite().all()
        assert found.sort("anomaly_score")["row"][-1] == 377 + 2
        said = " ".join(found["reasons"].drop_nulls())
        assert "quantity 900" in said
        assert "unit_price" not in said
        assert "total_amount" not in said


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Wareneingang", "in"),
        ("Kundenretoure", BY_DIRECTION),
        ("Umlagerung", "transfer"),
        ("Inventurdifferenz", "adjust"),
        ("Réception", "in"),
        ("Expédition", "out"),
        ("Recepción", "in"),
        ("Devolución", BY_DIRECTION),
        ("Scarico", "out"),
        ("Trasferimento", "transfer"),
        ("Saída", "out"),
        ("Transferência", "transfer"),
        ("Przyjęcie", "in"),
        ("Przesunięcie MM", "transfer"),
        ("Goods Issue", "out"),
        ("cycle-count", "adjust"),
        ("Stock Transfer Out", "transfer"),
        ("101", "in"),
        ("102", "out"),
        ("261", "out"),
        ("262", "in"),
        ("311", "transfer"),
        ("551", "adjust"),
        ("601", "out"),
        ("641", "transfer"),
        ("702", "adjust"),
        ("901", None),
        ("Z01", None),
        ("misc", None),
    ],
)
def test_words_of_the_trade_in_seven_languages_and_saps_types_are_known(word: str, kind: str | None) -> None:
    assert type_of_word(word) == kind
