import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { Deed } from "../../page/index.ts";
import { pathKey, SubflowError } from "../../types/index.ts";
import type { Context } from "../command.ts";
import { EXIT, failure, usageError, wrongArgument } from "../failure.ts";
import { isLoopback, listen, type Place, placeArgument, untilSignal } from "../listening.ts";
import { parseOptions } from "../options.ts";
import { perform } from "../top/deed.ts";
import { TopSource } from "../top/source.ts";
import { readAssets } from "../web/assets.ts";
import type { Door } from "../web/door.ts";
import { HostView } from "../web/host.ts";
import { pictureOf } from "../web/picture.ts";
import { PageServer } from "../web/server.ts";
import { parseToken } from "../words.ts";

const LISTEN = "127.0.0.1:9823";
/** Connections are measured so often. Milliseconds. */
const PACE = 1000;

type Values = Readonly<Record<string, string | undefined>>;

/** `web`: until SIGTERM or ^C. */
export async function run(context: Context): Promise<number> {
  const values: Values = parseOptions(context).values;
  const { global, streams } = context;
  const place = placeOf(values);
  const door = doorOf(values, place);
  const tls = tlsOf(values);
  const ended = untilSignal();
  using source = new TopSource(global.netns, PACE);
  using host = new HostView(global);
  const mayControl = values.control !== undefined;
  const frame = { host: host.name, mayControl, userName: (uid: number) => host.userName(uid) };
  const page = new PageServer(
    {
      picture: (query) => pictureOf(source.world(performance.now()), query, { ...frame, daemon: host.daemon }),
      findings: () => host.findings(),
      perform: (deed) => act(source, global.netns, deed),
      mayControl,
      assets: readAssets(),
    },
    door,
    tls,
  );
  source.onChange = () => page.changed();
  const failed = new Promise<never>((_, reject) => void source.start(reject).catch(reject));
  await listen(page.server, place);
  streams.err(`web: ${addressOf(listening(page.server, place), door)}\n`);
  try {
    await Promise.race([ended, failed]);
  } finally {
    page.close();
    if ("path" in place) rmSync(place.path, { force: true });
  }
  return EXIT.success;
}

/** Where it listens: whoever reaches more than this host needs TLS, or a reverse proxy that has it. */
function placeOf({ listen: text = LISTEN, socket, ...values }: Values): Place {
  if (socket !== undefined) {
    if (values.listen !== undefined) throw usageError("Error: one of --listen and --socket is enough.");
    return { path: socket };
  }
  const place = placeArgument(text, LISTEN);
  if (!isLoopback(place.host) && values["tls-cert"] === undefined) {
    throw wrongArgument(
      text,
      "others could read what goes over this network: give --tls-cert and --tls-key, or let a reverse proxy with TLS stand before a loopback address",
    );
  }
  return place;
}

function doorOf(values: Values, place: Place): Door {
  const { name, open, control } = values;
  const isSocket = "path" in place;
  if (open !== undefined && (isSocket || !isLoopback(place.host) || control !== undefined)) {
    throw usageError("Error: --open is for pages on a loopback address that only show: without --control.");
  }
  const own = isSocket ? [] : [place.host.includes(":") ? `[${place.host}]` : place.host];
  return {
    // Who may use the socket is a matter of its mode; a port of this host is open to each of its users.
    key: isSocket || open !== undefined ? undefined : randomBytes(16).toString("base64url"),
    names: isSocket ? undefined : [...own, ...(name === undefined ? [] : name.toLowerCase().split(","))],
    cookie: `subflow-${isSocket ? "socket" : place.port}`,
    isSecure: values["tls-cert"] !== undefined,
  };
}

function tlsOf(values: Values): { cert: string; key: string } | undefined {
  const [cert, key] = [values["tls-cert"], values["tls-key"]];
  if ((cert === undefined) !== (key === undefined)) throw usageError("Error: --tls-cert and --tls-key go together.");
  if (cert === undefined || key === undefined) return undefined;
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw failure(`Error: cannot read ${path}: ${(error as Error).message}.`);
    }
  };
  return { cert: read(cert), key: read(key) };
}

function addressOf(place: Place, { key, isSecure }: Door): string {
  if ("path" in place) return place.path;
  const name = place.host.includes(":") ? `[${place.host}]` : place.host;
  const scheme = isSecure ? "https" : "http";
  return `${scheme}://${name}:${place.port}/${key === undefined ? "" : `?key=${key}`}`;
}

/** Where it listens in truth: port 0 is any. */
function listening(server: Server, place: Place): Place {
  const address = server.address();
  return "path" in place || typeof address === "string" || !address ? place : { ...place, port: address.port };
}

function act(source: TopSource, netns: string | undefined, { type, token: text, key }: Deed): string {
  const connection = source.connections.get(parseToken(text) ?? -1);
  const subflow = connection?.subflows.find(({ path }) => pathKey(path) === key);
  if (!connection || !subflow) throw new SubflowError("it is over", { code: "GONE" });
  return perform(netns, type, connection, subflow.path);
}
