import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Deed, Finding, Picture, Query } from "../../page/index.ts";
import { SubflowError } from "../../types/index.ts";
import type { Asset } from "./assets.ts";
import { cookieOf, type Door, keyIn, turnedAway } from "./door.ts";
import { Stream } from "./stream.ts";

/** Connections of browsers at once (one has up to six), those of them that follow, and milliseconds for a request. */
const CLIENTS_MAX = 64;
const STREAMS_MAX = 16;
const DEADLINE = 10_000;
/** Bytes of a request's body. */
const BODY_MAX = 4096;

/** Nothing from elsewhere, no script or style in the page itself, in no frame. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** What the server asks of those who know. */
export interface Knowledge {
  readonly picture: (query: Query) => Picture;
  readonly findings: () => Promise<readonly Finding[]>;
  /** @returns what became of it; @throws SubflowError */
  readonly perform: (deed: Deed) => string;
  readonly mayControl: boolean;
  readonly assets: ReadonlyMap<string, Asset>;
}

/** Serves the page, and pictures to it as they change. */
export class PageServer {
  readonly server: Server;
  readonly #knowledge: Knowledge;
  readonly #door: Door;
  readonly #streams = new Set<Stream>();

  constructor(knowledge: Knowledge, door: Door, tls?: { readonly cert: string; readonly key: string }) {
    this.#knowledge = knowledge;
    this.#door = door;
    const listener: RequestListener = (request, response) => void this.#serve(request, response);
    const options = { requestTimeout: DEADLINE, headersTimeout: DEADLINE };
    this.server = tls ? createSecureServer({ ...options, ...tls }, listener) : createServer(options, listener);
    this.server.maxConnections = CLIENTS_MAX;
  }

  /** Something has changed: whoever follows is told soon. */
  changed(): void {
    for (const stream of this.#streams) stream.soon();
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
    this.server.closeAllConnections();
    this.server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    try {
      await this.#answer(request, response);
    } catch (error) {
      // Of the system, or of ours: the page says it, and the next request is served.
      send(response, error instanceof SubflowError ? 409 : 500, (error as Error).message);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refused = turnedAway(request, this.#door);
    if (refused) return send(response, ...refused);
    // Not by URL: "//x" would be a host.
    const [pathname = "/", search] = (request.url ?? "/").split("?", 2);
    const searchParams = new URLSearchParams(search);
    if (keyIn(request.url ?? "") !== undefined) {
      // The key does not stay in the address line, where somebody would see or copy it.
      response.setHeader("set-cookie", cookieOf(this.#door));
      return void response.writeHead(303, { location: "/" }).end();
    }
    if (request.method === "POST") return await this.#do(request, response, pathname);
    if (pathname === "/stream") return this.#follow(searchParams, response);
    if (pathname === "/picture") return sendJson(response, this.#knowledge.picture(queryOf(searchParams)));
    if (pathname === "/findings") return sendJson(response, await this.#knowledge.findings());
    const asset = this.#knowledge.assets.get(pathname);
    if (!asset) return send(response, 404, "there is no such page");
    response.writeHead(200, { "content-type": asset.type, "cache-control": "no-cache" });
    response.end(request.method === "HEAD" ? undefined : asset.bytes);
  }

  #follow(parameters: URLSearchParams, response: ServerResponse): void {
    if (this.#streams.size >= STREAMS_MAX) return send(response, 503, "too many look already");
    const query = queryOf(parameters);
    const stream = new Stream(response, () => this.#knowledge.picture(query));
    this.#streams.add(stream);
    response.on("close", () => {
      this.#streams.delete(stream);
      stream.close();
    });
  }

  async #do(request: IncomingMessage, response: ServerResponse, pathname: string): Promise<void> {
    if (pathname !== "/do") return send(response, 404, "there is nothing to be done");
    if (!this.#knowledge.mayControl) return send(response, 403, "this page only shows: see --control");
    const deed = deedOf(await bodyOf(request));
    if (!deed) return send(response, 400, "a deed is expected: type, token, key");
    sendJson(response, { said: this.#knowledge.perform(deed) });
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${text}\n`);
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(value));
}

function queryOf(parameters: URLSearchParams): Query {
  const text = (name: string): string => (parameters.get(name) ?? "").slice(0, 100);
  const number = (name: string): number => Math.max(0, Math.trunc(Number(parameters.get(name)) || 0));
  return {
    sort: text("sort"),
    filter: text("filter"),
    search: text("search"),
    opened: text("opened"),
    offset: number("offset"),
    count: number("count"),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) {
    body += chunk;
    if (body.length > BODY_MAX) return "";
  }
  return body;
}

const DEEDS: readonly string[] = ["backup", "nobackup", "close"] satisfies Deed["type"][];

function deedOf(body: string): Deed | undefined {
  try {
    const { type, token, key } = JSON.parse(body);
    const isDeed = DEEDS.includes(type) && typeof token === "string" && typeof key === "string";
    return isDeed ? { type, token, key } : undefined;
  } catch {
    return undefined;
  }
}
