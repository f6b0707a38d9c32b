"""The compliance report as files: CSV for spreadsheets, PDF by typst from its template beside this module."""

from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import typst

from dashboards.compliance import Report, flat_rows, shown
from dashboards.export import csv_bytes
from dashboards.marks import visible

TEMPLATE: Final = Path(__file__).with_name("compliance_report.typ")
ROWS_PER_SECTION_MAX: Final = 500  # of the PDF, a document for people; the CSV has them all


def report_csv(report: Report) -> bytes:
    """Return the report as CSV, one value a row."""
    return csv_bytes(pa.Table.from_pylist(flat_rows(report)))


def report_pdf(report: Report) -> bytes:
    """Return the report as PDF. Its texts travel as data, so nothing in them is typst's language; no font but typst's own is used."""
    sections = [
        {
            "title": section.title,
            "question": section.question,
            "headings": section.headings,
            "rows": [[visible(shown(cell)) for cell in row] for row in section.rows[:ROWS_PER_SECTION_MAX]],
            "left_out": max(len(section.rows) - ROWS_PER_SECTION_MAX, 0),
            "absent": section.absent,
            "numbers": section.numbers,
        }
        for section in report.sections
    ]
    data = {
        "project": visible(report.project_id),
        "name": visible(report.project_name),
        "mode": report.mode,
        "from": f"{report.from_at:%Y-%m-%d %H:%M}",
        "until": f"{report.until_at:%Y-%m-%d %H:%M}",
        "made_at": f"{report.made_at:%Y-%m-%d %H:%M:%S}",
        "made_by": visible(report.made_by),
        "ledger_version": report.ledger_version,
        "figures": [(name, shown(value), note) for name, value, note in report.figures],
        "sections": sections,
    }
    pdf: bytes = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        format="pdf",
        sys_inputs={"report": msgspec.json.encode(data).decode()},
        ignore_system_fonts=True,
        timestamp=int(report.made_at.timestamp()),
    )
    return pdf
