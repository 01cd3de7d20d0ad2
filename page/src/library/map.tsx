// The map on a canvas: drawn when something has changed, and not otherwise; ten thousand points take a few milliseconds.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { colours, stage } from "../theme";
import {
  artists,
  choose,
  following,
  type Group,
  genreNumbers,
  hear,
  map,
  playing,
  selection,
  stop,
  type Track,
  target,
  tracks,
} from "./model";

const CLICK = 6; // pixels that a pointer may move for a click
const REACH = 16; // pixels from a point at which it is picked
const FEW = 800; // tracks, whose points are large enough to be seen from afar
const NEAREST = 40,
  FARTHEST = 6000; // pixels for one unit of the map
const STEP = 60; // pixels that an arrow key moves
const HUE = 137.508; // the golden angle: genres next to each other in number are far apart in hue

class MapView {
  private x = 0;
  private y = 0;
  private scale = 160;
  private frame = 0;
  private over: Track | null = null;
  private pointers = new Map<number, { x: number; y: number }>();
  private travelled = 0;
  private glide = 0;
  private ends: (() => void)[] = [];
  private fitted = false;
  private moved = false; // by a person, who is left where they are
  private cross = false;

  constructor(private canvas: HTMLCanvasElement) {
    const resized = new ResizeObserver(() => {
      if (this.moved) this.soon();
      else this.fit();
    });
    resized.observe(canvas);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const soon = () => this.soon();
    dark.addEventListener("change", soon);
    this.ends.push(
      () => resized.disconnect(),
      () => dark.removeEventListener("change", soon),
      effect(() => {
        void [map.value, selection.value, playing.value, following.value, stage.value];
        if (map.value?.tracks.length && !this.fitted) this.fit();
        this.soon();
      }),
      effect(() => {
        if (!target.value) return;
        this.moved = true;
        this.go(target.value.x, target.value.y, target.value.close ? Math.max(this.scale, 500) : 320);
      }),
    );
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  end(): void {
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.glide);
    this.ends.forEach((end) => end());
  }

  fit(): void {
    const found = map.value?.tracks ?? [];
    const box = this.canvas.getBoundingClientRect();
    if (!found.length || !box.width) return;
    const sorted = (axis: "x" | "y") => found.map((track) => track[axis]).sort((a, b) => a - b);
    const [xs, ys] = [sorted("x"), sorted("y")];
    const span = (list: number[]) => Math.max(1e-3, list.at(-1)! - list[0]!);
    this.fitted = true;
    const scale = Math.min((box.width - 60) / span(xs), (box.height - 60) / span(ys), 600);
    this.go((xs[0]! + xs.at(-1)!) / 2, (ys[0]! + ys.at(-1)!) / 2, scale, true);
  }

  private go(
    x: number,
    y: number,
    scale: number,
    atOnce = matchMedia("(prefers-reduced-motion: reduce)").matches,
  ): void {
    cancelAnimationFrame(this.glide);
    const from = [this.x, this.y, this.scale] as const,
      start = performance.now();
    const step = () => {
      const share = atOnce ? 1 : Math.min(1, (performance.now() - start) / 350);
      const eased = 1 - (1 - share) ** 3;
      this.x = from[0] + (x - from[0]) * eased;
      this.y = from[1] + (y - from[1]) * eased;
      this.scale = from[2] * (scale / from[2]) ** eased;
      this.soon();
      if (share < 1) this.glide = requestAnimationFrame(step);
    };
    step();
  }

  zoom(factor: number, at?: { x: number; y: number }): void {
    this.moved = true;
    cancelAnimationFrame(this.glide);
    const box = this.canvas.getBoundingClientRect();
    const dx = at ? at.x - box.left - box.width / 2 : 0,
      dy = at ? at.y - box.top - box.height / 2 : 0;
    const next = Math.min(FARTHEST, Math.max(NEAREST, this.scale * factor));
    // what is under the pointer stays there
    this.x += dx / this.scale - dx / next;
    this.y += dy / this.scale - dy / next;
    this.scale = next;
    this.soon();
  }

  private pan(dx: number, dy: number): void {
    this.moved = true;
    cancelAnimationFrame(this.glide);
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.soon();
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), event);
  }

  down(event: PointerEvent): void {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.travelled = this.pointers.size > 1 ? Infinity : 0;
    this.cross = false;
  }

  move(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    const now = { x: event.clientX, y: event.clientY };
    if (!before) {
      const over = this.pick(now);
      if (over !== this.over) {
        this.over = over;
        this.canvas.style.cursor = over ? "pointer" : "grab";
        this.soon();
      }
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.pointers.set(event.pointerId, now);
    if (others[0]) {
      const other = others[0];
      const far = (at: { x: number; y: number }) => Math.hypot(at.x - other.x, at.y - other.y) + 1;
      this.zoom(far(now) / far(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else {
      this.travelled += Math.hypot(now.x - before.x, now.y - before.y);
      this.pan(now.x - before.x, now.y - before.y);
    }
  }

  up(event: PointerEvent): void {
    const clicked = this.pointers.delete(event.pointerId) && this.travelled < CLICK && event.type === "pointerup";
    const track = clicked ? this.pick({ x: event.clientX, y: event.clientY }) : null;
    if (track) this.take(track);
  }

  private take(track: Track): void {
    choose({ kind: "track", id: track.id }, false);
    if (playing.value === track.id) stop();
    else void hear(track.id);
  }

  key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const box = this.canvas.getBoundingClientRect();
    const middle = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    const acts: Record<string, () => void> = {
      ArrowLeft: () => this.pan(STEP, 0),
      ArrowRight: () => this.pan(-STEP, 0),
      ArrowUp: () => this.pan(0, STEP),
      ArrowDown: () => this.pan(0, -STEP),
      "+": () => this.zoom(1.3),
      "=": () => this.zoom(1.3),
      "-": () => this.zoom(1 / 1.3),
      "0": () => this.fit(),
      Enter: () => {
        const track = this.pick(middle, Infinity);
        if (track) this.take(track);
      },
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    this.cross = true;
    act();
    this.soon();
  }

  private pick(at: { x: number; y: number }, reach = REACH): Track | null {
    const box = this.canvas.getBoundingClientRect();
    const x = this.x + (at.x - box.left - box.width / 2) / this.scale;
    const y = this.y + (at.y - box.top - box.height / 2) / this.scale;
    let best: Track | null = null,
      least = (reach / this.scale) ** 2;
    for (const track of map.value?.tracks ?? []) {
      const far = (track.x - x) ** 2 + (track.y - y) ** 2;
      if (far < least) [best, least] = [track, far];
    }
    return best;
  }

  private soon(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const { canvas } = this,
      paint = canvas.getContext("2d")!,
      ratio = devicePixelRatio;
    const width = canvas.clientWidth,
      height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    const found = map.value;
    if (!found) return;
    const palette = colours();
    const bright = stage.value || matchMedia("(prefers-color-scheme: dark)").matches;
    const hue = (genre: string) => {
      const number = genreNumbers.value.get(genre);
      return number === undefined ? palette.soft : `hsl(${(number * HUE) % 360} ${bright ? "55% 64%" : "50% 42%"})`;
    };
    const at = (place: { x: number; y: number }) =>
      [(place.x - this.x) * this.scale + width / 2, (place.y - this.y) * this.scale + height / 2] as const;
    const chosen = selection.value;
    const lit = (track: Track) =>
      chosen === null ||
      (chosen.kind === "track"
        ? (track.artist === tracks.value.get(chosen.id)?.artist && track.artist !== "") || track.id === chosen.id
        : chosen.kind === "artist"
          ? track.artist === chosen.name
          : track.genre === chosen.name);
    const few = found.tracks.length < FEW ? 4 : 1.6;
    const radius = Math.min(7, Math.max(few, 1.1 + this.scale / 260));
    // one path for each colour: as many fills as genres, not as tracks
    for (const on of [false, true]) {
      const byColour = new Map<string, Path2D>();
      for (const track of found.tracks) {
        if (lit(track) !== on) continue;
        const [x, y] = at(track);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        const name = hue(track.genre);
        let path = byColour.get(name);
        if (!path) byColour.set(name, (path = new Path2D()));
        if (radius < 2.4) path.rect(x - radius, y - radius, 2 * radius, 2 * radius);
        else {
          path.moveTo(x + radius, y);
          path.arc(x, y, radius, 0, 6.2832);
        }
      }
      paint.globalAlpha = on ? 0.85 : 0.22;
      for (const [name, path] of byColour) {
        paint.fillStyle = name;
        paint.fill(path);
      }
    }
    paint.globalAlpha = 1;
    this.route(paint, at, palette.warm);
    const used: [number, number, number, number][] = [];
    const write = (group: Group, font: string, ink: string) => {
      const [x, y] = at(group);
      if (x < 0 || y < 0 || x > width || y > height) return;
      paint.font = font;
      const half = paint.measureText(group.name).width / 2 + 5,
        tall = 10;
      if (used.some(([l, t, r, b]) => x - half < r && l < x + half && y - tall < b && t < y + tall)) return;
      used.push([x - half, y - tall, x + half, y + tall]);
      paint.lineWidth = 4;
      paint.strokeStyle = getComputedStyle(canvas).backgroundColor;
      paint.strokeText(group.name, x, y);
      paint.fillStyle = ink;
      paint.fillText(group.name, x, y);
    };
    paint.textAlign = "center";
    paint.textBaseline = "middle";
    paint.lineJoin = "round";
    const face = "ui-sans-serif, system-ui, sans-serif";
    const named = chosen?.kind === "artist" ? artists.value.get(chosen.name) : undefined;
    if (named) write(named, `600 15px ${face}`, palette.warm);
    for (const genre of found.genres.slice(0, 60)) write(genre, `600 14px ${face}`, hue(genre.name));
    const many = Math.round(this.scale / 4);
    let written = 0;
    for (const artist of found.artists) {
      if (written++ > many) break;
      write(artist, `12px ${face}`, palette.ink);
    }
    for (const track of [this.over, chosen?.kind === "track" ? tracks.value.get(chosen.id) : null]) {
      if (track) this.mark(paint, at(track), radius, track, palette.ink, palette.warm, width);
    }
    if (this.cross && document.activeElement === canvas) {
      paint.strokeStyle = palette.warm;
      paint.lineWidth = 1.5;
      paint.strokeRect(width / 2 - 6, height / 2 - 6, 12, 12);
    }
  }

  /** A line from the selected track over those that come next. */
  private route(paint: CanvasRenderingContext2D, at: (p: Track) => readonly [number, number], ink: string): void {
    const chosen = selection.value?.kind === "track" ? tracks.value.get(selection.value.id) : undefined;
    const stops = [...(chosen ? [chosen] : []), ...following.value].filter((track) => Number.isFinite(track.x));
    if (!following.value.length || stops.length < 2) return;
    paint.strokeStyle = ink;
    paint.globalAlpha = 0.6;
    paint.lineWidth = 1.5;
    paint.setLineDash([2, 5]);
    paint.lineCap = "round";
    paint.beginPath();
    for (const track of stops) paint.lineTo(...at(track));
    paint.stroke();
    paint.setLineDash([]);
    paint.globalAlpha = 1;
  }

  private mark(
    paint: CanvasRenderingContext2D,
    [x, y]: readonly [number, number],
    radius: number,
    track: Track,
    ink: string,
    warm: string,
    width: number,
  ): void {
    paint.strokeStyle = warm;
    paint.lineWidth = 2;
    paint.beginPath();
    paint.arc(x, y, radius + 4, 0, 6.2832);
    paint.stroke();
    const text = track.artist ? `${track.title} · ${track.artist}` : track.title;
    paint.font = "600 13px ui-sans-serif, system-ui, sans-serif";
    const half = paint.measureText(text).width / 2 + 4;
    const middle = Math.min(width - half, Math.max(half, x));
    paint.lineWidth = 5;
    paint.strokeStyle = getComputedStyle(this.canvas).backgroundColor;
    paint.strokeText(text, middle, y - radius - 16);
    paint.fillStyle = ink;
    paint.fillText(text, middle, y - radius - 16);
  }
}

export function MapCanvas() {
  const place = useRef<HTMLCanvasElement>(null);
  const view = useRef<MapView | null>(null);
  useEffect(() => {
    const made = (view.current = new MapView(place.current!));
    return () => made.end();
  }, []);
  return (
    <div class="map">
      <canvas
        ref={place}
        tabIndex={0}
        role="application"
        aria-label="Map of the library: arrow keys move, plus and minus zoom, 0 shows all, Enter plays the nearest track"
        onPointerDown={(event) => view.current?.down(event)}
        onPointerMove={(event) => view.current?.move(event)}
        onPointerUp={(event) => view.current?.up(event)}
        onPointerCancel={(event) => view.current?.up(event)}
        onKeyDown={(event) => view.current?.key(event)}
      />
      <span class="group zoom">
        <button aria-label="Zoom in" onClick={() => view.current?.zoom(1.5)}>
          +
        </button>
        <button aria-label="Zoom out" onClick={() => view.current?.zoom(1 / 1.5)}>
          −
        </button>
        <button onClick={() => view.current?.fit()}>All</button>
      </span>
    </div>
  );
}
