// Events that Strudel's own library gives for the expressions of tests/live/strudel/cases.txt.
//
//   npm install @strudel/core @strudel/mini @strudel/tonal esbuild      (in a folder of its own: they are AGPL-3.0)
//   npx esbuild entry.mjs --bundle --platform=node --format=esm --outfile=strudel.mjs
//   node tools/strudel_answers.mjs FOLDER/strudel.mjs < tests/live/strudel/cases.txt > tests/live/strudel/answers.txt
//
// entry.mjs exports all of the three packages. A line of a case is `NAME | OURS` or `NAME | OURS | THEIRS`; an answer is
// the same number of lines, each the events of four cycles that begin: `BEGIN LENGTH VALUE`, separated by tabs, or
// `! ERROR`.
import path from "node:path";
import { readFileSync } from "node:fs";

const say = (text) => process.stdout.write(`${text}\n`);
console.log = console.error; // a greeting is no answer
const strudel = await import(path.resolve(process.argv[2]));
strudel.setStringParser(strudel.mini);
strudel.miniAllStrings?.();
const names = Object.keys(strudel).filter((name) => /^[A-Za-z_]\w*$/.test(name));
const values = names.map((name) => strudel[name]);

const plain = (value) => {
  if (typeof value === "number") return Number(value.toFixed(9));
  if (value && typeof value === "object" && "n" in value && "d" in value && "s" in value)
    return Number(value.valueOf().toFixed(9));
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object")
    return Object.fromEntries(
      Object.keys(value)
        .sort()
        .map((key) => [key, plain(value[key])]),
    );
  return value;
};

const lines = readFileSync(0, "utf8").split("\n").slice(0, -1);
for (const line of lines) {
  if (!line.trim() || line.startsWith("#")) {
    say("");
    continue;
  }
  const [, ours, theirs] = line.split(" | ");
  try {
    const pattern = new Function(...names, `return ${theirs ?? ours}`)(...values);
    const events = pattern
      .queryArc(0, 4)
      .filter((event) => event.hasOnset())
      .map((event) => {
        const { begin, end } = event.whole;
        return [begin.valueOf(), begin.toFraction(), end.sub(begin).toFraction(), JSON.stringify(plain(event.value))];
      })
      .sort((a, b) => a[0] - b[0] || (a[3] < b[3] ? -1 : a[3] > b[3] ? 1 : 0) || (a[2] < b[2] ? -1 : 1));
    say(events.map((event) => event.slice(1).join(" ")).join("\t"));
  } catch (error) {
    say(`! ${String(error.message).split("\n")[0]}`);
  }
}
process.exit(0);
