// The icon as PNG, for systems that take no SVG: the wave of src/icon.svg, drawn by its distance from each pixel.
import { deflateSync, inflateSync } from "node:zlib";

const PAPER = [0x17, 0x15, 0x12];
const WARM = [0xff, 0x9a, 0x62];
const VIEW = 32; // units of the drawing, in which the SVG is written too
const CORNER = 7;
const STROKE = 2.6;
// the curves of the SVG's path, with the control points that its "s" leaves out
const CURVES = [
  [5, 16, 8, 7, 10, 7, 13, 16],
  [13, 16, 16, 25, 18, 25, 21, 16],
  [21, 16, 24, 7, 25, 8, 27, 16],
];
const PIECES = 24; // straight pieces of a curve

function wave() {
  const points = [];
  for (const [ax, ay, bx, by, cx, cy, dx, dy] of CURVES) {
    for (let piece = 0; piece <= PIECES; piece++) {
      const t = piece / PIECES;
      const s = 1 - t;
      const mix = (a, b, c, d) => s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d;
      points.push([mix(ax, bx, cx, dx), mix(ay, by, cy, dy)]);
    }
  }
  return points;
}

function fromPiece(x, y, [ax, ay], [bx, by]) {
  const [ux, uy] = [bx - ax, by - ay];
  const along = Math.min(1, Math.max(0, ((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy || 1)));
  return Math.hypot(x - ax - along * ux, y - ay - along * uy);
}

/** Distance from the rounded square's edge, negative within. */
function fromSquare(x, y, corner) {
  const half = VIEW / 2 - corner;
  const [u, v] = [Math.abs(x - VIEW / 2) - half, Math.abs(y - VIEW / 2) - half];
  return Math.hypot(Math.max(u, 0), Math.max(v, 0)) + Math.min(Math.max(u, v), 0) - corner;
}

/**
 * Rows of RGBA, each after a filter byte of 0, as PNG has them.
 * A maskable icon has no corners: systems cut it to their own shape, and keep the circle of 80 % that holds the wave.
 */
function pixels(size, { maskable }) {
  const rows = Buffer.alloc(size * (1 + 4 * size));
  const points = wave();
  const scale = VIEW / size;
  const cover = (distance) => Math.min(1, Math.max(0, 0.5 - distance / scale));
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [x, y] = [(column + 0.5) * scale, (row + 0.5) * scale];
      let distance = Infinity;
      for (let n = 1; n < points.length; n++) distance = Math.min(distance, fromPiece(x, y, points[n - 1], points[n]));
      const ink = cover(distance - STROKE / 2);
      const at = row * (1 + 4 * size) + 1 + 4 * column;
      for (let part = 0; part < 3; part++) rows[at + part] = Math.round(PAPER[part] + ink * (WARM[part] - PAPER[part]));
      rows[at + 3] = maskable ? 255 : Math.round(255 * cover(fromSquare(x, y, CORNER)));
    }
  }
  return rows;
}

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const made = Buffer.alloc(8 + body.length);
  made.writeUInt32BE(data.length, 0);
  body.copy(made, 4);
  made.writeUInt32BE(crc(body), 4 + body.length);
  return made;
}

/** A square icon as PNG. */
export function icon(size, options) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8); // 8 bits, RGBA
  const data = deflateSync(pixels(size, options), { level: 9 });
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

/** Whether two PNG of `icon` show the same: releases of Node pack the same pixels into different bytes. */
export function same(one, other) {
  const raw = (png) => inflateSync(png.subarray(33 + 8, 33 + 8 + png.readUInt32BE(33)));
  return one.subarray(0, 33).equals(other.subarray(0, 33)) && raw(one).equals(raw(other));
}
