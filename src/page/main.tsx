import { render } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { ConnectionPage } from "./connection.tsx";
import { Connections } from "./connections.tsx";
import { Follower, openedIn } from "./following.ts";
import { HostPage } from "./host.tsx";
import type { Picture, Query } from "./picture.ts";
import { Summary } from "./summary.tsx";
import { TopologyPicture } from "./topology.tsx";

const FIRST: Query = { sort: "rate", filter: "all", search: "", offset: 0, count: 40, opened: openedIn(location.hash) };

/** The whole page: a connection's where one is open, else all of them. */
function Page() {
  const [query, setQuery] = useState(FIRST);
  const [picture, setPicture] = useState<Picture>();
  const [isAway, setAway] = useState(false);
  const ask = useCallback((some: Partial<Query>) => setQuery((now) => ({ ...now, ...some })), []);
  const [follower] = useState(() => new Follower({ onPicture: setPicture, onAway: setAway }));
  useEffect(() => () => follower.close(), [follower]);
  useEffect(() => follower.ask(query), [follower, query]);
  useEffect(() => {
    const onHash = (): void => ask({ opened: openedIn(location.hash) });
    const onKey = (event: KeyboardEvent): void => keyPressed(event);
    addEventListener("hashchange", onHash);
    addEventListener("keydown", onKey);
    return () => {
      removeEventListener("hashchange", onHash);
      removeEventListener("keydown", onKey);
    };
  }, [ask]);
  if (!picture) return <main class="wait">{isAway ? "Nobody answers; trying again." : "Looking…"}</main>;
  return (
    <>
      <header>
        <h1>
          <a href="#all">Subflow</a> <span class="host">{picture.host}</span>
        </h1>
        <p class="who">{picture.who || "no daemon"}</p>
      </header>
      <div role="status" class="notes">
        {isAway && <p class="away">The server does not answer; this is how it was. Trying again.</p>}
        {picture.missing.map((text) => (
          <p key={text}>{text}</p>
        ))}
      </div>
      <main>
        {query.opened === "" ? (
          <>
            <Summary sums={picture.sums} />
            <TopologyPicture topology={picture.topology} />
            <Connections picture={picture} query={query} ask={ask} />
            <HostPage daemon={picture.daemon} />
          </>
        ) : (
          <ConnectionPage opened={picture.opened} token={query.opened} mayControl={picture.mayControl} />
        )}
      </main>
      <footer>
        Keys: <kbd>/</kbd> search, <kbd>j</kbd> <kbd>k</kbd> go through connections, <kbd>Enter</kbd> opens one,{" "}
        <kbd>Esc</kbd> goes back.
      </footer>
    </>
  );
}

/** As in `subflow top`. */
function keyPressed(event: KeyboardEvent): void {
  const field = document.querySelector<HTMLInputElement>("#search");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (document.activeElement === field) field?.blur();
    else location.hash = "#all";
    return;
  }
  if (document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLSelectElement) return;
  if (event.key === "/" && field) {
    event.preventDefault();
    field.focus();
  }
  if (event.key === "j" || event.key === "k") moveFocus(event.key === "j" ? 1 : -1);
}

function moveFocus(by: number): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>(".connections a")];
  const at = links.indexOf(document.activeElement as HTMLAnchorElement);
  links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

const place = document.querySelector("#page");
if (place) render(<Page />, place);
