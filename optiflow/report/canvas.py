"""From a drawing to bytes: one SVG for the page and one small PNG for Markdown, alike for every plot.

What belongs here: matplotlib's settings, and how dates and large numbers stand on an axis that nobody has set.
What does not: what is drawn. No pyplot: figures are objects, and the settings are changed only while one is drawn.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optiflow.report.drawings import AMBER, BLUE, INK, MUTED, RULE
from optiflow.report.wording import MINUS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Size = tuple[float, float]
"""Width and height in inches; text is of the same size on all, so that a wide drawing must not be shown narrow."""

HALF: Size = (5.0, 3.5)
WIDE: Size = (10.6, 3.7)
NARROW: Size = (4.2, 3.5)
PNG_DPI = 110
PNG_COLOURS = 64
POINTS_DPI = 200
LINES = (BLUE, AMBER, "#3f8f6b", "#8a5aa5", "#b3372f", "#5d6975")

# XML has no place for these, not even escaped; a name out of a user's file may hold one.
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

ID, USED_ID = re.compile(r' id="([^"]*)"'), re.compile(r'(?:url\(|href=")#([^)"]+)')

SETTINGS: dict[Any, Any] = {
    # Text stays text: it takes the page's font, can be selected, and makes the file small.
    "svg.fonttype": "none",
    # A column named `$x_{$` is a name, not a formula.
    "text.parse_math": False,
    "axes.prop_cycle": f"cycler('color', {list(LINES)})",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": MUTED,
}


def draw(drawing: "Callable[[Axes], None]", size: Size = HALF, name: str = "") -> tuple[str, bytes]:
    """The drawing as SVG text and as PNG bytes; equal drawings give equal bytes.

    Args:
        drawing: Draws on the empty axes that it is given. Axes of dates and of plain numbers get readable ticks.
        size: Of the drawing.
        name: Drawings that differ in name or size have no id in common, as those on one page must not.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    svg, png = io.StringIO(), io.BytesIO()
    with rc_context({**SETTINGS, "svg.hashsalt": f"optiflow {name} {size}"}), _no_glyph_warnings():
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        drawing(figure.add_subplot())
        for axes in figure.axes:
            _readable(axes)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(svg, format="svg", dpi=POINTS_DPI, metadata=nothing)
        figure.savefig(png, format="png", dpi=PNG_DPI)
    text = svg.getvalue()
    return _with_used_ids(CONTROLS.sub(" ", text[text.index("<svg") :])), _smaller(png)


def _with_used_ids(svg: str) -> str:
    """Without the ids that nothing refers to: matplotlib numbers the parts of every drawing alike, `figure_1` and so on."""
    used = set(USED_ID.findall(svg))
    return ID.sub(lambda found: found.group() if found[1] in used else "", svg)


def _readable(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, ScalarFormatter

    for axis in (axes.xaxis, axes.yaxis):
        formatter = axis.get_major_formatter()
        if axis.isDefault_majloc and isinstance(axis.get_major_locator(), AutoDateLocator):
            locator = AutoDateLocator(minticks=3, maxticks=6)
            axis.set_major_locator(locator)
            axis.set_major_formatter(ConciseDateFormatter(locator))
        # By its very class: an axis of categories has a formatter of its own.
        elif type(formatter) is ScalarFormatter:
            axis.set_major_formatter(FuncFormatter(_thousands))
        # A logarithmic axis writes formulas, which stay unread here.
        elif isinstance(formatter, LogFormatterMathtext):
            axis.set_major_formatter(FuncFormatter(_thousands))
            few = len([tick for tick in axis.get_majorticklocs() if _within(tick, axis.get_view_interval())]) < 2
            axis.set_minor_formatter(FuncFormatter(_thousands if few else _unwritten))


def _within(tick: float, ends: Any) -> bool:
    return min(ends) <= tick <= max(ends)


def _thousands(value: float, _position: int) -> str:
    return f"{value:,.10g}".replace("-", MINUS)


def _unwritten(_value: float, _position: int) -> str:
    return ""


def _smaller(png: io.BytesIO) -> bytes:
    """The PNG with a palette: a quarter of the bytes, which Dagster keeps in its event log for every report."""
    from PIL import Image

    small = io.BytesIO()
    with Image.open(png) as image:
        image.convert("RGB").quantize(PNG_COLOURS).save(small, format="PNG", optimize=True)
    return small.getvalue()


@contextmanager
def _no_glyph_warnings() -> Iterator[None]:
    # The PNG's font lacks some scripts; the page's SVG shows them, so a warning per letter helps nobody.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
