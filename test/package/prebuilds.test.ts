import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..", "..", "..");

/** Which compiler made a binary: another one makes other bytes. */
const compilerOf = (folder: string): string => readFileSync(join(folder, "built-with"), "utf8").trim();

for (const arch of ["x64", "arm64"]) {
  test(`the binaries for ${arch} are what their sources give, byte for byte`, (context) => {
    const out = mkdtempSync(join(tmpdir(), "subflow-native-"));
    context.after(() => rmSync(out, { recursive: true }));
    const words = [join(root, "tools", "build-native.mjs"), arch, "--out", out];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
    if (status !== 0 && /no C compiler found/.test(stderr)) {
      assert.ok(!process.env.EXPECT_KERNEL, stderr);
      return context.skip(stderr.trim());
    }
    assert.equal(status, 0, stderr);
    const [built, kept] = [join(out, `linux-${arch}`), join(root, "prebuilds", `linux-${arch}`)];
    if (compilerOf(built) !== compilerOf(kept)) {
      return context.skip(`built here with ${compilerOf(built)}, kept is what ${compilerOf(kept)} made`);
    }
    for (const name of ["subflow.node", "mptcp-socket.so"]) {
      const bytes = (folder: string): Buffer => readFileSync(join(folder, name));
      assert.ok(bytes(built).equals(bytes(kept)), `${name}: run \`npm run build:native\` and commit prebuilds/`);
    }
  });
}

/** What a binary takes from whatever loads it. */
function takenBy(file: string): string[] {
  const { stdout } = spawnSync("readelf", ["-W", "--dyn-syms", file], { encoding: "utf8" });
  return [...stdout.matchAll(/ UND +(\S+)$/gm)].map(([, name]) => name!);
}

for (const arch of ["x64", "arm64"]) {
  test(`the addon for ${arch} needs no C library: nothing but Node's own functions`, (context) => {
    if (spawnSync("readelf", ["--version"]).status !== 0) return context.skip("there is no readelf");
    const file = join(root, "prebuilds", `linux-${arch}`, "subflow.node");
    assert.doesNotMatch(spawnSync("readelf", ["-d", file], { encoding: "utf8" }).stdout, /NEEDED/);
    const taken = takenBy(file);
    assert.ok(taken.length > 10, "readelf says what it takes");
    assert.deepEqual(
      taken.filter((name) => !/^(napi|uv)_/.test(name)),
      [],
    );
  });
}

test("musl's loader takes the addon, every symbol resolved, and finds its entry", (context) => {
  if (process.arch !== "x64" || spawnSync("musl-gcc", ["--version"]).status !== 0)
    return context.skip("there is no musl-gcc");
  const folder = mkdtempSync(join(tmpdir(), "subflow-musl-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const addon = join(root, "prebuilds", "linux-x64", "subflow.node");
  const stubs = takenBy(addon).map((name) => `int ${name}(void) { return 0; }`);
  const source = join(folder, "host.c");
  // Node is a program that has these; RTLD_NOW (2) resolves them all.
  const main = `int main(int count, char **words) {
    void *addon = dlopen(words[1], 2);
    if (!addon) return puts(dlerror()), 1;
    return dlsym(addon, "napi_register_module_v1") ? 0 : 2;
  }`;
  writeFileSync(source, `#include <dlfcn.h>\n#include <stdio.h>\n${stubs.join("\n")}\n${main}\n`);
  const program = join(folder, "host");
  const { stderr } = spawnSync("musl-gcc", ["-rdynamic", "-o", program, source], { encoding: "utf8" });
  assert.equal(stderr, "");
  assert.match(
    spawnSync("readelf", ["-d", program], { encoding: "utf8" }).stdout,
    /NEEDED.*\[libc\.so\]/,
    "it is musl's",
  );
  const { status, stdout } = spawnSync(program, [addon], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
