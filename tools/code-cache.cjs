// Writes dist/bundle/subflow.cjs.cache: what V8 has compiled of the bundle when `subflow limits` ends, so that bin/subflow
// need not compile it again. V8 recognizes its source by the length only: bundle.mjs calls this whenever it writes one.
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire, wrap } = require("node:module");
const { dirname, resolve } = require("node:path");
const { Script } = require("node:vm");

const bundle = resolve("dist", "bundle", "subflow.cjs");
const script = new Script(wrap(readFileSync(bundle, "utf8")), { filename: bundle });
process.on("exit", () => writeFileSync(`${bundle}.cache`, script.createCachedData()));
process.argv.push("limits"); // as good as any; whether the kernel knows MPTCP does not matter
script.runInThisContext()(exports, createRequire(bundle), module, bundle, dirname(bundle));
