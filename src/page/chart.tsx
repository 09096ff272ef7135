const WIDTH = 240;
const HEIGHT = 56;
/** Readings of the last minute, one a second. */
const KEPT = 60;

interface Properties {
  /** What it shows, and of what. */
  readonly name: string;
  /** The oldest first; 0: nothing, which is no reading where `isMeasured`. */
  readonly values: readonly number[];
  /** At the full height: the same for all that are to be compared. */
  readonly most: number;
  readonly text: (value: number) => string;
  readonly isMeasured?: boolean;
}

/** The last minute of one figure. What it says is said in words too. */
export function Chart({ name, values, most, text, isMeasured = false }: Properties) {
  const shown = values.slice(-KEPT);
  const now = shown.at(-1) ?? 0;
  const highest = Math.max(0, ...shown);
  const words = `${name}: ${text(now) || "not measured"} now, at most ${text(highest) || "nothing"} in the last minute`;
  return (
    <figure class="chart">
      <figcaption>
        {name} <strong>{text(now) || "–"}</strong> <span class="most">to {text(most) || "–"}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={words}>
        {runs(shown, isMeasured).map((points) => (
          <g key={points[0]?.[0]}>
            <path
              class="area"
              d={`M${x(points[0]![0])},${HEIGHT}${line(points, most)}L${x(points.at(-1)![0])},${HEIGHT}Z`}
            />
            <path class="line" d={`M${line(points, most).slice(1)}`} />
          </g>
        ))}
      </svg>
    </figure>
  );
}

/** Seconds ago, and a value. */
type Point = readonly [number, number];

/** Without what was not measured, from hole to hole. */
function runs(values: readonly number[], isMeasured: boolean): Point[][] {
  const found: Point[][] = [];
  let run: Point[] | undefined;
  for (const [index, value] of values.entries()) {
    if (isMeasured && value <= 0) {
      run = undefined;
      continue;
    }
    if (!run) {
      run = [];
      found.push(run);
    }
    run.push([values.length - 1 - index, value]);
  }
  return found;
}

/** Now is at the right. */
function x(ago: number): string {
  return (WIDTH - (ago * WIDTH) / (KEPT - 1)).toFixed(1);
}

function line(points: readonly Point[], most: number): string {
  const top = Math.max(most, Number.MIN_VALUE);
  return points.map(([ago, value]) => `L${x(ago)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`).join("");
}
