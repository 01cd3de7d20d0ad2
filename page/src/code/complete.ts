// What the editor completes and explains: the words of live scripts, the patch's nodes, sounds, scales and chords.
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { syntaxTree } from "@codemirror/language";
import type { EditorState } from "@codemirror/state";
import type { EditorView, Tooltip } from "@codemirror/view";
import type { SyntaxNode } from "@lezer/common";

export interface Word {
  name: string;
  signature: string;
  doc: string;
}
export interface PlainParam {
  name: string;
  doc: string;
  range: string;
}
export interface Vocabulary {
  words: Word[];
  changes: Word[];
  nodeWords: Word[];
  scales: string[];
  chords: string[];
  sounds: string[];
  patches: string[];
  nodes: { name: string; doc: string; params: PlainParam[] }[];
}

/** Where a text between quotation marks stands: the call, the number of the argument, and its name. */
export interface Place {
  call: string;
  argument: number;
  keyword: string;
}

/** Names of values of notes, with what they mean: of every instrument, then of the sampler. */
const VALUES: [string, string][] = [
  ["on", "The node that plays."],
  ["velocity", "1 to 127."],
  ["length", "In beats."],
  ["legato", "A factor of the step's length."],
  ["beats", "Of a cycle."],
  ["gain", "Of the sound."],
  ["pan", "0 left, 1 right."],
  ["speed", "1 as recorded, below 0 backwards."],
  ["begin", "0 to 1."],
  ["end", "0 to 1."],
  ["cut", "Sounds of one group end one another."],
  ["attack", "In seconds."],
  ["release", "In seconds."],
  ["n", "Which sound of the folder."],
  ["every", "Beats of a pass, of a loop."],
];

export function placeOf(state: EditorState, node: SyntaxNode): Place | null {
  const list = node.parent;
  if (list?.name === "AssignStatement") return { call: "=", argument: 0, keyword: "" };
  if (list?.name !== "ArgList") return null;
  const callee = list.parent?.firstChild;
  if (!callee) return null;
  let argument = 0;
  let keyword = "";
  for (let one = list.firstChild; one && one.from < node.from; one = one.nextSibling) {
    if (one.name === ",") {
      argument += 1;
      keyword = "";
    } else if (one.name === "VariableName") keyword = state.sliceDoc(one.from, one.to);
  }
  const name = callee.name === "MemberExpression" ? (callee.lastChild ?? callee) : callee;
  return { call: state.sliceDoc(name.from, name.to), argument, keyword };
}

const OTHERS = new Set(["patch", "node", "cue", "sync", "on_note", "on_level", "loop", "chord", "print", "memory"]);

/** Whether a text at a place is mini-notation. */
export function isMini({ call, argument, keyword }: Place): boolean {
  if (keyword) return keyword !== "on" && keyword !== "name";
  return !OTHERS.has(call) && !(argument === 0 && (call === "track" || call === "scale"));
}

function stringAt(state: EditorState, at: number): SyntaxNode | null {
  const node = syntaxTree(state).resolveInner(at, -1);
  return node.name === "String" && at > node.from ? node : null;
}

function named(names: string[], type: string, detail = ""): Completion[] {
  return names.map((label) => ({ label, type, detail }));
}

/** What a completion does, in a sentence, below its name. */
export function sentenceOf(one: Completion): HTMLElement | null {
  const said = (one as Completion & { doc?: string }).doc ?? (typeof one.info === "string" ? one.info : "");
  const sentence = /^.*?[.:](?=\s|$)/.exec(said.replace(/\s+/g, " "))?.[0] ?? said;
  if (!sentence) return null;
  const dom = document.createElement("span");
  dom.className = "cm-completion-sentence";
  dom.textContent = sentence.replace(/:$/, ".");
  return dom;
}

function described(words: Word[], type: string): Completion[] {
  return words.map((word) => ({
    label: word.name,
    type: word.signature ? type : "variable",
    detail: word.signature.length < 40 ? word.signature : "(…)",
    doc: word.doc,
    info: () => card(word.name + word.signature, word.doc),
  }));
}

function params(node: Vocabulary["nodes"][number]): Completion[] {
  return node.params.map((one) => ({
    label: one.name,
    type: "property",
    detail: one.range,
    doc: one.doc,
    info: () => card(`${node.name}.${one.name}`, [one.range, one.doc].filter(Boolean).join("\n\n")),
  }));
}

const NODE_BEFORE = /node\(\s*["'](\w+)["']\s*\)\.(\w*)$/;

export function completing(vocabulary: () => Vocabulary) {
  return (context: CompletionContext): CompletionResult | null => {
    const { state, pos } = context;
    const known = vocabulary();
    const string = stringAt(state, pos);
    if (string) return inString(context, string, known);
    if (/Comment/.test(syntaxTree(state).resolveInner(pos, -1).name)) return null;
    const line = state.doc.lineAt(pos);
    const before = state.sliceDoc(line.from, pos);
    const word = /\w*$/.exec(before)![0];
    const from = pos - word.length;
    const node = NODE_BEFORE.exec(before);
    if (node) {
      const found = known.nodes.find((one) => one.name === node[1]);
      return {
        from,
        options: [...(found ? params(found) : []), ...described(known.nodeWords, "method")],
        validFor: /^\w*$/,
      };
    }
    if (before.endsWith(`.${word}`)) {
      if (!/[\w)\]"']\.\w*$/.test(before) || /^\s*\d*\.\d*$/.test(before)) return null;
      return { from, options: described(known.changes, "method"), validFor: /^\w*$/ };
    }
    if (!word && !context.explicit) return null;
    if (/^\d/.test(word)) return null;
    const inCall = !!enclosing(syntaxTree(state).resolveInner(pos, -1), "ArgList");
    const values = inCall
      ? VALUES.map(([name, info]) => ({ label: `${name}=`, type: "property", info, boost: -1 }))
      : [];
    return { from, options: [...described(known.words, "function"), ...values], validFor: /^\w*=?$/ };
  };
}

function enclosing(node: SyntaxNode | null, name: string): SyntaxNode | null {
  while (node && node.name !== name) node = node.parent;
  return node;
}

function inString(context: CompletionContext, string: SyntaxNode, known: Vocabulary): CompletionResult | null {
  const { state, pos } = context;
  const place = placeOf(state, string);
  if (!place) return null;
  const before = state.sliceDoc(string.from + 1, pos);
  const word = /[\w#]*$/.exec(before)![0];
  const give = (options: Completion[], validFor = /^\w*$/): CompletionResult | null =>
    options.length && (word || context.explicit || !before || /['\s]$/.test(before))
      ? { from: pos - word.length, options, validFor }
      : null;
  const { call, argument, keyword } = place;
  if (keyword === "on" || (!keyword && argument === 0 && ["node", "on_note", "on_level"].includes(call))) {
    return give(known.nodes.map((one) => ({ label: one.name, type: "variable", doc: one.doc })));
  }
  if (call === "patch") return give(named(known.patches, "constant"), /^[\w-]*$/);
  if (call === "scale" && argument === 0) return before.includes(" ") ? give(named(known.scales, "enum")) : null;
  if (call === "chord" || (["note", "play", "="].includes(call) && /'\w*$/.test(before))) {
    return /[ ']\w*$/.test(before) ? give(named(known.chords, "enum")) : null;
  }
  const sounds =
    keyword === "s" || (!keyword && (["s", "sample", "once"].includes(call) || (call === "track" && argument === 1)));
  return sounds && !/[:*/%@!?]\w*$/.test(before) ? give(named(known.sounds, "text")) : null;
}

/** What stands below the mouse, in words. */
export function explaining(vocabulary: () => Vocabulary) {
  return (view: EditorView, pos: number): Tooltip | null => {
    const { state } = view;
    const span = state.wordAt(pos);
    if (!span || stringAt(state, pos)) return null;
    const word = state.sliceDoc(span.from, span.to);
    const line = state.doc.lineAt(pos);
    const before = state.sliceDoc(line.from, span.to);
    const known = vocabulary();
    const node = NODE_BEFORE.exec(before);
    const param = node && known.nodes.find((one) => one.name === node[1])?.params.find((one) => one.name === word);
    const method = before.endsWith(`.${word}`);
    const found = (node ? known.nodeWords : method ? known.changes : known.words).find((one) => one.name === word);
    if (!param && !found) return null;
    const shown = param
      ? () => card(`${node![1]}.${word}`, [param.range, param.doc].filter(Boolean).join("\n\n"))
      : () => card(word + found!.signature, found!.doc);
    return { pos: span.from, end: span.to, above: true, create: () => ({ dom: shown() }) };
  };
}

function card(title: string, text: string): HTMLElement {
  const dom = document.createElement("div");
  dom.className = "word";
  const head = document.createElement("code");
  head.textContent = title;
  const body = document.createElement("p");
  body.textContent = text;
  dom.append(head, body);
  return dom;
}
