import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isLoopbackName } from "../listening.ts";

/** Who may come in. */
export interface Door {
  /** What who asks must know; undefined: whoever reaches the server may look. */
  readonly key: string | undefined;
  /** Names under which a browser may know the server, besides the loopback addresses; undefined: any (a Unix socket). */
  readonly names: readonly string[] | undefined;
  /** Of the cookie: servers of one host, at different ports, have the same cookies. */
  readonly cookie: string;
  readonly isSecure: boolean;
}

/** @returns why the request is turned away, undefined if it is not */
export function turnedAway({ headers, method, url = "/" }: IncomingMessage, door: Door): [number, string] | undefined {
  const host = headers.host ?? "";
  if (!isName(host, door.names)) return [421, "this is not the name of this server: see --name"];
  if (!hasKey(headers.cookie ?? "", url, door)) {
    return [403, "open the address that `subflow web` printed, with the key in it"];
  }
  if (method === "POST") {
    // A page of another server could send a form; it can send neither this type nor its own name as ours.
    if (headers["content-type"] !== "application/json") return [415, "application/json is expected"];
    const origin = headers.origin ?? "";
    if (origin.replace(/^https?:\/\//, "") !== host) return [403, "this comes from a page of another server"];
  } else if (method !== "GET" && method !== "HEAD") return [405, "GET is expected"];
  return undefined;
}

function isName(host: string, names: Door["names"]): boolean {
  if (names === undefined) return true;
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return isLoopbackName(name) || names.includes(name);
}

function hasKey(cookies: string, url: string, { key, cookie }: Door): boolean {
  if (key === undefined) return true;
  const shown =
    keyIn(url) ??
    cookies
      .split(/; */)
      .find((each) => each.startsWith(`${cookie}=`))
      ?.slice(cookie.length + 1);
  const [mine, theirs] = [Buffer.from(key), Buffer.from(shown ?? "")];
  return mine.length === theirs.length && timingSafeEqual(mine, theirs);
}

/** The key that an address carries. */
export function keyIn(url: string): string | undefined {
  return /^\/\?key=([\w-]+)$/.exec(url)?.[1];
}

/** The header with which a browser is told the key for later; no script of the page reads it. */
export function cookieOf({ key, cookie, isSecure }: Door): string {
  return `${cookie}=${key}; HttpOnly; SameSite=Strict; Path=/${isSecure ? "; Secure" : ""}`;
}
