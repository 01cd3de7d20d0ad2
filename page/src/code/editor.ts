// The editor itself, CodeMirror 6: a file of its own, loaded when the room is opened first. It knows nothing of the page.
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  completionStatus,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python, pythonLanguage } from "@codemirror/lang-python";
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
  syntaxTree,
} from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec, type Range, type TransactionSpec } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  hoverTooltip,
  keymap,
  lineNumbers,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { completing, explaining, isMini, placeOf, sentenceOf, type Vocabulary } from "./complete";
import { type Fault, Lights, litField, type Part, type Step } from "./lights";
import { reach } from "./parts";
import { personTheme, Shared, type Told } from "./shared";
import { sliders, slidersOf } from "./sliders";
import { constructStyles } from "./styles";

export interface Host {
  run(what: What): void;
  stop(): void;
  save(): void;
  leave(): void;
  changed(text: string): void;
  pasted(text: string): void;
  vocabulary(): Vocabulary;
  slid(at: number, value: number): void;
}

/** What of the script is run: all of it, the paragraph at the cursor, the statement there. */
export type What = "all" | "block" | "line";

export interface Editor {
  dom: HTMLElement;
  text(): string;
  /** The text to run so that of a version a part alone is another, and how the rest is changed since. */
  part(what: What, version: number): Part;
  show(text: string): void;
  /** The text as it is now is that of a version which was run. */
  ran(version: number, part: Part): void;
  knows(version: number): boolean;
  /** The sliders, with the places that their calls have in a version. */
  sliders(version: number): { place: number | null; value: number }[];
  /** The place in a version of one at a place of the text. */
  origin(version: number, at: number): number | null;
  /** Puts a word at the cursor: as it is in a text between quotation marks, else as a pattern of it. */
  insert(word: string, pattern: string): void;
  /** Types a text at the cursor, as its key does. */
  type(text: string): void;
  /** Replaces the text, and puts the cursor at a place. */
  write(text: string, at: number): void;
  light(steps: Step[]): void;
  dark(): void;
  fault(version: number, fault: Fault | null): void;
  focus(line?: number): void;
  shown(): void;
  /** Edits the text together with others, under a name. */
  share(open: () => WebSocket, name: string, told: Told): void;
  leave(): void;
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword, tags.moduleKeyword], color: "var(--warm)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--cool)" },
  { tag: [tags.comment], color: "var(--soft)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName))], fontWeight: "600" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warm)" },
  { tag: [tags.operator, tags.punctuation], color: "var(--soft)" },
  { tag: [tags.meta], color: "var(--warm)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", backgroundColor: "transparent", color: "var(--ink)", fontSize: "var(--code-size)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--warm)", padding: ".6rem 0 40vh" },
  ".cm-cursor": { borderLeftColor: "var(--warm)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--soft)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 .7rem 0 .6rem", minWidth: "2.2rem" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--raised) 70%, transparent)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "var(--warm-soft)",
  },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--warm-soft)" },
  ".cm-lit": {
    backgroundColor: "var(--warm-soft)",
    boxShadow: "0 0 0 1.5px var(--warm)",
    borderRadius: "3px",
  },
  ".cm-mini-sign": { color: "var(--soft)" },
  ".cm-mini-number": { color: "var(--warm)" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--bad) 1.5px",
    textUnderlineOffset: "3px",
  },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--ink)",
    border: "1px solid var(--line)",
    borderRadius: "var(--r)",
    overflow: "hidden",
    boxShadow: "0 8px 30px #0006",
  },
  ".cm-tooltip-autocomplete > ul > li": { padding: ".2rem .5rem" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--warm-soft)", color: "var(--ink)" },
  ".cm-completionDetail": { color: "var(--soft)", fontStyle: "normal", marginLeft: ".8em" },
  ".cm-completion-sentence": {
    display: "block",
    maxWidth: "30rem",
    overflow: "hidden",
    textOverflow: "ellipsis",
    color: "var(--soft)",
    font: ".78rem/1.25 ui-sans-serif, system-ui, sans-serif",
  },
  ".cm-slider": {
    width: "6.5rem",
    height: "1rem",
    margin: "0 .4rem",
    verticalAlign: "middle",
    accentColor: "var(--warm)",
    touchAction: "none",
  },
  ...personTheme,
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--warm)" },
  ".cm-tooltip.cm-completionInfo": { padding: "0", maxWidth: "26rem" },
  ".cm-diagnostic-error": { borderLeft: "4px solid var(--bad)" },
});

const SIGN = /[~[\]<>{}()*/!@%?|,:_]|\.(?=\s|$|\.)/g;
const FIGURE = /(?<![\w#'.])-?\d+(?:\.\d+)?(?![\w'#])/g;
const sign = Decoration.mark({ class: "cm-mini-sign" });
const figure = Decoration.mark({ class: "cm-mini-number" });

/** The signs and numbers of the mini-notations that are in sight. */
function minis(view: EditorView): DecorationSet {
  const found: Range<Decoration>[] = [];
  const { state } = view;
  for (const { from, to } of view.visibleRanges) {
    syntaxTree(state).iterate({
      from,
      to,
      enter: ({ name, node }) => {
        if (name !== "String") return;
        const place = placeOf(state, node);
        if (!place || !isMini(place)) return;
        const text = state.sliceDoc(node.from, node.to);
        for (const [pattern, mark] of [
          [SIGN, sign],
          [FIGURE, figure],
        ] as const) {
          for (const match of text.matchAll(pattern)) {
            found.push(mark.range(node.from + match.index, node.from + match.index + match[0].length));
          }
        }
      },
    });
  }
  return Decoration.set(found, true);
}

const miniPlugin = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = minis(view);
    }
    update(update: ViewUpdate) {
      const parsed = syntaxTree(update.state) !== syntaxTree(update.startState);
      if (update.docChanged || update.viewportChanged || parsed) this.decorations = minis(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

/** Puts typed text in place of a selection: browsers that do it themselves write inline styles, which are refused. */
const replaces = EditorView.domEventHandlers({
  beforeinput({ inputType, data, dataTransfer }, view) {
    const text = data ?? dataTransfer?.getData("text/plain") ?? "";
    const { from, to, empty } = view.state.selection.main;
    if (empty || view.composing || !text || !["insertText", "insertFromPaste"].includes(inputType)) return false;
    const typed = { userEvent: inputType === "insertText" ? "input.type" : "input.paste", scrollIntoView: true };
    type(view, text, from, to, typed);
    return true;
  },
});

/** Has what handles typed text take it, as brackets that close, or puts it in place of the selection. */
function type(view: EditorView, text: string, from: number, to: number, how: TransactionSpec): void {
  const made = () => view.state.update(view.state.replaceSelection(text), how);
  if (!view.state.facet(EditorView.inputHandler).some((takes) => takes(view, from, to, text, made)))
    view.dispatch(made());
}

export function mount(text: string, host: Host): Editor {
  constructStyles();
  let view: EditorView;
  let shared: Shared | null = null;
  let leaving = () => {};
  const lights = new Lights(() => view);
  const does = (action: () => void) => () => {
    action();
    return true;
  };
  const keys = Prec.highest(
    keymap.of([
      { key: "Mod-Enter", run: does(() => host.run("all")), preventDefault: true },
      { key: "Alt-Enter", run: does(() => host.run("block")), preventDefault: true },
      { key: "Shift-Enter", run: does(() => host.run("line")), preventDefault: true },
      { key: "Mod-.", run: does(host.stop), preventDefault: true },
      { key: "Mod-s", run: does(host.save), preventDefault: true },
      { key: "Tab", run: acceptCompletion },
      // an open completion is closed first, by its own keys; the next Esc leaves
      { key: "Escape", run: (one) => completionStatus(one.state) === null && (host.leave(), true) },
    ]),
  );
  const state = (doc: string) =>
    EditorState.create({
      doc,
      extensions: [
        keys,
        replaces,
        lineNumbers(),
        shared ? shared.extension() : history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        indentOnInput(),
        indentUnit.of("    "),
        EditorState.tabSize.of(4),
        EditorView.lineWrapping,
        python(),
        // the words of live scripts alone: Python's own would hide them
        pythonLanguage.data.of({ autocomplete: [] }),
        autocompletion({
          override: [completing(host.vocabulary)],
          icons: false,
          maxRenderedOptions: 60,
          addToOptions: [{ render: sentenceOf, position: 90 }],
        }),
        hoverTooltip(explaining(host.vocabulary)),
        syntaxHighlighting(colours),
        theme,
        Prec.highest(miniPlugin),
        sliders(host.slid),
        litField,
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({
          "aria-label": "Live script; Escape leaves the editor",
          spellcheck: "false",
          tabindex: "0",
        }),
        EditorView.updateListener.of((update) => {
          lights.updated(update);
          if (update.docChanged) host.changed(update.state.doc.toString());
          if (update.transactions.some((one) => one.isUserEvent("input.paste")))
            update.changes.iterChanges((_from, _to, _at, _end, text) => host.pasted(text.toString()));
        }),
      ],
    });
  view = new EditorView({ state: state(text) });
  return {
    dom: view.dom,
    text: () => view.state.doc.toString(),
    show(next) {
      lights.forget();
      if (shared) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
      else view.setState(state(next));
    },
    part: (what, version) => lights.part(version, what === "all" ? null : reach(view.state, what)),
    ran: (version, part) => lights.ran(version, part),
    knows: (version) => lights.knows(version),
    sliders: (version) => slidersOf(view.state).map(({ at, value }) => ({ place: lights.origin(version, at), value })),
    origin: (version, at) => lights.origin(version, at),
    insert(word, pattern) {
      const { from, to } = view.state.selection.main;
      const node = syntaxTree(view.state).resolveInner(from, -1);
      const inside = node.name === "String" && from > node.from && from < node.to;
      const before = view.state.sliceDoc(from - 1, from);
      const insert = inside ? (/[\w\])>]/.test(before) ? ` ${word}` : word) : pattern;
      view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length }, userEvent: "input" });
    },
    type(text) {
      const { from, to } = view.state.selection.main;
      type(view, text, from, to, { userEvent: "input.type", scrollIntoView: true });
    },
    write(next, at) {
      const old = view.state.doc.toString();
      // the part that differs alone, so that what plays stays lit
      let from = 0;
      while (from < Math.min(old.length, next.length) && old[from] === next[from]) from++;
      let same = 0;
      while (same < Math.min(old.length, next.length) - from && old.at(-1 - same) === next.at(-1 - same)) same++;
      view.dispatch({
        changes: { from, to: old.length - same, insert: next.slice(from, next.length - same) },
        selection: { anchor: at },
        effects: EditorView.scrollIntoView(at, { y: "center" }),
        userEvent: "input.replace", // a step of its own for undo
      });
    },
    light: (steps) => lights.add(steps),
    dark: () => lights.dark(),
    fault(version, fault) {
      const place = fault && lights.placed(version, fault, view.state);
      const all: Diagnostic[] =
        place && fault
          ? [{ from: place.from, to: Math.max(place.to, place.from), severity: "error", message: fault.sentence }]
          : [];
      view.dispatch(setDiagnostics(view.state, all));
    },
    focus(line) {
      if (line && line <= view.state.doc.lines) {
        const at = view.state.doc.line(line).from;
        view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
      }
      view.focus();
    },
    shown: () => view.requestMeasure(),
    share(open, name, told) {
      const begun = new Shared(open, name, view.state.doc.toString(), {
        ...told,
        joined(text) {
          shared = begun;
          lights.forget();
          view.setState(state(text));
          told.joined(text);
        },
      });
      leaving = () => begun.leave();
    },
    leave() {
      leaving();
      if (!shared) return;
      shared = null;
      view.setState(state(view.state.doc.toString()));
    },
  };
}
