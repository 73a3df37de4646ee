"""A table as an Excel workbook (.xlsx, ECMA-376): one sheet, a header that stays in sight, real dates and numbers.

Written row by row into the archive, so that a large table takes no memory beside itself. The reader is `optiflow.upload`.
"""

import math
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import polars as pl

MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
MAX_TEXT = 32_767
"""Characters that a cell holds; a longer text is cut."""

FIRST_DAY = datetime.combine(date(1899, 12, 30), time())
"""Day 0 of Excel's calendar, for all days from March 1900 on; earlier ones are written as text."""
FIRST_SERIAL = 61
DATE_STYLE, TIME_STYLE = 1, 2
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
    f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
    f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="table" sheetId="1" '
    'r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="{_OFFICE}/styles" '
    'Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3">'
    '<xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
    "</styleSheet>",
}


def write_workbook(table: pl.DataFrame, path: Path) -> None:
    """Write a table as the only sheet of a workbook.

    Numbers that Excel would round (whole ones of more than 15 digits) and texts stay texts; NaN and infinity are empty.

    Args:
        table: At most `MAX_ROWS` - 1 rows and `MAX_COLUMNS` columns, none of lists or structs.
        path: The file.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for part in _sheet(table):
                sheet.write(part.encode())


def _sheet(table: pl.DataFrame) -> Iterator[str]:
    frozen = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    yield f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">{frozen}</sheetView></sheetViews><sheetData>'
    columns = [_column(number) for number in range(table.width)]
    yield _row(1, columns, table.columns)
    for number, values in enumerate(table.iter_rows(), 2):
        yield _row(number, columns, values)
    yield "</sheetData></worksheet>"


def _row(number: int, columns: list[str], values: Any) -> str:
    cells = (_cell(f"{column}{number}", value) for column, value in zip(columns, values, strict=True))
    return f'<row r="{number}">{"".join(cells)}</row>'


def _cell(place: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, float):
        return f'<c r="{place}"><v>{value!r}</v></c>' if math.isfinite(value) else ""
    if isinstance(value, int) and abs(value) < 10**15:
        return f'<c r="{place}"><v>{value}</v></c>'
    if isinstance(value, date):
        return _day(place, value)
    text = escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", str(value)[:MAX_TEXT]))
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _day(place: str, value: date) -> str:
    moment = value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time())
    since = moment - FIRST_DAY
    if since.days < FIRST_SERIAL:
        return f'<c r="{place}" t="inlineStr"><is><t>{value.isoformat()}</t></is></c>'
    if isinstance(value, datetime):
        return f'<c r="{place}" s="{TIME_STYLE}"><v>{since.total_seconds() / 86_400!r}</v></c>'
    return f'<c r="{place}" s="{DATE_STYLE}"><v>{since.days}</v></c>'


def _column(number: int) -> str:
    """A, B, …, Z, AA, …"""
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(65 + letter) + name
    return name
