// Bundles the command line into dist/bundle/, CommonJS and minified. Node starts a CommonJS script some 5 ms sooner than
// an ES module, one file 0.3 ms sooner than two, and pays for each byte that it parses. So: esbuild splits the commands
// into chunks (which it does for ES modules only), and each chunk becomes a CommonJS function. What the commands of
// scripts and prompts need stands together in subflow.cjs; everything else is a file each, read when it is wanted.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build, transform } from "esbuild";

const directory = join("dist", "bundle");
/** Commands whose start is felt most, because scripts call them many times. */
const QUICK = /commands\/(endpoint|limits)-\w+\.ts$/;

const { outputFiles, metafile } = await build({
  entryPoints: { subflow: "src/cli/entry.ts" },
  outdir: directory,
  outExtension: { ".js": ".cjs" },
  bundle: true,
  splitting: true,
  write: false,
  metafile: true,
  platform: "node",
  target: "node20",
  format: "esm",
  legalComments: "none",
  // Where the native addon is looked for; CommonJS has no import.meta.
  define: { "import.meta.url": "__filename" },
});

const entry = join(directory, "subflow.cjs");
const quick = new Set();
addWithImports(entry);
for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
  if (QUICK.test(entryPoint ?? "")) addWithImports(path);
}

rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
const together = [];
for (const { path, text } of outputFiles) {
  const name = `./${basename(path)}`;
  // In parentheses V8 compiles a function at once; else it would parse twice what every command needs.
  const chunk = `(function(module,exports,require){${await commonJs(text)}})`;
  if (quick.has(join(directory, name))) together.push(`${JSON.stringify(name)}:${chunk}`);
  else writeFileSync(join(directory, name), `module.exports=${chunk};\n`);
}
writeFileSync(
  entry,
  `"use strict";
const chunks={${together.join(",\n")}};
const modules=Object.create(null);
// Every chunk runs once, wherever it stands, so that every class exists once.
function load(name){
  if(!name.startsWith("./"))return require(name);
  const known=modules[name];
  if(known)return known.exports;
  const module=modules[name]={exports:{}};
  (chunks[name]??require(name))(module,module.exports,load);
  return module.exports;
}
load("./subflow.cjs");
`,
);

// Processes that import somebody's module, and the daemon's thread: by themselves, for they have nothing of the command line, and ES modules,
// for they import one.
await build({
  entryPoints: {
    plugin: "src/plugin/main.ts",
    "policy-test": "src/cli/policy/tester.ts",
    history: "src/daemon/history/thread.ts",
  },
  outdir: directory,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20",
  format: "esm",
  legalComments: "none",
});

// The page of `subflow web`: one script, one style, nothing from elsewhere.
await build({
  entryPoints: { page: "src/page/main.tsx" },
  outdir: join(directory, "web"),
  bundle: true,
  minify: true,
  platform: "browser",
  target: ["chrome100", "firefox100", "safari15.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
});
await build({ entryPoints: ["src/page/page.css"], outdir: join(directory, "web"), bundle: true, minify: true });
for (const name of ["index.html", "icon.svg"]) copyFileSync(join("src", "page", name), join(directory, "web", name));

// Its status tells of the kernel of this machine only: without MPTCP there is a cache all the same.
spawnSync(process.execPath, [join("tools", "code-cache.cjs")], { stdio: "ignore" });

function addWithImports(path) {
  if (quick.has(path)) return;
  quick.add(path);
  for (const { path: imported, kind } of metafile.outputs[path].imports) {
    if (kind === "import-statement" && metafile.outputs[imported]) addWithImports(imported);
  }
}

async function commonJs(text) {
  const { code } = await transform(text, {
    format: "cjs",
    platform: "node",
    target: "node20",
    minify: true,
    supported: { "dynamic-import": false }, // becomes require() inside a promise
  });
  return code;
}
