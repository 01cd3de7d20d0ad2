// The sliders in the text: behind each call of `slider` with plain numbers one that moves its value.
import { syntaxTree } from "@codemirror/language";
import type { EditorState, Range } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  type EditorView,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from "@codemirror/view";
import { type SliderCall, sliderOf, writtenValue } from "./words";

/** A slider that was moved: where its call begins in the text, and its value. */
export type Moved = (at: number, value: number) => void;

interface Placed extends SliderCall {
  at: number;
  end: number;
}

const STEPS = 200;

/** The sliders between two places of the text. */
export function slidersOf(state: EditorState, from = 0, to = state.doc.length): Placed[] {
  const found: Placed[] = [];
  syntaxTree(state).iterate({
    from,
    to,
    enter: ({ name, node }) => {
      if (name !== "CallExpression" || state.sliceDoc(node.from, node.from + 7) !== "slider(") return;
      const call = sliderOf(state.sliceDoc(node.from, node.to));
      if (call) found.push({ ...call, at: node.from, end: node.to });
    },
  });
  return found;
}

class Slider extends WidgetType {
  constructor(
    private readonly call: SliderCall,
    private readonly moved: Moved,
  ) {
    super();
  }

  override eq(other: Slider): boolean {
    const [a, b] = [this.call, other.call];
    return a.value === b.value && a.low === b.low && a.high === b.high;
  }

  override toDOM(view: EditorView): HTMLElement {
    const field = document.createElement("input");
    field.type = "range";
    field.className = "cm-slider";
    this.dress(field);
    field.addEventListener("input", () => {
      const end = view.posAtDOM(field);
      const call = slidersOf(view.state, Math.max(0, end - 80), end).find((one) => one.end === end);
      if (!call) return;
      const insert = writtenValue(Number(field.value), call.low, call.high);
      this.moved(call.at, Number(insert));
      view.dispatch({ changes: { from: call.at + call.from, to: call.at + call.to, insert }, userEvent: "input.type" });
    });
    return field;
  }

  // the element that is dragged stays while its text changes
  override updateDOM(dom: HTMLElement): boolean {
    this.dress(dom as HTMLInputElement);
    return true;
  }

  override ignoreEvent(): boolean {
    return true;
  }

  private dress(field: HTMLInputElement): void {
    const { value, low, high } = this.call;
    field.min = String(low);
    field.max = String(high);
    field.step = String((high - low) / STEPS);
    field.setAttribute("aria-label", `Slider, ${low} to ${high}`);
    if (document.activeElement !== field || Number(field.value) !== value) field.value = String(value);
  }
}

export function sliders(moved: Moved) {
  const made = (view: EditorView): DecorationSet => {
    const all: Range<Decoration>[] = [];
    for (const { from, to } of view.visibleRanges)
      for (const one of slidersOf(view.state, from, to))
        all.push(Decoration.widget({ widget: new Slider(one, moved), side: 1 }).range(one.end));
    return Decoration.set(all, true);
  };
  return ViewPlugin.fromClass(
    class {
      decorations: DecorationSet;
      constructor(view: EditorView) {
        this.decorations = made(view);
      }
      update(update: ViewUpdate) {
        const parsed = syntaxTree(update.state) !== syntaxTree(update.startState);
        if (update.docChanged || update.viewportChanged || parsed) this.decorations = made(update.view);
      }
    },
    { decorations: (plugin) => plugin.decorations },
  );
}
