// Builds the page's files from src/ into the server's package: node build.mjs, or --check to compare only.
// The same sources and the same lock file give the same bytes.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "../server/antiphon/web/page/assets");
const LIMIT = 300_000; // bytes of all files, gzipped

const licences = (names) =>
  names
    .map((name) => `${name}: ${readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim()}`)
    .join("\n\n")
    .replaceAll("*/", "* /");
const PREACT = ["preact", "@preact/signals", "@preact/signals-core"];
// all of one author and one text, so the text stands once; the others have their own
const EDITOR = [
  "@codemirror/view",
  "@lezer/common",
  "style-mod",
  "w3c-keyname",
  "crelt",
  "@marijn/find-cluster-break",
  "yjs",
  "lib0",
  "y-codemirror.next",
];

async function bundle(entry, { banner = {}, define = {}, format = "iife" } = {}) {
  const made = await build({
    entryPoints: [join(here, "src", entry)],
    bundle: true,
    minify: true,
    write: false,
    format,
    target: "es2022",
    charset: "utf8",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    banner,
    define,
    absWorkingDir: here,
  });
  return made.outputFiles[0].text;
}

// tests without Node compare this digest with the sources, so that no bundle is older than they are
function digest() {
  const files = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
  for (const entry of readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) files.push(relative(here, join(entry.parentPath, entry.name)));
  }
  const hash = createHash("sha256");
  for (const name of files.sort())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(here, name)))
      .update("\0");
  return hash.digest("hex");
}

const files = {
  "app.js": await bundle("main.tsx", {
    banner: { js: `/*! Antiphon's page, MIT. It holds:\n\n${licences(PREACT)}\n*/` },
  }),
  // loaded when the room Code is opened first
  "code.js": await bundle("code/editor.ts", {
    banner: { js: `/*! The editor of Antiphon's page, MIT. It holds CodeMirror 6 and Yjs:\n\n${licences(EDITOR)}\n*/` },
    format: "esm",
  }),
  "player.js": await bundle("player.ts"),
  "app.css": await bundle("page.css"),
  "manifest.webmanifest": readFileSync(join(here, "src/manifest.webmanifest"), "utf8"),
  "index.html": readFileSync(join(here, "src/index.html"), "utf8"),
  "icon.svg": readFileSync(join(here, "src/icon.svg"), "utf8"),
};
const sha256 = (text, form) => createHash("sha256").update(text).digest(form);
const kept = Object.fromEntries(
  Object.entries(files).map(([name, text]) => [`/page/${name}`, `sha256-${sha256(text, "base64")}`]),
);
const define = { FILES: JSON.stringify(kept), BUILD: JSON.stringify(sha256(JSON.stringify(kept), "hex").slice(0, 16)) };
Object.assign(files, {
  "worker.js": await bundle("worker.ts", { define }),
  "sources.sha256": `${digest()}\n`,
});
// the icons for systems that take no SVG are committed where they are served from
for (const name of ["icon-192.png", "icon-512.png", "icon-maskable-512.png"])
  files[name] = readFileSync(join(assets, name));

const sizes = Object.entries(files).map(([name, text]) => [name, gzipSync(text, { level: 9 }).length]);
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
if (total > LIMIT) throw new Error(`the page has ${total} bytes gzipped, ${LIMIT} at most`);
const check = process.argv.includes("--check");
mkdirSync(assets, { recursive: true });
for (const [name, text] of Object.entries(files)) {
  const path = join(assets, name);
  const current = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const next = Buffer.from(text);
  if (current.equals(next)) continue;
  if (check) throw new Error(`${name} is not what the sources give: make page`);
  writeFileSync(path, next);
}
console.log(sizes.map(([name, size]) => `${name} ${(size / 1000).toFixed(1)} kB`).join(", "));
console.log(`${(total / 1000).toFixed(1)} kB gzipped in all${check ? ", and as committed" : ""}`);
