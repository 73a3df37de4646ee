"""Small files that stand for gigabytes, and files whose times no calendar has: made here, byte by byte."""

import gzip
import io
import zipfile
from xml.sax.saxutils import escape

import zstandard

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEADER = b"d,y,t\n"


def cell(place: str, value: object) -> str:
    """A cell in the XML of a sheet: a number, a text, or `("s", index)` for a shared one."""
    if isinstance(value, tuple):
        return f'<c r="{place}" t="s"><v>{value[1]}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def workbook(sheets: dict[str, str], shared: list[str] | None = None) -> bytes:
    """A workbook from the XML of its sheets' rows, by their names."""
    links = [
        f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(len(sheets))
    ]
    names = [f'<sheet name="{escape(name)}" sheetId="{n + 1}" r:id="r{n}"/>' for n, name in enumerate(sheets)]
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{"".join(names)}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{"".join(links)}<Relationship Id="s" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    }
    if shared is not None:
        parts["xl/sharedStrings.xml"] = (
            f'<sst xmlns="{MAIN}">{"".join(f"<si><t>{escape(text)}</t></si>" for text in shared)}</sst>'
        )
    for n, rows in enumerate(sheets.values()):
        parts[f"xl/worksheets/sheet{n}.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def table_rows(count: int = 40) -> str:
    """The rows of a sound sheet: days, numbers and texts below a header."""
    rows = [("d", "y", "t"), *((f"2018-05-{n % 28 + 1:02d}", n, f"a{n}") for n in range(count))]
    return "".join(
        f'<row r="{r}">{"".join(cell(f"{letter}{r}", value) for letter, value in zip("ABC", row, strict=True))}</row>'
        for r, row in enumerate(rows, 1)
    )


def stray_cell(place: str = "XFD1048576") -> bytes:
    """A sound sheet, and one cell far away from it."""
    row = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return workbook({"Sales": f'{table_rows()}<row r="{row}">{cell(place, 1)}</row>'})


def stray_without_places() -> bytes:
    """The same without a word on where the cells are: 16,000 in a row, and one 1,000,000 rows below."""
    return workbook(
        {"Sales": f"<row>{'<c><v>1</v></c>' * 16_000}</row>{'<row/>' * 1_000_000}<row><c><v>1</v></c></row>"}
    )


def shared_text(cells: int = 150_000) -> bytes:
    """A text of 32 KB that is written once, and that all cells of a column refer to."""
    rows = "".join(f'<row r="{r}">{cell(f"A{r}", r)}{cell(f"B{r}", ("s", 0))}</row>' for r in range(2, cells + 2))
    header = f'<row r="1">{cell("A1", "y")}{cell("B1", "t")}</row>'
    return workbook({"Sales": header + rows}, ["x" * 32_000])


def zst_of_rows(size: int = 2_000_000_000) -> bytes:
    """A table of one row over and over again."""
    block = (b"2018-05-01,1,a\n" * 70_000)[: 1 << 20]
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join([packer.compress(HEADER), *(packer.compress(block) for _ in range(size >> 20)), packer.flush()])


def gzip_of_rows(size: int = 2_000_000_000) -> bytes:
    """The same by gzip, one member a megabyte."""
    block = gzip.compress(b"2018-05-01,1,a\n" * 70_000, mtime=0)
    return gzip.compress(HEADER, mtime=0) + block * (size >> 20)
