import type { EngineEvent } from "../../engine/index.ts";
import { type Millis, type Path, type Token, unmap } from "../../types/index.ts";

/** Connections, and subflows of one, that are drawn. */
const CONNECTIONS_MAX = 200;
const SPANS_MAX = 500;

/** From when to when a subflow was there. Milliseconds since 1970. */
export interface Span {
  /** "10.0.2.1 → 10.0.1.2:443": without the local port. */
  readonly way: string;
  readonly from: Millis;
  /** undefined: it is there still. */
  to: Millis | undefined;
  /** Why it was closed. */
  errno: number | undefined;
}

/** The subflows of connections over time. */
export class Lanes {
  readonly connections = new Map<Token, Span[]>();
  readonly #open = new Map<string, Span>();
  /** Connections that are left out. */
  more = 0;

  /** Another daemon: what it finds is told of again. */
  forget(): void {
    this.#open.clear();
  }

  event(event: EngineEvent, time: Millis): void {
    switch (event.type) {
      case "connection.established":
        return this.#begin(event.token, event.path, time);
      case "subflow.established":
        return this.#begin(event.token, event.path, time);
      case "subflow.closed":
        return this.#close(key(event.token, event.path), time, event.errno);
      case "connection.closed":
        for (const name of this.#open.keys())
          if (name.startsWith(`${event.token} `)) this.#close(name, time, undefined);
        return;
      case "kernel.snapshot":
        for (const { connection } of event.connections)
          for (const { path, state } of connection.subflows)
            if (state === "established") this.#begin(connection.token, path, time);
        return;
      default:
        return;
    }
  }

  #begin(token: Token, path: Path, time: Millis): void {
    const name = key(token, path);
    if (this.#open.has(name)) return;
    let spans = this.connections.get(token);
    if (!spans) {
      if (this.connections.size >= CONNECTIONS_MAX) {
        this.more++;
        return;
      }
      spans = [];
      this.connections.set(token, spans);
    }
    if (spans.length >= SPANS_MAX) return;
    const { local, remote } = path;
    const way = `${unmap(local.address)} → ${unmap(remote.address)}:${remote.port}`;
    const span: Span = { way, from: time, to: undefined, errno: undefined };
    spans.push(span);
    this.#open.set(name, span);
  }

  #close(name: string, time: Millis, errno: number | undefined): void {
    const span = this.#open.get(name);
    if (!span) return;
    span.to = time;
    span.errno = errno || undefined;
    this.#open.delete(name);
  }
}

function key(token: Token, { local, remote }: Path): string {
  return `${token} ${unmap(local.address)} ${local.port} ${unmap(remote.address)} ${remote.port}`;
}
