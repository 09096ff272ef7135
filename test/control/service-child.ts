// A control server with a made-up daemon behind it, for tests that attack it. Tells over IPC what memory it has.
import { type Answer, ControlServer, checkRequest } from "../../src/control/index.ts";

const [, , path = ""] = process.argv;
/** As long as that of a host with some hundred connections. */
const LONG = Array.from({ length: 1000 }, (_, token) => ({ token, path: "10.0.0.1:1 > 10.0.0.2:2".repeat(4) }));
let calls = 0;

const service = {
  call(method: string, params: unknown, answer: Answer): void {
    calls++;
    const request = checkRequest(method, params);
    if ("code" in request) return answer(null, request);
    if (method === "snapshot") return answer(LONG);
    if (method === "limits.get") throw Object.assign(new Error("a fault"), { toString: undefined });
    if (method === "endpoint.flush") return answer(undefined, { code: "KERNEL", errno: 22, message: "" });
    if (method === "why") return void setImmediate(() => answer(params));
    if (method === "host") return answer(circular);
    answer({ product: "subflow", params });
  },
};
const circular: { self?: unknown } = {};
circular.self = circular;

await new ControlServer(path, service).listen();
const collect = (globalThis as { gc?: () => void }).gc;
process.on("message", async () => {
  // What a collection sets free of buffers and sockets is let go in later turns, and then there is more to collect.
  for (let turn = 0; turn < 4; turn++) {
    collect?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  process.send?.({ used: heapUsed + arrayBuffers, rss, calls });
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
