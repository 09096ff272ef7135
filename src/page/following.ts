import type { Picture, Query } from "./picture.ts";

/** A browser whose stream was refused does not try again by itself. Milliseconds. */
const AGAIN = 2000;

/** Follows what the server shows for a query, until the returned function is called: through ends of the server, too. */
export function follow(
  query: Query,
  { onPicture, onAway }: { onPicture: (picture: Picture) => void; onAway: (isAway: boolean) => void },
): () => void {
  let source: EventSource | undefined;
  let timer = 0;
  const open = (): void => {
    const parameters = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, `${value}`]));
    source = new EventSource(`/stream?${parameters}`);
    source.onmessage = ({ data }) => {
      onAway(false);
      onPicture(JSON.parse(data));
    };
    source.onerror = () => {
      onAway(true);
      source?.close();
      timer = setTimeout(open, AGAIN);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}

/** The connection that an address names: "#c=1b2c3d4e". */
export function openedIn(hash: string): string {
  return /^#c=([0-9a-f]{1,8})$/.exec(hash)?.[1] ?? "";
}
