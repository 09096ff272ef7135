import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isLoopbackName } from "../listening.ts";
import { CONTENT_TYPES, type Format } from "./exposition.ts";

/** Scrapers at once, and milliseconds that each has. */
const CLIENTS_MAX = 16;
const DEADLINE = 10_000;

/** Serves `GET /metrics`, and nothing else, on the loopback address or a Unix socket. */
export function metricsServer(text: (format: Format) => Promise<string>, isLoopback: boolean): Server {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refuse = (status: number, why: string): void =>
      void response.writeHead(status, { "content-type": "text/plain" }).end(`${why}\n`);
    if (isLoopback && !isLoopbackName(request.headers.host ?? "")) return refuse(421, "ask for localhost");
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "only GET");
    const path = request.url?.split("?")[0];
    if (path === "/") return refuse(200, "subflow metrics: see /metrics");
    if (path !== "/metrics") return refuse(404, "see /metrics");
    const format = formatOf(request.headers.accept ?? "");
    const body = await text(format);
    response.writeHead(200, { "content-type": CONTENT_TYPES[format], "cache-control": "no-store" });
    response.end(request.method === "HEAD" ? undefined : body);
  };
  const server = createServer({ requestTimeout: DEADLINE, headersTimeout: DEADLINE }, (request, response) => {
    answer(request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
      response.end(`${error.message}\n`);
    });
  });
  server.maxConnections = CLIENTS_MAX;
  server.keepAliveTimeout = DEADLINE;
  server.timeout = DEADLINE;
  return server;
}

function formatOf(accept: string): Format {
  return /application\/openmetrics-text/.test(accept) ? "openmetrics" : "text";
}
