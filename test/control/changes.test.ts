import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Change, Client, changes } from "../../src/client/index.ts";
import { runtimeFiles } from "../../src/control/index.ts";

/** A daemon that answers as it is told, one answer a request. */
class Scripted implements Disposable {
  readonly asked: Record<string, unknown>[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "subflow-changes-"));
  readonly #answers: unknown[];
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  constructor(answers: readonly unknown[]) {
    this.#answers = [...answers];
    process.env.SUBFLOW_RUNTIME_DIRECTORY = this.#directory;
  }

  async start(): Promise<void> {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        const { id, params } = JSON.parse(String(bytes));
        this.asked.push(params);
        const next = this.#answers.shift();
        if (next === "end") socket.destroy();
        else if (next !== undefined) socket.write(`${JSON.stringify({ v: 1, id, ...(next as object) })}\n`);
      });
    });
    this.#server.listen(runtimeFiles().socket);
    await once(this.#server, "listening");
  }

  [Symbol.dispose](): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const told = (next: string, tokens: readonly number[], more: object = {}) => ({
  result: {
    next,
    reset: false,
    isComplete: true,
    at: 1,
    connections: tokens.map((token) => ({ token, subflows: [] })),
    gone: [],
    happenings: [],
    lost: 0,
    ...more,
  },
});

const short = (change: Change): string => {
  if (change.type === "connection") return `+${change.connection.token}`;
  if (change.type === "gone") return `-${change.token}`;
  if (change.type === "lost") return `lost ${change.count}`;
  return change.type;
};

test("client: a reset is told as what is gone since; what is slow to be taken is not asked for", async () => {
  using daemon = new Scripted([
    told("a", [1], { reset: true, isComplete: false }),
    told("b", [2]),
    told("c", [3], { reset: true, isComplete: false, lost: 7 }),
    told("d", [2]),
  ]);
  await daemon.start();
  const seen: string[] = [];
  for await (const change of changes({ pace: 500 })) {
    seen.push(short(change));
    if (change.type === "connection" && change.connection.token === 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(daemon.asked.length, 1, "no more is asked for before this was taken");
    }
    if (seen.includes("-1")) break;
  }
  assert.deepEqual(seen, ["connected", "+1", "+2", "complete", "+3", "lost 7", "+2", "-1"]);
  assert.deepEqual(
    daemon.asked.map(({ after }) => after),
    [undefined, "a", "b", "c"],
  );
  assert.deepEqual(
    daemon.asked.map(({ pace }) => pace),
    [500, 500, 500, 500],
  );
});

test("client: where the daemon ends another is waited for, and its state is the state", async () => {
  using daemon = new Scripted([told("a", [1, 2], { reset: true }), "end", told("x", [2], { reset: true })]);
  const seen: string[] = [];
  const watching = new Client().watch();
  watching.on("change", (change) => seen.push(short(change)));
  const both = (async () => {
    const [change] = await once(watching, "gone");
    return change as Change;
  })();
  await once(watching, "disconnected");
  await daemon.start();
  assert.equal(short((await both)!), "-1");
  assert.deepEqual([...watching.connections.keys()], [2]);
  watching.close();
  await once(watching, "close");
  assert.deepEqual(seen, [
    "disconnected",
    "connected",
    "+1",
    "+2",
    "complete",
    "disconnected",
    "connected",
    "+2",
    "-1",
    "complete",
  ]);
});

test("client: what cannot get better ends it, with the reason", async () => {
  using daemon = new Scripted([{ error: { code: "REQUEST", message: "no watch here" } }]);
  await daemon.start();
  const watching = new Client().watch();
  const [error] = await once(watching, "error");
  assert.deepEqual([error.code, error.message], ["DAEMON", "no watch here"]);
});

test("client: without a daemon a list says so at once", async () => {
  process.env.SUBFLOW_RUNTIME_DIRECTORY = join(tmpdir(), "subflow-nowhere");
  await assert.rejects(new Client().list(), { code: "NO_DAEMON" });
});
