/** What was read of a daemon at one moment; undefined: it did not run. */
export interface Reading {
  /** Milliseconds since the beginning. */
  readonly at: number;
  readonly values: readonly number[] | undefined;
}

export interface Life {
  readonly lanes: readonly { readonly name: string; readonly unit: string }[];
  readonly readings: readonly Reading[];
  /** When a new daemon was begun. */
  readonly births: readonly number[];
  readonly caption: string;
}

const [LEFT, WIDTH, RIGHT, HEAD, LANE, GAP, FOOT] = [170, 545, 62, 34, 46, 12, 44];

/** An SVG with a line for each thing that was read, each between 0 and its largest value, which stands at its right. */
export function drawLife({ lanes, readings, births, caption }: Life): string {
  const end = readings.at(-1)?.at ?? 1;
  const x = (at: number): number => round(LEFT + (at / end) * WIDTH);
  const bottom = HEAD + lanes.length * (LANE + GAP);
  const drawn = lanes.map(({ name, unit }, n) => {
    const base = HEAD + n * (LANE + GAP) + LANE;
    const largest = Math.max(1, ...readings.map(({ values }) => values?.[n] ?? 0));
    const points = readings.map(({ at, values }, place) => {
      if (values === undefined) return "";
      const word = readings[place - 1]?.values === undefined ? "M" : "L";
      return `${word}${x(at)} ${round(base - ((values[n] ?? 0) / largest) * LANE)}`;
    });
    return [
      `<path d="M${LEFT} ${base}H${LEFT + WIDTH}" stroke="#cfd8dc"/>`,
      `<path d="${points.join("")}" fill="none" stroke="#0b7285" stroke-width="1.3"/>`,
      `<text x="${LEFT - 8}" y="${base - LANE / 2 + 4}" text-anchor="end">${name}</text>`,
      `<text x="${LEFT + WIDTH + 6}" y="${base - LANE + 8}" class="f">${round(largest)}${unit}</text>`,
    ].join("");
  });
  const minutes = Math.floor(end / 60_000);
  const axis = Array.from({ length: minutes + 1 }, (_, n) => n).map(
    (n) => `<text x="${x(n * 60_000)}" y="${bottom + 12}" class="f" text-anchor="middle">${n} min</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${bottom + FOOT}" role="img">`,
    `<title>Memory, descriptors, threads, ids and traces of a daemon, while links flap and it is killed again and again: no line climbs</title>`,
    "<style>text{font:12px system-ui,sans-serif;fill:#17262b}.f{fill:#54656b;font-size:11px}</style>",
    `<rect width="${LEFT + WIDTH + RIGHT}" height="${bottom + FOOT}" rx="8" fill="#fff"/>`,
    `<text x="16" y="18">Two thirds of the time one daemon; then a new one at each red mark, after kill -9 or SIGTERM.</text>`,
    ...drawn,
    ...births.map((at) => `<path d="M${x(at)} ${bottom - 8}v6" stroke="#c92a2a"/>`),
    ...axis,
    `<text x="16" y="${bottom + FOOT - 10}" class="f">${caption}</text>`,
    "</svg>\n",
  ].join("\n");
}

const round = (value: number): number => Math.round(value * 10) / 10;
