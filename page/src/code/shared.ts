// The script that several pages edit together: a Yjs document, kept alike by the server, and who edits where.
import { Annotation, type Extension, type Range } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  keymap,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from "@codemirror/view";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import * as Y from "yjs";

const PIECE = 4000; // bytes of a message to the server, which takes 4 KiB
const SAY_MS = 60; // between two of this page's cursors
const AGAIN_MS = 1000;
const COLOURS = 6;

interface Person {
  name: string;
  anchor: unknown;
  head: unknown;
}

/** What the page is told: who else edits, the text as it was joined, and why it is not shared, or no more. */
export interface Told {
  people(names: string[]): void;
  joined(text: string): void;
  ended(reason: string): void;
}

const moved = Annotation.define<boolean>();

export class Shared {
  readonly text: Y.Text;
  private readonly doc = new Y.Doc();
  private readonly people = new Map<number, Person>();
  private socket: WebSocket | null = null;
  private view: EditorView | null = null;
  /** The connection by which the whole state has come. */
  private synced: WebSocket | null = null;
  private joined = false;
  private left = false;
  private saying = 0;

  constructor(
    private readonly open: () => WebSocket,
    private readonly name: string,
    private readonly initial: string,
    private readonly told: Told,
  ) {
    this.text = this.doc.getText("script");
    this.doc.on("update", (update: Uint8Array, origin: unknown) => origin !== this && this.send(update));
    this.connect();
  }

  leave(): void {
    this.left = true;
    this.socket?.close();
    clearTimeout(this.saying);
  }

  /** What binds an editor to the text, with an undo of this page's own changes. */
  extension(): Extension {
    const shared = this;
    const cursors = ViewPlugin.fromClass(
      class {
        decorations: DecorationSet;
        constructor(view: EditorView) {
          shared.view = view;
          this.decorations = shared.marks(view);
          shared.say();
        }
        update(update: ViewUpdate) {
          if (update.docChanged || update.transactions.some((one) => one.annotation(moved))) {
            this.decorations = shared.marks(update.view);
          }
          if (update.docChanged || update.selectionSet) shared.say();
        }
      },
      { decorations: (plugin) => plugin.decorations },
    );
    return [yCollab(this.text, null), keymap.of(yUndoManagerKeymap), cursors];
  }

  private connect(): void {
    const socket = this.open();
    let first = false;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") {
        Y.applyUpdate(this.doc, new Uint8Array(data as ArrayBuffer), this);
        this.begin(first);
        first = false;
        return;
      }
      const said = JSON.parse(data) as { you?: number; first?: boolean; gone?: number; who?: number } & Person;
      if (said.you) {
        first = !!said.first;
        this.people.clear();
        this.socket = socket;
      } else if (said.gone) this.people.delete(said.gone);
      else if (said.who) this.people.set(said.who, said);
      this.told.people([...this.people.values()].map((one) => one.name));
      // not within an update of the editor
      setTimeout(() => this.view?.dispatch({ annotations: moved.of(true) }));
    };
    socket.onclose = ({ code, reason }) => {
      this.socket = null;
      if (this.left) return;
      // a server that is started again gets back what this page has
      if (this.joined && code < 4000) setTimeout(() => this.left || this.connect(), AGAIN_MS);
      else this.told.ended(reason);
    };
  }

  /** The state of the server is here: what it lacks is sent, and the first of all brings the text. */
  private begin(first: boolean): void {
    if (this.synced === this.socket) return;
    this.synced = this.socket;
    if (first && !this.text.length) this.text.insert(0, this.initial);
    this.send(Y.encodeStateAsUpdate(this.doc));
    if (this.joined) return this.say();
    this.joined = true;
    this.told.joined(this.text.toString());
  }

  private send(update: Uint8Array): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (let from = 0; from < update.length; from += PIECE) {
      const piece = update.subarray(from, from + PIECE);
      const message = new Uint8Array(piece.length + 1);
      message[0] = from + PIECE < update.length ? 0 : 1;
      message.set(piece, 1);
      this.socket.send(message);
    }
  }

  private say(): void {
    if (this.saying) return;
    this.saying = window.setTimeout(() => {
      this.saying = 0;
      if (!this.view || this.socket?.readyState !== WebSocket.OPEN) return;
      const { anchor, head } = this.view.state.selection.main;
      const place = (at: number) => Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(this.text, at));
      this.socket.send(JSON.stringify({ name: this.name, anchor: place(anchor), head: place(head) }));
    }, SAY_MS);
  }

  private at(place: unknown): number | null {
    try {
      const found = Y.createRelativePositionFromJSON(place);
      return Y.createAbsolutePositionFromRelativePosition(found, this.doc)?.index ?? null;
    } catch {
      return null; // said by a page that is no page of ours
    }
  }

  private marks(view: EditorView): DecorationSet {
    const found: Range<Decoration>[] = [];
    const end = view.state.doc.length;
    for (const [number, one] of this.people) {
      const [anchor, head] = [this.at(one.anchor), this.at(one.head)];
      if (anchor === null || head === null || Math.max(anchor, head) > end) continue;
      const colour = `cm-person-${number % COLOURS}`;
      if (anchor !== head) {
        found.push(
          Decoration.mark({ class: `cm-chosen ${colour}` }).range(Math.min(anchor, head), Math.max(anchor, head)),
        );
      }
      found.push(Decoration.widget({ widget: new Caret(one.name, colour), side: 1 }).range(head));
    }
    return Decoration.set(found, true);
  }
}

class Caret extends WidgetType {
  constructor(
    private readonly name: string,
    private readonly colour: string,
  ) {
    super();
  }
  override eq(other: Caret): boolean {
    return other.name === this.name && other.colour === this.colour;
  }
  toDOM(): HTMLElement {
    const caret = document.createElement("span");
    caret.className = `cm-person ${this.colour}`;
    caret.append(document.createElement("span"));
    caret.firstElementChild!.textContent = this.name;
    return caret;
  }
  override ignoreEvent(): boolean {
    return true;
  }
}

const HUES = [205, 30, 140, 285, 60, 340];
/** Of cursors and what is chosen, a colour for each number. */
export const personTheme: Record<string, Record<string, string>> = {
  ".cm-person": { position: "relative", borderLeft: "2px solid var(--person)", margin: "0 -1px" },
  ".cm-person > span": {
    position: "absolute",
    left: "-2px",
    top: "-1.15em",
    padding: "0 .3em",
    borderRadius: "3px 3px 3px 0",
    backgroundColor: "var(--person)",
    color: "#fff",
    font: ".7rem/1.4 ui-sans-serif, system-ui, sans-serif",
    whiteSpace: "nowrap",
    pointerEvents: "none",
  },
  ".cm-chosen": { backgroundColor: "color-mix(in srgb, var(--person) 30%, transparent)" },
  ...Object.fromEntries(HUES.map((hue, number) => [`.cm-person-${number}`, { "--person": `hsl(${hue} 70% 38%)` }])),
};
