# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page, for Jinja with autoescape. `t` are texts; what is marked safe are drawings alone."""

from __future__ import annotations

PAGE = """{% macro happenings(caption, rows) %}
<table>
<caption>{{ t(caption, n=rows | length) }}</caption>
<thead><tr><th scope="col">{{ t("column_time") }}</th><th scope="col">{{ t("column_what") }}</th>
<th scope="col">{{ t("column_details") }}</th></tr></thead>
<tbody>
{% for row in rows %}
<tr><td class="time">{{ row.time }}</td>
<td><span class="badge {{ row.look }}">{{ row.kind }}</span> {{ row.name }}
{% if row.lasted %}<span class="note">({{ row.lasted }})</span>{% endif %}</td>
<td class="text">{{ row.message }}</td></tr>
{% endfor %}
</tbody>
</table>
{% endmacro %}<!doctype html>
<html lang="{{ lang }}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ t("title") }}: {{ t(verdict) }}</title>
<style>{{ style }}</style>
</head>
<body>
<header>
<h1>{{ t("title") }}</h1>
<p class="verdict {{ level }}">{{ t(verdict) }}</p>
<p class="facts">{% for line in head %}<span>{{ line }}</span>{% endfor %}</p>
</header>
<main>
<section aria-labelledby="figures">
<h2 id="figures">{{ t("figures") }}</h2>
<dl class="tiles">
{% for tile in tiles %}
<div class="tile {{ tile.level }}"><dt>{{ tile.name }}</dt><dd class="value">{{ tile.value }}</dd>
{% for note in tile.notes %}<dd class="note">{{ note }}</dd>{% endfor %}
</div>
{% endfor %}
</dl>
</section>
<section aria-labelledby="wrong">
<h2 id="wrong">{{ t("wrong") }}</h2>
{% if wrong %}
<ul class="wrong">
{% for item in wrong %}
<li><span class="badge {{ item.status }}">{{ t("status_" ~ item.status) }}</span>
<strong>{{ item.name }}</strong> {{ item.message }}</li>
{% endfor %}
</ul>
{% else %}
<p>{{ t("nothing_wrong") }}</p>
{% endif %}
</section>
<section aria-labelledby="happened">
<h2 id="happened">{{ t("happened") }}</h2>
{% if latest %}
<div class="pair">
{% for figure in strips %}
<figure><figcaption>{{ figure.caption }}</figcaption>{{ figure.drawing }}</figure>
{% endfor %}
</div>
{{ happenings("latest", latest[:shown]) }}
{% if latest | length > shown %}
<details>
<summary>{{ t("earlier", n=latest | length - shown) }}</summary>
{{ happenings("earlier", latest[shown:]) }}
</details>
{% endif %}
{% else %}
<p>{{ t("nothing_happened") }}</p>
{% endif %}
</section>
{% if plots %}
<section aria-labelledby="plots">
<h2 id="plots">{{ t("plots") }}</h2>
{% for plot in plots %}
<article>
<h3>{{ plot.title }}</h3>
<div class="pair">
{% for figure in plot.figures %}
<figure>
<figcaption>{{ figure.caption }}</figcaption>
{{ figure.drawing }}
<ul class="legend">
{% for entry in figure.legend %}<li class="look-{{ entry.look }}">{{ entry.text }}</li>{% endfor %}
</ul>
</figure>
{% endfor %}
</div>
</article>
{% endfor %}
</section>
{% endif %}
{% if database %}
<section aria-labelledby="database">
<h2 id="database">{{ t("database") }}</h2>
<table>
<thead><tr><th scope="col">{{ t("column_status") }}</th><th scope="col">{{ t("column_what") }}</th>
<th scope="col">{{ t("column_seen") }}</th><th scope="col">{{ t("column_details") }}</th></tr></thead>
<tbody>
{% for row in database %}
<tr><td><span class="badge {{ row.status }}">{{ t("status_" ~ row.status) }}</span></td><td>{{ row.name }}</td>
<td class="time">{{ row.seen }}</td><td class="text">{{ row.message }}</td></tr>
{% endfor %}
</tbody>
</table>
</section>
{% endif %}
{% if findings %}
<section>
<details>
<summary>{{ t("all_checks", n=findings | length) }}</summary>
<table>
<thead><tr><th scope="col">{{ t("column_status") }}</th><th scope="col">{{ t("column_check") }}</th>
<th scope="col">{{ t("column_value") }}</th><th scope="col">{{ t("column_details") }}</th></tr></thead>
<tbody>
{% for row in findings %}
<tr><td><span class="badge {{ row.status }}">{{ t("status_" ~ row.status) }}</span></td><td>{{ row.name }}</td>
<td class="number">{{ row.value }}</td><td class="text">{{ row.message }}</td></tr>
{% endfor %}
</tbody>
</table>
</details>
</section>
{% endif %}
</main>
<footer><p>{{ t("foot") }}</p></footer>
</body>
</html>
"""
