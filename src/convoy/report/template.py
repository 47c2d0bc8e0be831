"""The page's frame as a Jinja template; in a module, so that it is found wherever the package is."""

PAGE = """\
{% macro colours(theme) -%}
--paper: {{ theme.paper }}; --ink: {{ theme.ink }}; --muted: {{ theme.muted }}; --grid: {{ theme.grid }};
--accent: {{ theme.series[0] }};
{%- endmacro %}
{% macro kind(index, words) %}{% if index <= words %} class="words"{% endif %}{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<style>
:root { {{ colours(light) }} }
@media (prefers-color-scheme: dark) { :root { {{ colours(dark) }} } }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
main { max-width: 50rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.55rem, 5.2vw, 2.2rem); line-height: 1.2; margin: 0 0 1.1rem; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 3rem 0 0.6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 0; }
p { margin: 0 0 0.9rem; }
.lead p:first-child { font-size: 1.12em; }
.lead { border-left: 4px solid var(--accent); padding-left: 1.1rem; }
section > p { color: var(--muted); font-size: 0.95rem; }
.scroll { overflow-x: auto; margin: 0.8rem 0 1.2rem; }
img { display: block; width: 100%; max-width: 40rem; height: auto; border-radius: 4px; }
.wide { width: max(100%, min(var(--width), 100vw - 2.5rem)); margin-left: 50%; transform: translateX(-50%); }
.wide img { width: var(--width); max-width: none; min-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.45rem 0.6rem; border-bottom: 1px solid var(--grid); text-align: right; }
th, td { overflow-wrap: normal; }
th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
td { white-space: pre; line-height: 1.45; }
td.words, th.words { text-align: left; }
td.words { white-space: normal; min-width: 8rem; overflow-wrap: anywhere; }
tbody tr:hover { background: var(--grid); }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 700; margin: 3rem 0 0.6rem; }
@media print { details > *, details::details-content { display: block; content-visibility: visible; } }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<div class="lead">
{% for sentence in lead %}
<p>{{ sentence }}</p>
{% endfor %}
</div>
{% for section in sections %}
<section>
{% if section.folded %}
<details>
<summary>{{ section.heading }}</summary>
{% else %}
<h2>{{ section.heading }}</h2>
{% endif %}
{% for paragraph in section.paragraphs %}
<p>{{ paragraph }}</p>
{% endfor %}
{% for picture in section.pictures %}
{% if picture.caption %}
<h3>{{ picture.caption }}</h3>
{% endif %}
{% if picture.wide %}
<div class="scroll wide" style="--width: {{ picture.width_px }}px"><picture>
{% else %}
<div class="scroll"><picture>
{% endif %}
<source media="(prefers-color-scheme: dark)" srcset="{{ picture.dark | data_uri }}">
<img src="{{ picture.light | data_uri }}" alt="{{ picture.alt }}">
</picture></div>
{% endfor %}
{% for table in section.tables %}
<div class="scroll"><table>
<thead><tr>
{% for cell in table.header %}
<th scope="col"{{ kind(loop.index, table.words) }}>{{ cell }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for cell in row %}<td{{ kind(loop.index, table.words) }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endfor %}
{% if section.folded %}
</details>
{% endif %}
</section>
{% endfor %}
</main>
</body>
</html>
"""
