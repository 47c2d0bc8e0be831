"""Data Docs as one HTML page: Great Expectations' own renderers in a frame that needs no network.

Great Expectations' own page contains the time, a run id and random element ids, and loads its styles, icons
and scripts from eight hosts. A stage's output has to be reproducible byte for byte and readable offline: here
its renderers make the sections, and the page around them is our own template.
"""

import html
import itertools
from collections.abc import Sequence
from typing import Any

from jinja2 import ChoiceLoader, DictLoader, PackageLoader

from convoy.quality.expectations import Answer, quiet_import
from convoy.quality.verdict import Verdict

FRAME = "frame.html"


def render(title: str, verdict: Verdict, answers: Sequence[Answer]) -> str:
    """Return the page for the results of a gate; equal results give the same bytes."""
    with quiet_import():
        from great_expectations.core import ExpectationSuiteValidationResult
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
        from great_expectations.render.view.view import DefaultJinjaPageView

    for answer in answers:
        _make_safe(answer)
    held = sum(answer.result.success for answer in answers)
    results = ExpectationSuiteValidationResult(
        success=verdict.success,
        results=[answer.result for answer in answers],
        suite_name=title,
        statistics={
            "evaluated_expectations": len(answers),
            "successful_expectations": held,
            "unsuccessful_expectations": len(answers) - held,
            "success_percent": 100.0 * held / len(answers),
        },
        meta={},  # would hold times, run ids and the data's fingerprint
    )
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(results)
    document.sections = _in_order(document.sections, answers)
    _name_passes(document.sections)
    view = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader(
        [DictLoader({FRAME: PAGE}), PackageLoader("great_expectations", "render/view/templates")]
    )
    numbers = itertools.count(1)
    view.env.filters["generate_html_element_uuid"] = lambda prefix: f"{prefix}{next(numbers)}"
    page = view.render(document, template=FRAME, page_name=title, verdict=verdict, style=STYLE)
    # The renderers write thousands of trailing blanks.
    return "\n".join(line.rstrip() for line in page.splitlines() if line.strip()) + "\n"


def _make_safe(answer: Answer) -> None:
    """Escape and shorten values of the data, which the table renderer writes as they are."""
    details = answer.result.result
    if "partial_unexpected_list" in details:
        details["partial_unexpected_list"] = [html.escape(str(example)) for example in answer.examples]
        details["partial_unexpected_counts"] = []
    config = answer.result.expectation_config
    severity = " <em>(a warning only)</em>" if answer.rule.warns else ""
    # The renderer takes `$name` for a place-holder.
    config.description = html.escape(answer.rule.words, quote=False).replace("$", "$$") + severity


def _in_order(sections: Sequence[Any], answers: Sequence[Answer]) -> list[Any]:
    """The statistics, then the columns in the order of the rules; no run info, no links to other pages."""
    overview, *others = sections
    overview.content_blocks = overview.content_blocks[1:]
    named = {section.section_name: section for section in others}
    table_level = [section for name, section in named.items() if name.startswith("Table-Level")]
    columns = dict.fromkeys(answer.rule.column for answer in answers if answer.rule.column is not None)
    return [overview, *table_level, *(named[column] for column in columns)]


def _name_passes(sections: Sequence[Any]) -> None:
    """Write `% pass` for `% null`: the columns expected to be null hold faults of a row, null where none."""
    for section in sections:
        for block in section.content_blocks:
            for row in getattr(block, "table", None) or ():
                if isinstance(row[-1], str):
                    row[-1] = row[-1].replace("% null", "% pass")


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page_name|e }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<header>
<h1>{{ page_name|e }}</h1>
<p class="{{ 'passed' if verdict.success else 'failed' }}">
{{ 'Passed' if verdict.success else 'FAILED' }}: {{ verdict.expectations }} expectations
on {{ '{:,}'.format(verdict.items) }} {{ verdict.unit }};
{{ verdict.failures|length }} failed, {{ verdict.warnings|length }} warned.</p>
<ul>
{% for finding in verdict.failures %}
<li class="failed">Failed: {{ finding.words|e }}; found {{ finding.found|e }}.</li>
{% endfor %}
{% for finding in verdict.warnings %}
<li class="warned">Warning: {{ finding.words|e }}; found {{ finding.found|e }}.</li>
{% endfor %}
</ul>
<nav>{% for section in sections %}<a href="#section-{{ loop.index }}">{{ section.section_name|e }}</a>
{% endfor %}</nav>
</header>
<main>
{% for section in sections %}{% set section_loop = loop %}{% include 'section.j2' %}{% endfor %}
</main>
<footer>Data Docs by Great Expectations {{ ge_version }}</footer>
</body>
</html>
"""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #f5f7fa; margin: 0 auto;
  max-width: 62rem; padding: 1rem 1.5rem 3rem }
h1 { font-size: 1.5rem; margin: .5rem 0 } h5, h6 { font-size: 1rem; margin: 0 }
header ul { padding-left: 1.2rem; margin: .5rem 0 }
.passed { color: #16653a; font-weight: 600 } .failed { color: #b42318; font-weight: 600 }
.warned { color: #8a5a00 }
nav a { display: inline-block; margin: 0 .9rem .3rem 0 } a { color: #0b5cad }
.ge-section { background: #fff; border: 1px solid #dde3ea; border-radius: 6px; margin: 1rem 0;
  padding: .8rem 1.1rem }
.alert { padding-bottom: .4rem }
table { border-collapse: collapse; width: 100%; margin: .3rem 0 } td, th { text-align: left;
  vertical-align: top; padding: .35rem .6rem .35rem 0 }
.table > tbody > tr + tr > td { border-top: 1px solid #e8edf2 }
.table > thead th { font-size: .8rem; color: #52606d; border-bottom: 2px solid #dde3ea }
.table > tbody > tr > td:first-child { width: 3.2rem }
.table-sm > tbody > tr > td:first-child { width: 16rem }
.table > tbody > tr > td:nth-child(3) { width: 13rem; overflow-wrap: anywhere }
.table-bordered { font: 13px/1.4 ui-monospace, monospace; background: #f5f7fa; overflow-wrap: anywhere }
.table-bordered td, .table-bordered th { padding: .15rem .5rem }
i.fas { font-style: normal; font-weight: 700 }
.fa-check-circle::before { content: "\\2713"; color: #16653a }
.fa-times::before { content: "\\2717"; color: #b42318 }
.fa-exclamation-triangle::before { content: "!"; color: #8a5a00 }
.text-danger { color: #b42318 } em { color: #8a5a00; font-style: normal }
footer { color: #52606d; font-size: .85rem }
"""
