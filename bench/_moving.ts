/** Bits a second over each path at a moment of a run, and what the application has received. */
export interface Moment {
  /** Milliseconds since the transfer began. */
  readonly at: number;
  /** Bytes so far. */
  readonly wifi: number;
  readonly cellular: number;
}

/** One run of the demo. */
export interface Run {
  readonly title: string;
  readonly moments: readonly Moment[];
  /** Milliseconds since the transfer began: the cable, its return, the end. */
  readonly cut: number;
  readonly back: number;
  readonly end: number;
  /** When nothing arrived for how long. */
  readonly stalls: readonly { readonly start: number; readonly duration: number }[];
}

const [LEFT, WIDTH, RIGHT] = [92, 620, 28];
const [HEAD, TITLE, LANE, STRIP, GAP, FOOT] = [58, 24, 40, 10, 10, 48];
/** The full height of a lane. */
const FULL = 22e6;
/** Shorter waits are how packets of a slow link arrive. */
const SEEN = 100;
/** Each step of a lane. */
const STEP = 100;

const STYLE = `
svg{--paper:#fff;--ink:#17262b;--faint:#54656b;--path:#0b7285;--bad:#c92a2a;--outage:#fbe9e6}
@media(prefers-color-scheme:dark){svg{--paper:#0f1719;--ink:#e3ecee;--faint:#9db0b6;--path:#3bb0c9;--bad:#ff8787;--outage:#3a1f1f}}
text{font:13px system-ui,sans-serif;fill:var(--ink)}.t{font-weight:600}.f{fill:var(--faint);font-size:12px}.b{fill:var(--bad)}
.cover{opacity:0}.cover rect{fill:var(--paper)}
@media(prefers-reduced-motion:no-preference){.cover{animation:go VARs linear VARITER both}.say{animation:come VARs step-end VARITER both}}
@keyframes go{from{transform:translateX(0);opacity:1}VARSTOP%{transform:translateX(VARWIDTHpx);opacity:1}to{transform:translateX(VARWIDTHpx);opacity:0}}
`;
/** What was drawn stays so long before it is drawn again, and how often that happens: then it rests for good. */
const [REST, TIMES] = [5, 3];

/**
 * Two runs, one above the other, as an SVG that is drawn in the time that they took. For who wants no motion it stands still, and says the same.
 * @param caption what is to be seen, and of which commit
 */
export function drawMoving(runs: readonly Run[], caption: string): string {
  const longest = Math.ceil(Math.max(...runs.map(({ end }) => end)) / 1000);
  const seconds = longest + REST;
  const x = (at: number): number => round(LEFT + (at / (longest * 1000)) * WIDTH);
  const panel = TITLE + 2 * LANE + STRIP + 3 * GAP;
  const bottom = HEAD + runs.length * (panel + GAP);
  const [width, height] = [LEFT + WIDTH + RIGHT, bottom + FOOT];
  const shown: Shown = { x, seconds, keyframes: [] };
  const panels = runs.map((run, n) => drawPanel(run, HEAD + n * (panel + GAP), shown));
  const { cut, back } = runs[0]!;
  const band = `<rect x="${x(cut)}" y="${HEAD - 6}" width="${round(x(back) - x(cut))}" height="${bottom - HEAD}" fill="var(--outage)"/>`;
  const note = `<text x="${x(cut) + 6}" y="${HEAD - 14}" class="b">the cable of the Wi-Fi is out</text>`;
  const axis = Array.from({ length: Math.floor(longest / 2) + 1 }, (_, n) => n * 2).map(
    (second) => `<text x="${x(second * 1000)}" y="${bottom + 14}" class="f" text-anchor="middle">${second} s</text>`,
  );
  const cover = `<g class="cover"><rect x="${LEFT}" y="${HEAD - 28}" width="${WIDTH + RIGHT}" height="${bottom - HEAD + 24}"/><path d="M${LEFT} ${HEAD - 28}V${bottom - 6}" stroke="var(--faint)"/></g>`;
  const style = STYLE.replaceAll("VARs", `${seconds}s`)
    .replaceAll("VARITER", `${TIMES}`)
    .replaceAll("VARSTOP", `${round((longest / seconds) * 100)}`)
    .replaceAll("VARWIDTH", `${WIDTH}`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${about(runs)}</title>`,
    `<style>${style}${shown.keyframes.join("")}</style>`,
    `<rect width="${width}" height="${height}" rx="8" fill="var(--paper)"/>`,
    `<text x="16" y="24" class="t">A download over Wi-Fi, with cellular in reserve, in real time</text>`,
    `${band}${note}`,
    ...panels.map(({ under }) => under),
    cover,
    // A title and a verdict are not drawn over.
    ...panels.map(({ over }) => over),
    ...axis,
    `<text x="16" y="${height - 10}" class="f">${caption}</text>`,
    "</svg>\n",
  ].join("\n");
}

const about = (runs: readonly Run[]): string =>
  runs
    .map(
      (run) =>
        `${run.title}: with the cable of the Wi-Fi out, nothing arrives for ${wait(run)} ms, then all goes on over cellular`,
    )
    .join(". ");

/** The longest time without data that the cut led to. */
const wait = ({ stalls, cut, back }: Run): number =>
  Math.round(
    Math.max(
      0,
      ...stalls.filter(({ start, duration }) => start + duration > cut && start < back).map(({ duration }) => duration),
    ),
  );

interface Shown {
  readonly x: (at: number) => number;
  readonly seconds: number;
  readonly keyframes: string[];
}

function drawPanel(run: Run, top: number, shown: Shown): { readonly under: string; readonly over: string } {
  const { x } = shown;
  const lanes = (["wifi", "cellular"] as const).map((name, n) => {
    const base = top + TITLE + (n + 1) * LANE + n * GAP;
    return `<path d="${area(run, name, base, x)}" fill="var(--path)"/>`;
  });
  const strip = top + TITLE + 2 * LANE + 2 * GAP;
  const gaps = run.stalls
    .filter(({ duration }) => duration >= SEEN)
    .map(
      ({ start, duration }) =>
        `<rect x="${x(start)}" y="${strip}" width="${Math.max(1, round(x(start + duration) - x(start)))}" height="${STRIP}" fill="var(--bad)"/>`,
    );
  const whole = `<rect x="${x(0)}" y="${strip}" width="${round(x(run.end) - x(0))}" height="${STRIP}" fill="var(--path)" opacity=".45"/>`;
  const label = (text: string, y: number): string =>
    `<text x="${LEFT - 8}" y="${y}" class="f" text-anchor="end">${text}</text>`;
  const verdict = `nothing arrives for ${wait(run)} ms`;
  // Above the lanes, where nothing is covered: it comes when it is true.
  const id = `s${shown.keyframes.length}`;
  const percent = round(((run.cut / 1000 + wait(run) / 1000) / shown.seconds) * 100);
  shown.keyframes.push(`@keyframes ${id}{from{opacity:0}${percent}%,to{opacity:1}}`);
  return {
    under: [...lanes, whole, ...gaps].join("\n"),
    over: [
      `<text x="16" y="${top + 14}" class="t">${run.title}</text>`,
      label("Wi-Fi", top + TITLE + LANE - 4),
      label("cellular", top + TITLE + 2 * LANE + GAP - 4),
      label("application", strip + STRIP - 1),
      `<text x="${x(run.cut) + 6}" y="${top + 14}" class="b say" style="animation-name:${id}">${verdict}</text>`,
    ].join("\n"),
  };
}

/** What came over one path, in steps. */
function area({ moments, end }: Run, name: "wifi" | "cellular", base: number, x: (at: number) => number): string {
  const points: string[] = [];
  for (let at = 0; at < end; at += STEP) {
    const rate = ((bytesAt(moments, name, at + STEP) - bytesAt(moments, name, at)) * 8000) / STEP;
    const y = round(base - Math.min(1, rate / FULL) * LANE);
    points.push(`L${x(at)} ${y}H${x(Math.min(end, at + STEP))}`);
  }
  return `M${x(0)} ${base}${points.join("")}V${base}Z`;
}

/** Between two moments it is as if bytes had come evenly. */
function bytesAt(moments: readonly Moment[], name: "wifi" | "cellular", at: number): number {
  const next = moments.findIndex((moment) => moment.at >= at);
  if (next === -1) return moments.at(-1)?.[name] ?? 0;
  const [before, after] = [moments[next - 1], moments[next]!];
  if (!before) return 0;
  return before[name] + ((after[name] - before[name]) * (at - before.at)) / (after.at - before.at || 1);
}

const round = (value: number): number => Math.round(value * 10) / 10;
