// What is drawn once a frame.

/** Calls a function once a frame, until the one that it returns is called. */
export function eachFrame(draw: (now: number) => void): () => void {
  let frame = 0;
  const next = (now: number) => {
    frame = requestAnimationFrame(next);
    draw(now);
  };
  frame = requestAnimationFrame(next);
  return () => cancelAnimationFrame(frame);
}
