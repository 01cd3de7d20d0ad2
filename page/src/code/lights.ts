// What plays is lit in the text at its time, also after the text was edited; and faults keep their place.
import { ChangeSet, type EditorState, StateEffect, StateField, type Text } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, type ViewUpdate } from "@codemirror/view";
import { alone, partOf } from "./parts";

/** A step that is played: from and until in milliseconds of the page's clock, and places as the server counts them. */
export interface Step {
  from: number;
  until: number;
  places: number[];
}
export interface Fault {
  line: number;
  sentence: string;
  picture: string;
}
/** A text that is run, and what has to be changed in it for the text as it is now. */
export interface Part {
  doc: Text;
  changes: ChangeSet;
}
interface Version {
  number: number;
  doc: Text;
  changes: ChangeSet;
  units: number[] | null; // for each character its first UTF-16 unit, where some have two
}
interface Lit {
  from: number;
  to: number;
}

const KEPT = 4; // versions
const MOST = 256; // steps that wait or are lit
const setLit = StateEffect.define<Lit[]>();
const mark = Decoration.mark({ class: "cm-lit" });
export const litField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(set, transaction) {
    let now = set.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setLit))
        now = Decoration.set(
          effect.value.map(({ from, to }) => mark.range(from, to)),
          true,
        );
    }
    return now;
  },
  provide: (field) => EditorView.decorations.from(field),
});

export class Lights {
  private versions: Version[] = [];
  private steps: Step[] = [];
  private shown = "";
  private frame = 0;

  constructor(private readonly view: () => EditorView) {}

  /** The text with the changes of a range since a version, all of them for null; and the changes that wait. */
  part(number: number, range: { from: number; to: number } | null): Part {
    const { state } = this.view();
    const version = this.versions.find((one) => one.number === number);
    if (!range) return { doc: state.doc, changes: ChangeSet.empty(state.doc.length) };
    return version ? partOf(version.doc, version.changes, range) : alone(state, range);
  }

  /** A text is that of a version. */
  ran(number: number, { doc, changes }: Part): void {
    const text = doc.toString();
    let units: number[] | null = null;
    if (/[\ud800-\udfff]/.test(text)) {
      units = [0];
      for (const character of text) units.push(units[units.length - 1]! + character.length);
    }
    this.versions = [{ number, doc, changes, units }, ...this.versions].slice(0, KEPT);
  }

  /** The character of a version's text, as the server counts, at which a place of the text as it is now stood. */
  origin(number: number, at: number): number | null {
    const version = this.versions.find((one) => one.number === number);
    if (!version) return null;
    const unit = version.changes.invertedDesc.mapPos(at, 1);
    return version.units ? version.units.indexOf(unit) : unit;
  }

  knows(number: number): boolean {
    return this.versions.some((one) => one.number === number);
  }

  forget(): void {
    this.versions = [];
    this.steps = [];
  }

  updated(update: ViewUpdate): void {
    if (!update.docChanged) return;
    for (const one of this.versions) one.changes = one.changes.compose(update.changes);
  }

  add(steps: Step[]): void {
    this.steps = [...this.steps, ...steps].slice(-MOST);
    if (!this.frame && this.steps.length) this.frame = requestAnimationFrame(() => this.draw());
  }

  dark(): void {
    this.steps = [];
  }

  private draw(): void {
    this.frame = 0;
    const now = performance.now();
    this.steps = this.steps.filter((step) => step.until > now);
    const lit = new Map<string, Lit>();
    for (const { from, places } of this.steps) {
      if (from > now) continue;
      for (let at = 0; at + 2 < places.length; at += 3) {
        const found = this.find(places[at]!, places[at + 1]!, places[at + 2]!);
        if (found) lit.set(`${found.from} ${found.to}`, found);
      }
    }
    const key = [...lit.keys()].sort().join();
    if (key !== this.shown) {
      this.shown = key;
      this.view().dispatch({ effects: setLit.of([...lit.values()].filter(({ from, to }) => from < to)) });
    }
    if (this.steps.length) this.frame = requestAnimationFrame(() => this.draw());
  }

  private find(number: number, begin: number, end: number): Lit | null {
    const version = this.versions.find((one) => one.number === number);
    if (!version) return null;
    const [from, to] = version.units ? [version.units[begin], version.units[end]] : [begin, end];
    if (from === undefined || to === undefined || from > to || to > version.doc.length) return null;
    if (version.changes.touchesRange(from, to) === "cover") return null;
    return { from: version.changes.mapPos(from, 1), to: version.changes.mapPos(to, -1) };
  }

  /** Where a fault of a version stands in the text as it is now; null where no place is known. */
  placed(number: number, fault: Fault, state: EditorState): Lit | null {
    const version = this.versions.find((one) => one.number === number);
    if (!version || !fault.line || fault.line > version.doc.lines) return null;
    const found = precise(version.doc, fault) ?? line(version.doc, fault.line);
    const from = version.changes.mapPos(found.from, 1);
    return { from, to: Math.min(state.doc.length, Math.max(from, version.changes.mapPos(found.to, -1))) };
  }
}

function line(doc: Text, number: number): Lit {
  const { from, to, text } = doc.line(number);
  return { from: from + (text.length - text.trimStart().length), to };
}

const FAR = 2000; // characters behind the line's beginning in which a text of the call may stand

/** The word at the caret of a fault's picture: the picture's first line is a part of the script. */
function precise(doc: Text, fault: Fault): Lit | null {
  const [part, caret] = fault.picture.split("\n");
  if (!part || !caret) return null;
  const begin = doc.line(fault.line).from;
  const at = doc.sliceString(begin, begin + FAR).indexOf(part);
  if (at < 0) return null;
  const from = begin + at + Math.min(caret.length - 1, part.length - 1);
  const word = /^[\w'.-]+/.exec(doc.sliceString(from, from + 80));
  return { from, to: from + (word ? word[0].length : 1) };
}
