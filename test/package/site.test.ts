import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";

const root = join(import.meta.dirname, "..", "..", "..");

interface Found {
  readonly at: string;
  readonly title: string;
  readonly excerpt: string;
}
interface Rendered {
  readonly html: string;
  readonly headings: readonly { readonly id: string }[];
}
type Site = { root: string; pages: Map<string, object>; links: object[]; files: Map<string, string>; faults: string[] };

const { readSite, writeSite } = (await import(join(root, "tools", "docs", "site.mjs"))) as {
  readSite(): { faults: string[]; pieces: object[] };
  writeSite(folder: string): Promise<string[]>;
};
const { renderPage, anchorFaults } = (await import(join(root, "tools", "docs", "render.mjs"))) as {
  renderPage(site: Site, page: object): Rendered;
  anchorFaults(site: Site, pages: object[]): string[];
};
const { searchOf } = (await import(join(root, "tools", "docs", "search.mjs"))) as {
  searchOf(pieces: object[]): (words: string) => Found[];
};

const { readApi } = (await import(join(root, "tools", "docs", "api.mjs"))) as {
  readApi(root: string): { name: string; exports: { name: string; doc: string; tags: string[] }[] }[];
};

const folder = mkdtempSync(join(tmpdir(), "subflow-site-"));
after(() => rmSync(folder, { recursive: true }));
const pages = await writeSite(folder);
const read = (file: string) => readFileSync(join(folder, file), "utf8");

/** A page of Markdown that is not in the repository, beside the one it may lead to. */
function render(text: string) {
  const page = { source: "docs/some.md", text, title: "Some", target: "some.html" };
  const site: Site = { root, pages: new Map([["docs/some.md", page]]), links: [], files: new Map(), faults: [] };
  const rendered = renderPage(site, page);
  return { ...rendered, files: [...site.files.keys()], faults: [...site.faults, ...anchorFaults(site, [rendered])] };
}

describe("the documentation as a site", () => {
  test("every document is a page, and every link and anchor in what was written leads somewhere", () => {
    assert.deepEqual(readSite().faults, []);
    for (const name of readdirSync(join(root, "docs")).filter((each) => each.endsWith(".md")))
      assert.ok(pages.includes(name.replace(".md", ".html")), name);
    for (const page of pages) {
      const links = [...read(page).matchAll(/(?:href|src)="([^"]*)"/g)].map(([, link]) => link!);
      assert.ok(links.length > pages.length, page);
      for (const link of links.filter((each) => !/^(https?|mailto):/.test(each))) {
        const [file, anchor] = link.split("#");
        assert.ok(existsSync(join(folder, file || page)), `${page}: ${link}`);
        if (anchor) assert.ok(read(file || page).includes(` id="${anchor}"`), `${page}: ${link}`);
      }
    }
  });

  test("the API reference has every export of each door with a sentence, and its types lead to where they are explained", () => {
    const doors = readApi(root);
    assert.deepEqual(
      doors.filter(({ exports }) => exports.length === 0),
      [],
    );
    const silent = doors.flatMap(({ exports }) => exports).filter(({ doc, tags }) => doc === "" && tags.length === 0);
    assert.deepEqual(silent, []);
    const client = read("api-client.html");
    assert.match(client, /<h3 id="client">Client /);
    assert.match(
      client,
      /<i>\/\*\* Who is there\. [^<]*<\/i>\s+hello\(\): Promise&lt;<a href="api-client\.html#controlhello">ControlHello</,
    );
    assert.doesNotMatch(client, /#private|export declare/);
    // Of two names that differ in their case each has its own place.
    const types = read("api-policy.html");
    for (const id of ["delay", "policy", "connectionplan"]) assert.match(types, new RegExp(`<h3 id="${id}">`));
    assert.match(read("api.html"), /<a href="api-testing\.html">subflow\/testing<\/a>/);
  });

  test("the policy in the text about the API runs as it stands there", () => {
    const [, code] = /```js\n([\s\S]+?)```/.exec(readFileSync(join(root, "docs", "api.md"), "utf8"))!;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module"], {
      cwd: root,
      input: code,
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  });

  test("every finding that troubleshooting names is one of the doctor's", () => {
    const text = (name: string) => readFileSync(join(root, "docs", name), "utf8");
    const named = [...text("troubleshooting.md").matchAll(/(?:`\[([a-z-]+)\]`| \[([a-z-]+)\]$)/gm)].map(
      ([, a, b]) => a ?? b!,
    );
    assert.ok(named.length > 10, `${named}`);
    for (const id of named) assert.ok(text("doctor.md").includes(`| \`${id}\` `), id);
  });

  test("the badges say what the repository says", async () => {
    const { badges } = (await import(join(root, "tools", "docs", "badges.mjs"))) as { badges(): string };
    assert.equal(readFileSync(join(root, "docs", "badges.svg"), "utf8"), badges(), "node tools/docs/badges.mjs");
  });

  test("nothing is loaded from elsewhere", () => {
    for (const page of pages)
      assert.doesNotMatch(read(page), /<(?!a )[a-z]+ [^>]*(src|srcset|href)="(https?:)?\/\//, page);
    assert.doesNotMatch(read("site.css"), /url\(|@import/);
  });

  test("anchors are GitHub's, the second of a name too", () => {
    const { headings } = render("# A `subflow` & more\n\n## Who, what?\n\n## Who, what?\n\n## [Link](some.md) é_x\n");
    assert.deepEqual(
      headings.map(({ id }) => id),
      ["a-subflow--more", "who-what", "who-what-1", "link-é_x"],
    );
  });

  test("a link to nothing, an anchor of nothing and a picture from elsewhere are faults", () => {
    const { faults } = render(
      "# A\n[x](none.md) [y](#nowhere) [z](some.md#a) ![p](https://example.org/p.png) [u](../..)\n",
    );
    assert.deepEqual(faults, [
      'docs/some.md: the link "none.md" leads to nothing',
      'docs/some.md: the picture "https://example.org/p.png" is not a file of the repository',
      'docs/some.md: the link "../.." leads to nothing',
      'docs/some.md: the link "#nowhere" leads to no heading of some.html',
    ]);
  });

  test("files of the repository go along, folders are text, and what looks like a tag is shown", () => {
    const { html, files } = render("# A\n[w](../examples/watch.py) [s](schemas) `<b>` ![p](pictures/web.png)\n");
    assert.deepEqual(files, ["files/examples-watch.py.txt", "files/docs-pictures-web.png"]);
    assert.match(html, /<a href="files\/examples-watch.py.txt">w<\/a> s <code>&lt;b&gt;<\/code>/);
  });

  test("search finds a word, its beginning, and a word with a mistake in it", () => {
    const search = searchOf(readSite().pieces);
    const places = (words: string) => search(words).map(({ at }) => at);
    const announce = "cli.html#announce-remove-create-destroy-backup-nobackup";
    for (const words of ["announce", "announc", "announse"])
      assert.ok(places(words).slice(0, 5).includes(announce), `${words}: ${places(words).slice(0, 5)}`);
    assert.match(search("rp_filter strict")[0]!.excerpt, /rp_filter/);
    assert.deepEqual(places("zzzzqqqq"), []);
  });
});

/** Debian's package `chromium`; elsewhere by this variable. */
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** SCREENSHOTS=FOLDER: pictures of some pages, to be looked at. */
const SCREENSHOTS = process.env.SCREENSHOTS;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function inBrowser(run: (browser: Browser) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

/** The slowest of axe's rules, by far: what it looks at is the style sheet, so these pages tell for all. */
const COLOURFUL = new Set(["start.html", "web.html"]);

const violations = (page: Page, colours: boolean) =>
  page.evaluate(`(async () => {
    if (!globalThis.axe) (0, eval)(${JSON.stringify(AXE)});
    const { violations } = await axe.run({ preload: false, resultTypes: ["violations"], rules: { "color-contrast": { enabled: ${colours} } } });
    return violations.map(({ id, nodes }) => id + ": " + nodes[0].html.slice(0, 200));
  })()`) as Promise<string[]>;

async function picture(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

describe("the site in a browser, opened from files", { skip: existsSync(CHROMIUM) ? false : `no ${CHROMIUM}` }, () => {
  const address = (page: string) => pathToFileURL(join(folder, page)).href;
  for (const [colorScheme, width] of [
    ["light", 1280],
    ["dark", 360],
  ] as const) {
    test(`every page, ${colorScheme} and ${width} wide: no error, no sideways scrolling, nothing that axe finds`, () =>
      inBrowser(async (browser) => {
        const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } });
        const errors: string[] = [];
        page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
        page.on("pageerror", (error) => errors.push(error.message));
        page.on("requestfailed", (request) => {
          // A picture that was still on its way when the next page was asked for.
          if (request.failure()?.errorText !== "net::ERR_ABORTED") errors.push(request.url());
        });
        page.on("request", (request) => request.url().startsWith("file:") || errors.push(request.url()));
        for (const name of pages) {
          await page.goto(address(name));
          assert.deepEqual(errors, [], name);
          const wide = (await page.evaluate("document.documentElement.scrollWidth")) as number;
          assert.ok(wide <= width, `${name} is ${wide} wide`);
          if (colorScheme === "dark" || COLOURFUL.has(name))
            assert.deepEqual(await violations(page, COLOURFUL.has(name)), [], name);
          await picture(page, `${basename(name, ".html")}-${colorScheme}`);
        }
        const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
        assert.equal(paper, colorScheme === "dark" ? "rgb(15, 23, 25)" : "rgb(251, 252, 252)");
      }));
  }

  test("search by keyboard leads to the place; the menu of a phone opens and closes", () =>
    inBrowser(async (browser) => {
      const page = await browser.newPage({ viewport: { width: 360, height: 700 } });
      await page.goto(address("index.html"));
      await page.keyboard.press("/");
      await page.keyboard.type("announce");
      const first = await page.waitForSelector(".results li a");
      const place = (await first.getAttribute("href"))!;
      await picture(page, "search");
      assert.deepEqual(await violations(page, true), []);
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.href.endsWith(`/${place}`));
      assert.match(place, /announce/);
      await page.click(".to-menu");
      await picture(page, "menu");
      assert.equal(await page.isVisible("#menu .close"), true);
      await page.click("#menu >> text=Glossary");
      await page.waitForURL(/glossary\.html/);
    }));
});
