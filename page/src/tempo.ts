// A tempo as it is typed, within what the server takes.
export const SLOWEST = 10;
export const FASTEST = 999;

/** What was typed as beats a minute; null where it is no tempo, or none that the server takes. */
export function tempoOf(typed: string): number | null {
  const match = /^(\d+(?:[.,]\d*)?)\s*(?:bpm)?$/i.exec(typed.trim());
  const tempo = match ? Number(match[1]!.replace(",", ".")) : NaN;
  return tempo >= SLOWEST && tempo <= FASTEST ? tempo : null;
}
