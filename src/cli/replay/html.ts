import { errnoText, type Millis, type Token } from "../../types/index.ts";
import { formatToken } from "../words.ts";
import type { Compared } from "./compared.ts";
import type { Lanes, Span } from "./lanes.ts";
import type { Row, SideBySide } from "./side-by-side.ts";
import { clock, ESTIMATED, seconds } from "./text.ts";

/** Rows of the table; a page with more is slow to scroll. */
const ROWS_MAX = 2000;
const TITLE_MAX = 200;
/** Of the picture, in its own units. */
const WIDTH = 1000;
const LABEL = 260;
const LANE = 16;

const STYLE = `
:root{color-scheme:light dark;--fg:#1c2530;--dim:#66707c;--bg:#fff;--line:#d5dae0;--then:#b35c00;--now:#00699e;--both:#3f7d3f;--bad:#c2202f}
@media(prefers-color-scheme:dark){:root{--fg:#e2e6ea;--dim:#98a2ad;--bg:#14181d;--line:#353c45;--then:#f0a04b;--now:#5cb8ea;--both:#7fc37f;--bad:#ff6b78}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:2rem auto;max-width:70rem;padding:0 1rem}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}h3{font-size:1rem;margin:1.2rem 0 .2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}code{font:13px ui-monospace,monospace}
.then{color:var(--then)}.now{color:var(--now)}.both{color:var(--both)}.bad{color:var(--bad)}.dim{color:var(--dim)}
.wide{overflow-x:auto}svg{width:100%;min-width:40rem;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--fg)}svg .axis{stroke:var(--line)}
svg rect.done{fill:var(--then)}svg rect.planned{fill:var(--now)}svg rect.both{fill:var(--both)}svg .lost{stroke:var(--bad);stroke-width:2}
`;

/** What may be wider than a phone scrolls by itself, by keyboard too. */
const wideBegin = (label: string): string => `<div class="wide" tabindex="0" role="group" aria-label="${label}">`;

/** A page that needs nothing else: no script, nothing from elsewhere. */
export function page(file: string, compared: Compared, side: SideBySide | undefined, what: string): string {
  const { lives, player } = compared;
  const [from, to] = [lives[0]?.from ?? 0, Math.max(lives[0]?.from ?? 0, ...lives.map((life) => life.to))];
  const { events, facts, differences, unsure } = player.played;
  const verdict =
    differences - unsure === 0
      ? '<p class="both">This version plans every action as it was done.</p>'
      : `<p class="bad">${differences - unsure} times this version plans otherwise than was done.</p>`;
  const body = [
    `<h1>${escaped(file)}</h1>`,
    `<p>${escaped(clock(from))}, ${seconds(to - from)}; ${events} events of connections, ${facts} facts of the host.</p>`,
    verdict,
    side ? otherwise(side, from, to, what) : pictures({ done: compared.lanes, planned: undefined }, from, to),
    storyTable(compared, from),
  ];
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escaped(file.slice(0, TITLE_MAX))}</title><style>${STYLE}</style></head>
<body><main>
${body.join("\n")}
</main></body></html>
`;
}

function otherwise(side: SideBySide, from: Millis, to: Millis, what: string): string {
  const counts = Object.entries(side.counts).map(
    ([type, { done, planned }]) =>
      `<tr><td>${escaped(type)}</td><td class="n">${done}</td><td class="n">${planned}</td></tr>`,
  );
  const rows = side.rows.slice(0, ROWS_MAX).map((row) => sideRow(row, from));
  const more = side.rows.length + side.more - rows.length;
  return [
    `<h2>Then, and with ${escaped(what)}</h2><p class="dim">${escaped(ESTIMATED)}</p>`,
    pictures(side.lanes, from, to),
    `<h2>What was asked of the kernel</h2>${wideBegin("What was asked of the kernel")}<table><thead><tr><th scope="col">what</th><th scope="col">then</th><th scope="col">now</th></tr></thead>`,
    `<tbody>${counts.join("")}</tbody></table></div>`,
    `<h2>Side by side</h2>${wideBegin("Side by side")}<table><thead><tr><th scope="col">time</th><th scope="col">connection</th><th scope="col">then</th><th scope="col">now</th></tr></thead>`,
    `<tbody>${rows.join("\n")}</tbody></table></div>${rest(more)}`,
  ].join("\n");
}

function sideRow({ time, token, done, planned }: Row, from: Millis): string {
  const kind = done && planned ? "both" : done ? "then" : "now";
  const cell = (words: string | undefined): string => `<td class="${kind}">${escaped(words ?? "")}</td>`;
  return `<tr><td class="n">${seconds(time - from)}</td><td><code>${nameOf(token)}</code></td>${cell(done)}${cell(planned)}</tr>`;
}

function storyTable({ story, untold }: Compared, from: Millis): string {
  const rows = story.slice(0, ROWS_MAX).map(({ time, token, kind, words }) => {
    const colour = kind === "event" ? "" : ' class="both"';
    return `<tr><td class="n">${seconds(time - from)}</td><td><code>${nameOf(token)}</code></td><td${colour}>${escaped(words)}</td></tr>`;
  });
  return [
    `<h2>What happened, and what was done</h2>${wideBegin("What happened")}<table><thead><tr><th scope="col">time</th><th scope="col">connection</th><th scope="col">what</th></tr></thead>`,
    `<tbody>${rows.join("\n")}</tbody></table></div>${rest(story.length + untold - rows.length)}`,
  ].join("\n");
}

interface Drawn {
  readonly done: Lanes;
  /** undefined: nothing was played otherwise. */
  readonly planned: Lanes | undefined;
}

function pictures({ done, planned }: Drawn, from: Millis, to: Millis): string {
  const tokens = [...new Set([...done.connections.keys(), ...(planned?.connections.keys() ?? [])])];
  const shown = tokens.map((token) => picture(token, done, planned, from, to));
  return `<h2>Subflows over time</h2>${shown.join("\n")}${rest(Math.max(done.more, planned?.more ?? 0))}`;
}

/** A line for each pair of addresses: above then, below now. */
function picture(token: Token, done: Lanes, planned: Lanes | undefined, from: Millis, to: Millis): string {
  const spans = { done: done.connections.get(token) ?? [], planned: planned?.connections.get(token) ?? [] };
  const ways = [...new Set([...spans.done, ...spans.planned].map(({ way }) => way))];
  const length = Math.max(1, to - from);
  const x = (time: Millis): number => LABEL + ((WIDTH - LABEL) * Math.min(length, Math.max(0, time - from))) / length;
  const height = ways.length * 2 * LANE + LANE + 8;
  const bar = (span: Span, side: "done" | "planned", y: number): string => {
    const [start, end] = [x(span.from), x(span.to ?? to)];
    const why = span.errno === undefined ? "" : `, ${errnoText(span.errno)}`;
    const text = `${side === "done" ? "then" : "now"}: ${span.way}, ${seconds(span.from - from)} to ${seconds((span.to ?? to) - from)}${why}`;
    const lost =
      span.errno === undefined
        ? ""
        : `<line class="lost" x1="${n(end)}" x2="${n(end)}" y1="${y - 1}" y2="${y + LANE - 5}"/>`;
    return `<rect class="${side}" x="${n(start)}" y="${y}" width="${n(Math.max(1, end - start))}" height="${LANE - 6}"><title>${escaped(text)}</title></rect>${lost}`;
  };
  const lanes = ways.flatMap((way, index) => {
    const y = 4 + index * 2 * LANE;
    const of = (side: "done" | "planned", top: number): string[] =>
      spans[side].filter((span) => span.way === way).map((span) => bar(span, side, top));
    return [`<text x="0" y="${y + LANE}">${escaped(way)}</text>`, ...of("done", y + 2), ...of("planned", y + LANE)];
  });
  const bottom = height - LANE;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = n(LABEL + (WIDTH - LABEL) * part);
    const anchor = part === 1 ? "end" : "middle";
    return `<line class="axis" x1="${at}" x2="${at}" y1="0" y2="${bottom}"/><text x="${at}" y="${height - 4}" text-anchor="${anchor}">${seconds(length * part)}</text>`;
  });
  const label = `Subflows of connection ${formatToken(token)}${planned ? ": then above, now below" : ""}`;
  const legend = planned ? ' <span class="then">then</span> <span class="now">now</span>' : "";
  return `<h3>Connection <code>${formatToken(token)}</code>${legend}</h3>${wideBegin(label)}<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${label}">${ticks.join("")}${lanes.join("")}</svg></div>`;
}

function n(value: number): string {
  return value.toFixed(1);
}

function rest(more: number): string {
  return more > 0 ? `<p class="dim">... and ${more} more</p>` : "";
}

function nameOf(token: Token | undefined): string {
  return token === undefined ? "host" : formatToken(token);
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
