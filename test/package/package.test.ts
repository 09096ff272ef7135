import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { whyNot } from "../kernel/support.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const NOBODY = 65_534;
const AS_NOBODY = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--inh-caps=-all", "--"];
/** Node and npm stand beside one another; nothing else of this project's is on the path. */
const PATH = [dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter);

/** What a fresh clone has, and node_modules, which is not what is tried here. */
function clone(into: string): void {
  const names = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const name of names.toString().split("\0").filter(Boolean)) {
    if (!existsSync(join(root, name))) continue; // deleted, and not committed yet
    mkdirSync(dirname(join(into, name)), { recursive: true });
    cpSync(join(root, name), join(into, name), { preserveTimestamps: true });
  }
  symlinkSync(join(root, "node_modules"), join(into, "node_modules"));
}

function npm(cwd: string, ...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH, HOME: process.env.HOME ?? "/root", npm_config_update_notifier: "false" };
  const proxies = Object.entries(process.env).filter(([name]) => /proxy|cafile|registry|extra_ca/i.test(name));
  return spawnSync("npm", words, { cwd, encoding: "utf8", env: { ...env, ...Object.fromEntries(proxies) } });
}

/** Runs the installed command the way its user does. */
function status(folder: string, home: string, prefix: readonly string[]): ReturnType<typeof npm> {
  const [program, ...words] = [...prefix, "npx", "--no-install", "subflow", "status"];
  return spawnSync(program!, words, { cwd: folder, encoding: "utf8", env: { PATH, HOME: home } });
}

test("the package: built by packing, without tests and maps, and good for a bare Node", async (context) => {
  const space = mkdtempSync(join(tmpdir(), "subflow-package-"));
  chmodSync(space, 0o755);
  context.after(() => rmSync(space, { recursive: true, force: true }));
  const source = join(space, "source");
  clone(source);
  assert.ok(!existsSync(join(source, "dist")));
  const packed = npm(source, "pack", "--json", "--pack-destination", space);
  assert.equal(packed.status, 0, packed.stderr);
  const [{ filename, files }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf("["))) as [
    { filename: string; files: { path: string }[] },
  ];
  const paths = files.map(({ path }) => path);
  for (const wanted of [
    "bin/subflow",
    "dist/bundle/subflow.cjs",
    `prebuilds/linux-${process.arch}/mptcp-socket.so`,
    "dist/src/lab/index.js",
    "dist/src/types/index.d.ts",
    "dist/man/subflow.1",
  ]) {
    assert.ok(paths.includes(wanted), `${wanted} is not in the package`);
  }
  assert.deepEqual(
    paths.filter((path) => /\.test\.|\.map$|tsbuildinfo|^(src|test|tools|bench)\//.test(path)),
    [],
  );
  await installed(context, { space, archive: join(space, filename) });
});

async function installed(
  context: TestContext,
  { space, archive }: { readonly space: string; readonly archive: string },
): Promise<void> {
  const [folder, home] = [join(space, "empty"), join(space, "home")];
  mkdirSync(folder);
  mkdirSync(home);
  const install = npm(folder, "install", "--prefer-offline", "--no-audit", "--no-fund", archive);
  if (install.status !== 0 && /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(install.stderr)) {
    assert.ok(!process.env.EXPECT_KERNEL, install.stderr);
    return context.skip("no registry can be reached from here, and the package has dependencies");
  }
  assert.equal(install.status, 0, install.stderr);
  assert.ok(!existsSync(join(folder, "node_modules", "typescript")), "nothing of the development is installed");
  const obstacle = whyNot();
  if (obstacle !== undefined) return context.diagnostic(`only installed, not run: ${obstacle}`);
  const asRoot = status(folder, home, []);
  assert.equal(asRoot.status, 0, asRoot.stderr);
  assert.match(asRoot.stdout, /^Kernel\n {2}release/);
  chownSync(home, NOBODY, NOBODY);
  const asNobody = status(folder, home, AS_NOBODY);
  assert.equal(asNobody.status, 0, asNobody.stderr);
  assert.match(asNobody.stdout, /^Kernel\n {2}release/);
  assert.match(asNobody.stderr, /CAP_SYS_ADMIN/);
}
