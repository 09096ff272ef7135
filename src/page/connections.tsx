import { useEffect, useRef } from "preact/hooks";
import type { Picture, Query, Row } from "./picture.ts";
import { Sparkline } from "./sparkline.tsx";
import { rateText, rttText, sizeText } from "./texts.ts";

const SORTS = ["rate", "trouble", "rtt", "bytes", "subflows", "token"];
const FILTERS = ["all", "trouble", "several subflows", "one subflow", "client", "server"];
/** Pixels of a row (also in page.css), and rows above and below those that can be seen. */
const ROW = 56;
const AROUND = 10;
/** While somebody scrolls other rows are asked for so often. Milliseconds. */
const PACE = 80;

interface Properties {
  readonly picture: Picture;
  readonly query: Query;
  readonly ask: (some: Partial<Query>) => void;
}

/** All connections, of which only those in sight are there: ten thousand scroll like ten. */
export function Connections({ picture, query, ask }: Properties) {
  const { found, offset, rows } = picture;
  return (
    <section class="connections" aria-labelledby="connections">
      <h2 id="connections">Connections</h2>
      <search>
        <form onSubmit={(event) => event.preventDefault()}>
          <label>
            Search{" "}
            <input
              id="search"
              type="search"
              value={query.search}
              placeholder="token, address, interface, policy"
              onInput={(event) => ask({ search: event.currentTarget.value, offset: 0 })}
            />
          </label>
          <Choice label="Sort by" words={SORTS} chosen={query.sort} onChoose={(sort) => ask({ sort, offset: 0 })} />
          <Choice
            label="Show"
            words={FILTERS}
            chosen={query.filter}
            onChoose={(filter) => ask({ filter, offset: 0 })}
          />
        </form>
      </search>
      {found === 0 ? (
        <p class="empty">{query.search === "" && query.filter === "all" ? "There is none." : "None is like that."}</p>
      ) : (
        <Window found={found} offset={offset} ask={ask}>
          {rows.map((row, index) => (
            <Line key={row.token} row={row} at={offset + index} />
          ))}
        </Window>
      )}
    </section>
  );
}

interface ChoiceProperties {
  readonly label: string;
  readonly words: readonly string[];
  readonly chosen: string;
  readonly onChoose: (word: string) => void;
}

function Choice({ label, words, chosen, onChoose }: ChoiceProperties) {
  return (
    <label>
      {label}{" "}
      <select onChange={(event) => onChoose(event.currentTarget.value)}>
        {words.map((word) => (
          <option key={word} selected={word === chosen}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}

interface WindowProperties {
  readonly found: number;
  readonly offset: number;
  readonly ask: Properties["ask"];
  readonly children: preact.ComponentChildren;
}

/** As high as all rows would be; asks for those that come into sight. */
function Window({ found, offset, ask, children }: WindowProperties) {
  const list = useRef<HTMLUListElement>(null);
  // It changes with every other picture: a look that is due must not be lost by that.
  const end = useRef(found);
  end.current = found;
  useEffect(() => {
    let timer = 0;
    const look = (): void => {
      timer = 0;
      const top = list.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / ROW) - AROUND);
      const count = Math.ceil(innerHeight / ROW) + 2 * AROUND;
      ask({ offset: Math.min(first, Math.max(0, end.current - 1)), count });
    };
    const onScroll = (): void => {
      timer ||= setTimeout(look, PACE);
    };
    addEventListener("scroll", onScroll, { passive: true });
    addEventListener("resize", onScroll);
    return () => {
      clearTimeout(timer);
      removeEventListener("scroll", onScroll);
      removeEventListener("resize", onScroll);
    };
  }, [ask]);
  return (
    <ul
      ref={list}
      style={{ height: `${found * ROW}px`, paddingTop: `${offset * ROW}px` }}
      aria-label={`${found} connections`}
    >
      {children}
    </ul>
  );
}

function Line({ row, at }: { row: Row; at: number }) {
  const { token, side, remote, policy, subflows, sendRate, receiveRate, rtt, bytes, trouble, rates } = row;
  const arrow = side === "server" ? "from" : "to";
  return (
    <li data-at={at}>
      <a href={`#c=${token}`} class={trouble === "" ? undefined : "trouble"}>
        <span class="name">
          {arrow} {remote} <small>{token}</small>
        </span>
        <span class="count">
          {subflows} {subflows === 1 ? "subflow" : "subflows"}
        </span>
        <Sparkline rates={rates} />
        <span class="rate">
          ↑ {rateText(sendRate)} <br />↓ {rateText(receiveRate)}
        </span>
        <span class="rtt">{rttText(rtt)}</span>
        <span class="bytes">{sizeText(bytes)}</span>
        <span class="policy">{trouble || policy}</span>
      </a>
    </li>
  );
}
