const WIDTH = 90;
const HEIGHT = 22;
/** Readings of the last minute, one a second. */
const KEPT = 60;

/** What was carried lately, against the most of it. For eyes only: the figure stands beside it. */
export function Sparkline({ rates }: { rates: readonly number[] }) {
  const most = Math.max(1, ...rates);
  const points = rates
    .slice(-KEPT)
    .map((rate, index, { length }) => {
      const x = WIDTH - ((length - 1 - index) * WIDTH) / (KEPT - 1);
      return `${x.toFixed(1)},${(HEIGHT - 1 - (rate / most) * (HEIGHT - 2)).toFixed(1)}`;
    })
    .join(" ");
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <polyline points={points} />
    </svg>
  );
}
