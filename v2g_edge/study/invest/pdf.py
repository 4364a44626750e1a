"""The report as a PDF, with reportlab (the extra ``studies``). The same study gives the same bytes."""

import html
import io
from typing import Any, Final

from reportlab.graphics.shapes import Drawing, Polygon, PolyLine, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from v2g_edge.study.invest.chart import HEIGHT, WIDTH, Chart
from v2g_edge.study.invest.report import Part, parts_of
from v2g_edge.study.invest.study import Study

PAGE_WIDTH: Final = A4[0] - 36 * mm
SCALE: Final = PAGE_WIDTH / WIDTH
GRID: Final = TableStyle(
    [
        ("FONTSIZE", (0, 0), (-1, -1), 7),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey),
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("ALIGN", (2, 0), (-1, -1), "RIGHT"),
    ]
)
TOLD: Final = TableStyle([*GRID.getCommands()[:-1], ("VALIGN", (0, 0), (-1, -1), "TOP")])
"""A table of words."""
CELL: Final = ParagraphStyle("cell", fontSize=7, leading=8.5)


def pdf(study: Study) -> bytes:
    """The whole report."""
    sink = io.BytesIO()
    document = SimpleDocTemplate(
        sink, pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, title=study.assumptions.name, invariant=1
    )
    styles = getSampleStyleSheet()
    story: list[Any] = [Paragraph(_plain(f"{study.assumptions.name}: does it pay?"), styles["Title"])]
    for part in parts_of(study):
        story += _flow(part, styles)
    document.build(story, onFirstPage=_number, onLaterPages=_number)
    return sink.getvalue()


def _flow(part: Part, styles: Any) -> list[Any]:
    head: list[Any] = [Paragraph(_plain(part.title), styles["Heading2"])]
    head += [Paragraph(_plain(text), styles["BodyText"]) for text in part.texts]
    head += [_drawing(chart) for chart in part.charts]
    flow: list[Any] = [KeepTogether(head)]
    if part.rows:
        flow.append(pdf_table(part))
    return [*flow, Spacer(1, 4 * mm)]


def pdf_table(part: Part) -> Table:
    """The table of a part; cells of words break."""
    if not part.shares:
        rows: list[list[Any]] = [[_latin(cell) for cell in row] for row in part.rows]
        return Table(rows, style=GRID, repeatRows=1, hAlign="LEFT")
    head, *body = part.rows
    cells = [list(head), *([Paragraph(_plain(cell), CELL) for cell in row] for row in body)]
    widths = [share * PAGE_WIDTH for share in part.shares]
    return Table(cells, colWidths=widths, style=TOLD, repeatRows=1, hAlign="LEFT")


def _number(canvas: Any, document: Any) -> None:
    """The page's number at its foot."""
    canvas.setFont("Helvetica", 7)
    canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, str(document.page))


def _plain(text: str) -> str:
    return html.escape(_latin(text))


def _latin(text: str) -> str:
    """The standard fonts of a PDF know no minus sign."""
    return text.replace("−", "-")


def _drawing(chart: Chart) -> Drawing:
    drawing = Drawing(PAGE_WIDTH, HEIGHT * SCALE)
    for shape in chart.shapes:
        colour = colors.HexColor(shape.colour)
        points = [value for x, y in shape.points for value in (x * SCALE, (HEIGHT - y) * SCALE)]
        if shape.kind == "line":
            drawing.add(PolyLine(points, strokeColor=colour, strokeWidth=0.9))
        elif shape.kind == "area":
            soft = colors.Color(colour.red, colour.green, colour.blue, alpha=0.25)
            drawing.add(Polygon(points, fillColor=soft, strokeColor=None))
        else:
            text = String(points[0], points[1], _latin(shape.text), fontSize=8, fillColor=colour)
            text.textAnchor = shape.anchor
            drawing.add(text)
    return drawing
