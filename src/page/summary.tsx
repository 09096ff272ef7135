import type { Sums } from "./picture.ts";
import { rateText } from "./texts.ts";

/** The figures of all connections together. */
export function Summary({ sums }: { sums: Sums }) {
  const figures: [string, string, string?][] = [
    ["connections", `${sums.connections}`],
    ["subflows", `${sums.subflows}`],
    ["sending", rateText(sums.sendRate)],
    ["receiving", rateText(sums.receiveRate)],
    ["in trouble", `${sums.troubled}`, sums.troubled > 0 ? "trouble" : undefined],
  ];
  return (
    <dl class="summary">
      {figures.map(([name, text, state]) => (
        <div key={name} class={state}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}
