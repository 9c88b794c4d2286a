# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the page looks: in light and dark, on a phone and on paper. Texts have a contrast of 4.5 to 1."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --panel: #f4f6f8; --text: #1b2430; --soft: #55616f; --line: #d5dbe1;
  --ok: #14713d; --warning: #8a5200; --critical: #b3202a; --unknown: #6b3fa0;
  --a: #1f6fd0; --b: #c2570c; --c: #1a7f5a; --d: #8b3fc7; --e: #b02a63; --f: #5d6d12; --g: #0f7c8c; --h: #7a5230;
  --grey: #6b7683;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --back: #12171d; --panel: #1b222b; --text: #e5eaf0; --soft: #a3aebb; --line: #36414d;
    --ok: #5fd08d; --warning: #f0b04c; --critical: #ff8a8a; --unknown: #c6a2f5;
    --a: #6cb0ff; --b: #ff9d57; --c: #54d3a0; --d: #c795f7; --e: #ff8fb8; --f: #c3d15a; --g: #5fd0df; --h: #d3a67c;
    --grey: #97a3b0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 75rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei",
    "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif;
}
h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .6rem; font-size: 1.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { margin: 1.2rem 0 .3rem; font-size: 1rem; }
header { display: grid; grid-template-columns: 1fr auto; gap: .3rem 1rem; align-items: center; }
.facts { grid-column: 1 / -1; margin: 0; color: var(--soft); display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; }
.verdict { margin: 0; padding: .25rem .9rem; border-radius: 1rem; border: 2px solid currentcolor; font-weight: 700; }
.ok { color: var(--ok); } .warning { color: var(--warning); }
.critical { color: var(--critical); } .unknown { color: var(--unknown); }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(max(9.5rem, 22%), 1fr)); gap: .7rem; margin: 0;
}
.tile {
  background: var(--panel); border-radius: .5rem; padding: .6rem .8rem; border-inline-start: .3rem solid var(--line);
}
.tile.ok { border-color: var(--ok); } .tile.warning { border-color: var(--warning); }
.tile dt { color: var(--soft); font-size: .85rem; }
.tile dd { margin: 0; color: var(--text); }
.tile .value { font-size: clamp(1.05rem, 4.5vw, 1.35rem); font-weight: 650; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: .85rem; }
.tile dd.note { color: var(--soft); }
.wrong { list-style: none; margin: 0; padding: 0; }
.wrong li { padding: .45rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.badge {
  border: 1px solid currentcolor; border-radius: .6rem; padding: 0 .5rem; font-size: .8rem; white-space: nowrap;
}
.badge.a { color: var(--a); } .badge.b { color: var(--b); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem 1.2rem; }
figure { margin: 0; min-width: 0; }
figcaption { color: var(--soft); font-size: .85rem; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11px; }
svg .axis.x text { text-anchor: middle; }
svg .axis.y text { text-anchor: end; }
svg .background { fill: none; }
svg .axis path, svg .guide.line { stroke: var(--line); stroke-width: .7; fill: none; }
svg .series .line { stroke: var(--look); stroke-width: 1.5; fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg .series .dot { fill: var(--look); }
svg .look-limit .line { stroke-dasharray: 5 4; stroke-width: 1.3; }
.legend { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .85rem; }
.legend li::before {
  content: ""; display: inline-block; width: 1.1rem; margin-inline-end: .35rem; vertical-align: middle;
  border-top: .2rem solid var(--look);
}
.legend li.look-limit::before { border-top-style: dashed; }
.look-a { --look: var(--a); } .look-b { --look: var(--b); } .look-c { --look: var(--c); } .look-d { --look: var(--d); }
.look-e { --look: var(--e); } .look-f { --look: var(--f); } .look-g { --look: var(--g); } .look-h { --look: var(--h); }
.look-grey { --look: var(--grey); } .look-warning { --look: var(--warning); }
.look-critical, .look-limit { --look: var(--critical); }
table { width: 100%; border-collapse: collapse; margin-top: .6rem; font-size: .9rem; }
caption { text-align: start; color: var(--soft); font-size: .85rem; }
th, td { text-align: start; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.number { font-variant-numeric: tabular-nums; }
.text { overflow-wrap: anywhere; }
summary { cursor: pointer; }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) {
  .pair { grid-template-columns: 1fr; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  table, caption, tbody, tr, td { display: block; }
  tr { padding: .4rem 0; border-bottom: 1px solid var(--line); }
  td { padding: .05rem 0; border: 0; }
}
@media print {
  :root { color-scheme: light; --panel: #ffffff; --text: #000000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .tile { border: 1px solid var(--line); border-inline-start-width: .3rem; }
  article, figure, tr, .tile { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
"""
