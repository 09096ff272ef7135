import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type RuntimeFiles, runtimeDirectory } from "../../src/control/index.ts";
import {
  openRuntimeDirectory,
  readState,
  removeFiles,
  type SavedState,
  takeLock,
  writeState,
} from "../../src/daemon/files/runtime.ts";

const NOBODY = 65534;
const STATE: SavedState = { pathManager: "kernel", host: { owned: ["10.0.0.1"] } };
const modeOf = (path: string): number => statSync(path).mode & 0o777;

interface Place {
  readonly parent: string;
  readonly files: RuntimeFiles;
  /** Somebody else's file, which nobody is to write. */
  readonly victim: string;
}

function place(context: TestContext): Place {
  const parent = mkdtempSync(join(tmpdir(), "subflow-runtime-"));
  context.after(() => rmSync(parent, { recursive: true, force: true }));
  const directory = join(parent, "subflow");
  const base = join(directory, "1");
  const victim = join(parent, "victim");
  writeFileSync(victim, "precious");
  return {
    parent,
    victim,
    files: {
      directory,
      socket: `${base}.sock`,
      applications: `${base}.apps.sock`,
      lock: `${base}.lock`,
      state: `${base}.json`,
    },
  };
}

function asRootOnly(context: TestContext): boolean {
  if (process.geteuid?.() === 0 && spawnSync("setpriv", [`--reuid=${NOBODY}`, "true"]).status === 0) return true;
  context.skip("needs to be root of several users");
  return false;
}

test("runtime directory: it and its files are for the daemon and its group only", (context) => {
  const { files } = place(context);
  openRuntimeDirectory(files);
  openRuntimeDirectory(files);
  assert.equal(modeOf(files.directory), 0o751);
  closeSync(takeLock(files));
  writeState(files, STATE);
  assert.deepEqual([modeOf(files.lock), modeOf(files.state)], [0o600, 0o600]);
  assert.deepEqual(readState(files), STATE);
  removeFiles(files, { state: true });
  assert.deepEqual([files.lock, files.state].map(existsSync), [false, false]);
});

test("runtime directory: a link, or one that others can write, is refused with the remedy", (context) => {
  const { parent, files } = place(context);
  mkdirSync(join(parent, "elsewhere"));
  symlinkSync("elsewhere", files.directory);
  assert.throws(() => openRuntimeDirectory(files), {
    code: "RUNTIME_DIRECTORY",
    message: /is no directory.*remove it/,
  });
  rmSync(files.directory);
  mkdirSync(files.directory);
  chmodSync(files.directory, 0o1777);
  assert.throws(() => openRuntimeDirectory(files), { code: "RUNTIME_DIRECTORY", message: /chmod go-w/ });
});

test("runtime directory: another's is refused", (context) => {
  if (!asRootOnly(context)) return;
  const { files } = place(context);
  mkdirSync(files.directory);
  chownSync(files.directory, NOBODY, NOBODY);
  assert.throws(() => openRuntimeDirectory(files), { code: "RUNTIME_DIRECTORY", message: /belongs to user 65534/ });
});

test("runtime directory: planted links are not followed, neither for the lock nor for the state", (context) => {
  const { victim, files } = place(context);
  openRuntimeDirectory(files);
  symlinkSync(victim, files.lock);
  assert.throws(() => takeLock(files), { code: "FOREIGN_FILE", message: /symbolic link.*remove it/ });
  symlinkSync(victim, files.state);
  assert.throws(() => readState(files), { code: "FOREIGN_FILE" });
  symlinkSync(victim, `${files.state}.new`);
  writeState(files, STATE);
  assert.ok(lstatSync(files.state).isFile(), "the link is replaced");
  assert.deepEqual(readState(files), STATE);
  assert.equal(readFileSync(victim, "utf8"), "precious");
});

test("runtime directory: a planted FIFO does not hold the daemon up", (context) => {
  const { files } = place(context);
  openRuntimeDirectory(files);
  execFileSync("mkfifo", [files.lock, files.state]);
  assert.throws(() => takeLock(files), { code: "FOREIGN_FILE", message: /no regular file/ });
  assert.throws(() => readState(files), { code: "FOREIGN_FILE" });
});

test("runtime directory: another's lock file is refused, and ours cannot be locked by others", async (context) => {
  if (!asRootOnly(context)) return;
  const { parent, files } = place(context);
  chmodSync(parent, 0o755);
  openRuntimeDirectory(files);
  chmodSync(files.directory, 0o755);
  writeFileSync(files.lock, "");
  chownSync(files.lock, NOBODY, NOBODY);
  assert.throws(() => takeLock(files), { code: "FOREIGN_FILE", message: /belongs to user 65534/ });
  rmSync(files.lock);
  closeSync(takeLock(files));
  const words = [`--reuid=${NOBODY}`, "--clear-groups", "flock", "--nonblock", files.lock, "true"];
  const { status, stderr } = spawnSync("setpriv", words, { encoding: "utf8" });
  assert.notEqual(status, 0);
  assert.match(stderr, /Permission denied/);
});

test("runtime directory: a lock file of an earlier version, open for all to lock, is closed", (context) => {
  const { files } = place(context);
  openRuntimeDirectory(files);
  writeFileSync(files.lock, "1\n", { mode: 0o644 });
  closeSync(takeLock(files));
  assert.equal(modeOf(files.lock), 0o600);
});

test("runtime directory: state that is cut, or another namespace's, is nobody's", (context) => {
  const { files } = place(context);
  openRuntimeDirectory(files);
  assert.equal(readState(files), undefined);
  for (const text of ["", "null", '{"namespace":', '{"namespace":"another","pathManager":"kernel"}']) {
    writeFileSync(files.state, text);
    assert.equal(readState(files), undefined, text);
  }
});

test("runtime directory: of daemons that start and end at once, one at a time has the lock", async (context) => {
  const { files } = place(context);
  openRuntimeDirectory(files);
  const child = join(import.meta.dirname, "lock-child.js");
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, [child, files.directory, "300"], { stdio: ["ignore", "ignore", "inherit"] }),
  );
  for (const each of children) {
    const [code] = each.exitCode === null ? await once(each, "exit") : [each.exitCode];
    assert.equal(code, 0);
  }
});

test("runtime directory: it is chosen, or the system's, or our own, and never one of everybody", (context) => {
  const { parent } = place(context);
  const saved = { ...process.env };
  context.after(() => Object.assign(process.env, saved));
  process.env.SUBFLOW_RUNTIME_DIRECTORY = "/chosen";
  assert.equal(runtimeDirectory(), "/chosen");
  delete process.env.SUBFLOW_RUNTIME_DIRECTORY;
  if (statSync("/run").uid === process.geteuid?.()) return assert.equal(runtimeDirectory(), "/run/subflow");
  process.env.XDG_RUNTIME_DIR = parent;
  assert.equal(runtimeDirectory(), join(parent, "subflow"));
  chmodSync(parent, 0o1777);
  process.env.HOME = "/";
  assert.throws(runtimeDirectory, { code: "RUNTIME_DIRECTORY", message: /set SUBFLOW_RUNTIME_DIRECTORY/ });
});
