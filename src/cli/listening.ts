import { once } from "node:events";
import { chmodSync, lstatSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { failure, wrongArgument } from "./failure.ts";

/** Where a command of ours serves: a Unix socket, or an address of this host. */
export type Place = { readonly path: string } | { readonly host: string; readonly port: number };

/** The mode of a Unix socket: who may open it may ask. */
const SOCKET_MODE = 0o660;

/** "127.0.0.1:80", "[::1]:80". */
export function placeArgument(text: string, example: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2] ?? "";
  const port = Number(found?.[3]);
  if (!found || port > 65_535) throw wrongArgument(text, `an address and a port are expected, as in ${example}`);
  return { host, port };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** Whose name a page of the web cannot have: one that has its own name lead to the loopback address is turned away. */
export function isLoopbackName(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(host);
}

/** Resolves when it listens. */
export async function listen(server: Server, place: Place): Promise<void> {
  // What a process before us left; anything else that is there stays, and is an error.
  if ("path" in place && lstatSync(place.path, { throwIfNoEntry: false })?.isSocket()) rmSync(place.path);
  server.listen(place);
  await once(server, "listening").catch((error: Error) => {
    throw failure(`Error: cannot listen: ${error.message}.`);
  });
  if ("path" in place) chmodSync(place.path, SOCKET_MODE);
}

/** Resolves when somebody ends the process. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
