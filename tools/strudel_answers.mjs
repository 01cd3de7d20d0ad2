// Events that Strudel's own library gives: for the expressions of tests/live/strudel/cases.txt, or for programs.
//
//   npm install @strudel/core @strudel/mini @strudel/tonal @strudel/transpiler esbuild   (in a folder: they are AGPL-3.0)
//   npx esbuild entry.mjs --bundle --platform=node --format=esm --outfile=strudel.mjs --alias:@kabelsalat/web=./salat.mjs
//   node tools/strudel_answers.mjs FOLDER/strudel.mjs < tests/live/strudel/cases.txt > tests/live/strudel/answers.txt
//   node tools/strudel_answers.mjs FOLDER/strudel.mjs --programs < PROGRAMS > ANSWERS
//
// entry.mjs exports each of the four packages by its name; salat.mjs exports an empty class SalatRepl. A line of a case
// is `NAME | OURS` or `NAME | OURS | THEIRS`, its answer the events of four cycles that begin: `BEGIN LENGTH VALUE`,
// separated by tabs, or `! ERROR`. A line of PROGRAMS is a program, its answer JSON: [[BEGIN, END, VALUE], …] or an error's
// text.
import path from "node:path";
import { readFileSync } from "node:fs";

const say = (text) => process.stdout.write(`${text}\n`);
console.log = console.error; // a greeting is no answer
const { core, mini, tonal, transpiler } = await import(path.resolve(process.argv[2]));
core.setStringParser(mini.mini);

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

const eventsOf = (pattern) =>
  pattern
    .queryArc(0, 4)
    .filter((event) => event.hasOnset())
    .map(({ whole: { begin, end }, value }) => ({ begin, end, value: plain(value), text: JSON.stringify(plain(value)) }))
    .sort(
      (a, b) =>
        a.begin.valueOf() - b.begin.valueOf() ||
        (a.text < b.text ? -1 : a.text > b.text ? 1 : 0) ||
        (a.end.sub(a.begin).toFraction() < b.end.sub(b.begin).toFraction() ? -1 : 1),
    );

const message = (error) => String(error?.message ?? error).split("\n")[0];
const lines = readFileSync(0, "utf8").split("\n").slice(0, -1);
if (process.argv[3] === "--programs") {
  await core.evalScope(core, mini, tonal);
  for (const line of lines) {
    let failed;
    const repl = core.repl({
      transpiler: transpiler.transpiler,
      defaultOutput: () => {},
      getTime: () => 0,
      onEvalError: (error) => (failed = error),
    });
    try {
      await repl.evaluate(line, false);
      if (failed) throw failed;
      const events = eventsOf(repl.scheduler.pattern);
      say(JSON.stringify(events.map(({ begin, end, value }) => [begin.toFraction(), end.toFraction(), value])));
    } catch (error) {
      say(JSON.stringify(message(error)));
    }
  }
  process.exit(0);
}
const library = { ...core, ...mini, ...tonal };
library.miniAllStrings?.();
const names = Object.keys(library).filter((name) => /^[A-Za-z_]\w*$/.test(name));
const values = names.map((name) => library[name]);
for (const line of lines) {
  if (!line.trim() || line.startsWith("#")) {
    say("");
    continue;
  }
  const [, ours, theirs] = line.split(" | ");
  try {
    const events = eventsOf(new Function(...names, `return ${theirs ?? ours}`)(...values));
    say(
      events
        .map(({ begin, end, text }) => [begin.toFraction(), end.sub(begin).toFraction(), text].join(" "))
        .join("\t"),
    );
  } catch (error) {
    say(`! ${message(error)}`);
  }
}
process.exit(0);
