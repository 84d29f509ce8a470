"""A report as one HTML file that needs nothing else: no network, no scripts, its pictures within it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from isvs_jax.robustness.evaluation._markdown import provenance_sections, sections_of
from isvs_jax.robustness.evaluation._summary import Statistic, summary
from isvs_jax.robustness.evaluation.html_figures import curve_figure, example_figures, heat_map_table
from isvs_jax.robustness.evaluation.normaliser import Normaliser
from isvs_jax.robustness.evaluation.report import Report, check_report
from isvs_jax.robustness.text import interval, norm_name, percent

HTML = "report.html"

# The colours of both schemes by name; a heat map keeps its own.
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5c6470; --paper: #ffffff; --card: #f4f6f8; --rule: #d5dae0;
  --line: #0072b2; --band: #0072b233; --warn: #fff3d6; --warn-ink: #6b4a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3ad; --paper: #15181c; --card: #1f242a;
  --rule: #3a424b; --line: #56b4e9; --band: #56b4e933; --warn: #3a2f14; --warn-ink: #f2d48a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; } h2 { margin-top: 2.5rem; font-size: 1.25rem; }
h3 { font-size: 1.05rem; }
p, li { overflow-wrap: anywhere; max-width: 48rem; } li { margin: 0.2rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 0.75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border-radius: 0.5rem; padding: 0.7rem 0.9rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; } .tile small { color: var(--soft); display: block; }
.warning { background: var(--warn); color: var(--warn-ink); border-radius: 0.4rem; padding: 0.5rem 0.8rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); z-index: 1; }
th { color: var(--soft); font-weight: 600; }
table.heat td.cell { position: relative; min-width: 3.4rem; border: 1px solid var(--paper); text-align: center;
  padding: 0.35rem 0.4rem; }
table.heat td.cell:hover, table.heat td.cell:focus { outline: 2px solid var(--ink); outline-offset: -2px; }
table.heat td.cell span { display: none; position: absolute; z-index: 2; left: 50%; top: 100%; translate: -50% 0.2rem;
  background: var(--ink); color: var(--paper); padding: 0.35rem 0.6rem; border-radius: 0.3rem; font-size: 0.8rem;
  white-space: pre; text-align: left; pointer-events: none; }
table.heat td.cell:nth-last-child(-n+3) span { left: auto; right: 0; translate: 0 0.2rem; }
table.heat td.cell:hover span, table.heat td.cell:focus span { display: block; }
table.heat { margin-bottom: 3.5rem; }
svg { width: 100%; max-width: 40rem; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 12px; } svg .axis { stroke: var(--rule); } svg .chance { stroke: var(--soft); }
svg .line { stroke: var(--line); fill: none; stroke-width: 2; } svg .band { fill: var(--band); }
svg circle { fill: var(--line); }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); gap: 1rem; }
.example { background: var(--card); border-radius: 0.5rem; padding: 0.8rem; }
.example .row { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.5rem; }
figure { margin: 0; } figcaption { font-size: 0.75rem; line-height: 1.3; color: var(--soft); overflow-wrap: anywhere; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; display: block; }
.wrong { color: #b3261e; font-weight: 600; } .right { color: #1a7f37; font-weight: 600; }
@media (prefers-color-scheme: dark) { .wrong { color: #ff8a80; } .right { color: #6fdc8c; } }
code { background: var(--card); border-radius: 0.2rem; padding: 0 0.2rem; font-size: 0.9em; }
"""


def html_page(report: Report, normaliser: Normaliser | None = None) -> str:
    """The whole report as an HTML page.

    The sections are those of `markdown`. The table of corruptions is a heat map that shows every cell's interval where
    it is pointed at, and ε-curves and examples are drawn within the page.

    Args:
        report: The report.
        normaliser: The network whose errors mCE divides by.

    Returns:
        The page, which refers to nothing outside of it.
    """
    check_report(report)
    title = f"Robustness of {report.name}"
    body = [f"<h1>{html.escape(title)}</h1>", _tiles(summary(report, normaliser))]
    curves = {f"### ε-curve, {norm_name(curve.norm)}": curve_figure(curve) for curve in report.curves}
    for section in sections_of(report, normaliser):
        body.append(heat_map_table(report) if section.startswith("| corruption ") else _block(section))
        if section in curves:
            body.append(curves[section])
    body += example_figures(report)
    body += [_block(section) for section in provenance_sections(report)]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    inner = "\n".join(body)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body><main>\n{inner}\n</main></body></html>\n'


def _tiles(figures: Sequence[Statistic]) -> str:
    """The figures that a reader looks for first."""
    shown = [entry for entry in figures if entry.label in ("clean", "all corruptions", "mCE", "low resolution, mean")]
    shown += [entry for entry in figures if entry.label.startswith("robust")]
    tiles = []
    for entry in shown:
        warned = f", {len(entry.warnings)} warnings" if entry.warnings else ""
        tiles.append(
            f'<div class="tile">{html.escape(entry.label)}<b>{percent(entry.value)}%</b>'
            f"<small>{interval(entry.interval)}{warned}</small></div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _block(section: str) -> str:
    """One heading, table, list or paragraph of our own Markdown."""
    if section.startswith("#"):
        marks, _, text = section.partition(" ")
        return f"<h{len(marks)}>{_inline(text)}</h{len(marks)}>"
    if section.startswith("|"):
        return _table(section)
    if section.startswith("- "):
        return f"<ul>{''.join(f'<li>{_inline(line[2:])}</li>' for line in section.splitlines())}</ul>"
    kind = ' class="warning"' if section.startswith("**Warning**") else ""
    return f"<p{kind}>{_inline(section)}</p>"


def _table(section: str) -> str:
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()]
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in header)
    lines = "".join(f"<tr>{''.join(f'<td>{_inline(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _inline(text: str) -> str:
    """Bold and code; everything else as it stands."""
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
