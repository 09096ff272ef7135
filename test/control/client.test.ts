import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ask, runtimeFiles } from "../../src/control/index.ts";

/** Somebody in the daemon's place. */
async function inPlace(onLine: (socket: Socket) => void, use: () => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "subflow-client-"));
  process.env.SUBFLOW_RUNTIME_DIRECTORY = directory;
  const server = createServer((socket) => socket.on("error", () => undefined).once("data", () => onLine(socket)));
  server.listen(runtimeFiles().socket);
  await once(server, "listening");
  try {
    await use();
  } finally {
    server.close();
    rmSync(directory, { recursive: true });
  }
}

for (const [what, line, code, message] of [
  [
    "another version",
    '{"v":2,"id":1,"result":{}}\n',
    "PROTOCOL",
    /speaks version 2 .*, this command version 1; .*start the daemon again/,
  ],
  [
    "a daemon that refuses our version",
    '{"v":3,"id":0,"error":{"code":"REQUEST","message":""}}\n',
    "PROTOCOL",
    /speaks version 3/,
  ],
  ["another program", "220 mail.example ESMTP\n", "PROTOCOL", /no Subflow daemon: "220 mail/],
  ["null", "null\n", "PROTOCOL", /version/],
  ["a daemon without room", '{"v":1,"id":0,"error":{"code":"BUSY","message":"full"}}\n', "BUSY", /full/],
  ["a daemon that refuses us", '{"v":1,"id":0,"error":{"code":"DENIED","message":"no"}}\n', "DENIED", /no/],
  ["a daemon that refuses a request", '{"v":1,"id":1,"error":{"code":"REQUEST","message":"why"}}\n', "DAEMON", /why/],
] as const) {
  test(`control: a client says what is wrong: ${what}`, () =>
    inPlace(
      (socket) => socket.end(line),
      () => assert.rejects(ask("hello", {}), { code, message }),
    ));
}

test("control: a client says what is wrong: the connection is closed without a word", () =>
  inPlace(
    (socket) => socket.destroy(),
    () => assert.rejects(ask("hello", {}), { code: "CLOSED" }),
  ));

test("control: a client says what is wrong: there is nobody", async () => {
  await inPlace(
    () => undefined,
    async () => undefined,
  );
  await assert.rejects(ask("hello", {}), { code: "NO_DAEMON", message: /ENOENT.*start one with `subflow run`/ });
});

test("control: a program asks by `subflow/client`", () =>
  inPlace(
    (socket) => socket.end('{"v":1,"id":1,"result":{"pid":7}}\n'),
    async () => {
      const script = 'import { ask } from "subflow/client"; console.log((await ask("hello", {})).pid);';
      const cwd = join(import.meta.dirname, "..", "..", "..");
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        cwd,
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        said += chunk;
      });
      await once(child, "close");
      assert.equal(said, "7\n");
    },
  ));

test("control: an answer in pieces is put together", () =>
  inPlace(
    (socket) => {
      socket.write('{"v":1,"id":1,"resu');
      setImmediate(() => socket.end('lt":{"pid":7}}\n{"v":1'));
    },
    async () => assert.equal((await ask("hello", {})).pid, 7),
  ));
