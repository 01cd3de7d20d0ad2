// Parts of a script that are run alone: where they begin and end, and the text of the whole with them.
import { ChangeSet, type ChangeSpec, type EditorState, type Text } from "@codemirror/state";

interface Range {
  from: number;
  to: number;
}

/** The statements that a selection touches; for a block the lines around them too, up to the next empty one. */
export function reach(state: EditorState, what: "block" | "line"): Range {
  const { main } = state.selection;
  let first = state.doc.lineAt(main.from).number;
  let last = state.doc.lineAt(main.to).number;
  for (const one of statements(state)) {
    const [from, to] = [state.doc.lineAt(one.from).number, state.doc.lineAt(one.to).number];
    if (from <= last && to >= first) [first, last] = [Math.min(first, from), Math.max(last, to)];
  }
  const empty = (number: number) => !state.doc.line(number).text.trim();
  if (what === "block") {
    while (first > 1 && !empty(first - 1)) first--;
    while (last < state.doc.lines && !empty(last + 1)) last++;
  }
  return { from: state.doc.line(first).from, to: state.doc.line(last).to };
}

const GOES_ON = /^(?:[\s)\]}#]|$|(?:elif|else|except|finally)\b)/;

/** The statements of the outermost level, by their indentation: a parser would take a broken one with all behind it. */
function statements({ doc }: EditorState): Range[] {
  const found: Range[] = [];
  let decorated = false;
  for (let number = 1; number <= doc.lines; number++) {
    const { from, to, text } = doc.line(number);
    const last = found[found.length - 1];
    if (last && (decorated || GOES_ON.test(text))) {
      if (/^[^#]/.test(text) && text.trim()) last.to = to;
    } else if (!GOES_ON.test(text)) found.push({ from, to });
    decorated = text.startsWith("@");
  }
  return found;
}

/** A text with those of the changes since then that are in a range of the text as it is now; the others wait. */
export function partOf(doc: Text, changes: ChangeSet, { from, to }: Range): { doc: Text; changes: ChangeSet } {
  const inside: ChangeSpec[] = [];
  const others: ChangeSpec[] = [];
  changes.iterChanges((fromA, toA, fromB, toB, insert) => {
    const touches = fromB === toB ? fromB >= from && fromB <= to : fromB < to && toB > from;
    (touches ? inside : others).push({ from: fromA, to: toA, insert });
  }, true);
  const applied = ChangeSet.of(inside, doc.length);
  return { doc: applied.apply(doc), changes: ChangeSet.of(others, doc.length).map(applied) };
}

/** What makes names and settings: an import, a definition, a value, a call of a word that plays nothing. */
const NEEDED =
  /^(?:(?:from|import|def|async|class)\b|[\w, ]+(?::[^=]+)?[-+*/|&]?=[^=]|(?:patch|tempo|seed|swing)\s*\()/;

/** As `partOf` where nothing plays: what the part needs, names and settings, without the statements that play. */
export function alone(state: EditorState, { from, to }: Range): { doc: Text; changes: ChangeSet } {
  const out: ChangeSpec[] = statements(state)
    .filter((one) => one.to < from || one.from > to)
    .filter((one) => !NEEDED.test(state.sliceDoc(one.from, one.to)));
  const taken = ChangeSet.of(out, state.doc.length);
  return { doc: taken.apply(state.doc), changes: taken.invert(state.doc) };
}
