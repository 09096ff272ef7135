import type { Edge, Topology } from "./picture.ts";
import { rateText } from "./texts.ts";

/** Narrow, so that its words can be read on a phone. */
const WIDTH = 480;
const ROW = 44;
const LEFT = 110;
const RIGHT = 290;
/** Characters that there is room for: an IPv6 address may have 39. */
const NAME_MAX = 21;

function clipped(name: string): string {
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 1)}…`;
}

/** Wider with the rate, but not in proportion: 10 kB/s can be seen beside 100 MB/s. */
function strokeOf({ rate }: Edge): number {
  return rate < 1 ? 1.5 : Math.min(14, 1.5 + Math.max(0, Math.log10(rate / 1000)) * 2.4);
}

function edgeWords({ from, to, subflows, rate, state }: Edge): string {
  return `${from} to ${to}: ${subflows} ${subflows === 1 ? "subflow" : "subflows"}, ${rateText(rate)}, ${state}`;
}

/** This host's interfaces, remote hosts, and subflows as lines: their width is the rate, their colour the state. */
export function TopologyPicture({ topology }: { topology: Topology }) {
  const { interfaces, remotes, edges, more } = topology;
  if (edges.length === 0) return <p class="empty">There is no subflow now.</p>;
  const height = Math.max(interfaces.length, remotes.length) * ROW;
  const yOf = (names: readonly string[], name: string): number =>
    ((names.indexOf(name) + 0.5) * height) / Math.max(1, names.length);
  return (
    <section class="topology" aria-labelledby="paths">
      <h2 id="paths">Paths</h2>
      <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={edges.map(edgeWords).join("; ")}>
        {edges.map((edge) => {
          const [y1, y2] = [yOf(interfaces, edge.from), yOf(remotes, edge.to)];
          const middle = (LEFT + RIGHT) / 2;
          return (
            <path
              key={`${edge.from} ${edge.to}`}
              class={`edge ${edge.state}`}
              stroke-width={strokeOf(edge).toFixed(1)}
              d={`M${LEFT},${y1} C${middle},${y1} ${middle},${y2} ${RIGHT},${y2}`}
            >
              <title>{edgeWords(edge)}</title>
            </path>
          );
        })}
        {interfaces.map((name) => (
          <text key={name} x={LEFT - 10} y={yOf(interfaces, name) + 5} text-anchor="end">
            {name}
          </text>
        ))}
        {remotes.map((name) => (
          <text key={name} x={RIGHT + 10} y={yOf(remotes, name) + 5}>
            {clipped(name)}
            <title>{name}</title>
          </text>
        ))}
      </svg>
      <p class="legend">
        <span class="good">carries</span> <span class="backup">backup</span> <span class="trouble">in trouble</span>
        {more > 0 && ` and ${more} more remote hosts`}
      </p>
    </section>
  );
}
