/** What arrived over one path: Mbit/s in each step; undefined: there was no subflow. */
export interface Lane {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
}

export interface Timeline {
  readonly groups: readonly { readonly title: string; readonly lanes: readonly Lane[] }[];
  /** Milliseconds. */
  readonly step: number;
  readonly end: number;
  /** What was done to a path, from when to when. */
  readonly outage: readonly [number, number];
  readonly note: string;
  /** What the picture shows, for who cannot see it. */
  readonly about: string;
  readonly caption: string;
  /** Mbit/s at the full height of a lane. */
  readonly full: number;
}

const [LEFT, WIDTH, RIGHT] = [90, 620, 20];
const [LANE, GAP, TITLE, HEAD, FOOT] = [30, 8, 26, 44, 46];
/** An SVG: a lane each path, filled as high as what arrived in it; a line where there is a subflow. */
export function drawTimeline({ groups, step, end, outage, note, about, caption, full }: Timeline): string {
  const x = (time: number): number => round(LEFT + (time / end) * WIDTH);
  const parts: string[] = [];
  let top = HEAD;
  for (const { title, lanes } of groups) {
    parts.push(`<text x="${LEFT}" y="${top + 16}" class="title">${title}</text>`);
    top += TITLE;
    for (const lane of lanes) {
      parts.push(drawLane(lane, top, { step, x, full }));
      top += LANE + GAP;
    }
    top += GAP;
  }
  const [from, to] = outage;
  const height = top + FOOT;
  const back = [
    `<rect width="${LEFT + WIDTH + RIGHT}" height="${height}" fill="#fff"/>`,
    `<rect x="${x(from)}" y="${HEAD - 8}" width="${round(x(to) - x(from))}" height="${top - HEAD}" fill="#fbe3df"/>`,
    `<text x="${x(from) + 6}" y="${HEAD - 14}" class="note">${note}</text>`,
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${height}" role="img">`,
    `<title>${about}</title>`,
    "<style>text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.note{fill:#a33}.axis{fill:#777}</style>",
    ...back,
    ...parts,
    ...drawAxis(end, top, x),
    `<text x="${LEFT}" y="${height - 8}" class="axis">${caption}; a lane is ${full} Mbit/s high</text>`,
    "</svg>\n",
  ].join("\n");
}

interface Scale {
  readonly step: number;
  readonly x: (time: number) => number;
  readonly full: number;
}

function drawLane({ name, values }: Lane, top: number, { step, x, full }: Scale): string {
  const bottom = top + LANE;
  const y = (value: number): number => round(bottom - Math.min(1, value / full) * LANE);
  const parts = [`<text x="${LEFT - 10}" y="${bottom - 4}" text-anchor="end">${name}</text>`];
  for (const [from, to] of runs(values)) {
    const steps = values.slice(from, to) as number[];
    const points = steps.flatMap((value, n) => [
      `${x((from + n) * step)},${y(value)}`,
      `${x((from + n + 1) * step)},${y(value)}`,
    ]);
    parts.push(
      `<path d="M${x(from * step)},${bottom}L${points.join(" ")}L${x(to * step)},${bottom}Z" fill="#4a7fb5"/>`,
    );
    parts.push(`<path d="M${x(from * step)},${bottom}H${x(to * step)}" stroke="#1d4e80" stroke-width="2"/>`);
  }
  return parts.join("\n");
}

/** From where to where there are values, without a hole. */
function runs(values: readonly (number | undefined)[]): [number, number][] {
  const found: [number, number][] = [];
  for (const [index, value] of values.entries()) {
    const last = found.at(-1);
    if (value === undefined) continue;
    if (last?.[1] === index) last[1] = index + 1;
    else found.push([index, index + 1]);
  }
  return found;
}

function drawAxis(end: number, top: number, x: (time: number) => number): string[] {
  const seconds = Array.from({ length: end / 1000 + 1 }, (_, second) => second);
  return seconds.map(
    (second) => `<text x="${x(second * 1000)}" y="${top + 8}" class="axis" text-anchor="middle">${second} s</text>`,
  );
}

const round = (value: number): number => Math.round(value * 10) / 10;
